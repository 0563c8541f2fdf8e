"""Cut a text into pieces that a channel takes, counted in bytes and never inside a character."""


def split_bytes(text: str, most_bytes: int) -> tuple[str, ...]:
    """Return the pieces of a text, each of at most `most_bytes` in UTF-8, at least one.

    A piece ends at the last line end that fits, else where the bytes end; joined, nothing but
    such a line end is missing. `most_bytes` is at least 4, the longest character.
    """
    pieces = []
    rest = text
    while len(rest.encode("utf-8", "replace")) > most_bytes:
        piece = _head(rest, most_bytes)
        pieces.append(piece)
        rest = rest[len(piece) :].removeprefix("\n")
    return (*pieces, rest)


def _head(text: str, most_bytes: int) -> str:
    fitting = text.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")
    lines, end, _ = fitting.rpartition("\n")
    return lines if end and lines else fitting
