"""What a detector is: a kind, and a pattern whose matches count if a check says so."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chassis.contract import SensitiveKind, SensitiveMatch


def always(_: str) -> bool:
    """Let every match count."""
    return True


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds one form of one kind.

    Args:
        kind: What it finds.
        pattern: Its group `value`, if there is one, is the value; otherwise the whole match is. Patterns begin where a
            number or a word can begin and repeat only what cannot match in two ways, so that they take linear time.
        is_real: Whether the value counts.
        needs: One of these texts must appear before it is worth looking; compared in lower case. Empty: always look.
    """

    kind: SensitiveKind
    pattern: re.Pattern[str]
    is_real: Callable[[str], bool] = always
    needs: tuple[str, ...] = ()

    def __call__(self, text: str, lowered: str) -> Iterator[SensitiveMatch]:
        """Yield what is found in `text`; `lowered` is the same in lower case."""
        if self.needs and not any(need in lowered for need in self.needs):
            return
        value = "value" if "value" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text):
            if self.is_real(match[value]):
                yield SensitiveMatch(self.kind, *match.span(value))
