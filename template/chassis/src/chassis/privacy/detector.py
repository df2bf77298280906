"""The type of a detector: a kind of sensitive value, a pattern, and a check of what matches."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from chassis.contract import SensitiveKind, SensitiveMatch

GROUP_SEPARATOR = r"(?: ?[._/-] ?| )"
"""What people write between the groups of one number."""
CJK = r"\u3040-\u30FF\u3400-\u9FFF\uAC00-\uD7AF"
"""Letters of Chinese, Japanese and Korean, which touch a value without a space between."""


class LazyPattern:
    """A regular expression that is compiled when it is first used: compiling all would take long at every start."""

    def __init__(self, pattern: str, flags: int) -> None:
        self._pattern, self._flags = pattern, flags

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the compiled pattern, and keep it, so that this is called once for each."""
        value = getattr(re.compile(self._pattern, self._flags), name)
        setattr(self, name, value)
        return value


def lazy_pattern(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Return what `re.compile` would return, except that a mistake in the pattern is found when it is first used."""
    return cast("re.Pattern[str]", LazyPattern(pattern, flags))


def always(_: str) -> bool:
    """Accept every match."""
    return True


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds one written form of one kind of sensitive value.

    Patterns have to take linear time on any text: they begin where a number or a word can begin, and repeat only what
    cannot match in two ways.

    Args:
        kind: What it finds.
        pattern: Its group `value` is the sensitive value, or the whole match if there is no such group.
        is_real: Returns whether a value is one, for example by its check digit.
        needs: The pattern is only tried on a text that contains one of these, in lower case; always if empty.
    """

    kind: SensitiveKind
    pattern: re.Pattern[str]
    is_real: Callable[[str], bool] = always
    needs: tuple[str, ...] = ()

    def __call__(self, text: str, lowered: str) -> Iterable[SensitiveMatch]:
        """Return what it finds in `text`; `lowered` is the same text in lower case."""
        # A loop, because most detectors find nothing in most texts, and a generator takes as long as the search.
        for need in self.needs:
            if need in lowered:
                return self._search(text)
        return () if self.needs else self._search(text)

    def _search(self, text: str) -> Iterator[SensitiveMatch]:
        group = "value" if "value" in self.pattern.groupindex else 0
        position = 0
        while match := self.pattern.search(text, position):
            position = match.start() + 1  # what is no value may overlap with one
            if self.is_real(match[group]):
                yield SensitiveMatch(self.kind, *without_emphasis(text, *match.span(group)))
                position = match.end()


def without_emphasis(text: str, start: int, end: int) -> tuple[int, int]:
    """Return where a value starts and ends without the underscores on both sides that emphasize it in Markdown."""
    value, before, after = text[start:end], text[max(0, start - 3) : start], text[end : end + 3]
    leading = min(len(side) - len(side.lstrip("_")) for side in (value, after))
    trailing = min(len(side) - len(side.rstrip("_")) for side in (value, before))
    return start + leading, end - trailing
