"""How a DNS blocklist is asked (RFC 5782)."""

from ipaddress import ip_address

# RFC 5782 §5, of each family: every list holds the first point, and none holds the second.
_IPV4_POINTS = ("127.0.0.2", "127.0.0.1")
_IPV6_POINTS = ("::ffff:7f00:2", "::ffff:7f00:1")


def entry_name(address: str, zone: str) -> str:
    """Return the name under which `zone` would list `address`, IPv4 or IPv6."""
    return f"{_labels(address)}.{zone.rstrip('.')}"


def point_names(address: str, zone: str) -> tuple[str, str]:
    """Return the names of the listed and the unlisted test point of an address's family."""
    listed, unlisted = _IPV4_POINTS if ip_address(address).version == 4 else _IPV6_POINTS
    return entry_name(listed, zone), entry_name(unlisted, zone)


def is_listed_point(name: str) -> bool:
    """Tell whether a name is that of a test point that every list holds."""
    return any(name.startswith(f"{_labels(one[0])}.") for one in (_IPV4_POINTS, _IPV6_POINTS))


def _labels(address: str) -> str:
    return ip_address(address).reverse_pointer.rsplit(".", 2)[0]
