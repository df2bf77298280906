"""What a person types for one of the task's types, and how such a value is shown to a person."""

import json

from pydantic import BaseModel, JsonValue, ValidationError

from chassis.config.toml_file import config_error_from
from chassis.errors import ConfigError


def read_typed[T: BaseModel](kind: type[T], text: str, where: str) -> T:
    """Read a value of type `kind`: a JSON object, or plain text where a single field has to be given.

    Raises:
        ConfigError: The text does not fit; `where` stands before the field that is wrong.
    """
    text = text.strip()
    try:
        if text.startswith("{"):
            return kind.model_validate_json(text)
        return kind.model_validate({_only_field(kind, where): text})
    except ValidationError as error:
        raise config_error_from(where, error) from None


def show_typed(value: BaseModel) -> str:
    """Return a value for people: as its type prints itself, or else as JSON."""
    prints_itself = type(value).__str__ is not BaseModel.__str__
    return str(value) if prints_itself else show_json(value.model_dump(mode="json"))


def show_json(value: JsonValue) -> str:
    """Return JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _only_field(kind: type[BaseModel], where: str) -> str:
    """Return the one field that has to be given."""
    needed = [field.alias or name for name, field in kind.model_fields.items() if field.is_required()]
    if len(needed) != 1:
        example = json.dumps(dict.fromkeys(needed, "…"), ensure_ascii=False)
        raise ConfigError(where, f"plain text is not enough for {kind.__name__}", f"Write JSON, such as {example}")
    return needed[0]
