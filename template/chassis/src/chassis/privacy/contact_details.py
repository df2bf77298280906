"""Mail addresses (RFC 5321, RFC 6531) and network addresses (RFC 791, RFC 4291)."""

import ipaddress
import re
from collections.abc import Iterator

from chassis.contract import SensitiveMatch
from chassis.privacy.detector import Detector

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


BEFORE = r"(?<![A-Za-z0-9_.,/+-]{0})"
AFTER = r"(?![A-Za-z0-9_]|[.,:/-]\d)"
BETWEEN = r"(?:[ .-]| ?[()/] ?[()/]? ?)?"
"""What people put between the digits of one number; a full stop and a space end it."""
ZERO, ONE = "0" + BEFORE.format("0"), "1" + BEFORE.format("1")
INTERNATIONAL = re.compile(rf"\+(?<![A-Za-z0-9_+]\+)[1-9](?:{BETWEEN}\d){{6,15}}(?![A-Za-z0-9])", re.ASCII)
DIALLED_ABROAD = re.compile(rf"{ZERO}(?<!\d 0)0[1-9](?:{BETWEEN}\d){{8,14}}{AFTER}", re.ASCII)
NORTH_AMERICA = re.compile(
    rf"[(1-9]{BEFORE.format('[(1-9]')}(?:(?<=1)[ .-]?\(?[2-9]|(?<=\()[2-9]|(?<=[2-9]))\d\d(?:\) ?|[ .-])"
    rf"[2-9]\d\d[ .-]\d{{4}}{AFTER}",
    re.ASCII,
)
AREA = r"[1-9]\d{0,4}"
WITH_AREA = re.compile(
    rf"[(0]{BEFORE.format('[(0]')}(?<!\d [(0])(?:(?<=\()0{AREA}\) ?|(?<=0){AREA}(?:[ .-]| ?/ ?))"
    rf"\d{{2,8}}(?:[ .-]\d{{2,8}}){{0,4}}{AFTER}",
    re.ASCII,
)
CHINESE_MOBILE = re.compile(rf"{ONE}[3-9]\d([ -])\d{{4}}\1\d{{4}}{AFTER}", re.ASCII)
ONE_PIECE = re.compile(rf"{ZERO}[1-9]\d{{8,10}}{AFTER}", re.ASCII)
FEWEST, MOST = 9, 12
"""Digits of an area and a number together, the leading zero included."""
ANY_NUMBER = re.compile(r"\d(?<![A-Za-z0-9]\d)(?:[ ./-]?\d){7,12}(?![A-Za-z0-9])", re.ASCII)
ANNOUNCEMENT = re.compile(
    r"(?:phone|fax|mobile|\bcell|\btel\b|\bcall|\bring\b|\breach\b|\btext\b|whatsapp"
    r"|telefon|handy|mobil|rufen|portable|appel|joindre|电话|手机|请打|致电|拨打|電話|携帯)"
    r"(?:[\s:=#.'\"()（）：]|\b(?:me|us|him|her|at|on|under|is|no|nr|number|nummer|ist|unter|le|au|numéro|est)\b"
    r"|号码|号|番号|是|为|は|に){0,10}\Z",
    re.IGNORECASE,
)
REACH = 40
"""Characters before a number in which the word that announces it must stand."""


def has_national_length(number: str) -> bool:
    """Tell whether there are as many digits as an area and a number have together."""
    return FEWEST <= sum(char.isdigit() for char in number) <= MOST


def announced(text: str, _: str) -> Iterator[SensitiveMatch]:
    """Yield numbers of whatever form that follow a word such as "call" or "phone"."""
    for match in ANY_NUMBER.finditer(text):
        if ANNOUNCEMENT.search(text[max(0, match.start() - REACH) : match.start()]):
            yield SensitiveMatch("phone", *match.span())


PHONE = (
    Detector("phone", INTERNATIONAL, needs=("+",)),
    Detector("phone", DIALLED_ABROAD, needs=("00",)),
    Detector("phone", NORTH_AMERICA),
    Detector("phone", WITH_AREA, has_national_length, needs=("0",)),
    Detector("phone", CHINESE_MOBILE, needs=("1",)),
    Detector("phone", ONE_PIECE, needs=("0",)),
    announced,
)
