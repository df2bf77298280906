"""The code owners of each file, as a third-party parser reads CODEOWNERS."""

import re
from pathlib import Path

import pytest
from answer_sets import answer_set_with
from chassis.config.ownership import Roles
from codeowners import CodeOwners
from generated_project import Generate
from team_fixtures import one_team_a_role

OWNER_ROLES = {
    "constraints.toml": "cost",
    "ownership.toml": "risk_acceptance",
    "waivers.toml": "risk_acceptance",
    "signoffs/risk.toml": "risk_acceptance",
    "signoffs/security.toml": "security",
    "signoffs/privacy.toml": "data_protection",
    "signoffs/legal.toml": "legal",
    "signoffs/procurement.toml": "vendor",
    "evals/suites.toml": "model_quality",
    "evals/graders.py": "model_quality",
    "evals/accepted/answers/records.jsonl": "model_quality",
    "evals/cases/questions.jsonl": "evaluation_data",
    "evals/cases/attacks.jsonl": "evaluation_data",
    "src/acme_help/prompts.py": "prompts",
    "src/acme_help/task.py": "system",
    "src/acme_help/search.py": "system",
    "src/prompts.py": "system",
    "tests/test_task.py": "system",
    "tests/evals/cases/one.jsonl": "system",
    "documents/returns.md": "system",
    "documents/constraints.toml": "system",
    "README.md": "system",
    "pyproject.toml": "system",
    "uv.lock": "system",
    "catalog-info.yaml": "system",
    "Dockerfile": "system",
    "chassis/paths.txt": "reliability",
    "chassis/src/chassis/service.py": "reliability",
    "chassis/handbook/runbooks.md": "reliability",
    "ops/alerts.yaml": "reliability",
    "ops/kubernetes/production/kustomization.yaml": "reliability",
}
"""The role that owns a path. A file of the same name in another folder has no special owner."""
OWNER_ROLES_OF_FORGE = {
    "github": {
        ".github/CODEOWNERS": "reliability",
        ".github/workflows/release.yml": "reliability",
        ".github/dependabot.yml": "reliability",
    },
    "gitlab": {".gitlab-ci.yml": "reliability", ".gitlab/CODEOWNERS": "system"},
}


@pytest.mark.parametrize("forge", OWNER_ROLES_OF_FORGE)
def test_each_file_has_its_owner(decide: Generate, forge: str) -> None:
    """The last matching line applies. It names the accountable team first and then the deputy."""
    project = one_team_a_role(decide(forge=forge))
    owners = CodeOwners((project / f".{forge}/CODEOWNERS").read_text(encoding="utf-8"))

    roles = OWNER_ROLES | OWNER_ROLES_OF_FORGE[forge]

    assert len(roles) > 30
    assert {path: owners.of(path) for path in roles} == {
        path: [("TEAM", f"@acme/{role}"), ("TEAM", "@acme/platform")] for path, role in roles.items()
    }


def test_every_file_of_a_project_has_an_owner(generate: Generate) -> None:
    """No file is without an owner, and each role that has paths owns a file, in both shapes."""
    for shape in ("answer", "blank"):
        project = one_team_a_role(generate(**answer_set_with(shape=shape, forge="github")))
        owners = CodeOwners((project / ".github/CODEOWNERS").read_text(encoding="utf-8"))
        files = [str(file.relative_to(project)) for file in project.rglob("*") if file.is_file()]

        roles = {owners.of(file)[0][1].removeprefix("@acme/") for file in files if owners.of(file)}

        assert [file for file in files if not owners.of(file)] == []
        assert {"system", "model_quality", "evaluation_data", "prompts", "cost", "reliability"} <= roles
        assert roles <= set(Roles.model_fields)
        project.rename(project.with_name(shape))


@pytest.mark.parametrize("forge", OWNER_ROLES_OF_FORGE)
def test_every_line_is_valid_on_both_forges(decide: Generate, forge: str) -> None:
    """There is nothing that a forge would silently skip or misread, such as syntax of the other forge."""
    project: Path = one_team_a_role(decide(forge=forge))
    lines = (project / f".{forge}/CODEOWNERS").read_text(encoding="utf-8").splitlines()
    comments, rules = ([line for line in lines if line.startswith("#") is is_comment] for is_comment in (True, False))

    assert not any("@" in comment for comment in comments)
    assert all(re.fullmatch(r"(/|\*)[^\s#!\[\]\\]*( @[\w.-]+(/[\w.-]+)*)+", rule) for rule in rules), rules
    assert len({rule.split()[0] for rule in rules}) == len(rules)
