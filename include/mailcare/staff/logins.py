"""Whether two logins are one person's. Pure."""

from unicodedata import normalize


def login_key(login: str) -> str:
    """Return what the spellings of a login have in common: case, width and spaces do not count."""
    return "".join(normalize("NFKC", login).split()).casefold()
