"""Reads a TOML file into its type, and turns what does not fit into one error for people."""

import re
import tomllib
from collections.abc import Sequence
from copy import deepcopy
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from chassis.errors import ConfigError

SIMILARITY_CUTOFF = 0.4
"""How similar two names must be, from 0 to 1, for one to be a typo of the other; `p95` counts as `p95_seconds`."""
MAX_SHOWN = 200
"""The most characters of a wrong key or value that an error repeats."""

_parsed = lru_cache(maxsize=32)(tomllib.loads)
"""Pure Python, so it takes ten times as long as a copy of the result, and checks read the same file often."""


def _check_http_url(url: str) -> str:
    remedy = "write a URL such as https://models.example.com/v1"
    try:
        parts = urlsplit(url)
        has_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, or a bracket is missing
        raise ValueError(f"the value is {url!r}; {remedy}") from None
    if not has_address or not re.fullmatch("[!-~]+", url):
        raise ValueError(f"the value is {url!r}; {remedy}")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"the URL has a user, a query or a fragment; {remedy}, without them")
    return url


type HttpUrl = Annotated[str, AfterValidator(_check_http_url)]
"""The address of a server, as text: pydantic's own type would add a slash to it."""


class Section(BaseModel):
    """A table of a TOML file. Unknown keys are errors, because a misspelt key would otherwise have no effect.

    TOML has `inf` and `nan`, which no amount, share or time of ours can be.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _convert_nothing(cls, data: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """Check that numbers were written as numbers, and not as `true`, which Pydantic takes for 1 dollar."""
        section = read(data)
        written = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
        for name, field in cls.model_fields.items():
            key, value = field.alias or name, getattr(section, name)
            if key in written and isinstance(value, int | float) and _kind(written[key]) != _kind(value):
                problem = f"the value is {shown_value(written[key])}; write {_kind(value)}, without quotes"
                detail = PydanticCustomError("value_error", "{problem}", {"problem": problem})
                raise ValidationError.from_exception_data(
                    cls.__name__, [InitErrorDetails(type=detail, loc=(key,), input=written[key])]
                )
        return section


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case _:
            return "something else"


def load_toml[S: Section](path: Path, section: type[S]) -> S:
    """Read a TOML file into its type.

    Raises:
        ConfigError: The file is missing, is not TOML or does not fit the type. The error names file, key and value.
    """
    try:
        return section.model_validate(toml_content(path))
    except ValidationError as error:
        raise config_error_from(path.name, error) from None


def check_regular(path: Path, name: str | None = None) -> None:
    """Check that what is at a path, if anything, is a regular file: reading a pipe or a device would never end.

    Raises:
        ConfigError: It is something else.
    """
    if path.exists() and not path.is_file():
        raise ConfigError(name or path.name, "not a regular file", "Replace it with a text file")


def toml_content(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file. Some editors start it with a byte order mark, which is skipped.

    Raises:
        ConfigError: The file is missing, cannot be read, or is not TOML.
    """
    check_regular(path)
    try:
        return deepcopy(_parsed(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        raise ConfigError(path.name, "there is no such file", f"Create it in {path.parent}") from None
    except OSError as error:
        raise ConfigError(path.name, f"it cannot be read ({error.strerror})", "Check its permissions") from None
    except (ValueError, RecursionError) as error:  # a number may be too long for Python, and lists nested too deeply
        raise ConfigError(path.name, f"not valid TOML ({error})", "Correct that line") from None


def config_error_from(where: str, error: ValidationError) -> ConfigError:
    """Return an error that explains the first problem; `where` is the name of the file.

    A misspelt key causes two problems, and Pydantic lists the less helpful one first: the correct key is missing. So
    look for an unknown key with a similar name.
    """
    details = error.errors()
    problem, suggestion = _misspelt_key(details) or (details[0], None)
    key = _dotted(problem["loc"])
    return ConfigError(f"{where}: {key}" if key else where, _problem(problem), _remedy(problem, suggestion))


def _misspelt_key(details: Sequence[ErrorDetails]) -> tuple[ErrorDetails, str] | None:
    """Return an unknown key and the similar name of a key that is missing in the same table."""
    for unknown in (detail for detail in details if detail["type"] == "extra_forbidden"):
        *table, name = unknown["loc"]
        missing = [detail["loc"] for detail in details if detail["type"] == "missing"]
        candidates = [str(key) for *other_table, key in missing if other_table == table]
        for suggestion in get_close_matches(str(name), candidates, n=1, cutoff=SIMILARITY_CUTOFF):
            return unknown, suggestion
    return None


def _dotted(location: Sequence[str | int]) -> str:
    """Return `models[0].model` for `("models", 0, "model")`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part[:MAX_SHOWN]}" for part in location)
    return "".join(parts).removeprefix(".")


def _problem(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "missing":
            return "the key is missing"
        case "extra_forbidden":
            value = "" if isinstance(detail["input"], dict) else f" (value {shown_value(detail['input'])})"
            return f"unknown key{value}"
        case "json_invalid":
            return f"not valid JSON ({detail['msg'].removeprefix('Invalid JSON: ')})"
        case "value_error":  # our own validators write `problem; remedy`
            return detail["msg"].removeprefix("Value error, ").partition("; ")[0]
        case _:
            return f"the value is {shown_value(detail['input'])}"


def shown_value(value: object) -> str:
    """Return how an error repeats a value."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _remedy(detail: ErrorDetails, suggestion: str | None) -> str:
    match detail["type"]:
        case "missing":
            return "Add it"
        case "extra_forbidden":
            return f"Did you mean {suggestion}?" if suggestion else "Remove it or correct its name"
        case "json_invalid":
            return "Correct the JSON"
        case "value_error":
            remedy = detail["msg"].partition("; ")[2] or "correct it"
            return remedy[0].upper() + remedy[1:]
        case "string_pattern_mismatch" if detail.get("ctx", {}).get("pattern") == r"\S":
            return "It must not be blank"
        case _:
            return detail["msg"]
