"""Reads `chassis/changes.toml`: what behaves differently since which release, and how to keep the former behavior."""

import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from chassis.config.toml_file import Section, config_error_from
from chassis.errors import ConfigError

CHANGES_FILE = "chassis/changes.toml"


class BehaviorChange(Section):
    """One difference that a team could notice."""

    since: str
    """The release that introduced it, such as `1.2.0`."""
    what: str
    """What is different, in one sentence."""
    keep: str
    """The setting or step that restores the former behavior."""
    answers: Mapping[str, tuple[Any, ...]] = {}
    """The affected repositories: for each question the answers that it applies to; empty means all repositories."""

    def affects(self, answers: Mapping[str, Any]) -> bool:
        """Return whether it affects a repository with these answers; a question never answered counts as a match."""
        return all(name not in answers or answers[name] in affected for name, affected in self.answers.items())


class ChangesFile(Section):
    """The whole file. Releases only ever add to it."""

    changes: tuple[BehaviorChange, ...] = ()


def parse_changes(text: str) -> tuple[BehaviorChange, ...]:
    """Return the entries of a text in the format of `chassis/changes.toml`.

    Raises:
        ConfigError: It is not TOML, or an entry is invalid.
    """
    try:
        return ChangesFile.model_validate(tomllib.loads(text)).changes
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(CHANGES_FILE, f"not valid TOML ({error})", "Fix the line it names") from None
    except ValidationError as error:
        raise config_error_from(CHANGES_FILE, error) from None


def changes_between(old: str, new: str, answers: Mapping[str, Any]) -> tuple[BehaviorChange, ...]:
    """Return the entries that only the new text has and that affect a repository with these answers."""
    earlier = parse_changes(old)
    return tuple(change for change in parse_changes(new) if change not in earlier and change.affects(answers))
