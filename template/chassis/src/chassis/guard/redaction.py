"""Finds what should not leave the building, and puts reversible placeholders in its place.

Patterns find candidates; where a number has a checksum, only numbers that pass it count. Names of people and places
are not found: no pattern can.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from chassis.constraints import Sensitive

GERMAN_LENGTH, FRENCH_LENGTH = 11, 15
PHONE_DIGITS = range(8, 16)


@dataclass(frozen=True, slots=True)
class Found:
    """A sensitive value: what it is and where it stands in the text."""

    kind: Sensitive
    start: int
    end: int


def find(text: str, kinds: Collection[Sensitive]) -> list[Found]:
    """Return the sensitive values of these kinds in order; of two that overlap, the kind that is looked for first."""
    found: list[Found] = []
    for kind, pattern, is_real in DETECTORS:
        if kind not in kinds:
            continue
        for match in pattern.finditer(text):
            overlaps = any(match.start() < other.end and other.start < match.end() for other in found)
            if not overlaps and is_real(match[0]):
                found.append(Found(kind, match.start(), match.end()))
    return sorted(found, key=lambda item: item.start)


def redact(text: str, kinds: Collection[Sensitive], placeholders: dict[str, str]) -> str:
    """Replace each sensitive value by a placeholder such as `[EMAIL_1]`.

    Args:
        text: What is about to leave.
        kinds: What to replace.
        placeholders: From placeholder to value; read, so that one value keeps one placeholder, and added to.
    """
    pieces: list[str] = []
    position = 0
    known = {value: placeholder for placeholder, value in placeholders.items()}
    for item in find(text, kinds):
        value = text[item.start : item.end]
        if value not in known:
            known[value] = (
                f"[{item.kind.upper()}_{sum(key.startswith(f'[{item.kind.upper()}_') for key in placeholders) + 1}]"
            )
            placeholders[known[value]] = value
        pieces += [text[position : item.start], known[value]]
        position = item.end
    return "".join([*pieces, text[position:]])


def restore(text: str, placeholders: dict[str, str]) -> str:
    """Put the values back."""
    for placeholder, value in placeholders.items():
        text = text.replace(placeholder, value)
    return text


def _digits(text: str) -> list[int]:
    return [int(char) for char in text if char.isdigit()]


def _passes_luhn(text: str) -> bool:
    doubled = (sum(divmod(digit * (1 + place % 2), 10)) for place, digit in enumerate(reversed(_digits(text))))
    return sum(doubled) % 10 == 0


def _passes_mod_97(text: str) -> bool:
    compact = re.sub(r"\W", "", text).upper()
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def _passes_national_checksum(text: str) -> bool:
    """German tax numbers (ISO 7064) and French NIRs (97 - n mod 97) have a checksum; US and UK numbers have none."""
    compact = re.sub(r"\W", "", text).upper()
    if len(compact) == GERMAN_LENGTH and compact.isdigit():
        product = 10
        for digit in _digits(compact)[:10]:
            total = (digit + product) % 10 or 10
            product = total * 2 % 11
        return (11 - product) % 10 == int(compact[-1])
    if len(compact) == FRENCH_LENGTH:
        body = compact[:13].replace("2A", "19").replace("2B", "18")
        return 97 - int(body) % 97 == int(compact[13:])
    return True


def _has_phone_length(text: str) -> bool:
    return len(_digits(text)) in PHONE_DIGITS


def _always(_: str) -> bool:
    return True


DETECTORS: tuple[tuple[Sensitive, re.Pattern[str], Callable[[str], bool]], ...] = (
    (
        "secret",
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----"
            r"|\b(?:sk|pk|rk|ck)[-_][A-Za-z0-9_-]{16,}"
            r"|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20,}|\bxox[abprs]-[\w-]{10,}"
            r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{35}"
            r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"
        ),
        _always,
    ),
    ("email", re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b"), _always),
    ("iban", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), _passes_mod_97),
    (
        "national_id",
        re.compile(
            r"\b(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b"
            r"|\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b"
            r"|\b[1-9]\d ?\d{3} ?\d{3} ?\d{3}\b"
            r"|\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}\b"
        ),
        _passes_national_checksum,
    ),
    (
        "card",
        re.compile(
            r"\b[2-6]\d{3}(?:[ -]?\d{4}){3}(?:[ -]?\d{3})?\b|\b3[47]\d{2}[ -]?\d{6}[ -]?\d{5}\b|\b[2-6]\d{12,18}\b"
        ),
        _passes_luhn,
    ),
    (
        "ip",
        re.compile(
            r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b"
            r"|(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b"
            r"|(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){1,6}:(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,5})?"
        ),
        _always,
    ),
    (
        "phone",
        re.compile(
            r"(?<![\w.])\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}\b"
            r"|(?<![\w.])(?<!\d[ -])\(?0?\d{2,4}\)?[ -/]\d{3,4}[ -]?\d{3,5}\b(?![ -]?\d)"
        ),
        _has_phone_length,
    ),
)
