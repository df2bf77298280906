"""Reads a file of decisions into its type, and says in one sentence what does not fit."""

import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from chassis.errors import ConfigError

SIMILARITY_CUTOFF = 0.4
"""How alike two names must be, from 0 to 1, for the one to be a slip for the other: `p95` is one for `p95_seconds`."""


class Section(BaseModel):
    """A table of a file; an unknown key is an error, not a setting without effect."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def load_toml[S: Section](path: Path, section: type[S]) -> S:
    """Read one TOML file of decisions into its type.

    Raises:
        ConfigError: The file is missing, is not TOML, or does not fit the type; it names file, key and value.
    """
    try:
        return section.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(path.name, "there is no such file", f"Create it in {path.parent}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path.name, f"not valid TOML ({error})", "Mend the line it names") from None
    except ValidationError as error:
        raise config_error_from(path.name, error) from None


def config_error_from(where: str, error: ValidationError) -> ConfigError:
    """Return the first thing that does not fit a type as one sentence for people; `where` is the file.

    A misspelt key is told as such, although Pydantic finds first that the right one is missing.
    """
    details = error.errors()
    told, meant = _misspelt(details) or (details[0], None)
    key = _dotted(told["loc"])
    return ConfigError(f"{where}: {key}" if key else where, _problem(told), _remedy(told, meant))


def _misspelt(details: Sequence[ErrorDetails]) -> tuple[ErrorDetails, str] | None:
    """Return an unknown key of a table in which a key of nearly that name is missing, and the latter's name."""
    for unknown in (each for each in details if each["type"] == "extra_forbidden"):
        *table, name = unknown["loc"]
        missing = [each["loc"] for each in details if each["type"] == "missing"]
        names = [str(key) for *beside, key in missing if beside == table]
        for meant in get_close_matches(str(name), names, n=1, cutoff=SIMILARITY_CUTOFF):
            return unknown, meant
    return None


def _dotted(location: Sequence[str | int]) -> str:
    """Return `models[0].model` for `("models", 0, "model")`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _problem(told: ErrorDetails) -> str:
    match told["type"]:
        case "missing":
            return "the key is missing"
        case "extra_forbidden":
            value = "" if isinstance(told["input"], dict) else f" (value {told['input']!r})"
            return f"the key means nothing here{value}"
        case "json_invalid":
            return f"not valid JSON ({told['msg'].removeprefix('Invalid JSON: ')})"
        case "value_error":
            return told["msg"].removeprefix("Value error, ").partition("; ")[0]
        case _:
            return f"the value is {told['input']!r}"


def _remedy(told: ErrorDetails, meant: str | None) -> str:
    match told["type"]:
        case "missing":
            return "Add it"
        case "extra_forbidden":
            return f"Did you mean {meant}?" if meant else "Remove it or mend its name"
        case "json_invalid":
            return "Mend it"
        case "value_error":
            remedy = told["msg"].partition("; ")[2] or "mend it"
            return remedy[0].upper() + remedy[1:]
        case _:
            return told["msg"]
