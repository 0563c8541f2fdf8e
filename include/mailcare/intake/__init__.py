"""The support mailbox: mails that customers write, and what becomes of them."""
