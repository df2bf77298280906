"""Phone numbers: the international form, habits of countries that are clear in themselves, what a word announces."""

import re
from collections.abc import Iterator

from chassis.guard.detectors.detector import Detector
from chassis.sensitive import Found

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


def announced(text: str, _: str) -> Iterator[Found]:
    """Yield numbers of whatever form that follow a word such as "call" or "phone"."""
    for match in ANY_NUMBER.finditer(text):
        if ANNOUNCEMENT.search(text[max(0, match.start() - REACH) : match.start()]):
            yield Found("phone", *match.span())


DETECTORS = (
    Detector("phone", INTERNATIONAL, needs=("+",)),
    Detector("phone", DIALLED_ABROAD, needs=("00",)),
    Detector("phone", NORTH_AMERICA),
    Detector("phone", WITH_AREA, has_national_length, needs=("0",)),
    Detector("phone", CHINESE_MOBILE, needs=("1",)),
    Detector("phone", ONE_PIECE, needs=("0",)),
    announced,
)
