"""Letters and the channels that carry them."""
