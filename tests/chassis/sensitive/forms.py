"""Writes a value in another form: encoded, spaced otherwise, with invisible characters or with other digits."""

import html
import json
import re
from collections.abc import Callable
from random import Random

type Form = Callable[[Random, str], str]

INVISIBLE = {"zwsp": "\u200b", "shy": "\u00ad", "wj": "\u2060", "bom": "\ufeff", "zwj": "\u200d"}
SEPARATORS = {
    "two_spaces": "  ",
    "tabs": "\t",
    "lines": "\n",
    "nbsp": "\u00a0",
    "dots": ".",
    "dashes": "-",
    "slashes": "/",
    "nbsp_dash": "\u00a0-\u00a0",
}
ZEROS = {"arabic": "\u0660", "persian": "\u06f0", "devanagari": "\u0966", "fullwidth": "\uff10"}
PLAIN = re.compile(r"[A-Za-z0-9]")


def as_it_is(_: Random, value: str) -> str:
    """Return the value as its maker wrote it."""
    return value


def with_invisible(sign: str) -> Form:
    """Return a form with an invisible character after about every third character, and at least one."""

    def write(random: Random, value: str) -> str:
        places = {place for place in range(1, len(value)) if random.random() < 1 / 3} or {len(value) // 2}
        return "".join(sign + letter if place in places else letter for place, letter in enumerate(value))

    return write


def with_separator(separator: str) -> Form:
    """Return a form with other separators between the groups of a number; an undivided one gets groups of four."""

    def write(_: Random, value: str) -> str:
        groups = (
            re.split(r"[\s./()-]+", value.strip("()"))
            if re.search(r"[\s./()-]", value)
            else re.findall(".{1,4}", value)
        )
        return separator.join(group for group in groups if group)

    return write


def with_digits(zero: str) -> Form:
    """Return a form whose digits are those of another script."""
    digits = {ord("0") + number: chr(ord(zero) + number) for number in range(10)}
    return lambda _, value: value.translate(digits)


def _encoded(encode: Callable[[str], str]) -> Form:
    return lambda _, value: "".join(letter if PLAIN.fullmatch(letter) else encode(letter) for letter in value)


FORMS: dict[str, Form] = {
    **{name: with_invisible(sign) for name, sign in INVISIBLE.items()},
    **{name: with_separator(separator) for name, separator in SEPARATORS.items()},
    **{name: with_digits(zero) for name, zero in ZEROS.items()},
    "percent": _encoded(lambda letter: "".join(f"%{byte:02X}" for byte in letter.encode())),
    "entity": _encoded(lambda letter: f"&#{ord(letter)};" if letter not in "<>&\"'" else html.escape(letter)),
    "unicode": _encoded(lambda letter: f"\\u{ord(letter):04x}" if letter.isascii() else json.dumps(letter)[1:-1]),
}
