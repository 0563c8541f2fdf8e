"""What reads a backup where it lies: a script on standard input, on this machine or over SSH."""
