"""Values of a task's types as people write and read them: as plain text if one field is required, else as JSON."""

import json
import unicodedata
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any, cast

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import from_json

from chassis.config.toml_file import config_error_from
from chassis.contract import models_in
from chassis.errors import ConfigError

INVISIBLE = {"Cf", "Me", "Mn"}
"""Unicode's categories of characters that show nothing by themselves, such as the zero-width space."""
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Characters that count as letters or symbols, and show nothing either."""


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing."""
    return all(
        character.isspace() or character in FILLERS or unicodedata.category(character) in INVISIBLE
        for character in text
    )


def without_invisible(data: Any) -> Any:
    """Return the fields of an object in JSON, where a text of invisible characters is an empty one.

    Spaces alone stay what they are: whether they are a text is for the type to say.
    """
    if not isinstance(data, dict):
        return data
    fields = cast("dict[str, Any]", data)
    texts = {name: value for name, value in fields.items() if isinstance(value, str) and value.strip()}
    return fields | {name: "" for name, text in texts.items() if is_blank(text)}


def read_typed[T: BaseModel](kind: type[T], text: str, where: str) -> T:
    """Read a value of type `kind` from JSON, or from plain text if the type has a single required field.

    Args:
        kind: The type.
        text: The input.
        where: The name of the input in an error, such as `the question`.

    Raises:
        ConfigError: The text does not fit the type.
    """
    text = text.strip()
    try:
        if text.startswith("{"):
            return value_from_json(kind, without_invisible(from_json(text)))
        return kind.model_validate(without_invisible({_required_field(kind, where): text}))
    except ValidationError as error:
        raise config_error_from(where, error) from None
    except ValueError as error:
        raise ConfigError(where, f"not valid JSON ({error})", "Correct the JSON") from None


def read_answer[T: BaseModel](kind: type[T], text: str) -> T:
    """Read an answer that a person wrote; see `read_typed`.

    Raises:
        ConfigError: It does not fit the type, or a text that every answer has is blank.
    """
    answer = read_typed(kind, text, "the answer")
    for name, field in kind.model_fields.items():
        value = getattr(answer, name)
        if field.is_required() and isinstance(value, str) and not value.strip():
            raise ConfigError(f"the answer: {field.alias or name}", "it is empty", "Write what the caller is to get")
    return answer


def value_from_json[T: BaseModel](kind: type[T], data: JsonValue) -> T:
    """Return the value that `value_to_json` wrote.

    Raises:
        ValidationError: The data does not fit the type.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        # What a type computes is written too, for callers, but a type that forbids other fields does not read it.
        names = {name for model in models_in(kind) for name in _computed_names(model)}
        computed = [each["loc"] for each in error.errors() if each["type"] == "extra_forbidden"]
        computed = [location for location in computed if location[-1] in names]
        if not computed:
            raise
        return kind.model_validate(_without(data, computed))


def value_to_json(value: BaseModel) -> dict[str, JsonValue]:
    """Return a value in the form in which callers get it: with the aliases of its fields, and with what it computes."""
    return value.model_dump(mode="json", by_alias=True)


def show_typed(value: BaseModel) -> str:
    """Return a value for people: by its type's own `__str__` if it has one, else as JSON."""
    has_own_str = type(value).__str__ is not BaseModel.__str__
    return str(value) if has_own_str else show_json(value_to_json(value))


def show_json(value: JsonValue) -> str:
    """Return JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def required_fields(kind: type[BaseModel]) -> list[str]:
    """Return the names in JSON of the fields without a default."""
    return [field.alias or name for name, field in kind.model_fields.items() if field.is_required()]


def _computed_names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_computed_fields.items():
        yield field.alias or name


def _without(data: JsonValue, locations: Iterable[tuple[int | str, ...]]) -> JsonValue:
    rest: Any = deepcopy(data)
    for *path, name in locations:
        place = rest
        for step in path:
            if isinstance(step, int) or step in place:  # what is not in the data names a member of a union
                place = place[step]
        place.pop(name)
    return rest


def _required_field(kind: type[BaseModel], where: str) -> str:
    """Return the name of the single required field."""
    required = required_fields(kind)
    if len(required) != 1:
        example = json.dumps(dict.fromkeys(required, "…"), ensure_ascii=False)
        raise ConfigError(where, f"plain text is not enough for {kind.__name__}", f"Write JSON, such as {example}")
    return required[0]
