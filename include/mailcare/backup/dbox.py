"""The messages in a file of Dovecot's sdbox or mdbox, by its documented format. Pure.

A file begins with a line that tells the length of each message's header (`M`, hexadecimal); a
message is its header with its length, its bytes, and lines of metadata up to an empty one. Source:
doc.dovecot.org, "dbox Mailbox Format".
"""

import re
from collections.abc import Iterator

_FILE_HEAD = re.compile(rb"2 (?:[^\n]* )?M([0-9A-Fa-f]{1,4})(?: [^\n]*)?\n")
_MESSAGE_HEAD = re.compile(rb"\x01\x02N *([0-9A-Fa-f]{1,16})\n\Z")
_BEHIND = b"\n\x01\x03\n"


class Broken(ValueError):
    """A file is no dbox file, or not to its end."""


def messages_of(data: bytes) -> Iterator[bytes]:
    """Yield the messages of a file, those that were expunged but not yet purged among them.

    Raise `Broken` where the file leaves its format: what follows cannot be found.
    """
    found = _FILE_HEAD.match(data)
    if found is None:
        raise Broken("no dbox file")
    head_bytes, at = int(found[1], 16), found.end()
    while at < len(data):
        head = _MESSAGE_HEAD.match(data, at, at + head_bytes)
        if head is None:
            raise Broken(f"no message at byte {at}")
        end = at + head_bytes + int(head[1], 16)
        rest = data.find(b"\n\n", end + len(_BEHIND) - 1)
        if data[end : end + len(_BEHIND)] != _BEHIND or rest < 0:
            raise Broken(f"the message at byte {at} has no end")
        yield data[at + head_bytes : end]
        at = rest + 2
