"""Reads a file of decisions into its type, and says in one sentence what does not fit."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from chassis.errors import ConfigError


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
        raise misfit(path.name, error) from None


def misfit(where: str, error: ValidationError) -> ConfigError:
    """Return the first thing that does not fit a type as one sentence for people; `where` is the file."""
    key = _dotted(error.errors()[0]["loc"])
    return ConfigError(f"{where}: {key}" if key else where, _problem(error), _remedy(error))


def _dotted(location: Sequence[str | int]) -> str:
    """Return `models[0].model` for `("models", 0, "model")`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _problem(error: ValidationError) -> str:
    first = error.errors()[0]
    match first["type"]:
        case "missing":
            return "the key is missing"
        case "extra_forbidden":
            return f"the key means nothing here (value {first['input']!r})"
        case "json_invalid":
            return f"not valid JSON ({first['msg'].removeprefix('Invalid JSON: ')})"
        case "value_error":
            return first["msg"].removeprefix("Value error, ").partition("; ")[0]
        case _:
            return f"the value is {first['input']!r}"


def _remedy(error: ValidationError) -> str:
    first = error.errors()[0]
    match first["type"]:
        case "missing":
            return "Add it"
        case "extra_forbidden":
            return "Remove it or mend its name"
        case "json_invalid":
            return "Mend it"
        case "value_error":
            remedy = first["msg"].partition("; ")[2] or "mend it"
            return remedy[0].upper() + remedy[1:]
        case _:
            return first["msg"]
