"""How a DNS blocklist is asked (RFC 5782)."""

import dns.name
import dns.reversename

LISTED_POINT = "2.0.0.127"  # RFC 5782 §5: every list holds this entry
UNLISTED_POINT = "1.0.0.127"  # and none holds this one


def entry_name(address: str, zone: str) -> str:
    """Return the name under which `zone` would list `address`, IPv4 or IPv6."""
    reverse = dns.reversename.from_address(address)
    own_labels = reverse.relativize(_root_of(reverse))
    return f"{own_labels}.{zone.rstrip('.')}"


def _root_of(reverse: dns.name.Name) -> dns.name.Name:
    is_ipv4 = reverse.is_subdomain(dns.reversename.ipv4_reverse_domain)
    return dns.reversename.ipv4_reverse_domain if is_ipv4 else dns.reversename.ipv6_reverse_domain
