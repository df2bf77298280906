"""Which numbers are real, as far as a number can show: check digits, lengths and ranges that its scheme publishes."""

import re

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
