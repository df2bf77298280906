"""The workflows pass strict linters and schemas and grant minimal permissions; every rule detects a violation."""

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

TEMPLATE_GITHUB, PROJECT_GITHUB = ROOT / ".github", ROOT / "template/.github"
READ = {"contents": "read"}
REPORT = READ | {"issues": "write"}
PERMISSIONS: dict[str, dict[str, str]] = {
    "check.check": READ,
    "container.build": READ,
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
"""The permissions of each job of a generated repository."""

VIOLATIONS = [
    ("check.yml", r"@[0-9a-f]{40} # v", "@v", "unpinned-uses"),
    ("check.yml", r"^permissions: \{\}\n", "", "excessive-permissions"),
    ("check.yml", r"contents: read", "contents: write", "permissions"),
    ("check.yml", r"  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
    ("check.yml", r"          persist-credentials: false\n", "          clean: true\n", "artipacked"),
    ("check.yml", r"^concurrency:\n(  .*\n)+", "", "concurrency-limits"),
    ("check.yml", r"    timeout-minutes: \d+\n", "", "missing-timeout"),
    ("check.yml", r"\$\{\{ vars\.RUNNER [^}]*\}\}", "ubuntu-24.05", "unknown-runner-label"),
    ("check.yml", r"tasks.mk check$", "tasks.mk ${{ github.head_ref }}", "template-injection"),
    ("check.yml", r"tasks.mk check$", "tasks.mk $(cat target)", "shellcheck"),
    ("check.yml", r"^defaults:\n(  .*\n)+", "", "require-shell"),
    ("evals.yml", r"needs: replay", "needs: play", "undefined-job-needs"),
    ("evals.yml", r" # to write one comment.*", "", "undocumented-permissions"),
    (
        "evals.yml",
        r"pull-requests: write.*\n",
        "pull-requests: write # to write\n      issues: write # too\n",
        "permissions",
    ),
    ("evals.yml", r"merge-multiple", "merge-many", "unknown-action-input"),
    ("evals.yml", r"timeout-minutes: 5", "timeout-minutes: five", "schema"),
    ("release.yml", r"cache-binary: false.*", "cleanup: true", "cache-poisoning"),
    ("nightly.yml", r"    environment: evals.*\n", "", "secrets-outside-env"),
    ("../dependabot.yml", r"    cooldown:\n      default-days: 7\n", "", "dependabot-cooldown"),
    ("template-update.yml", r"          permission-\S+: write\n", "", "github-app"),
    ("nightly.yml", r"          enable-cache: false # nothing.*\n", "", "shared-cache"),
    ("nightly.yml", r"          enable-cache: false # unreviewed.*\n", "", "shared-cache"),
    ("template-update.yml", r"          enable-cache: false.*\n", "", "shared-cache"),
    ("release.yml", r"          enable-cache: false.*\n", "", "shared-cache"),
    ("security.yml", r"GH_TOKEN: .*", "KEY: ${{ secrets.KEY }}", "shared-cache"),
    ("check.yml", r"contents: read.*", "contents: write # to push", "shared-cache"),
    ("check.yml", r"chassis/uv lock --check", "chassis/uv lock --upgrade", "shared-cache"),
]
"""A file, a pattern in it, its replacement, and the rule that must detect the violation."""


@pytest.fixture
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a repository that contains the workflows."""
    shutil.copytree(getattr(request, "param", PROJECT_GITHUB), tmp_path / ".github")
    git(tmp_path, "init", "--quiet")
    return tmp_path


@pytest.mark.parametrize("repository", [TEMPLATE_GITHUB, PROJECT_GITHUB], ids=["template", "project"], indirect=True)
def test_linters_find_nothing(repository: Path) -> None:
    """Neither zizmor, nor actionlint with shellcheck, nor GitHub's schema reports anything."""
    assert findings(repository) == {}
    assert schema_errors(repository) == ""


def test_permissions(repository: Path) -> None:
    """Each job has the permissions of the table and no others."""
    assert permissions(repository) == PERMISSIONS


@pytest.mark.slow
@pytest.mark.parametrize(("file", "pattern", "replacement", "rule"), VIOLATIONS)
def test_a_violation_is_detected(repository: Path, file: str, pattern: str, replacement: str, rule: str) -> None:
    """Each violation is detected by the rule that covers it."""
    workflow = repository / ".github/workflows" / file
    text = workflow.read_text(encoding="utf-8")
    violating, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    assert count
    workflow.write_text(violating, encoding="utf-8")
    if rule == "permissions":
        assert permissions(repository) != PERMISSIONS
    elif rule == "schema":
        assert schema_errors(repository) != ""
    elif rule == "shared-cache":
        assert jobs_sharing_cache(repository) != []
    else:
        assert rule in findings(repository)


def test_dependabot_leaves_the_chassis_alone() -> None:
    """It ignores the workflows of the chassis, and proposes only releases that are a week old."""
    config: dict[str, Any] = yaml.safe_load((PROJECT_GITHUB / "dependabot.yml").read_text(encoding="utf-8"))
    packages, actions = config["updates"]
    assert actions["exclude-paths"] == [
        f".github/workflows/{file.name}" for file in sorted(PROJECT_GITHUB.glob("*/*.yml"))
    ]
    assert packages["cooldown"] == actions["cooldown"] == {"default-days": 7}


def test_every_command_exists() -> None:
    """The workflows use only commands that `chassis` has."""
    files = [*(PROJECT_GITHUB / "workflows").glob("*.yml"), *(ROOT / "template/chassis/ci").iterdir()]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    commands = set(re.findall(r"run --frozen chassis ([a-z-]+(?: [a-z]+)?)", text))
    assert {"evals run", "ready", "signoffs check", "update"} <= commands
    for command in sorted(commands):
        assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0, command


def test_caches_are_separate(repository: Path) -> None:
    """A job with a secret or a right to write, a job that runs unreviewed code, and a release share no cache."""
    assert jobs_sharing_cache(repository) == []


def jobs_sharing_cache(repository: Path) -> list[str]:
    """Return the jobs that must not share a cache, but install uv with one."""
    sharing: list[str] = []
    for file in sorted((repository / ".github/workflows").glob("*.yml")):
        workflow: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        for name, job in workflow["jobs"].items():
            text = yaml.safe_dump(job)
            apart = file.stem == "release" or "environment" in job or "write" in job["permissions"].values()
            apart = apart or re.search(r"secrets\.|lock --upgrade|template-update try", text)
            caches = any(
                "setup-uv" in step.get("uses", "") and step["with"].get("enable-cache") is not False
                for step in job.get("steps", ())
            )
            sharing += [f"{file.stem}.{name}"] if apart and caches else []
    return sharing


def test_gitlab_keys_have_an_environment() -> None:
    """Of the jobs of a scheduled pipeline, only the one that asks real models gets the keys; a release is of `main`."""
    jobs: dict[str, Any] = yaml.safe_load((ROOT / "template/chassis/ci/gitlab.yml").read_text(encoding="utf-8"))
    assert [name for name, job in jobs.items() if "environment" in job] == ["live"]
    assert jobs["live"]["environment"]["name"] == "evals"
    assert not any("cache" in job for job in jobs.values())
    assert "merge-base --is-ancestor HEAD FETCH_HEAD" in jobs["release"]["script"][0]


def test_every_action_has_a_repository() -> None:
    """Older servers know only one form of naming a workflow of the same repository, and zizmor only the other."""
    text = "".join(file.read_text(encoding="utf-8") for file in (PROJECT_GITHUB / "workflows").glob("*.yml"))
    assert [use for use in re.findall(r"uses: (\S+)", text) if "@" not in use] == []


def permissions(repository: Path) -> dict[str, dict[str, str]]:
    """Return the permissions of each job, by the names of its workflow and the job."""
    by_job: dict[str, dict[str, str]] = {}
    for file in sorted((repository / ".github/workflows").glob("*.yml")):
        workflow: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        by_job |= {f"{file.stem}.{name}": job["permissions"] for name, job in workflow["jobs"].items()}
    return by_job


def schema_errors(repository: Path) -> str:
    """Return the violations of GitHub's schemas; empty if the workflows are valid."""
    kinds = {"github-workflows": "workflows/*.yml", "dependabot": "dependabot.yml"}
    files = {kind: sorted(map(str, (repository / ".github").glob(pattern))) for kind, pattern in kinds.items()}
    validate = ("check-jsonschema", "--builtin-schema")
    done = [
        subprocess.run([*validate, f"vendor.{kind}", *named], capture_output=True, text=True, check=False)
        for kind, named in files.items()
        if named
    ]
    return "".join(one.stdout for one in done if one.returncode)
