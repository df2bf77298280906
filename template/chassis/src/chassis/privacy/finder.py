"""Finds sensitive values in a text, with the detectors of every kind and the recognizers of the task."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from chassis.contract import Recognizer, SensitiveKind, SensitiveMatch
from chassis.privacy.contact_details import EMAIL_DETECTORS, IP_DETECTORS, PHONE_DETECTORS
from chassis.privacy.id_numbers import NATIONAL_ID_DETECTORS, find_cards, find_ibans
from chassis.privacy.placeholders import Placeholders
from chassis.privacy.secrets import SECRET_DETECTORS

type Detect = Callable[[str, str], Iterable[SensitiveMatch]]
"""A detector: from a text, and the same text in lower case, to what it finds."""

DETECTORS: Mapping[SensitiveKind, tuple[Detect, ...]] = {
    "secret": SECRET_DETECTORS,
    "email": EMAIL_DETECTORS,
    "iban": (find_ibans,),
    "national_id": NATIONAL_ID_DETECTORS,
    "card": (find_cards,),
    "ip": IP_DETECTORS,
    "phone": PHONE_DETECTORS,
}
"""In order of precedence: where matches overlap, the earlier kind counts."""
ASCII_EQUIVALENTS = str.maketrans(
    dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " ")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")
    | {chr(wide): chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F) if chr(wide) not in "，；：（）"}
)
"""Spaces, dashes and full-width characters, each with one character to search it as, so that positions stay."""
NEEDS_NORMALIZING = re.compile("[" + "".join(map(chr, ASCII_EQUIVALENTS)) + "]")
UNCLAIMED = re.compile(rb"\0+")


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds some kinds of sensitive values.

    Args:
        kinds: The kinds to find.
        recognizers: The task's own, in addition to the detectors.
    """

    kinds: Collection[SensitiveKind]
    recognizers: tuple[Recognizer, ...] = ()

    def find(self, text: str) -> list[SensitiveMatch]:
        """Return the sensitive values in a text, in order and without overlaps.

        Where two matches overlap, the one that was found first counts, and the rest of the other is a match too.

        Raises:
            ValueError: A recognizer returned a match outside the text.
        """
        if not self.kinds:
            return []
        claimed = bytearray(len(text))  # one byte for each character: 1 where a match covers it
        matches: list[SensitiveMatch] = []
        for match in (*self._detected(text), *self._recognized(text)):
            unclaimed = UNCLAIMED.finditer(claimed, match.start, match.end)
            matches += [SensitiveMatch(match.kind, *part.span()) for part in unclaimed]
            claimed[match.start : match.end] = b"\1" * (match.end - match.start)
        return sorted(matches, key=lambda match: match.start)

    def redact(self, text: str, placeholders: Placeholders) -> str:
        """Replace each sensitive value by its placeholder, such as `[EMAIL_1]`."""
        placeholders.protect(text)
        pieces: list[str] = []
        position = 0
        for match in self.find(text):
            value = text[match.start : match.end]
            pieces += [text[position : match.start], placeholders.placeholder_for(value, match.kind)]
            position = match.end
        return "".join([*pieces, text[position:]])

    def _detected(self, text: str) -> Iterator[SensitiveMatch]:
        plain = text.translate(ASCII_EQUIVALENTS) if NEEDS_NORMALIZING.search(text) else text
        lowered = plain.lower()
        for detect in (detect for kind, detectors in DETECTORS.items() if kind in self.kinds for detect in detectors):
            matches = list(detect(plain, lowered))
            yield from matches
            plain = _blank_out(plain, matches)  # a value of one kind is not searched for another

    def _recognized(self, text: str) -> Iterator[SensitiveMatch]:
        for recognizer in self.recognizers:
            for match in recognizer(text):  # the original text: a recognizer need not know about the blanked one
                if not 0 <= match.start < match.end <= len(text):
                    raise ValueError(f"{recognizer!r} returned {match}, but the text has {len(text)} characters")
                if match.kind in self.kinds:
                    yield match


def _blank_out(text: str, matches: list[SensitiveMatch]) -> str:
    """Return a text of the same length with NUL characters in place of the matches."""
    pieces: list[str] = []
    position = 0
    for match in matches:
        pieces += [text[position : match.start], "\0" * (match.end - match.start)]
        position = match.end
    return "".join([*pieces, text[position:]]) if matches else text
