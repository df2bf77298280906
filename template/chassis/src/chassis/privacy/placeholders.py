"""The placeholders of one call, and the values that they stand for."""

import json
import re
from dataclasses import dataclass, field

from chassis.contract import SensitiveKind

PLACEHOLDER = re.compile(r"\[[A-Z][A-Z_]{1,12}_\d{1,6}\]")


@dataclass(slots=True)
class Placeholders:
    """Maps values to placeholders and back."""

    _values: dict[str, str] = field(default_factory=dict)
    _placeholders: dict[str, str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def protect(self, text: str) -> None:
        """Keep text that already looks like a placeholder as it is, so that it is not restored to a value."""
        for literal in PLACEHOLDER.findall(text):
            self._values.setdefault(literal, literal)

    def placeholder_for(self, value: str, kind: SensitiveKind) -> str:
        """Return the placeholder of a value, such as `[EMAIL_1]`; it is the same throughout the call."""
        if value not in self._placeholders:
            placeholder = self._next(kind)
            while placeholder in self._values:
                placeholder = self._next(kind)
            self._values[placeholder] = value
            self._placeholders[value] = placeholder
        return self._placeholders[value]

    def restore(self, text: str, *, in_json: bool = False) -> str:
        """Replace placeholders by their values. One that a model made up stays as it is.

        Args:
            text: What a model wrote.
            in_json: Whether the text is JSON, in which values have to be escaped.
        """
        return PLACEHOLDER.sub(lambda match: self._value(match[0], in_json=in_json), text)

    def _value(self, placeholder: str, *, in_json: bool) -> str:
        value = self._values.get(placeholder, placeholder)
        return json.dumps(value, ensure_ascii=False)[1:-1] if in_json else value

    def _next(self, kind: SensitiveKind) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"[{kind.upper()}_{self._counts[kind]}]"
