"""Backstage accepts the catalog entry, and OpenSSF's schema the security insights."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gitlab_runner as gitlab
import pytest
import yaml
from generated_project import Generate
from jsonschema import Draft202012Validator, ValidationError
from shell import Shell, clean_environment
from team_fixtures import one_team_a_role

VALIDATOR = """
const model = require("@backstage/catalog-model");
const policy = model.EntityPolicies.allOf([
  new model.SchemaValidEntityPolicy(), new model.DefaultNamespaceEntityPolicy(),
  new model.NoForeignRootFieldsEntityPolicy(), new model.FieldFormatEntityPolicy(),
]);
const validate = async entity => {
  await policy.enforce(entity);
  if (!await model.componentEntityV1alpha1Validator.check(entity)) throw new Error("not a Component");
  console.log(model.stringifyEntityRef(entity), model.stringifyEntityRef(model.parseEntityRef(entity.spec.owner)));
};
validate(JSON.parse(process.argv[1])).catch(error => { console.error(String(error)); process.exit(1); });
"""
"""Validates an entry as Backstage does before it accepts it."""
SCHEMA = Path(__file__).parent / "security-insights.schema.json"


@pytest.fixture
def entry(decide: Generate) -> dict[str, Any]:
    """Return the catalog entry of a project."""
    project = one_team_a_role(decide(purpose="Answers: questions, it's about 'quotes' & #signs."))
    return yaml.safe_load((project / "catalog-info.yaml").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_backstage_accepts_the_entry(entry: dict[str, Any], tmp_path: Path) -> None:
    """Backstage finds the service and its owner; it refuses an entry without owner or with an invalid name."""
    gitlab.install(tmp_path)
    shell = Shell(tmp_path, gitlab.with_node(clean_environment(tmp_path)))

    def validate(entity: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        return shell.try_run("node", "-e", VALIDATOR, json.dumps(entity))

    assert validate(entry).stdout == "component:default/acme-help group:default/system\n", validate(entry).stderr
    ownerless = {**entry, "spec": {key: value for key, value in entry["spec"].items() if key != "owner"}}
    assert "must have required property 'owner'" in validate(ownerless).stderr
    assert '"metadata.name" is not valid' in validate({**entry, "metadata": {"name": "acme help"}}).stderr


def test_the_description_is_the_purpose(entry: dict[str, Any]) -> None:
    """Punctuation in the purpose survives YAML."""
    assert entry["metadata"]["description"] == "Answers: questions, it's about 'quotes' & #signs."


def schema_errors(insights: dict[str, Any]) -> list[str]:
    """Return the violations of OpenSSF's schema."""
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    errors: Iterable[ValidationError] = validator.iter_errors(insights)  # pyright: ignore[reportUnknownMemberType]
    return [error.message for error in errors]


def test_security_insights_match_the_schema(decide: Generate) -> None:
    """The file is valid; a missing contact or an invalid date would be reported."""
    project = one_team_a_role(decide(purpose="Answers: questions, it's about 'quotes' & #signs."))
    insights = yaml.safe_load((project / "security-insights.yml").read_text(encoding="utf-8"))

    assert schema_errors(insights) == []
    assert insights["header"]["url"] == "https://github.com/acme/acme-help"
    assert insights["project"]["vulnerability-reporting"]["contact"]["email"] == "security@acme.example"
    assert schema_errors(insights | {"header": insights["header"] | {"last-updated": "soon"}}) == [
        "'soon' does not match '^\\\\d{4}-\\\\d{2}-\\\\d{2}$'"
    ]
    assert schema_errors({"header": insights["header"], "project": {"name": "x"}})
