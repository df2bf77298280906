"""The blocks of the handbook about bots and several services are valid, and bots leave the chassis alone."""

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from answer_sets import ROOT
from generated_project import GenerateOnce, git, rendered
from jsonschema.validators import validator_for
from path_ownership import owner_of
from pathspec import GitIgnoreSpec
from workflow_linters import findings

PAGE = (ROOT / "template/chassis/handbook/ci-and-updates.md").read_text(encoding="utf-8")
VERSIONED = ("pyproject.toml", ".yml", ".yaml", "Dockerfile")
"""The files in which bots find versions."""


def block(language: str) -> str:
    """Return the only block of a language on the page."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(text)


@pytest.fixture(scope="module")
def renovate() -> dict[str, Any]:
    """Return the configuration of Renovate."""
    return dict(json.loads(block("json")))


def versioned_chassis_files(project: Path) -> list[str]:
    """Return the chassis files of a project in which bots find versions."""
    return [path for path in rendered(project) if path.endswith(VERSIONED) and owner_of(path) == "chassis"]


def test_renovate_accepts_the_configuration(renovate: dict[str, Any]) -> None:
    """Renovate's own schema knows every key; a misspelt one is found."""
    file = resources.files("check_jsonschema") / "builtin_schemas/vendor/renovate.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    validator = validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(renovate)] == []
    assert list(validator.iter_errors(renovate | {"ignorePaths": "chassis/**"}))


def test_renovate_leaves_the_chassis_alone(renovate: dict[str, Any], generated_once: GenerateOnce) -> None:
    """Every chassis file with versions is ignored; the record and the team's files are not."""
    patterns = [part for pattern in renovate["ignorePaths"] for part in braces(pattern)]
    ignored = GitIgnoreSpec.from_lines(f"/{pattern}" for pattern in patterns)
    chassis = versioned_chassis_files(generated_once({}))
    assert len(chassis) > 10
    assert [path for path in chassis if not ignored.match_file(path) and not path.startswith("ops/alerts")] == []
    assert not any(map(ignored.match_file, ("pyproject.toml", ".copier-answers.yml", ".github/workflows/deploy.yml")))


def braces(pattern: str) -> list[str]:
    """Return the patterns that `{a,b}` stands for."""
    head, brace, rest = pattern.partition("{")
    choices, _, tail = rest.partition("}")
    return [head + choice + tail for choice in choices.split(",")] if brace else [pattern]


def test_dependabot_leaves_the_chassis_alone(generated_once: GenerateOnce) -> None:
    """Each updater is told which chassis files it must not read."""
    project = generated_once({})
    updates = yaml.safe_load((project / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]
    excluded = {update["package-ecosystem"]: GitIgnoreSpec.from_lines(update["exclude-paths"]) for update in updates}
    chassis = versioned_chassis_files(project)
    assert all(excluded["uv"].match_file(path) for path in chassis if path.endswith("pyproject.toml"))
    assert all(excluded["github-actions"].match_file(path) for path in chassis if path.startswith(".github/"))
    assert not any(spec.match_file("pyproject.toml") for spec in excluded.values())


def test_the_workflow_of_several_services(tmp_path: Path) -> None:
    """It passes the linters of the chassis' own workflows, and uses the same pins."""
    workflow = tmp_path / ".github/workflows/services.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(block("yaml"), encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    assert findings(tmp_path) == {}
    check = (ROOT / "template/.github/workflows/check.yml").read_text(encoding="utf-8")
    for use in re.findall(r"uses: .*", block("yaml")):
        assert use in check
