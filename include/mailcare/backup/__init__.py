"""Backup verification: from "is there a backup" to "a real IMAP server served it"."""
