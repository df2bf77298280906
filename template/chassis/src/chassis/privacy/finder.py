"""Finds sensitive values in a text, with the detectors of every kind and the recognizers of the task."""

import re
import string
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from chassis.contract import Recognizer, SensitiveKind, SensitiveMatch
from chassis.privacy.contact_details import EMAIL_DETECTORS, IP_DETECTORS, PHONE_DETECTORS, SPREAD_PHONE_DETECTORS
from chassis.privacy.id_numbers import NATIONAL_ID_DETECTORS, SPREAD_ID_DETECTORS, find_cards, find_ibans
from chassis.privacy.normalized_text import NormalizedText, normalize
from chassis.privacy.placeholders import Placeholders
from chassis.privacy.secrets import SECRET_DETECTORS, SPREAD_SECRET_DETECTORS

type Detect = Callable[[str, str], Iterable[SensitiveMatch]]
"""A detector: from a text, and the same text in lower case, to what it finds."""
type Detectors = Mapping[SensitiveKind, tuple[Detect, ...]]
"""In order of precedence: where matches overlap, the earlier kind counts."""

DETECTORS: Detectors = {
    "secret": SECRET_DETECTORS,
    "email": EMAIL_DETECTORS,
    "iban": (find_ibans,),
    "national_id": NATIONAL_ID_DETECTORS,
    "card": (find_cards,),
    "ip": IP_DETECTORS,
    "phone": PHONE_DETECTORS,
}
SPREAD_DETECTORS: Detectors = DETECTORS | {  # pyright: ignore[reportAssignmentType]
    "secret": SPREAD_SECRET_DETECTORS,
    "national_id": SPREAD_ID_DETECTORS,
    "phone": SPREAD_PHONE_DETECTORS,
}
"""Those that find a value whose parts are far apart, and do not take other numbers for one."""
FEWEST_DIGITS: Mapping[str, int] = {"card": 12, "phone": 7, "national_id": 6, "iban": 2}
"""The digits that a value has at least, so that a text with fewer of them need not be searched for it."""
BORDERS = tuple(map(chr, range(0xE0000, 0xE0100)))
"""Characters without width. Detectors see through them as if nothing, or white space, stood between two texts."""
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
        return without_overlaps(len(text), [*self._detected(text), *self._recognized(text)]) if self.kinds else []

    def redact(self, text: str, placeholders: Placeholders, *, by_model: bool = False) -> str:
        """Replace each sensitive value by its placeholder, such as `[EMAIL_1]`, and each that already has one.

        Args:
            text: The text.
            placeholders: Those of the call.
            by_model: Whether a model wrote the text and it was not restored, so that it contains our placeholders.
        """

        def placeholder(match: SensitiveMatch) -> str:
            return placeholders.placeholder_for(text[match.start : match.end], match.kind)

        claimed = [] if by_model else list(placeholders.find_claimed(text))
        matches = without_overlaps(len(text), [*claimed, *self.find(text)])
        for match in matches:  # before the known values are searched, because these may occur once more
            placeholder(match)
        known = placeholders.find_known(text)
        return replace_matches(text, without_overlaps(len(text), [*matches, *known]), placeholder)

    def redact_parts(self, texts: Iterable[str], placeholders: Placeholders) -> list[str]:
        """Redact the texts of one message. Texts that share a value become one."""
        redacted = [self.redact(text, placeholders) for text in texts]
        border = next((char for char in BORDERS if not any(char in text for text in redacted)), "\0")
        return self.redact(border.join(redacted), placeholders, by_model=True).split(border)

    def _detected(self, text: str) -> list[SensitiveMatch]:
        found: list[SensitiveMatch] = []
        views = list(_views(text))
        for kind in (kind for kind in DETECTORS if kind in self.kinds):
            for index in range(len(views)):
                if kind in FEWEST_DIGITS and views[index].digits < FEWEST_DIGITS[kind]:
                    continue
                for detect in views[index].detectors[kind]:  # pyright: ignore[reportArgumentType]
                    if matches := views[index].matches(detect):
                        found += matches
                        views = [view.without(matches) for view in views]  # a value has one kind
        return found

    def _recognized(self, text: str) -> Iterator[SensitiveMatch]:
        for recognizer in self.recognizers:
            for match in recognizer(text):  # the original text: a recognizer need not know about the blanked one
                if not 0 <= match.start < match.end <= len(text):
                    raise ValueError(f"{recognizer!r} returned {match}, but the text has {len(text)} characters")
                if match.kind in self.kinds:
                    yield match


@dataclass
class _View:
    """A text in one of the ways in which it is searched.

    Args:
        detectors: What searches it.
        searched: The text.
        lowered: The same in lower case.
    """

    detectors: Detectors
    searched: NormalizedText
    lowered: str

    @classmethod
    def of(cls, detectors: Detectors, searched: NormalizedText) -> "_View":
        """Return a view of a text."""
        text = searched.text
        lowered = text.replace("\u0130", "I").lower()  # this letter would become two
        return cls(detectors, searched, lowered)

    @cached_property
    def digits(self) -> int:
        """Return how many digits the text has."""
        return sum(map(self.searched.text.count, string.digits))

    def matches(self, detect: Detect) -> list[SensitiveMatch]:
        """Return what a detector finds, as matches in the original text."""
        return [self.searched.in_original(match) for match in detect(self.searched.text, self.lowered)]

    def without(self, matches: Iterable[SensitiveMatch]) -> "_View":
        """Return the same view with blanks in place of the matches."""
        return replace(self, searched=self.searched.blanked(matches))


def _views(text: str) -> Iterator[_View]:
    normalized = normalize(text)
    visible = normalized.without_invisible()
    yield _View.of(DETECTORS, visible)
    if visible.is_spread():
        yield _View.of(SPREAD_DETECTORS, visible.gathered())
    if visible is not normalized:  # what is invisible may also stand between words
        yield _View.of(SPREAD_DETECTORS, normalized.without_invisible(" ").gathered())


CREDENTIALS = Finder(("secret",))


def hide_secrets(text: str) -> str:
    """Replace every credential in a line of the log by `[SECRET]`. A line of JSON stays one."""

    def hidden(match: SensitiveMatch) -> str:
        before = text[max(0, match.start - 4) : match.start]
        is_json_number = before.endswith('": ') and not before.startswith("\\")
        return '"[SECRET]"' if is_json_number else "[SECRET]"

    return replace_matches(text, CREDENTIALS.find(text), hidden)


def without_overlaps(length: int, matches: Iterable[SensitiveMatch]) -> list[SensitiveMatch]:
    """Return the parts of matches that no earlier match covers, in order of their position."""
    claimed = bytearray(length)  # one byte for each character: 1 where a match covers it
    parts: list[SensitiveMatch] = []
    for match in matches:
        unclaimed = UNCLAIMED.finditer(claimed, match.start, match.end)
        parts += [SensitiveMatch(match.kind, *part.span()) for part in unclaimed]
        claimed[match.start : match.end] = b"\1" * (match.end - match.start)
    return sorted(parts, key=lambda match: match.start)


def replace_matches(text: str, matches: Iterable[SensitiveMatch], replacement: Callable[[SensitiveMatch], str]) -> str:
    """Return a text with a replacement for each match; they are in order and do not overlap."""
    pieces: list[str] = []
    position = 0
    for match in matches:
        pieces += [text[position : match.start], replacement(match)]
        position = match.end
    return "".join([*pieces, text[position:]])
