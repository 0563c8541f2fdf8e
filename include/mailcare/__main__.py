"""`python -m mailcare` is the command line."""

from mailcare.cli import main

main()
