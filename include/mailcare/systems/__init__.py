"""The customers' mail systems: what is known of a product and of one installation."""
