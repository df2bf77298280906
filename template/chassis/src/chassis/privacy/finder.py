"""What is looked for, kind by kind in this order: where two findings overlap, the earlier one counts."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from chassis.contract import Recognizer, SensitiveKind, SensitiveMatch
from chassis.privacy.contact_details import MAIL, NETWORK, PHONE
from chassis.privacy.id_numbers import NATIONAL, find_cards, find_ibans
from chassis.privacy.placeholders import Placeholders
from chassis.privacy.secrets import SECRET

type Find = Callable[[str, str], Iterable[SensitiveMatch]]
"""From a text, and the same in lower case, to what is found."""

DETECTORS: Mapping[SensitiveKind, tuple[Find, ...]] = {
    "secret": SECRET,
    "email": MAIL,
    "iban": (find_ibans,),
    "national_id": NATIONAL,
    "card": (find_cards,),
    "ip": NETWORK,
    "phone": PHONE,
}


ASCII_EQUIVALENTS = str.maketrans(
    dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " ")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")
    | {chr(wide): chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F) if chr(wide) not in "，；：（）"}
)
"""Spaces, dashes and wide letters that people type for the plain ones; each becomes one character, so places stay."""
NEEDS_NORMALIZING = re.compile("[" + "".join(map(chr, ASCII_EQUIVALENTS)) + "]")
UNCLAIMED = re.compile(rb"\0+")


@dataclass(frozen=True, slots=True)
class Finder:
    """What to look for, and with what.

    Args:
        kinds: What is looked for.
        recognizers: The team's own, beside the patterns.
    """

    kinds: Collection[SensitiveKind]
    recognizers: tuple[Recognizer, ...] = ()

    def find(self, text: str) -> list[SensitiveMatch]:
        """Return what is sensitive in a text, in order and without overlaps: where two overlap, the rest of the later.

        Raises:
            ValueError: A recognizer found something outside the text.
        """
        if not self.kinds:
            return []
        taken = bytearray(len(text))
        found: list[SensitiveMatch] = []
        for item in (*self._by_patterns(text), *self._by_recognisers(text)):
            found += [
                SensitiveMatch(item.kind, *free.span()) for free in UNCLAIMED.finditer(taken, item.start, item.end)
            ]
            taken[item.start : item.end] = b"\1" * (item.end - item.start)
        return sorted(found, key=lambda item: item.start)

    def redact(self, text: str, placeholders: Placeholders) -> str:
        """Replace each sensitive value by its placeholder, such as `[EMAIL_1]`."""
        placeholders.reserve(text)
        pieces: list[str] = []
        position = 0
        for item in self.find(text):
            value = text[item.start : item.end]
            pieces += [text[position : item.start], placeholders.placeholder_for(value, item.kind)]
            position = item.end
        return "".join([*pieces, text[position:]])

    def _by_patterns(self, text: str) -> Iterator[SensitiveMatch]:
        """Yield what the patterns find; what one has found, the next ones do not see any more."""
        plain = text.translate(ASCII_EQUIVALENTS) if NEEDS_NORMALIZING.search(text) else text
        lowered = plain.lower()
        for detect in (detect for kind, detectors in DETECTORS.items() if kind in self.kinds for detect in detectors):
            found = list(detect(plain, lowered))
            yield from found
            plain = _without(plain, found)

    def _by_recognisers(self, text: str) -> Iterable[SensitiveMatch]:
        for recognise in self.recognizers:
            for item in recognise(text):
                if not 0 <= item.start < item.end <= len(text):
                    raise ValueError(f"{recognise!r} found {item}, but the text has {len(text)} characters")
                if item.kind in self.kinds:
                    yield item


def _without(text: str, found: list[SensitiveMatch]) -> str:
    """Return a text of the same length in which nothing stands at these places."""
    pieces: list[str] = []
    position = 0
    for item in found:
        pieces += [text[position : item.start], "\0" * (item.end - item.start)]
        position = item.end
    return "".join([*pieces, text[position:]]) if found else text
