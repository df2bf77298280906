"""Tells from an IP address whether a model can be there, however the address is written."""

import ipaddress
from collections.abc import Iterator
from typing import Literal

CLOUD_ADDRESSES = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
"""Where clouds hand out a machine's own credentials: AWS, Google and Azure; AWS over IPv6; Alibaba; Azure's agent;
Oracle."""
BROADCAST = ipaddress.IPv4Address("255.255.255.255")
NAT64_PREFIXES = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")
ISATAP_IDS = (0x0000_5EFE, 0x0200_5EFE)
"""The third quarter of an IPv6 address whose last quarter is an IPv4 address (RFC 5214)."""

type IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = Literal["public", "any", "own"]
"""Where a model may be: only on the internet, also in a private network, or only there and on this machine."""


def parse_address(text: str) -> IPAddress | None:
    """Return an IP address without the zone of a link-local one, or None if the text is the name of a host."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def address_problem(ip: IPAddress, network: Network) -> str | None:
    """Return why no model of this network may be asked at an address, or None if one may."""
    targets = (ip, *_embedded(ip))
    if any(_is_never_a_model(target) for target in targets):
        return "where no model can be"
    is_private = not all(target.is_global for target in targets)
    if is_private and network == "public":
        return "a private address; set private_network = true to allow it"
    if not is_private and network == "own":
        return "which is not in a private network"
    return None


def _embedded(ip: IPAddress) -> Iterator[ipaddress.IPv4Address]:
    """Yield the IPv4 addresses to which a gateway or the kernel sends what is sent to an IPv6 address."""
    if isinstance(ip, ipaddress.IPv4Address):
        return
    third_quarter, last_quarter = int(ip) >> 32 & 0xFFFF_FFFF, int(ip) & 0xFFFF_FFFF
    translated = ip.ipv4_mapped or ip in IPV4_COMPATIBLE or any(ip in prefix for prefix in NAT64_PREFIXES)
    if translated or third_quarter in ISATAP_IDS:
        yield ipaddress.IPv4Address(last_quarter)
    if ip.sixtofour:
        yield ip.sixtofour
    if ip.teredo:
        yield from ip.teredo


def _is_never_a_model(ip: IPAddress) -> bool:
    is_no_host = ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip == BROADCAST
    return is_no_host or ip in CLOUD_ADDRESSES
