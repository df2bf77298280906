"""Mail addresses (RFC 5321, RFC 6531) and network addresses (RFC 791, RFC 4291)."""

import ipaddress
import re

from chassis.guard.detectors.detector import Detector

LETTER = r"A-Za-z0-9_\u00C0-\u1FFF"
"""Letters of scripts with spaces between words; in Chinese and Japanese an address touches what is around it."""
HAN = r"\u3040-\u30FF\u3400-\u9FFF\uAC00-\uD7AF"
LABEL = rf"[{LETTER}{HAN}](?:[{LETTER}{HAN}-]{{0,62}}+)"
EMAIL = re.compile(
    rf"(?<![{LETTER}.+-])(?!git@[\w.-]{{1,64}}:)"
    rf"(?:[{LETTER}][{LETTER}.'&/-]{{0,255}}+(?:\+[{LETTER}.+'&=-]{{0,64}}+)?|\"[^\"@\n]{{1,64}}\"|[{HAN}]{{1,16}}+)"
    rf"@(?!\dx\.(?:png|jpe?g|gif|webp|svg)\b)"
    rf"(?:(?:{LABEL}\.){{1,8}}(?:xn--[A-Za-z0-9-]{{2,59}}+|[A-Za-z\u00C0-\u1FFF]{{2,24}}+)(?![A-Za-z0-9_-])"
    r"|\[(?:IPv6:)?[0-9A-Fa-f:.]{2,45}\])"
)
IPV4 = re.compile(r"\d(?<![A-Za-z0-9_.]\d)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?!\.?[A-Za-z0-9_])", re.ASCII)
IPV6 = re.compile(
    r"(?<![A-Za-z0-9_:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}(?:\.\d{1,3}){0,3}|(?<=::))"
    r"(?![A-Za-z0-9_]|[:.][0-9A-Fa-f:])",
    re.ASCII,
)
SHORTEST_IPV6 = 6
"""Anything shorter is more often code than an address."""


def names_a_machine(text: str) -> bool:
    """Tell whether this is an address of some machine, and not just of "this one", of nobody or of everybody."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 6 and len(text) < SHORTEST_IPV6:  # noqa: PLR2004 - the version's name
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or text.startswith("255."))


MAIL = (Detector("email", EMAIL, needs=("@",)),)
NETWORK = (
    Detector("ip", IPV6, names_a_machine, needs=(":",)),
    Detector("ip", IPV4, names_a_machine, needs=(".",)),
)
