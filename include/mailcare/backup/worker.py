"""A process that does one piece of work after the other, until its input ends; see `pool`."""

import pickle
import sys
from typing import IO


def send(to: IO[bytes], what: object) -> None:
    """Write a value for the other side."""
    pickle.dump(what, to, pickle.HIGHEST_PROTOCOL)
    to.flush()


def main() -> None:
    """Do the work that comes on standard input; each answer goes to standard output."""
    while True:
        try:
            work, words = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent wrote it
        except EOFError:
            return
        try:
            send(sys.stdout.buffer, work(*words))
        except OSError as error:
            send(sys.stdout.buffer, error)


if __name__ == "__main__":
    main()
