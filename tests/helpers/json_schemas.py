"""Derives the JSON schemas with which editors complete and check the team's TOML files."""

import inspect
import json
from typing import Any, override

import decision_pages
from chassis.config.constraints import Constraints
from chassis.config.ownership import Ownership
from chassis.config.toml_file import Section
from chassis_tools.evals.suites import Suites
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

SCHEMAS: dict[str, tuple[str, type[Section]]] = {
    "constraints": ("constraints.toml", Constraints),
    "ownership": ("ownership.toml", Ownership),
    "suites": ("evals/suites.toml", Suites),
}
"""By the name of the schema: the file that it describes, and the type that this file is read into."""


class TomlSchema(GenerateJsonSchema):
    """Describes each key with the text below its field, and leaves out null, which TOML does not have."""

    @override
    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        section: type[BaseModel] = schema["cls"]
        json_schema = super().model_schema(schema)
        for name, description in _descriptions(section).items():
            key = section.model_fields[name].alias or name
            json_schema["properties"][key]["description"] = description
        return json_schema

    @override
    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    @override
    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        json_schema = super().default_schema(schema)
        return {key: value for key, value in json_schema.items() if (key, value) != ("default", None)}

    @override
    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def schema_text(name: str) -> str:
    """Return the text of `chassis/schemas/{name}.json`."""
    file, section = SCHEMAS[name]
    schema = section.model_json_schema(by_alias=True, schema_generator=TomlSchema)
    return json.dumps({"$schema": TomlSchema.schema_dialect, **schema, "title": file}, indent=2) + "\n"


def _descriptions(section: type[BaseModel]) -> dict[str, str]:
    """Return the text below each field of a section and of the sections that it inherits from."""
    sections = [base for base in reversed(inspect.getmro(section)) if issubclass(base, Section) and base is not Section]
    texts = {name: text for base in sections for name, text in decision_pages.words(base).items()}
    return {name: text for name, text in texts.items() if text}
