"""`waivers.toml`: checks that need not pass for a limited time, and the people who decided it."""

from collections.abc import Collection
from datetime import date, timedelta
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from chassis.config.toml_file import Section, load_toml
from chassis.errors import ConfigError

FILE = "waivers.toml"
MAX_DURATION = timedelta(days=90)


class Waiver(Section):
    """One check that need not pass for a limited time."""

    reason: str = Field(min_length=10)
    """Why, in one sentence."""
    author: str = Field(min_length=2)
    """The person who asks for the waiver."""
    approver: str = Field(min_length=2)
    """The person who approves it: not the author."""
    from_day: date = Field(alias="from")
    """The first day on which the waiver is valid."""
    until: date
    """The first day on which it is no longer valid: at most 90 days after `from`."""

    @model_validator(mode="after")
    def _is_limited_and_approved(self) -> Self:
        if self.approver.strip().casefold() == self.author.strip().casefold():
            raise ValueError(f"approver is {self.approver!r}, the same as author; name another person")
        if not self.from_day < self.until <= self.from_day + MAX_DURATION:
            raise ValueError(f"until is {self.until}; write a day after `from`, at most {MAX_DURATION.days} days later")
        return self


class Waivers(Section):
    """The whole file: one table for each waived check, by its id."""

    waive: dict[str, Waiver] = Field(default_factory=dict)


def load_waivers(root: Path, check_ids: Collection[str]) -> dict[str, Waiver]:
    """Return the waivers by the id of their check; none if there is no file.

    Args:
        root: The folder of the repository.
        check_ids: The ids of all checks.

    Raises:
        ConfigError: The file is invalid, or a waiver is for a check that does not exist.
    """
    if not (root / FILE).exists():
        return {}
    waivers = load_toml(root / FILE, Waivers).waive
    for check_id in waivers:
        if check_id not in check_ids:
            raise ConfigError(
                f"{FILE}: waive.{check_id}", "no such check", "Write an id that `chassis ready --all` prints"
            )
    return waivers
