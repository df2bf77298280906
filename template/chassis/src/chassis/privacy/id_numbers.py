"""Detectors for numbers with a published form and check digits: cards, IBANs and national identity numbers."""

import re
from collections.abc import Iterator

from chassis.contract import SensitiveMatch
from chassis.privacy.detector import GROUP_SEPARATOR, Detector, lazy_pattern

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
"""The number of characters of an IBAN by country, from the IBAN registry (ISO 13616)."""
IBAN_START = lazy_pattern(
    rf"\d(?<=[A-Za-z]{{2}}\d)(?:(?<![A-Za-z0-9][A-Za-z]{{2}}\d)|(?<=(?i:iban)..\d)){GROUP_SEPARATOR}?\d",
    re.ASCII,
)
"""The beginning of an IBAN from its third character on: text has fewer digits than letters, which makes this faster."""
IBANS = {
    length: lazy_pattern(rf"[A-Za-z0-9](?:{GROUP_SEPARATOR}?[A-Za-z0-9]){{{length - 1}}}(?![A-Za-z0-9])", re.ASCII)
    for length in set(IBAN_LENGTHS.values())
}
CARD = lazy_pattern(
    rf"\d(?:(?<![A-Za-z0-9+]\d)|(?<=(?i:nr|no)\d)|(?<=(?i:card)\d))(?<![0-9]\.\d)(?:\d{{11,18}}|(?:{GROUP_SEPARATOR}\d){{12,18}}|\d{{3}}{GROUP_SEPARATOR}\d{{6}}{GROUP_SEPARATOR}\d{{4,5}}"
    rf"|\d{{3}}(?:{GROUP_SEPARATOR}\d{{4}}){{2,3}}{GROUP_SEPARATOR}\d{{1,4}})(?![0-9])",
    re.ASCII,
)
"""What can be a card number: 12 to 19 digits without separators, in groups of four, or as they are printed on cards."""
CARD_SCHEMES = lazy_pattern(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5\d|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|35\d{14}|6[0-9]\d{14,17}|(?:5[0678]|62|81)\d{14,17}"
)
"""Prefixes and lengths of the card schemes (ISO/IEC 7812)."""
BARCODE_DIGITS = 13
"""Digits of an EAN-13 (ISO/IEC 15420), whose weights alternate between 1 and 3."""
SSN = lazy_pattern(
    r"\d(?<![A-Za-z0-9]\d)(?<![A-Za-z0-9]-\d)(?<!9)\d\d(?<!000)(?<!666)([- ])(?!00)\d{2}\1(?!0000)\d{4}"
    r"(?![A-Za-z0-9]|-\d)",
    re.ASCII,
)
ANNOUNCED_SSN = lazy_pattern(
    r"\b(?:ssn|social security)(?![A-Za-z])\D{0,24}?"
    rf"(?P<value>(?!000|666|9)\d{{3}}{GROUP_SEPARATOR}?(?!00)\d{{2}}{GROUP_SEPARATOR}?(?!0000)\d{{4}})(?![A-Za-z0-9]|-\d)",
    re.ASCII | re.IGNORECASE,
)
NINO_DIGITS = lazy_pattern(r"\d(?:(?<=[A-Za-z]{2}\d)|(?<=[A-Za-z]{2}[ ._/-]\d))\d[ ._/-]{0,3}\d", re.ASCII)
NINO = lazy_pattern(
    r"(?<![A-Za-z0-9])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
    rf"(?:{GROUP_SEPARATOR}?\d{{2}}){{3}}{GROUP_SEPARATOR}?[A-D](?![A-Za-z0-9])",
    re.ASCII | re.IGNORECASE,
)
STEUER_ID = lazy_pattern(
    rf"[1-9](?<![A-Za-z0-9]\d)(?:\d{{10}}|\d(?:{GROUP_SEPARATOR}\d{{3}}){{3}}"
    rf"|(?<!\d[ ._/-]\d)\d{{3}}{GROUP_SEPARATOR}\d{{4}}{GROUP_SEPARATOR}\d{{3}})(?![A-Za-z0-9])",
    re.ASCII,
)
SOCIAL_INSURANCE = lazy_pattern(
    rf"\d(?<![A-Za-z0-9]\d)(?:{GROUP_SEPARATOR}?\d){{7}}{GROUP_SEPARATOR}?[A-Za-z](?:{GROUP_SEPARATOR}?\d){{3}}"
    r"(?![A-Za-z0-9])",
    re.ASCII,
)
NIR = lazy_pattern(
    rf"[12](?<![A-Za-z0-9]\d)(?:{GROUP_SEPARATOR}?\d){{5}}{GROUP_SEPARATOR}?[0-9ABab](?:{GROUP_SEPARATOR}?\d){{8}}"
    r"(?![A-Za-z0-9])",
    re.ASCII,
)
NIR_DIGITS = lazy_pattern(r"[12]\d{2}(?:0[1-9]|1[0-2]|[2-4]\d|50|99)(?:\d{2}|2[AB])\d{8}")


