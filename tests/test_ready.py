"""The launch review: a repository that is ready passes every check, and each mutation fails exactly its own check."""

import asyncio
import json
import os
import re
import shutil
import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pytest
from answer_sets import ROOT, answer_set_with
from chassis.cli.main import main
from chassis.config.confidence import CONFIDENCE_FILE, load_confidence
from chassis.config.constraints import load_constraints
from chassis.config.project import find_project
from chassis.quality.success import SuccessMeasurement
from chassis.store.opening import open_database
from chassis.store.quality_history import add_count
from chassis_tools.cli.ready import as_markdown, as_sarif, review_as_dict
from chassis_tools.evals.cases import read_datasets
from chassis_tools.evals.confidence_fit import confidence_data
from chassis_tools.evals.identity import (
    IDENTITY,
    code_hash,
    confidence_hash,
    constraints_hash,
    documents_hash,
    search_hash,
)
from chassis_tools.governance.derived_files import write_derived_files
from chassis_tools.governance.file_contents import load_decisions
from chassis_tools.governance.signoff_kinds import SIGNOFF_KINDS
from chassis_tools.governance.signoffs import SignOff, covering, save_signoff
from chassis_tools.readiness import placeholders
from chassis_tools.readiness.check import Repository, summarize
from chassis_tools.readiness.checks_constraints import (
    MAX_DUE_HOURS,
    MAX_MODEL_REQUESTS,
    MAX_OUTPUT_TOKENS,
    MIN_ACCURACY_FLOOR,
)
from chassis_tools.readiness.checks_evals import MIN_CASES
from chassis_tools.readiness.launch_review import CHECKS, LaunchReview, run_checks
from chassis_tools.readiness.vendor_names import SDKS
from chassis_tools.updates.copier import load_answers_file
from chassis_tools.updates.path_ownership import Drift
from chassis_tools.updates.status import ReleaseComparison
from generated_project import Generate, git
from reference_pages import launch_review
from template_releases import generate_repository

TODAY = date(2026, 12, 1)
CONFIRMED = 'confirmed = { team = "ai", by = "Grace Hopper", on = 2026-11-20 }'
CONSTRAINTS, OWNERSHIP = "constraints.toml", "ownership.toml"
TASK, SEARCH, WORKFLOW = "src/acme_help/task.py", "src/acme_help/search.py", ".github/workflows/check.yml"
SEARCH_PACKAGE = "chassis/src/chassis/search"
CHECKED = r"run: (make --file chassis/tasks\.mk check)$"
"""The step that `EveryChangeChecked` looks for."""

type Mutation = Callable[[Path], None]
"""A change to a repository that is ready, which makes it fail one check."""


