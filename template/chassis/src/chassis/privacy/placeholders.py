"""The placeholders of one call, and the values that they stand for."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from chassis.contract import SensitiveKind, SensitiveMatch
from chassis.privacy.normalized_text import NormalizedText, normalize

BRACKETED = re.compile(r"[\[\uff3b\u3010]((?:[A-Za-z]|\\{0,4}_){2,20}?\\{0,4}_\d{1,6})\\{0,4}[\]\uff3d\u3011]")
PLACEHOLDER = re.compile(r"\\{0,4}" + BRACKETED.pattern)
"""A placeholder such as `[EMAIL_1]`, also as models copy it: escaped for Markdown or JSON, in lower case, or in the
brackets of Chinese and Japanese texts."""
NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
ALWAYS_FOUND: frozenset[SensitiveKind] = frozenset({"email", "ip"})
"""Kinds whose values are found by their form alone, so that they need not be remembered."""
MIN_REMEMBERED, MIN_COMPACT = 3, 6
"""Shorter values may be parts of other words, and shorter values without separators may be made of other words."""


@dataclass(slots=True)
class Placeholders:
    """Maps values to placeholders and back."""

    _values: dict[str, str] = field(default_factory=dict)
    _placeholders: dict[str, str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _known: dict[str, SensitiveKind] = field(default_factory=dict)
    _compact: dict[str, SensitiveKind] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many values have a placeholder."""
        return len(self._placeholders)

    def reserve(self, text: str) -> None:
        """Let no value get a placeholder that a text of the request already contains."""
        for match in BRACKETED.finditer(text):  # three times as fast as with the backslashes before the bracket
            # It stands for itself, and is thus restored to itself.
            self._values.setdefault(_canonical(match), _canonical(match))

    def find_claimed(self, text: str) -> Iterator[SensitiveMatch]:
        """Yield where a text itself contains what is already the placeholder of a value.

        That text needs a placeholder of its own, or it would be restored to the value. Other text that looks like a
        placeholder stays as it is, and becomes none.
        """
        for match in PLACEHOLDER.finditer(text):
            placeholder = _canonical(match)
            if self._values.setdefault(placeholder, placeholder) != placeholder:
                kind = cast("SensitiveKind", placeholder[1:].rpartition("_")[0].lower())
                yield SensitiveMatch(kind, *match.span())

    def placeholder_for(self, value: str, kind: SensitiveKind) -> str:
        """Return the placeholder of a value, such as `[EMAIL_1]`; it is the same throughout the call."""
        if value not in self._placeholders:
            placeholder = self._next(kind)
            # The text itself may contain the next one, see `reserve`.
            while placeholder in self._values:
                placeholder = self._next(kind)
            self._values[placeholder] = value
            self._placeholders[value] = placeholder
            # A placeholder that stands for a caller's `[EMAIL_1]` is no value to look for elsewhere.
            if not PLACEHOLDER.fullmatch(value):
                self._remember(value, kind)
        return self._placeholders[value]

    def find_known(self, text: str) -> Iterator[SensitiveMatch]:
        """Yield where a text contains a value that has a placeholder, also encoded and with other separators.

        A password or a name that was found by the words before it may come back without them.
        """
        if not self._known:
            return
        readable = normalize(text).without_invisible()
        yield from _find_all(self._known, readable)
        # A cheap test first; placing the matches in the original costs far more, and is seldom needed.
        compact = NOT_ALPHANUMERIC.sub("", readable.text)
        values: dict[str, SensitiveKind] = {value: kind for value, kind in self._compact.items() if value in compact}
        if values:
            yield from _find_all(values, readable.substituted(NOT_ALPHANUMERIC, lambda _: ""))

    def restore(self, text: str, *, in_json: bool = False) -> str:
        """Replace placeholders by their values. One that a model made up stays as it is.

        Args:
            text: What a model wrote.
            in_json: Whether the text is JSON, in which values have to be escaped.
        """
        return PLACEHOLDER.sub(lambda match: self._value(match, in_json=in_json), text)

    def _value(self, match: re.Match[str], *, in_json: bool) -> str:
        placeholder = _canonical(match)
        value = self._values.get(placeholder, placeholder)
        if value == placeholder:
            return match[0]
        return json.dumps(value, ensure_ascii=False)[1:-1] if in_json else value

    def _next(self, kind: SensitiveKind) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"[{kind.upper()}_{self._counts[kind]}]"

    def _remember(self, value: str, kind: SensitiveKind) -> None:
        readable = normalize(value).without_invisible().text
        compact = NOT_ALPHANUMERIC.sub("", readable)
        if kind not in ALWAYS_FOUND and len(compact) >= MIN_REMEMBERED:
            self._known.setdefault(readable, kind)
            if len(compact) >= MIN_COMPACT:
                self._compact.setdefault(compact, kind)


def _canonical(match: re.Match[str]) -> str:
    return f"[{match[1].replace('\\', '').upper()}]"


def _find_all(values: dict[str, SensitiveKind], searched: NormalizedText) -> Iterator[SensitiveMatch]:
    for value, kind in values.items():
        start = searched.text.find(value)
        while start >= 0:
            # A remembered name such as `Ann` must not be found in `Annual`.
            if not (searched.is_inside_word(start) or searched.is_inside_word(start + len(value))):
                yield searched.in_original(SensitiveMatch(kind, start, start + len(value)))
            start = searched.text.find(value, start + 1)
