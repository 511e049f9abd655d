"""Which addresses may be called for a customer: those of the public internet, and nothing that lies inside.

A customer names an identity provider, and Freehold calls it; without this guard they could make it call what only it
can reach: its own machine, its network, a cloud's metadata service. What isn't known to be public is refused.
https://www.iana.org/assignments/iana-ipv4-special-registry/
https://www.iana.org/assignments/iana-ipv6-special-registry/
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_INWARD_IPV4: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, some clouds' metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's own services, on a public address
        "169.254.0.0/16",  # link-local, clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocols
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

_PUBLIC_IPV6: Final = IPv6Network("2000::/3")
"""Global unicast. Loopback, IPv4-mapped and -compatible, NAT64, unique local, link-local and multicast lie outside."""

_INWARD_IPV6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocols, Teredo (an IPv4 address inside)
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 (an IPv4 address inside)
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # returned
        "3fff::/20",  # documentation
    )
)


def is_public(text: str) -> bool:
    """Whether an address (as `getaddrinfo` writes it) is one of the public internet."""
    try:
        address = ip_address(text)
    except ValueError:
        return False  # with a zone (fe80::1%eth0), or no address at all
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _INWARD_IPV4)
    assert isinstance(address, IPv6Address)
    return address in _PUBLIC_IPV6 and not any(address in network for network in _INWARD_IPV6)