def replace(path: str, pattern: str, replacement: str, *, sign: bool = True) -> Mutation:
    """Replace a part of a file; with `sign`, derived files, sign-offs and evaluation are then made valid again."""

    def mutate(project: Path) -> None:
        file = project / path
        text, count = re.subn(pattern, replacement, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert count, f"{pattern!r} is not in {path}"
        file.write_text(text, encoding="utf-8")
        if sign and path in {CONSTRAINTS, OWNERSHIP, "pyproject.toml"}:
            sign_everything(project)
        if sign and path != TASK and (project / "var/evals").exists():
            calibrate(project)
            report_verdicts(project, answers="pass", attacks="pass")

    return mutate


def remove(path: str) -> Mutation:
    """Remove a file or a folder."""

    def mutate(project: Path) -> None:
        target = project / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return mutate


def add(path: str) -> Mutation:
    """Add a file with one line."""

    def mutate(project: Path) -> None:
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text("# New\n", encoding="utf-8")

    return mutate


def sign_everything(project: Path) -> None:
    """Write the derived files, and record a valid sign-off of every kind."""
    write_derived_files(load_decisions(find_project(project)))
    constraints = load_constraints(project)
    for kind, about in SIGNOFF_KINDS.items():
        bound = covering(about.covers(constraints)) | {"team": "ai", "approver": "Ada Lovelace"}
        days = {"decided_on": date(2026, 11, 1), "expires_on": date(2027, 11, 1)}
        save_signoff(project, kind, SignOff.model_validate({"decision": "approved", **bound, **days}))


def replace_examples(project: Path) -> None:
    """Replace what is only an example: teams, addresses, texts and cases, and confirm every owner."""
    for path in (OWNERSHIP, "README.md", "pyproject.toml"):
        file = project / path
        text = file.read_text(encoding="utf-8")
        file.write_text(
            text.replace("@acme/", "@northwind/").replace("@acme.example", "@northwind.io"), encoding="utf-8"
        )
    replace("pyproject.toml", r'^description = ".*"', 'description = "Answers questions about our products."')(project)
    replace(OWNERSHIP, r"^review_by = ", f"{CONFIRMED}\nreview_by = ", sign=False)(project)
    replace(CONSTRAINTS, r'^stop_when = ".*"', 'stop_when = "Three complaints in a week"', sign=False)(project)
    cases = [json.dumps({"id": f"own-{number}", "input": {"text": f"Question {number}?"}}) for number in range(20)]
    (project / "evals/cases/own.jsonl").write_text("\n".join(cases) + "\n", encoding="utf-8")


def report_verdicts(project: Path, **verdicts: str) -> None:
    """Write what a run leaves: what it measured, and then its report."""
    runs = project / "var/evals"
    run = {
        "code": code_hash(project / "src/acme_help"),
        "documents": documents_hash(project),
        "constraints": constraints_hash(load_constraints(project)),
        "confidence": confidence_hash(load_confidence(project)),
    }
    for suite in verdicts:
        (runs / suite).mkdir(parents=True, exist_ok=True)
        (runs / suite / IDENTITY).write_text(json.dumps(run), encoding="utf-8")
    suites = [{"name": suite, "verdict": verdict, "run": run} for suite, verdict in verdicts.items()]
    (runs / "report.json").write_text(json.dumps({"suites": suites}), encoding="utf-8")


def calibrate(project: Path, answers: int = 100) -> None:
    """Write a calibration of everything that can answer, as fitted today."""
    constraints = load_constraints(project)
    fit = {"intercept": 0, "slope": 1, "answers": answers, "right": answers, "error_before": 0, "error_after": 0}
    data = confidence_data(
        read_datasets(project),
        ["reworded"],
        constraints,
        code=code_hash(project / "src/acme_help"),
        documents=documents_hash(project),
        search=search_hash(project),
    )
    curves = dict.fromkeys([*(model.name for model in constraints.models), "baseline"], fit)
    content = {"suite": "answers", "cases": ["reworded"], "evaluator": "right", "data": data, "curves": curves}
    (project / CONFIDENCE_FILE).write_text(json.dumps(content), encoding="utf-8")


def leave_one_team(project: Path) -> None:
    """Remove all teams but one."""
    replace(OWNERSHIP, r"^deputy = .*\n", "", sign=False)(project)
    replace(OWNERSHIP, r"^\[teams\.platform\]\n.*\n", "")(project)


def raise_lifecycle(project: Path) -> None:
    """Make an experiment a service in production."""
    replace(OWNERSHIP, r'^lifecycle = "\w+"', 'lifecycle = "production"')(project)
    replace(CONSTRAINTS, r'^tier = "\w+"', 'tier = "experiment"')(project)


def leave_one_model(project: Path) -> None:
    """Leave one model, and let callers get an error when it fails."""
    replace(CONSTRAINTS, r'^\[\[models\]\]\nname = "local"\n(.+\n)+', "", sign=False)(project)
    replace(CONSTRAINTS, r'^models_failed = "\w+"', 'models_failed = "error"')(project)


MUTATIONS: dict[str, Mutation] = {
    "CON102": replace(CONSTRAINTS, r"^p95_seconds = \S+", "p95_seconds = 20"),
    "CON103": replace(CONSTRAINTS, r"^accuracy_floor = \S+", "accuracy_floor = 0.2"),
    "CON106": raise_lifecycle,
    "CON104": replace(CONSTRAINTS, r"^confidence_floor = \S+", "confidence_floor = 0"),
    "CON105": replace(CONSTRAINTS, r"^review_on = \S+", "review_on = 2026-12-01"),
    "FBK101": replace(CONSTRAINTS, r"^due_hours = \S+", "due_hours = 100"),
    "CST101": replace(CONSTRAINTS, r"^max_output_tokens = 800", "max_output_tokens = 100000"),
    "CST102": replace(CONSTRAINTS, r"^per_day_usd = \S+", "per_day_usd = 1000"),
    "CST103": replace(CONSTRAINTS, r"^model_requests_per_call = \S+", "model_requests_per_call = 100"),
    "DAT101": replace(CONSTRAINTS, r'^region = "eu".*\n', ""),
    "DAT102": replace(CONSTRAINTS, r"^retention_days = 30.*\n", ""),
    "DAT103": replace(CONSTRAINTS, r', "secret", "card"\]', ', "secret"]'),
    "DAT104": replace(CONSTRAINTS, r'^refuse = .*"secret"\]', 'refuse = ["card"]'),
    "DAT105": replace(CONSTRAINTS, r"-2026-03-17", ""),
    "EVL101": remove("evals/cases/own.jsonl"),
    "EVL102": replace("evals/suites.toml", r'kind = "floor", evaluator = "(right|helpful)".*\}', 'kind = "latency" }'),
    "EVL103": replace("evals/suites.toml", r'kind = "regression", .*\}', 'kind = "latency" }'),
    "EVL104": replace("evals/suites.toml", r'kind = "never", evaluator = "harmless" \}', 'kind = "latency" }'),
    "EVL105": replace("evals/suites.toml", r"^\[suites\.live\](.*\n)+", ""),
    "EVL106": lambda project: report_verdicts(project, answers="fail", attacks="pass"),
    "EVL107": replace("confidence.json", r'"answers": 100', '"answers": 99', sign=False),
    "FBK102": leave_one_model,
    "TST101": remove("tests"),
    "OWN101": replace(OWNERSHIP, r"(\[roles\.legal\]\n(?:.+\n)*?review_by = )\S+", r"\g<1>2026-12-01"),
    "OWN107": replace(OWNERSHIP, r"@northwind/platform", "@acme/platform"),
    "OWN102": replace(OWNERSHIP, r"(\[roles\.legal\]\n(?:.+\n)*?)review_by = \S+\n?", r"\1"),
    "OWN103": replace(OWNERSHIP, r"(\[roles\.legal\]\n(?:.+\n)*?review_by = )\S+", r"\g<1>2099-01-01"),
    "OWN104": leave_one_team,
    "OWN105": replace("catalog-info.yaml", r"lifecycle: \w+", "lifecycle: production"),
    "OWN106": replace(OWNERSHIP, r'"/chassis/", ', ""),
    **{
        f"SGN{kind.upper()}": replace(f"signoffs/{kind}.toml", r"^expires_on = \S+", "expires_on = 2026-12-01")
        for kind in SIGNOFF_KINDS
    },
    "DLV101": remove("uv.lock"),
    "DLV102": replace(WORKFLOW, r"@[0-9a-f]{40}", "@v7"),
    "DLV103": replace(WORKFLOW, r"^permissions: \{\}", "permissions: write-all"),
    "DLV104": replace(WORKFLOW, r"tasks\.mk check", "tasks.mk chuck"),
    "DLV105": replace(".github/workflows/evals.yml", r"tasks\.mk evals", "tasks.mk eels"),
    "DLV106": remove("chassis/ci/secrets"),
    "SEC103": replace("Dockerfile", r"^USER .*", "USER root"),
    "SEC104": replace("Dockerfile", r"@sha256:\w+", ""),
    "SEC105": replace(".gitignore", r"^\.env\*$", ".environment"),
    "SEC106": replace(".env.example", r"^# OPENAI_API_KEY=", "OPENAI_API_KEY=sk-live"),
    "OBS102": replace("chassis/handbook/runbooks.md", r"^## Service down", "## Gone"),
    "DOC101": replace("pyproject.toml", r'^description = ".*"', 'description = ""'),
    "DOC102": replace("README.md", r"ai@northwind\.io", "us"),
}
"""Each check with a mutation that only this check must notice."""
FORBIDDEN_LINES = (
    ("SEC101", "import openai"),
    ("SEC101", "from anthropic import Anthropic"),
    ("SEC101", "from google import genai"),
    ("SEC102", 'eval("1")'),
    ("SEC102", 'exec("1")'),
    ("SEC102", 'import os; os.system("ls")'),
    ("SEC102", 'import os; os.popen("ls")'),
    ("OBS101", 'print("hello")  # noqa: T201'),
)
"""Lines that the team's code must not contain. After each of them, what is `OUT_OF_DATE` fails as well."""
OUT_OF_DATE = {"EVL106": "fail", "EVL107": "fail"}


@pytest.fixture(scope="module")
def ready(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a critical service that passes every check."""
    project = generate_repository(source, "1.0.0", tmp_path_factory.mktemp("ready") / "project")
    # The template of the tests has no subpackages.
    shutil.copytree(ROOT / "template" / SEARCH_PACKAGE, project / SEARCH_PACKAGE)
    (project / "uv.lock").write_text("[[package]]\n", encoding="utf-8")
    replace_examples(project)
    calibrate(project)
    report_verdicts(project, answers="pass", attacks="pass")
    replace(CONSTRAINTS, r"^# (region|retention_days)( = \S+)", r"\1\2", sign=False)(project)
    replace(CONSTRAINTS, r'^tier = "\w+"', 'tier = "critical"')(project)
    return project


@pytest.fixture
def project(ready: Path, tmp_path: Path) -> Path:
    """Return a copy to mutate. Of the code of the chassis, which only `DLV106` reads, it has the search."""
    code = {str(ready / "chassis/src"), str(ready / "chassis/tools/src")}
    copy = tmp_path / "project"
    shutil.copytree(ready, copy, ignore=lambda at, names: names if at in code else [])
    shutil.copytree(ready / SEARCH_PACKAGE, copy / SEARCH_PACKAGE)
    return copy


@pytest.fixture(autouse=True)
def unchanged_chassis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare only one file of the chassis: many mutations edit others. `test_update_command.py` compares all."""

    def compare(root: Path, **_: object) -> ReleaseComparison:
        answers, path = load_answers_file(root), "chassis/ci/secrets"
        drift = Drift(missing=() if (root / path).exists() else (path,))
        return ReleaseComparison(answers.source, answers.version, files=1, kept=(), drift=drift)

    monkeypatch.setattr("chassis_tools.readiness.checks_source.compare_with_release", compare)


def failing(review: LaunchReview) -> dict[str, str]:
    """Return the checks that do not pass, with their status."""
    return {result.check.id: result.status for result in review.results if result.status != "pass"}


def test_a_repository_that_is_ready_passes(ready: Path) -> None:
    """Every check passes, and the highest level is reached."""
    review = run_checks(ready, TODAY)

    assert [(result.check.id, result.evidence) for result in review.results if result.status != "pass"] == []
    assert (review.level, review.tier) == ("critical", "critical")


@pytest.mark.slow
@pytest.mark.parametrize("check", MUTATIONS)
def test_each_mutation_fails_its_check(project: Path, check: str) -> None:
    """Exactly one check fails."""
    MUTATIONS[check](project)

    assert failing(run_checks(project, TODAY)) == {check: "fail"}


@pytest.mark.parametrize(
    ("value", "observations", "expected"),
    [
        (0.31, 1000, {}),
        (0.30, 1000, {"CON107": "fail"}),
        (0.05, 1000, {"CON107": "fail"}),
        (0.05, 49, {}),
        (None, 0, {}),
    ],
)
def test_a_reached_stop_rule_is_open(
    ready: Path, value: float | None, observations: int, expected: dict[str, str]
) -> None:
    """As soon as enough is measured; the evidence has the value and what it is compared with."""
    measured = SuccessMeasurement(load_constraints(ready).success, value, observations)
    review = run_checks(ready, TODAY, measured)

    assert failing(review) == expected
    [evidence] = [result.evidence for result in review.results if result.check.id == "CON107"]
    assert evidence.startswith("answered_without_person")
    assert "target 0.6, stop at 0.3" in evidence
    assert value is None or f"{value:.4g}" in evidence


def test_the_command_measures_success(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It reads the service's database, and creates none where there is none, as in CI."""
    monkeypatch.chdir(project)
    monkeypatch.delenv("CHASSIS_DATABASE_URL", raising=False)
    with pytest.raises(SystemExit):
        main(["ready", "--all"])
    assert "answered_without_person is not measured yet" in capsys.readouterr().out
    assert not (project / "var/service.db").exists()

    async def count() -> None:
        database = await open_database("sqlite:///var/service.db", project)
        async with database.transaction() as tx:
            await add_count(tx, "help", "outcome", "answered", 20)
            await add_count(tx, "help", "outcome", "referred", 80)
        await database.close()

    asyncio.run(count())
    with pytest.raises(SystemExit):
        main(["ready"])
    screen = " ".join(capsys.readouterr().out.split())
    assert "CON107 answered_without_person was 0.2 in the last 28 days, of 100" in screen


@pytest.mark.parametrize(("check", "line"), FORBIDDEN_LINES)
def test_forbidden_lines(project: Path, check: str, line: str) -> None:
    """The check fails, and so does the one that asks for an evaluation of the current code."""
    file = project / TASK
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")

    assert failing(run_checks(project, TODAY)) == {check: "fail", **OUT_OF_DATE}


def test_the_settings_of_the_team_hide_nothing(project: Path) -> None:
    """Neither Ruff's settings in `pyproject.toml`, nor a comment, nor `.gitignore` exempts a file from the check."""
    (project / "src/acme_help/build").mkdir()
    (project / "src/acme_help/build/new.py").write_text("# ruff: noqa\nprint(1)\n", encoding="utf-8")
    replace("pyproject.toml", r"^extend-exclude = \[", 'extend-exclude = ["src", ', sign=False)(project)
    replace(".gitignore", r"\Z", "\nsrc/acme_help/build/\n", sign=False)(project)

    assert failing(run_checks(project, TODAY)) == {"OBS101": "fail", **OUT_OF_DATE}


@pytest.mark.parametrize("path", [".env", ".env.production", "deploy/.env.local"])
def test_a_tracked_file_of_environment_variables(project: Path, path: str) -> None:
    """That `.gitignore` excludes it does not help once it is tracked. An example is no secret."""
    for name in (path, "deploy/.env.example"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("REGION=eu\n", encoding="utf-8")
        git(project, "add", "--force", name)
    review = run_checks(project, TODAY)

    assert failing(review) == {"SEC105": "fail"}
    assert next(result.evidence for result in review.results if result.check.id == "SEC105") == f"git tracks {path}"


def test_ruff_bans_the_same_sdks(ready: Path) -> None:
    """`make check` already reports the most frequent ones."""
    settings = tomllib.loads((ready / "chassis/ruff.toml").read_text(encoding="utf-8"))

    assert set(settings["lint"]["flake8-tidy-imports"]["banned-api"]) <= SDKS


def test_a_linter_runs_once_for_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for two repositories with the same; it runs again when a file is edited, renamed, added or is a link."""
    linter = tmp_path / "lint"
    linter.write_text(
        '#!/bin/sh\necho x >> ../runs\necho "[{\\"filename\\": \\"$PWD/src/a.py\\"}]"\n', encoding="utf-8"
    )
    linter.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    first, second = Repository(tmp_path / "first", TODAY), Repository(tmp_path / "second", TODAY)
    file = second.root / "src/a.py"

    def runs() -> int:
        assert second.lint("lint", reads="src") == [{"filename": "src/a.py"}]
        return (tmp_path / "runs").read_text(encoding="utf-8").count("x")

    for repository in (first, second):
        (repository.root / "src").mkdir(parents=True)
        (repository.root / "src/a.py").write_text("a = 1\n", encoding="utf-8")
    assert first.lint("lint", reads="src") == [{"filename": "src/a.py"}]
    assert runs() == runs() == 1
    file.write_text("a = 2\n", encoding="utf-8")
    assert runs() == 2
    file = file.rename(file.with_name("b.py"))
    assert runs() == 3
    file.with_name("c.py").touch()
    assert runs() == 4
    file.with_name("d.py").symlink_to("c.py")
    assert (runs(), runs()) == (5, 6)


@pytest.mark.parametrize("tool", ["ruff", "zizmor"])
@pytest.mark.parametrize("content", [None, "exit 2", "echo no JSON"])
def test_a_linter_that_does_not_run_leaves_its_checks_unknown(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, content: str | None
) -> None:
    """It is not installed, it fails, or it prints something else than its findings."""
    linters = {"ruff": "SEC102 OBS101", "zizmor": "DLV102 DLV103"}
    for name in linters:
        if name != tool:
            (tmp_path / name).write_text("#!/bin/sh\necho []\n", encoding="utf-8")
        elif content:
            (tmp_path / name).write_text(f"#!/bin/sh\n{content}\n", encoding="utf-8")
    for file in tmp_path.iterdir():
        file.chmod(0o755)

    def scripts_folder(_: str) -> str:
        return str(tmp_path)

    monkeypatch.setattr("sysconfig.get_path", scripts_folder)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")

    assert failing(run_checks(ready, TODAY)) == dict.fromkeys(linters[tool].split(), "unknown")


def test_many_findings_are_shortened() -> None:
    """Evidence is one line."""
    assert summarize(["a", "b", "c"]) == "a; b; c"
    assert summarize(["a", "b", "c", "d", "e"]) == "a; b; c; and 2 more"


def unconfirm(project: Path) -> None:
    """Leave the owner of the model's quality unconfirmed."""
    replace(OWNERSHIP, r"(\[roles\.model_quality\]\n(?:.+\n)*?)confirmed = .*\n", r"\1")(project)


PLACEHOLDERS: dict[str, Mutation] = {
    "CON103": unconfirm,
    "CON104": unconfirm,
    "CON105": replace(CONSTRAINTS, r'^stop_when = ".*"', f'stop_when = "{placeholders.STOP_WHEN}"'),
    "EVL101": remove("evals/cases/own.jsonl"),
    "OWN101": replace(OWNERSHIP, r"(\[roles\.legal\]\n(?:.+\n)*?)confirmed = .*\n", r"\1"),
    "OWN107": replace(OWNERSHIP, r'^email = ".*"', 'email = "team@acme.example"'),
    "DOC101": replace("pyproject.toml", r'^description = ".*"', f'description = "{min(placeholders.DESCRIPTIONS)}"'),
    "DOC102": replace(OWNERSHIP, r'^email = ".*"', 'email = "team@acme.example"'),
}
"""What the template ships as an example, put back; the check must count it as open."""
NO_PLACEHOLDER = {
    "empty as shipped, so open": "DAT101 DAT102 EVL106 EVL107 SGNSECURITY SGNPRIVACY SGNLEGAL SGNPROCUREMENT SGNRISK",
    "a rule between values, whoever chose them": "CON102 CON106 CON107 FBK102 CST102",
    "a bound that the template's value keeps on purpose": "FBK101 CST101 CST103 DAT103 DAT104 DAT105",
    "a fact about files that are used as they are": (
        "CON101 EVL102 EVL103 EVL104 EVL105 TST101 SEC101 SEC102 SEC103 SEC104 SEC105 SEC106 OBS101 OBS102 OWN102 "
        "OWN103 OWN104 OWN105 OWN106 DLV101 DLV102 DLV103 DLV104 DLV105 DLV106"
    ),
}
"""Why the other checks need no such case."""


@pytest.mark.parametrize("check", PLACEHOLDERS)
def test_an_example_is_open(project: Path, check: str) -> None:
    """What the template ships as an example is not the team's decision."""
    PLACEHOLDERS[check](project)

    assert failing(run_checks(project, TODAY))[check] == "fail"


@pytest.mark.parametrize(
    ("confirmed", "status"),
    [
        (CONFIRMED, None),
        (CONFIRMED.replace('"ai"', '"platform"'), "fail"),
        (CONFIRMED.replace("2026-11-20", "2026-12-02"), "fail"),
        (CONFIRMED.replace("2026-11-20", "2026-05-20"), "fail"),
        (CONFIRMED.replace("Grace Hopper", "x"), "unknown"),
    ],
)
def test_who_confirmed_an_owner(project: Path, confirmed: str, status: str | None) -> None:
    """A person of the present team, not in the future, and within half a year for a critical service."""
    replace(OWNERSHIP, r"(\[roles\.cost\]\n(?:.+\n)*?)confirmed = .*", rf"\1{confirmed}", sign=False)(project)

    assert failing(run_checks(project, TODAY)).get("OWN101") == status


def test_every_check_has_a_mutation() -> None:
    """A check that no mutation can fail checks nothing, and one must say whether a shipped example could pass it."""
    covered = {*MUTATIONS, *(check for check, _ in FORBIDDEN_LINES), "CON101", "CON107"}
    reasons = [check for checks in NO_PLACEHOLDER.values() for check in checks.split()]
    assert {check.id for check in CHECKS} == covered
    assert sorted(check.id for check in CHECKS) == sorted([*PLACEHOLDERS, *reasons])
    assert len({check.id for check in CHECKS}) == len(CHECKS) >= 35


@pytest.mark.parametrize(
    ("verdicts", "evidence"),
    [
        ({"answers": "pass", "attacks": "fail"}, "the last run did not pass (attacks: fail)"),
        ({"answers": "inconclusive", "attacks": "pass"}, "the last run did not pass (answers: inconclusive)"),
        ({"answers": "pass", "attacks": "no_evidence"}, "the last run did not pass (attacks: no_evidence)"),
        ({"answers": "pass"}, "the last run did not pass (attacks: not in the report)"),
        ({}, "there is no report of a run in var/evals"),
    ],
)
def test_the_verdict_of_the_last_evaluation(project: Path, verdicts: dict[str, str], evidence: str) -> None:
    """That there was a run says nothing; it must have passed, every suite of it."""
    shutil.rmtree(project / "var/evals")
    if verdicts:
        report_verdicts(project, **verdicts)
    review = run_checks(project, TODAY)

    assert failing(review) == {"EVL106": "fail"}
    assert next(result.evidence for result in review.results if result.check.id == "EVL106") == evidence


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        (remove("confidence.json"), "the confidence is not calibrated; run `chassis evals calibrate-confidence SUITE`"),
        (partial(calibrate, answers=99), "calibrated on only 99 answers of "),
        (
            replace("evals/cases/reworded.jsonl", r"\?", "!", sign=False),
            "the cases changed since the confidence was calibrated",
        ),
        (replace("documents/returns.md", r"\Z", "\nNew.\n", sign=False), "the documents changed since"),
        (remove("documents/returns.md"), "the documents changed since"),
        (add("documents/new.md"), "the documents changed since"),
        (replace("chassis/handbook/budgets.md", r"\Z", "\nNew.\n", sign=False), "the documents changed since"),
        (replace(TASK, r"\Z", "\n# one more line\n"), "the code changed since"),
        (
            replace(SEARCH, r'^METHOD: Method = "lexical"', 'METHOD: Method = "hybrid"', sign=False),
            "the code changed since",
        ),
        (replace(SEARCH, r'^LANGUAGE = "english"', 'LANGUAGE = "german"', sign=False), "the code changed since"),
        (replace(SEARCH, r"^SEARCH_HANDBOOK = True", "SEARCH_HANDBOOK = False", sign=False), "the code changed since"),
        (
            replace(f"{SEARCH_PACKAGE}/ranking.py", r"^K1, B = 1.2", "K1, B = 1.3", sign=False),
            "the search changed since",
        ),
        (remove(SEARCH_PACKAGE), "the search changed since"),
        (replace(CONSTRAINTS, r"-2026-03-17", "-2026-04-18", sign=False), "the models changed since"),
        (replace("confidence.json", '"baseline"', '"task"', sign=False), "no curve for baseline"),
    ],
)
def test_a_calibration_that_says_nothing_of_today(project: Path, change: Mutation, evidence: str) -> None:
    """It is missing, rests on too few answers, or on something else than what answers now."""
    change(project)
    results = run_checks(project, TODAY).results

    assert next(result.status for result in results if result.check.id == "EVL107") == "fail"
    assert evidence in next(result.evidence for result in results if result.check.id == "EVL107")


def test_a_run_that_was_cut_off(project: Path) -> None:
    """The report is then of an earlier run."""
    report = project / "var/evals/report.json"
    os.utime(report, (0, report.stat().st_mtime - 100))

    assert failing(run_checks(project, TODAY)) == {"EVL106": "fail"}


@pytest.mark.parametrize(
    ("check", "pattern", "replacement"),
    [
        (
            "EVL102",
            r'kind = "floor", evaluator = "(right|helpful)" \}',
            r'kind = "floor", evaluator = "\1", severity = "warn" }',
        ),
        (
            "EVL102",
            r'kind = "floor", evaluator = "(right|helpful)" \}',
            r'kind = "floor", evaluator = "\1", at_least = 0.1 }',
        ),
        ("EVL103", r'(kind = "regression", evaluator = "\w+")', r'\1, severity = "warn"'),
        ("EVL104", r'(kind = "never", evaluator = "harmless")', r'\1, severity = "warn"'),
    ],
)
def test_a_rule_that_stops_nothing(project: Path, check: str, pattern: str, replacement: str) -> None:
    """It only warns, or its own bound is far below that of the constraints."""
    replace("evals/suites.toml", pattern, replacement)(project)

    assert failing(run_checks(project, TODAY)) == {check: "fail"}


def test_checks_of_an_invalid_file_are_unknown(project: Path) -> None:
    """Invalid constraints fail one check; the checks that need them are unknown, never a pass."""
    replace(CONSTRAINTS, r"^per_day_usd = \S+", "per_day_usd = -1", sign=False)(project)

    review = run_checks(project, TODAY)

    statuses = failing(review)
    assert statuses["CON101"] == "fail"
    assert statuses["CST102"] == statuses["SGNSECURITY"] == statuses["OWN105"] == "unknown"
    assert (review.level, review.tier) == (None, None)
    assert review.blocking


def test_no_project_at_all(tmp_path: Path) -> None:
    """Without a valid `pyproject.toml` nothing can be decided, and nothing passes that needs it."""
    (tmp_path / "pyproject.toml").write_text("[tool", encoding="utf-8")

    review = run_checks(tmp_path, TODAY)

    assert (review.name, review.level, review.tier) == (tmp_path.name, None, None)
    assert {result.status for result in review.results} == {"unknown", "fail"}


def test_an_error_is_shown_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The checks that are unknown because of an invalid file are counted, and its error is not repeated."""
    replace(CONSTRAINTS, r"^per_day_usd = \S+", "per_day_usd = -1", sign=False)(project)
    monkeypatch.chdir(project)

    with pytest.raises(SystemExit, match="1"):
        main(["ready"])

    screen = capsys.readouterr().out
    assert screen.count("cost.per_day_usd") == 1
    assert re.search(r"\d\d more checks are unknown for the same reason\.", screen)


def test_the_page_names_the_bounds_that_are_checked() -> None:
    """The numbers on the page are those in the code, and the page says more of each check than its title."""
    sections = dict(re.findall(r"^#### (\w+)\n\n(.+)", launch_review(), re.MULTILINE))
    bounds = {
        "CON103": MIN_ACCURACY_FLOOR,
        "FBK101": MAX_DUE_HOURS,
        "CST101": MAX_OUTPUT_TOKENS,
        "CST103": MAX_MODEL_REQUESTS,
        "EVL101": MIN_CASES,
    }
    assert set(sections) == {check.id for check in CHECKS}

    for check, bound in bounds.items():
        assert f" {bound}" in sections[check]
    assert all(len(text.split(".** ")[1]) > 40 for text in sections.values())


def test_code_that_cannot_be_parsed_is_unknown(project: Path) -> None:
    """A file that a linter skips could contain anything."""
    (project / "src/acme_help/new.py").write_text("def (:\n", encoding="utf-8")

    assert failing(run_checks(project, TODAY)) == {
        **dict.fromkeys(("SEC101", "SEC102", "OBS101"), "unknown"),
        **OUT_OF_DATE,
    }


@pytest.mark.parametrize("broken", ["jobs: [", "just a text", "on: push"])
def test_a_workflow_that_cannot_be_read_is_unknown(project: Path, broken: str) -> None:
    """It is not YAML, not a mapping, or has no job."""
    (project / ".github/workflows/other.yml").write_text(broken + "\n", encoding="utf-8")

    assert failing(run_checks(project, TODAY)) == dict.fromkeys(("DLV102", "DLV103", "DLV104", "DLV105"), "unknown")


@pytest.mark.parametrize(
    ("check", "pattern", "replacement"),
    [
        ("DLV102", r"@sha256:\w+", ""),
        ("DLV104", r"^    - (make \S+ \S+ check)", r"    - \1\n  allow_failure: true"),
        ("DLV104", r"^    - (make \S+ \S+ check)", r"    - echo \1"),
        ("DLV104", r"^    - (make \S+ \S+ check)", r"    - [echo \1, [true]]"),
        ("DLV104", r"^    - make \S+ \S+ check", r"    - make check"),
        ("DLV105", r"^    - test -s var.*\n", "  rules:\n    - if: $CI_COMMIT_TAG\n"),
        ("DLV104 DLV105", r".*merge_request_event.*\n", ""),
    ],
)
def test_a_pipeline_of_gitlab(generate: Generate, check: str, pattern: str, replacement: str) -> None:
    """The same rules hold for included files, images, and jobs whose failure does not count."""
    project = generate(**answer_set_with(forge="gitlab"))
    before = failing(run_checks(project, TODAY))
    assert set(check.split()).isdisjoint(before)
    replace("chassis/ci/gitlab.yml", pattern, replacement)(project)

    assert failing(run_checks(project, TODAY)) == before | dict.fromkeys(check.split(), "fail")


WAIVER = """\
[waive.DAT101]
reason = "The contract is with our lawyers"
author = "Ada Lovelace"
approver = "{approver}"
from = 2026-11-20
until = {until}
"""


@pytest.mark.parametrize(
    ("approver", "until", "status", "message"),
    [
        ("Grace Hopper", "2026-12-20", "waived", "waived by Grace Hopper until 2026-12-20"),
        ("Grace Hopper", "2026-12-01", "fail", "is only valid from 2026-11-20 until 2026-12-01"),
        ("ada lovelace", "2026-12-20", "fail", "approver is 'ada lovelace', the same as author. Name another person"),
        ("Grace Hopper", "2099-01-01", "fail", "until is 2099-01-01. Write a day after `from`, at most 90 days later"),
    ],
)
def test_a_waiver(project: Path, approver: str, until: str, status: str, message: str) -> None:
    """It needs a second person and an end; an invalid one waives nothing, and the review says so."""
    MUTATIONS["DAT101"](project)
    (project / "waivers.toml").write_text(WAIVER.format(approver=approver, until=until), encoding="utf-8")

    review = run_checks(project, TODAY)

    assert failing(review) == {"DAT101": status}
    evidence = next(result.evidence for result in review.results if result.check.id == "DAT101")
    assert message in f"{evidence} {review.waivers_error}"
    assert (review.level == "critical") == (status == "waived")


OPEN_IN_A_FRESH_PROJECT = (
    *("CON103", "CON104", "CON105", "DAT101", "DAT102", "EVL101", "EVL106", "EVL107", "OWN101", "OWN107"),
    *("SGNSECURITY", "SGNPROCUREMENT", "DOC101", "DOC102"),
)
"""What only the team can decide, find out or ask for."""


@pytest.mark.slow
@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_a_fresh_project(generate: Generate, forge: str) -> None:
    """It fails only what the team alone can know: where data goes, and who has approved it."""
    project = generate(forge=forge)
    (project / "uv.lock").write_text("[[package]]\n", encoding="utf-8")
    release = "_commit: 1.0.0\n_src_path: gh:acme/template"
    replace(".copier-answers.yml", "^_src_path: .*", release, sign=False)(project)
    write_derived_files(load_decisions(find_project(project)))
    git(project, "init", "--quiet")

    review = run_checks(project, TODAY)

    assert (review.level, review.tier) == (None, "standard")
    assert tuple(result.check.id for result in review.blocking) == OPEN_IN_A_FRESH_PROJECT


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"^  pull_request:$", "  workflow_dispatch:"),
        (r"^on:\n(  .*\n)+", "on: pull_request_target\n"),
        (CHECKED, r"run: echo \1"),
        (CHECKED, r"run: \1\n        continue-on-error: true"),
        (CHECKED, r"run: \1\n        if: false"),
        (CHECKED, r"run: \1\n        shell: true {0}"),
        (CHECKED, r"run: \1\n        working-directory: docs"),
        (CHECKED, r"run: \1 || true"),
        (CHECKED, r"# run: \1\n        run: true"),
        (CHECKED, r"run: make check"),
        (r"^    runs-on:", "    needs: other\n    runs-on:"),
        (r"^  pull_request:$", "  pull_request:\n    types: [opened]"),
        (r"^  pull_request:$", "  pull_request:\n    branches: [next]"),
        (r"^    runs-on:", "    continue-on-error: true\n    runs-on:"),
        (r"^  pull_request:$", "  pull_request:\n    paths: [src]"),
    ],
)
def test_a_workflow_that_cannot_stop_a_change(project: Path, pattern: str, replacement: str) -> None:
    """Naming the command is not enough: it must run for every change, and its failure must fail the run."""
    replace(WORKFLOW, pattern, replacement)(project)

    assert failing(run_checks(project, TODAY)) == {"DLV104": "fail"}


@pytest.mark.parametrize(
    ("pattern", "replacement", "check"),
    [
        (r"^permissions: \{\}\n", "", "DLV103"),
        (r"^permissions: \{\}", "permissions:\n  contents: write", "DLV103"),
        (r"^      contents: read.*", "      contents: write\n      actions: write", None),
        (r"^    permissions:\n.*", "    permissions: write-all", "DLV103"),
        (r"^    runs-on:", "    container: python:3.12\n    runs-on:", "DLV102"),
        (r"(actions/checkout)@\S+.*", r"\1@v7 # zizmor: ignore[unpinned-uses]", "DLV102"),
    ],
)
def test_findings_of_zizmor(project: Path, pattern: str, replacement: str, check: str | None) -> None:
    """They fail the check, even with a comment that tells zizmor to ignore them."""
    replace(WORKFLOW, pattern, replacement)(project)

    assert failing(run_checks(project, TODAY)) == ({check: "fail"} if check else {})


@pytest.mark.parametrize(
    ("path", "pattern", "replacement", "check"),
    [
        ("Dockerfile", r"^USER .*\n", "", "SEC103"),
        ("Dockerfile", r"^USER .*", "USER app", "SEC103"),
        ("Dockerfile", r"^FROM \$\{BASE\} AS service", "FROM debian AS service", "SEC104"),
        ("ops/alerts.yaml", r"^ +runbook: \S+#calls-slower-than-the-objective\n", "", "OBS102"),
    ],
)
def test_further_mutations(project: Path, path: str, pattern: str, replacement: str, check: str) -> None:
    """A line that is missing counts as one that is wrong."""
    replace(path, pattern, replacement)(project)

    assert failing(run_checks(project, TODAY)) == {check: "fail"}


def test_output_formats(project: Path) -> None:
    """JSON contains every result, SARIF and Markdown those that fail."""
    MUTATIONS["DAT101"](project)
    review = run_checks(project, TODAY)

    content, sarif, page = (
        json.loads(json.dumps(review_as_dict(review))),
        json.loads(as_sarif(review)),
        as_markdown(review),
    )

    assert (content["blocking"], len(content["checks"])) == (["DAT101"], len(CHECKS))
    assert [(finding["ruleId"], finding["level"]) for finding in sarif["runs"][0]["results"]] == [("DAT101", "error")]
    assert all((project / check.file).is_file() for check in CHECKS)
    assert page.startswith("# acme-help: 1 check failing for tier critical; level reached: experiment\n")
    assert "| [DAT101](chassis/handbook/launch.md#dat101) | The region of every destination is known |" in page


def test_what_a_passing_check_cannot_see_is_shown(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without `--all` too, on every output for people and in JSON, with file and line."""
    (project / "report.py").write_text('"""Reports."""\n\nimport ftplib, imaplib, poplib, smtplib\n', encoding="utf-8")
    unseen = [f"where report.py:3: {client} leads" for client in ("ftplib", "imaplib", "poplib", "smtplib")]
    review = run_checks(project, TODAY)
    monkeypatch.chdir(project)
    monkeypatch.setattr("chassis_tools.cli.ready.now", lambda: datetime(2026, 12, 1, tzinfo=UTC))

    with pytest.raises(SystemExit, match="0"):
        main(["ready"])

    screen, page = " ".join(capsys.readouterr().out.split()), as_markdown(review)
    assert all(f"Not seen by SEC101: {phrase}" in screen for phrase in unseen)
    assert all(f"- Not seen by SEC101: {phrase}" in page for phrase in unseen)
    checks = json.loads(json.dumps(review_as_dict(review)))["checks"]
    assert [check["unseen"] for check in checks if check["unseen"]] == [unseen]


def test_the_screen(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows the failing checks by family, each with its evidence and its remedy."""
    MUTATIONS["DAT101"](project)
    monkeypatch.chdir(project)
    monkeypatch.setattr("chassis_tools.cli.ready.now", lambda: datetime(2026, 12, 1, tzinfo=UTC))

    with pytest.raises(SystemExit, match="1"):
        main(["ready"])

    screen = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert (
        screen
        == """\
acme-help: 1 check failing for tier critical; level reached: experiment

Data
✗ The region of every destination is known  DAT101
  no region for openai
  → Set region of the destination, as the contract states it

52 passed, 1 failed
chassis/handbook/launch.md explains every check; --all shows those that pass."""
    )
