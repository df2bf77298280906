"""What other programs read about a service, by its own rules: Backstage the entry, OpenSSF's tools the contacts."""

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
from shell import Shell, newcomer
from team_fixtures import one_team_a_role

JUDGE = """
const model = require("@backstage/catalog-model");
const policy = model.EntityPolicies.allOf([
  new model.SchemaValidEntityPolicy(), new model.DefaultNamespaceEntityPolicy(),
  new model.NoForeignRootFieldsEntityPolicy(), new model.FieldFormatEntityPolicy(),
]);
const judge = async entity => {
  await policy.enforce(entity);
  if (!await model.componentEntityV1alpha1Validator.check(entity)) throw new Error("this is no Component");
  console.log(model.stringifyEntityRef(entity), model.stringifyEntityRef(model.parseEntityRef(entity.spec.owner)));
};
judge(JSON.parse(process.argv[1])).catch(error => { console.error(String(error)); process.exit(1); });
"""
"""What Backstage does with an entry before it takes it in."""
SCHEMA = Path(__file__).parent / "security-insights.schema.json"


@pytest.fixture
def entry(decide: Generate) -> dict[str, Any]:
    """Return the entry of a project."""
    project = one_team_a_role(decide(purpose="Answers: questions, it's about 'quotes' & #signs."))
    return yaml.safe_load((project / "catalog-info.yaml").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_backstage_takes_the_entry(entry: dict[str, Any], tmp_path: Path) -> None:
    """Its own validator knows service and owner; without an owner, or with a name of two words, it refuses."""
    gitlab.install(tmp_path)
    shell = Shell(tmp_path, gitlab.with_node(newcomer(tmp_path)))

    def judge(entity: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        return shell.tries("node", "-e", JUDGE, json.dumps(entity))

    assert judge(entry).stdout == "component:default/acme-help group:default/system\n", judge(entry).stderr
    ownerless = {**entry, "spec": {key: value for key, value in entry["spec"].items() if key != "owner"}}
    assert "must have required property 'owner'" in judge(ownerless).stderr
    assert '"metadata.name" is not valid' in judge({**entry, "metadata": {"name": "acme help"}}).stderr


def test_the_entry_says_what_the_answers_said(entry: dict[str, Any]) -> None:
    """Whatever signs the purpose holds, it is one text."""
    assert entry["metadata"]["description"] == "Answers: questions, it's about 'quotes' & #signs."


def problems(said: dict[str, Any]) -> list[str]:
    """Return what OpenSSF's schema has against a file."""
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    found: Iterable[ValidationError] = validator.iter_errors(said)  # pyright: ignore[reportUnknownMemberType]
    return [error.message for error in found]


def test_security_insights_fit_their_schema(decide: Generate) -> None:
    """All that must be there is, and nothing else; without a contact or with a date that is none it would be told."""
    project = one_team_a_role(decide(purpose="Answers: questions, it's about 'quotes' & #signs."))
    said = yaml.safe_load((project / "security-insights.yml").read_text(encoding="utf-8"))

    assert problems(said) == []
    assert said["header"]["url"] == "https://github.com/acme/acme-help"
    assert said["project"]["vulnerability-reporting"]["contact"]["email"] == "security@acme.example"
    assert problems(said | {"header": said["header"] | {"last-updated": "soon"}}) == [
        "'soon' does not match '^\\\\d{4}-\\\\d{2}-\\\\d{2}$'"
    ]
    assert problems({"header": said["header"], "project": {"name": "x"}})
