"""What stands for which value during one call. Imports only the kinds."""

import json
import re
from dataclasses import dataclass, field

from chassis.contract import SensitiveKind

PLACEHOLDER = re.compile(r"\[[A-Z][A-Z_]{1,12}_\d{1,6}\]")


@dataclass(slots=True)
class Placeholders:
    """Both directions, and how many there are of each kind."""

    _values: dict[str, str] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def reserve(self, text: str) -> None:
        """Let what already looks like a placeholder in a text stand for itself, so that no value takes its name."""
        for literal in PLACEHOLDER.findall(text):
            self._values.setdefault(literal, literal)

    def placeholder_for(self, value: str, kind: SensitiveKind) -> str:
        """Return the placeholder of a value, such as `[EMAIL_1]`, which is the same for the whole call."""
        if value not in self._known:
            placeholder = self._next(kind)
            while placeholder in self._values:
                placeholder = self._next(kind)
            self._values[placeholder] = value
            self._known[value] = placeholder
        return self._known[value]

    def restore(self, text: str, *, in_json: bool = False) -> str:
        """Put the values back; a placeholder that stands for nothing is left alone.

        Args:
            text: What a model said.
            in_json: The text is JSON, and what is put into it must not break it.
        """
        return PLACEHOLDER.sub(lambda found: self._value(found[0], in_json=in_json), text)

    def _value(self, placeholder: str, *, in_json: bool) -> str:
        value = self._values.get(placeholder, placeholder)
        return json.dumps(value, ensure_ascii=False)[1:-1] if in_json else value

    def _next(self, kind: SensitiveKind) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"[{kind.upper()}_{self._counts[kind]}]"
