"""`waivers.toml`: what is let pass for a while, why, and who said so."""

from collections.abc import Collection
from datetime import date, timedelta
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from chassis.config.toml_file import Section, load_toml
from chassis.errors import ConfigError

FILE = "waivers.toml"
LONGEST = timedelta(days=90)


class Waiver(Section):
    """One check that need not pass for a while."""

    reason: str = Field(min_length=10)
    """Why, in a sentence."""
    author: str = Field(min_length=2)
    """Who asked."""
    approver: str = Field(min_length=2)
    """Who agreed; somebody else."""
    from_day: date = Field(alias="from")
    """The first day on which the check is let pass."""
    until: date
    """From this day on the check counts again; at most 90 days later."""

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.approver.strip().casefold() == self.author.strip().casefold():
            raise ValueError(f"approver is {self.approver!r}, as is author; let somebody else agree")
        if not self.from_day < self.until <= self.from_day + LONGEST:
            raise ValueError(f"until is {self.until}; write a day after `from`, at most {LONGEST.days} days later")
        return self


class Waivers(Section):
    """The whole file: a table for each check, by its id."""

    waive: dict[str, Waiver] = Field(default_factory=dict)


def load_waivers(root: Path, known: Collection[str]) -> dict[str, Waiver]:
    """Return the waivers by the id of their check; without a file there are none.

    Raises:
        ConfigError: One cannot be meant, or is for a check that does not exist.
    """
    if not (root / FILE).exists():
        return {}
    found = load_toml(root / FILE, Waivers).waive
    for name in found:
        if name not in known:
            raise ConfigError(
                f"{FILE}: waive.{name}", "there is no such check", "Take an id that `chassis ready` prints"
            )
    return found
