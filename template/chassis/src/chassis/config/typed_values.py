"""Values of a task's types as people write and read them: as plain text if one field is required, else as JSON."""

import json

from pydantic import BaseModel, JsonValue, ValidationError

from chassis.config.toml_file import config_error_from
from chassis.errors import ConfigError


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
            return kind.model_validate_json(text)
        return kind.model_validate({_required_field(kind, where): text})
    except ValidationError as error:
        raise config_error_from(where, error) from None


def show_typed(value: BaseModel) -> str:
    """Return a value for people: by its type's own `__str__` if it has one, else as JSON."""
    has_own_str = type(value).__str__ is not BaseModel.__str__
    return str(value) if has_own_str else show_json(value.model_dump(mode="json"))


def show_json(value: JsonValue) -> str:
    """Return JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def required_fields(kind: type[BaseModel]) -> list[str]:
    """Return the names in JSON of the fields without a default."""
    return [field.alias or name for name, field in kind.model_fields.items() if field.is_required()]


def _required_field(kind: type[BaseModel], where: str) -> str:
    """Return the name of the single required field."""
    required = required_fields(kind)
    if len(required) != 1:
        example = json.dumps(dict.fromkeys(required, "…"), ensure_ascii=False)
        raise ConfigError(where, f"plain text is not enough for {kind.__name__}", f"Write JSON, such as {example}")
    return required[0]
