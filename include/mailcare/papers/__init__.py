"""Papers: a value first, then HTML and PDF."""
