"""Numbers that a public scheme hands out: bank accounts, cards, and what states number people by."""

import re
from collections.abc import Iterator

from chassis.guard.detectors.checks import (
    IBAN_LENGTHS,
    is_card,
    is_iban,
    is_nir,
    is_social_insurance,
    is_steuer_id,
)
from chassis.guard.detectors.detector import Detector
from chassis.sensitive import Found

ACCOUNT = re.compile(r"\d(?<=[A-Za-z]{2}\d)(?<![A-Za-z0-9][A-Za-z]{2}\d)\d(?:[ -]?[A-Za-z0-9]){11,30}", re.ASCII)
"""An account from its third character on: digits are rarer than letters, and so the search is shorter."""
CARD = re.compile(
    r"\d(?<![A-Za-z0-9.]\d)"
    r"(?:\d{11,18}|\d{3}([ -])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?|\d{3}([ -])\d{6}\2\d{4,5})(?![0-9])",
    re.ASCII,
)
SSN = re.compile(
    r"\d(?<![A-Za-z0-9-]\d)(?<!9)\d\d(?<!000)(?<!666)([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![A-Za-z0-9]|-\d)", re.ASCII
)
PLAIN_SSN = re.compile(
    r"\b(?:ssn|social security)\b\D{0,24}?(?P<value>(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4})(?![A-Za-z0-9]|-\d)",
    re.ASCII | re.IGNORECASE,
)
NINO = re.compile(
    r"(?<![A-Za-z0-9])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?\d{2}){3} ?[A-D](?![A-Za-z0-9])",
    re.ASCII | re.IGNORECASE,
)
STEUER_ID = re.compile(r"[1-9](?<![A-Za-z0-9]\d)\d(?: \d{3} \d{3} |\d{6})\d{3}(?![A-Za-z0-9])", re.ASCII)
SOCIAL_INSURANCE = re.compile(r"\d(?<![A-Za-z0-9]\d)\d ?\d{6} ?[A-Za-z] ?\d{3}(?![A-Za-z0-9])", re.ASCII)
NIR = re.compile(
    r"[12](?<![A-Za-z0-9]\d) ?\d{2} ?(?:0[1-9]|1[0-2]|[2-4]\d|50|99) ?(?:\d{2}|2[ABab])"
    r"(?: ?\d{3}){2} ?\d{2}(?![A-Za-z0-9])",
    re.ASCII,
)


def accounts(text: str, _: str) -> Iterator[Found]:
    """Yield every IBAN; its country says where it ends, since words may follow without a clear border."""
    for match in ACCOUNT.finditer(text):
        start = end = match.start() - 2
        for _character in range(IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)):
            end += 1 + (text[end : end + 1] in {" ", "-"})
        if start < end <= match.end() and not text[end : end + 1].isalnum() and is_iban(text[start:end]):
            yield Found("iban", start, end)


def cards(text: str, _: str) -> Iterator[Found]:
    """Yield every card number; a last group may belong to what follows, such as the date of expiry."""
    for match in CARD.finditer(text):
        shorter = re.sub(r"[ -]\d+$", "", match[0])
        number = next((number for number in (match[0], shorter) if is_card(number)), None)
        if number:
            yield Found("card", match.start(), match.start() + len(number))


NATIONAL = (
    Detector("national_id", SSN),
    Detector("national_id", PLAIN_SSN, needs=("ssn", "social security")),
    Detector("national_id", NINO),
    Detector("national_id", SOCIAL_INSURANCE, is_social_insurance),
    Detector("national_id", STEUER_ID, is_steuer_id),
    Detector("national_id", NIR, is_nir),
)
