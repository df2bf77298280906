"""Which numbers are real, as far as a number can show: check digits, lengths and ranges that its scheme publishes."""

import re
from collections.abc import Iterator

from chassis.contract import SensitiveMatch
from chassis.privacy.detector import Detector

IBAN_LENGTHS = {
    country: int(length)
    for length, countries in re.findall(
        r"(\d+) ([A-Z ]+)",
        "15 NO, 16 BE, 18 DK FI FK FO GL NL SD, 19 MK SI, 20 AT BA EE KZ LT LU MN XK, 21 CH HR LI LV, "
        "22 BG BH CR DE GB GE IE ME RS VA, 23 AE GI IL IQ OM SO TL, 24 AD CZ ES MD PK RO SA SE SK TN VG, "
        "25 LY PT ST, 26 IS TR, 27 BI DJ FR GR IT MC MR SM, 28 AL AZ BY CY DO GT HN HU LB NI PL SV, "
        "29 BR EG PS QA UA, 30 JO KW MU YE, 31 MT SC, 32 LC, 33 RU",
    )
    for country in countries.split()
}
"""Characters of an IBAN by country, as the registry of ISO 13616 lists them."""

ISSUED_CARD = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5\d|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|35\d{14}|6[0-9]\d{14,17}|(?:5[0678]|62|81)\d{14,17}"
)
"""How the numbers of card schemes begin, and how long they are (ISO/IEC 7812)."""

BARCODE = 13
"""Digits of an EAN (ISO/IEC 15420), whose weights are 1 and 3 in turn."""


def compact(text: str) -> str:
    """Return the letters, in capitals, and digits of a number that may be written in groups."""
    return "".join(char for char in text if char.isalnum()).upper()


def is_card(number: str) -> bool:
    """Tell whether a scheme could have issued this number: beginning, length and Luhn's check digit.

    Thirteen digits that are right as a barcode are one: cards of that length are long out of use.
    """
    digits = compact(number)
    if len(digits) == BARCODE and not sum(int(digit) * (1 + place % 2 * 2) for place, digit in enumerate(digits)) % 10:
        return False
    doubled = (sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(reversed(digits)))
    return bool(ISSUED_CARD.fullmatch(digits)) and sum(doubled) % 10 == 0


def is_iban(account: str) -> bool:
    """Tell whether an account has its country's length and ISO 7064's check digits (mod 97-10)."""
    plain = compact(account)
    if len(plain) != IBAN_LENGTHS.get(plain[:2]):
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def is_steuer_id(number: str) -> bool:
    """Tell whether a German tax number has its check digit, and one digit two or three times among the first ten."""
    digits = compact(number)
    product = 10
    for digit in digits[:10]:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    most = max(digits.count(digit, 0, 10) for digit in digits)
    return (11 - product) % 10 == int(digits[-1]) and most in {2, 3} and len(set(digits[:10])) in {8, 9}


def is_social_insurance(number: str) -> bool:
    """Tell whether a German social insurance number has its check digit and a day of birth; 50 may be added to it."""
    plain = compact(number)
    day, month = int(plain[2:4]), int(plain[4:6])
    digits = plain[:8] + f"{ord(plain[8]) - ord('A') + 1:02}" + plain[9:]
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    total = sum(sum(divmod(int(digit) * weight, 10)) for digit, weight in zip(digits, weights, strict=False))
    return 1 <= day % 50 <= 31 and 1 <= month <= 12 and total % 10 == int(digits[-1])  # noqa: PLR2004 - a calendar


def is_nir(number: str) -> bool:
    """Tell whether a French social security number has its key; Corsica's 2A and 2B count as 19 and 18."""
    plain = compact(number)
    return 97 - int(plain[:13].replace("2A", "19").replace("2B", "18")) % 97 == int(plain[13:])


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


def find_ibans(text: str, _: str) -> Iterator[SensitiveMatch]:
    """Yield every IBAN; its country says where it ends, since words may follow without a clear border."""
    for match in ACCOUNT.finditer(text):
        start = end = match.start() - 2
        for _character in range(IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)):
            end += 1 + (text[end : end + 1] in {" ", "-"})
        if start < end <= match.end() and not text[end : end + 1].isalnum() and is_iban(text[start:end]):
            yield SensitiveMatch("iban", start, end)


def find_cards(text: str, _: str) -> Iterator[SensitiveMatch]:
    """Yield every card number; a last group may belong to what follows, such as the date of expiry."""
    for match in CARD.finditer(text):
        shorter = re.sub(r"[ -]\d+$", "", match[0])
        number = next((number for number in (match[0], shorter) if is_card(number)), None)
        if number:
            yield SensitiveMatch("card", match.start(), match.start() + len(number))


NATIONAL = (
    Detector("national_id", SSN),
    Detector("national_id", PLAIN_SSN, needs=("ssn", "social security")),
    Detector("national_id", NINO),
    Detector("national_id", SOCIAL_INSURANCE, is_social_insurance),
    Detector("national_id", STEUER_ID, is_steuer_id),
    Detector("national_id", NIR, is_nir),
)
