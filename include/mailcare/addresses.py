"""What a letter can be addressed to: the one rule for forms, site files and the outbox."""

from email.errors import HeaderParseError
from email.headerregistry import Address
from functools import lru_cache

from mailcare.errors import InputError


class BadAddress(InputError):
    """No letter can be addressed to this, however often it is tried."""


@lru_cache(maxsize=1024)  # each letter of thousands asks for the same sender's
def parse_address(text: str) -> Address:
    """Return a bare address `user@domain`; raise `BadAddress` for anything else.

    Letters go without SMTPUTF8 (RFC 6531), so that an address holds ASCII characters only.
    """
    try:
        address = Address(addr_spec=text)
    # The last three are mistakes of Python's parser on what is cut off, such as `a@[`.
    except (HeaderParseError, ValueError, IndexError, AttributeError, NameError) as error:
        raise BadAddress("不是有效的邮件地址", subject=text) from error
    if not (text.isascii() and address.username and address.domain):
        raise BadAddress("邮件地址须为“用户名@域名”且只含 ASCII 字符", subject=text)
    return address
