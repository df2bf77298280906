"""The type of a detector: a kind of sensitive value, a pattern, and a check of what matches."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chassis.contract import SensitiveKind, SensitiveMatch


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

    def __call__(self, text: str, lowered: str) -> Iterator[SensitiveMatch]:
        """Yield what it finds in `text`; `lowered` is the same text in lower case."""
        if self.needs and not any(need in lowered for need in self.needs):
            return
        group = "value" if "value" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text):
            if self.is_real(match[group]):
                yield SensitiveMatch(self.kind, *match.span(group))
