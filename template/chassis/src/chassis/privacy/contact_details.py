"""Detectors for email addresses (RFC 5321, RFC 6531), IP addresses (RFC 791, RFC 4291) and phone numbers."""

import ipaddress
import re
from collections.abc import Iterator

from chassis.contract import SensitiveMatch
from chassis.privacy.detector import CJK, Detector, lazy_pattern

LETTER = r"A-Za-z0-9\u00C0-\u1FFF"
"""Letters of scripts that put spaces between words. In Chinese and Japanese an address touches its context."""
LABEL = rf"[{LETTER}{CJK}_](?:[{LETTER}{CJK}_-]{{0,62}}+)"
EMAIL = lazy_pattern(
    rf"(?<![{LETTER}])(?<![{LETTER}_][.+-])(?!git@[\w.-]{{1,64}}:)"
    rf"(?:(?<!_)[{LETTER}_][{LETTER}_.'&/-]{{0,255}}+(?:\+[{LETTER}_.+'&=-]{{0,64}}+)?|\"[^\"@\n]{{1,64}}\"|[{CJK}]{{1,16}}+)"
    rf"@(?!\dx\.(?:png|jpe?g|gif|webp|svg)\b)"
    rf"(?:(?:{LABEL}\.){{1,8}}(?:xn--[A-Za-z0-9-]{{2,59}}+|[A-Za-z\u00C0-\u1FFF]{{2,24}}+)(?![A-Za-z0-9])"
    r"|\[(?:IPv6:)?[0-9A-Fa-f:.]{2,45}\])"
)

IPV4 = lazy_pattern(
    r"\d(?<![A-Za-z0-9.]\d)(?<![A-Za-z0-9]_\d)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?!\.?[A-Za-z0-9]|_[A-Za-z0-9])", re.ASCII
)
IPV6 = lazy_pattern(
    r"(?<![A-Za-z0-9:.])(?<![A-Za-z0-9]_)(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}(?:\.\d{1,3}){0,3}|(?<=::))"
    r"(?![A-Za-z0-9]|_[A-Za-z0-9]|[:.][0-9A-Fa-f:])",
    re.ASCII,
)
MIN_IPV6_LENGTH = 6
"""Anything shorter, such as `a::b`, is more often code than an address."""

BEFORE = r"(?<![A-Za-z0-9+]{0})(?<![A-Za-z0-9][_,/-]{0})(?<![^A-Za-z]\.{0})"
"""What may not stand before the first digit of a phone number, which replaces `{0}`."""
AFTER = r"(?![A-Za-z0-9]|_[A-Za-z0-9]|[.,:/-]\d)"
SEPARATOR = r"(?:[ .-]| ?[()/] ?[()/]? ?)?"
"""What people write between the digits of one number. A full stop and a space end it."""
ZERO, ONE = "0" + BEFORE.format("0"), "1" + BEFORE.format("1")
INTERNATIONAL = lazy_pattern(
    rf"\+(?:(?<![A-Za-z0-9+]\+)(?<![A-Za-z0-9]_\+)|(?<=(?i:tel|fax|mob)\+))[1-9](?:{SEPARATOR}\d){{6,15}}(?![A-Za-z0-9])",
    re.ASCII,
)
INTERNATIONAL_00 = lazy_pattern(rf"{ZERO}(?<!\d 0)0[1-9](?:{SEPARATOR}\d){{8,14}}{AFTER}", re.ASCII)
NORTH_AMERICA = lazy_pattern(
    rf"[(1-9]{BEFORE.format('[(1-9]')}(?:(?<=1)[ .-]?\(?[2-9]|(?<=\()[2-9]|(?<=[2-9]))\d\d(?:\) ?|[ .-])"
    rf"[2-9]\d\d[ .-]\d{{4}}{AFTER}",
    re.ASCII,
)
AREA = r"[1-9]\d{0,4}"
WITH_AREA = lazy_pattern(
    rf"[(0]{BEFORE.format('[(0]')}(?<!\d [(0])(?:(?<=\()0{AREA}\) ?|(?<=0){AREA}(?:[ .-]| ?/ ?))"
    rf"\d{{2,8}}(?:[ .-]\d{{2,8}}){{0,4}}{AFTER}",
    re.ASCII,
)
CHINESE_MOBILE = lazy_pattern(rf"{ONE}[3-9]\d([ -])\d{{4}}\1\d{{4}}{AFTER}", re.ASCII)
UNSEPARATED = lazy_pattern(rf"{ZERO}[1-9]\d{{8,10}}{AFTER}", re.ASCII)
MIN_NATIONAL_DIGITS, MAX_NATIONAL_DIGITS = 9, 12
"""Digits of an area code and a number together, including the leading zero."""
ANY_NUMBER = lazy_pattern(r"[(\d](?<![0-9][(\d])(?:(?:[ ./-]|\) ?)?\d){7,14}(?![A-Za-z0-9])", re.ASCII)
ANNOUNCEMENT = lazy_pattern(
    r"(?:(?:phone|fax|mobile)(?:[_-]?(?:no|num|number))?|\bcell|\btel\b|\bcall|\bring\b|\breach\b|\btext\b|whatsapp"
    r"|telefon|handy|mobil|rufen|portable|appel|joindre|电话|手机|请打|致电|拨打|電話|携帯)"
    r"(?:[\s:=#.'\"()（）：*_~`|>]|\b(?:me|us|him|her|at|on|under|is|no|nr|number|nummer|ist|unter|le|au|numéro|est)\b"
    r"|号码|号|番号|是|为|は|に){0,10}\Z",
    re.IGNORECASE,
)
ANNOUNCEMENT_REACH = 40
"""How many characters before a number may contain the word that announces it, such as "call"."""


def is_host_address(text: str) -> bool:
    """Return whether this is the IP address of some machine, and not loopback, unspecified, multicast or a netmask."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 6 and len(text) < MIN_IPV6_LENGTH:  # noqa: PLR2004 - the name of the version
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or text.startswith("255."))


def has_national_length(number: str) -> bool:
    """Return whether a number has as many digits as an area code and a number have together."""
    return MIN_NATIONAL_DIGITS <= sum(char.isdigit() for char in number) <= MAX_NATIONAL_DIGITS


def find_announced_phones(text: str, _: str) -> Iterator[SensitiveMatch]:
    """Yield numbers in any form that follow a word such as "call" or "phone"."""
    for match in ANY_NUMBER.finditer(text):
        if ANNOUNCEMENT.search(text[max(0, match.start() - ANNOUNCEMENT_REACH) : match.start()]):
            yield SensitiveMatch("phone", *match.span())


EMAIL_DETECTORS = (Detector("email", EMAIL, needs=("@",)),)
IP_DETECTORS = (
    Detector("ip", IPV6, is_host_address, needs=(":",)),
    Detector("ip", IPV4, is_host_address, needs=(".",)),
)
PHONE_DETECTORS = (
    Detector("phone", INTERNATIONAL, needs=("+",)),
    Detector("phone", INTERNATIONAL_00, needs=("00",)),
    Detector("phone", NORTH_AMERICA),
    Detector("phone", WITH_AREA, has_national_length, needs=("0",)),
    Detector("phone", CHINESE_MOBILE, needs=("1",)),
    Detector("phone", UNSEPARATED, needs=("0",)),
    find_announced_phones,
)
SPREAD_PHONE_DETECTORS = (PHONE_DETECTORS[0], find_announced_phones)
"""Those that cannot take the numbers in a table for one."""
