"""`chassis/changes.toml`: what behaves differently after an update, for whom, and how to keep what was."""

import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from chassis.config.toml_file import Section, config_error_from
from chassis.errors import ConfigError

FILE = "chassis/changes.toml"


class Change(Section):
    """One difference that a team could notice."""

    since: str
    """The release that brought it, such as `1.2.0`."""
    what: str
    """What is different, in one sentence."""
    keep: str
    """The setting, or the step, that restores what was."""
    answers: Mapping[str, tuple[Any, ...]] = {}
    """Whom it concerns: for each question the answers that it applies to; empty means everybody."""

    def concerns(self, answers: Mapping[str, Any]) -> bool:
        """Say whether it applies to a repository; a question that it never answered counts as a yes."""
        return all(name not in answers or answers[name] in wanted for name, wanted in self.answers.items())


class Changes(Section):
    """The whole file; releases only ever add to it."""

    changes: tuple[Change, ...] = ()


def read_changes(text: str) -> tuple[Change, ...]:
    """Return what a text in the form of `chassis/changes.toml` lists.

    Raises:
        ConfigError: It is not TOML, or an entry does not say what it must.
    """
    try:
        return Changes.model_validate(tomllib.loads(text)).changes
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(FILE, f"not valid TOML ({error})", "Mend the line it names") from None
    except ValidationError as error:
        raise config_error_from(FILE, error) from None


def changes_between(old: str, new: str, answers: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what the new text lists, the old one does not, and concerns a repository with these answers."""
    known = read_changes(old)
    return tuple(change for change in read_changes(new) if change not in known and change.concerns(answers))