def is_card(number: str) -> bool:
    """Return whether a scheme could have issued this number, by its prefix, length and Luhn check digit.

    A number of 13 digits that is a valid barcode counts as one: cards of that length are no longer in use.
    """
    digits = _compact(number)
    weighted = (int(digit) * (1 + position % 2 * 2) for position, digit in enumerate(digits))
    if len(digits) == BARCODE_DIGITS and sum(weighted) % 10 == 0:
        return False
    # `divmod` by 10 adds the two digits of a doubled one.
    luhn = (sum(divmod(int(digit) * (1 + position % 2), 10)) for position, digit in enumerate(reversed(digits)))
    return bool(CARD_SCHEMES.fullmatch(digits)) and sum(luhn) % 10 == 0


def is_iban(account: str) -> bool:
    """Return whether an account has the length of its country and valid check digits (ISO 7064, mod 97-10)."""
    compact = _compact(account)
    if len(compact) != IBAN_LENGTHS.get(compact[:2]):
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def is_steuer_id(number: str) -> bool:
    """Return whether this is a German tax identification number.

    It has a check digit (ISO 7064, mod 11,10), and among its first ten digits one occurs two or three times.
    """
    digits = _compact(number)
    product = 10
    for digit in digits[:10]:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    most_frequent = max(digits.count(digit, 0, 10) for digit in digits)
    return (11 - product) % 10 == int(digits[-1]) and most_frequent in {2, 3} and len(set(digits[:10])) in {8, 9}


def is_social_insurance(number: str) -> bool:
    """Return whether this is a German social insurance number.

    It contains a date of birth, to whose day 50 may be added, and ends with a check digit over weighted digit sums.
    """
    compact = _compact(number)
    day, month = int(compact[2:4]), int(compact[4:6])
    digits = compact[:8] + f"{ord(compact[8]) - ord('A') + 1:02}" + compact[9:]  # A is 01, B is 02 ...
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    total = sum(sum(divmod(int(digit) * weight, 10)) for digit, weight in zip(digits, weights, strict=False))
    return 1 <= day % 50 <= 31 and 1 <= month <= 12 and total % 10 == int(digits[-1])  # noqa: PLR2004 - a calendar


def is_nir(number: str) -> bool:
    """Return whether this is a French social security number with a valid key; Corsica's 2A and 2B are 19 and 18."""
    compact = _compact(number)
    if not NIR_DIGITS.fullmatch(compact):
        return False
    return 97 - int(compact[:13].replace("2A", "19").replace("2B", "18")) % 97 == int(compact[13:])


def find_ibans(text: str, _: str) -> Iterator[SensitiveMatch]:
    """Yield every IBAN. Its country determines where it ends, because words may follow without a clear border."""
    for beginning in IBAN_START.finditer(text):
        start = beginning.start() - 2
        # A pattern for each length, because one for all would read on into the words after the IBAN.
        length = IBAN_LENGTHS.get(text[start : start + 2].upper())
        match = IBANS[length].match(text, start) if length else None
        if match and is_iban(match[0]):
            yield SensitiveMatch("iban", *match.span())


def find_ninos(text: str, _: str) -> Iterator[SensitiveMatch]:
    """Yield every National Insurance number. Like an IBAN, it is searched from its first digit on."""
    for digits in NINO_DIGITS.finditer(text):
        start = digits.start() - (2 if text[digits.start() - 1].isalpha() else 3)
        if match := NINO.match(text, start):
            yield SensitiveMatch("national_id", *match.span())


def find_cards(text: str, _: str) -> Iterator[SensitiveMatch]:
    """Yield every card number. Its last group may belong to what follows, such as an expiry date."""
    position = 0
    while match := CARD.search(text, position):
        # `4111 1111 1111 1111 12/29` matches with the 12; what remains must still pass the check digit.
        without_last_group = re.sub(r"\D+\d+$", "", match[0])
        number = next((number for number in (match[0], without_last_group) if is_card(number)), "")
        position = match.start() + (len(number) or 1)
        if number:
            yield SensitiveMatch("card", match.start(), position)


def _compact(text: str) -> str:
    """Return the letters, as capitals, and digits of a number that may be written in groups."""
    return "".join(char for char in text if char.isalnum()).upper()


NATIONAL_ID_DETECTORS = (
    Detector("national_id", SSN),
    Detector("national_id", ANNOUNCED_SSN, needs=("ssn", "social security")),
    find_ninos,
    Detector("national_id", SOCIAL_INSURANCE, is_social_insurance),
    Detector("national_id", STEUER_ID, is_steuer_id),
    Detector("national_id", NIR, is_nir),
)
"""Numbers of the USA (SSN), the United Kingdom (NINO), Germany and France (NIR)."""
SPREAD_ID_DETECTORS = NATIONAL_ID_DETECTORS[1:]
"""Those that cannot take the numbers in a table for one."""
