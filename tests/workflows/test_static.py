"""No workflow says what it must not: linted at the strictest, valid, with the least grants; and each rule bites."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from answer_sets import ROOT
from chassis.cli.main import app
from generated_project import git
from typer.testing import CliRunner
from workflow_linters import findings

OURS, THEIRS = ROOT / ".github", ROOT / "template/.github"
READ = {"contents": "read"}
REPORT = READ | {"issues": "write"}
GRANTS: dict[str, dict[str, str]] = {
    "check.check": READ,
    "container.build": READ,
    "container.publish": READ | {"packages": "write", "id-token": "write", "attestations": "write"},
    "evals.replay": READ,
    "evals.comment": {"pull-requests": "write"},
    "nightly.live": READ,
    "nightly.newest": READ,
    "nightly.report": REPORT,
    "release.gate": READ,
    "release.image": READ | {"packages": "write", "id-token": "write", "attestations": "write"},
    "release.notes": {"contents": "write"},
    "security.dependencies": READ,
    "security.codeql": READ | {"security-events": "write"},
    "security.packages": READ,
    "security.secrets": READ,
    "security.report": REPORT,
    "template-update.try": READ,
    "template-update.propose": REPORT,
}
"""What each job of a generated repository may do, and it is all of it."""

BROKEN = [
    ("check.yml", r"@[0-9a-f]{40} # v", "@v", "unpinned-uses"),
    ("check.yml", r"^permissions: \{\}\n", "", "excessive-permissions"),
    ("check.yml", r"contents: read", "contents: write", "grants"),
    ("check.yml", r"  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
    ("check.yml", r"          persist-credentials: false\n", "          clean: true\n", "artipacked"),
    ("check.yml", r"^concurrency:\n(  .*\n)+", "", "concurrency-limits"),
    ("check.yml", r"    timeout-minutes: \d+\n", "", "missing-timeout"),
    ("check.yml", r"ubuntu-24\.04", "ubuntu-24.05", "unknown-runner-label"),
    ("check.yml", r"make check", "make ${{ github.head_ref }}", "template-injection"),
    ("check.yml", r"make check", "make $(cat target)", "shellcheck"),
    ("check.yml", r"^defaults:\n(  .*\n)+", "", "require-shell"),
    ("evals.yml", r"needs: replay", "needs: play", "undefined-job-needs"),
    ("evals.yml", r" # to write one comment.*", "", "undocumented-permissions"),
    (
        "evals.yml",
        r"pull-requests: write.*\n",
        "pull-requests: write # to write\n      issues: write # too\n",
        "grants",
    ),
    ("evals.yml", r"merge-multiple", "merge-many", "unknown-action-input"),
    ("evals.yml", r"timeout-minutes: 5", "timeout-minutes: five", "schema"),
    ("container.yml", r"cache-binary: false.*", "cleanup: true", "cache-poisoning"),
    ("nightly.yml", r"    environment: evals.*\n", "", "secrets-outside-env"),
    ("../dependabot.yml", r"    cooldown:\n      default-days: 7\n    groups", "    groups", "dependabot-cooldown"),
    ("template-update.yml", r"          permission-\S+: write\n", "", "github-app"),
]
"""A file, what is replaced in it by what, and the rule that must find it."""


@pytest.fixture
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a repository that holds the workflows."""
    shutil.copytree(getattr(request, "param", THEIRS), tmp_path / ".github")
    git(tmp_path, "init", "--quiet")
    return tmp_path


@pytest.mark.parametrize("repository", [OURS, THEIRS], ids=["ours", "theirs"], indirect=True)
def test_nothing_is_found(repository: Path) -> None:
    """Neither zizmor, nor actionlint with shellcheck, nor GitHub's schema has anything to say."""
    assert findings(repository) == {}
    assert in_schema(repository) == ""


def test_grants(repository: Path) -> None:
    """Each job has what the table says, and the workflow as a whole has nothing."""
    assert grants(repository) == GRANTS


@pytest.mark.slow
@pytest.mark.parametrize(("file", "part", "instead", "rule"), BROKEN)
def test_each_rule_bites(repository: Path, file: str, part: str, instead: str, rule: str) -> None:
    """A workflow that lacks what we promise is found, by the rule that is about it."""
    workflow = repository / ".github/workflows" / file
    text = workflow.read_text(encoding="utf-8")
    worse, count = re.subn(part, instead, text, flags=re.MULTILINE)
    assert count
    workflow.write_text(worse, encoding="utf-8")
    if rule == "grants":
        assert grants(repository) != GRANTS
    elif rule == "schema":
        assert in_schema(repository) != ""
    else:
        assert rule in findings(repository)


def test_dependabot_leaves_the_chassis_alone() -> None:
    """What an update replaces nobody else moves, and whatever is proposed is a week old."""
    config: dict[str, Any] = yaml.safe_load((THEIRS / "dependabot.yml").read_text(encoding="utf-8"))
    packages, actions = config["updates"]
    assert actions["exclude-paths"] == [f".github/workflows/{file.name}" for file in sorted(THEIRS.glob("*/*.yml"))]
    assert packages["cooldown"] == actions["cooldown"] == {"default-days": 7}


def test_every_command_exists() -> None:
    """What a workflow asks of the chassis, the chassis can do."""
    files = [*(THEIRS / "workflows").glob("*.yml"), *(ROOT / "template/chassis/ci").iterdir()]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    asked = set(re.findall(r"run --frozen chassis ([a-z-]+(?: [a-z]+)?)", text))
    assert {"evals run", "ready", "signoffs check", "update"} <= asked
    for command in sorted(asked):
        assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0, command


def grants(repository: Path) -> dict[str, dict[str, str]]:
    """Return what each job may do, by the names of its workflow and its own."""
    granted: dict[str, dict[str, str]] = {}
    for file in sorted((repository / ".github/workflows").glob("*.yml")):
        workflow: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        granted |= {f"{file.stem}.{name}": job["permissions"] for name, job in workflow["jobs"].items()}
    return granted


def in_schema(repository: Path) -> str:
    """Return what GitHub's own schema has against the workflows, which is nothing if they are valid."""
    kinds = {"github-workflows": "workflows/*.yml", "dependabot": "dependabot.yml"}
    files = {kind: sorted(map(str, (repository / ".github").glob(pattern))) for kind, pattern in kinds.items()}
    judge = ("check-jsonschema", "--builtin-schema")
    done = [
        subprocess.run([*judge, f"vendor.{kind}", *named], capture_output=True, text=True, check=False)
        for kind, named in files.items()
        if named
    ]
    return "".join(one.stdout for one in done if one.returncode)
