"""What must not leave: the kinds, a finding, and the seam for a team's own finder. Imports nothing of ours."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

type Sensitive = Literal["email", "phone", "card", "iban", "national_id", "ip", "secret", "name"]
"""`name` is found only if the task brings a recogniser: no pattern knows a name."""


@dataclass(frozen=True, slots=True)
class Found:
    """A sensitive value: what it is, and where it stands in the text, `text[start:end]`."""

    kind: Sensitive
    start: int
    end: int


class Recogniser(Protocol):
    """Finds what patterns cannot, such as names: any callable from a text to what it found there.

    It is asked for every text that might leave, so it must be quick, and must work without the network.
    """

    def __call__(self, text: str, /) -> Iterable[Found]:
        """Return the sensitive values in `text`, in any order."""
        ...
