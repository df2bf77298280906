"""The check digits of public numbering schemes, written from their definitions for the makers of invented values."""

from collections.abc import Iterable


def luhn(digits: str) -> str:
    """Return the last digit of a card number (ISO/IEC 7812-1)."""
    doubled = (int(d) * 2 if place % 2 == 0 else int(d) for place, d in enumerate(reversed(digits)))
    return str(-sum(n // 10 + n % 10 for n in doubled) % 10)


def iban(country: str, account: str) -> str:
    """Return the two check digits of an IBAN (ISO 13616, ISO 7064 mod 97-10)."""
    return f"{98 - int(''.join(str(int(c, 36)) for c in account + country) + '00') % 97:02}"


def steuer_id(digits: str) -> str:
    """Return the eleventh digit of a German tax number (ISO 7064 mod 11,10)."""
    product = 10
    for digit in digits:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    return str((11 - product) % 10)


def social_insurance(digits: str, initial: str) -> str:
    """Return the last digit of a German social insurance number: weighed cross sums modulo 10."""
    written = digits[:8] + f"{ord(initial) - 64:02}" + digits[8:]
    return str(sum(_cross(int(d) * w) for d, w in zip(written, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True)) % 10)


def nir(digits: str) -> str:
    """Return the two last digits of a French NIR; Corsica counts as 19 (2A) and 18 (2B)."""
    return f"{97 - int(digits.replace('2A', '19').replace('2B', '18')) % 97:02}"


def weighed(digits: Iterable[int], weights: Iterable[int]) -> int:
    """Return the weighed sum, which many article numbers are checked by."""
    return sum(d * w for d, w in zip(digits, weights, strict=True))


def _cross(number: int) -> int:
    return number // 10 + number % 10
