"""The launch review: a repository that is ready passes every check, and each spoilt thing is seen by its own."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from answer_sets import one_with
from chassis.cli.main import main
from chassis.config.constraints import load_constraints
from chassis.config.project import find_project
from chassis_tools.governance.decisions import load_decisions
from chassis_tools.governance.signoff import SignOff, covered, save
from chassis_tools.governance.signoff_kinds import KINDS
from chassis_tools.governance.sync import write
from chassis_tools.readiness.forms import as_json, as_markdown, as_sarif, handbook
from chassis_tools.readiness.promises import CHANCE, MAX_HOURS, MAX_TOKENS, MAX_TURNS
from chassis_tools.readiness.proof import MIN_CASES
from chassis_tools.readiness.review import CHECKS, Review, review
from generated_project import Generate, Once

TODAY = date(2026, 12, 1)
CONSTRAINTS, OWNERSHIP = "constraints.toml", "ownership.toml"
TASK, WORKFLOW = "src/acme_help/task.py", ".github/workflows/check.yml"

type Spoil = Callable[[Path], None]


def swap(path: str, pattern: str, instead: str, *, sign: bool = True) -> Spoil:
    """Return what replaces a part of a file; derived files and sign-offs follow unless they are what is looked at."""

    def spoil(project: Path) -> None:
        file = project / path
        text, count = re.subn(pattern, instead, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert count, f"{pattern!r} is not in {path}"
        file.write_text(text, encoding="utf-8")
        if sign and path in {CONSTRAINTS, OWNERSHIP, "pyproject.toml"}:
            settle(project)

    return spoil


def remove(path: str) -> Spoil:
    """Return what removes a file or a folder."""

    def spoil(project: Path) -> None:
        target = project / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return spoil


def settle(project: Path) -> None:
    """Write the derived files, and let everybody sign for what is there."""
    write(load_decisions(find_project(project)))
    constraints = load_constraints(project)
    for kind, about in KINDS.items():
        bound = covered(about.covers(constraints)) | {"team": "ai", "approver": "Ada Lovelace"}
        days = {"decided_on": date(2026, 11, 1), "expires_on": date(2027, 11, 1)}
        save(project, kind, SignOff.model_validate({"decision": "approved", **bound, **days}))


def alone(project: Path) -> None:
    """Leave the service to a single team."""
    swap(OWNERSHIP, r"^deputy = .*\n", "", sign=False)(project)
    swap(OWNERSHIP, r"^\[teams\.platform\]\n.*\n", "")(project)


def no_cases(project: Path) -> None:
    """Take every case away."""
    for file in (project / "evals/cases").glob("*"):
        file.unlink()


SPOILT: dict[str, Spoil] = {
    "CON102": swap(CONSTRAINTS, r"^p95_seconds = \S+", "p95_seconds = 20"),
    "CON103": swap(CONSTRAINTS, r"^accuracy_floor = \S+", "accuracy_floor = 0.2"),
    "CON104": swap(CONSTRAINTS, r"^confidence_floor = \S+", "confidence_floor = 0"),
    "CON105": swap(CONSTRAINTS, r"^review_on = \S+", "review_on = 2026-12-01"),
    "FBK101": swap(CONSTRAINTS, r"^due_hours = \S+", "due_hours = 100"),
    "CST101": swap(CONSTRAINTS, r"^max_output_tokens = 800", "max_output_tokens = 100000"),
    "CST102": swap(CONSTRAINTS, r"^per_day_usd = \S+", "per_day_usd = 1000"),
    "CST103": swap(CONSTRAINTS, r"^model_requests_per_call = \S+", "model_requests_per_call = 100"),
    "DAT101": swap(CONSTRAINTS, r'^region = "eu".*\n', ""),
    "DAT102": swap(CONSTRAINTS, r"^retention_days = 30.*\n", ""),
    "DAT103": swap(CONSTRAINTS, r', "secret", "card"\]', ', "secret"]'),
    "DAT104": swap(CONSTRAINTS, r'^refuse = .*"secret"\]', 'refuse = ["card"]'),
    "DAT105": swap(CONSTRAINTS, r"-2026-03-17", ""),
    "EVL101": no_cases,
    "EVL102": swap("evals/suites.toml", r'kind = "floor", evaluator = "(right|helpful)".*\}', 'kind = "latency" }'),
    "EVL103": swap("evals/suites.toml", r'kind = "regression", .*\}', 'kind = "latency" }'),
    "EVL104": swap("evals/suites.toml", r'kind = "never", evaluator = "harmless" \}', 'kind = "latency" }'),
    "EVL105": swap("evals/suites.toml", r"^\[suites\.live\](.*\n)+", ""),
    "EVL106": swap(TASK, r"\Z", "\n# one more line\n"),
    "TST101": remove("tests"),
    "OWN101": swap(OWNERSHIP, r"(\[roles\.legal\]\n(?:.+\n)*?review_by = )\S+", r"\g<1>2026-12-01"),
    "OWN102": swap(OWNERSHIP, r"(\[roles\.legal\]\n(?:.+\n)*?)review_by = \S+\n?", r"\1"),
    "OWN103": swap(OWNERSHIP, r"(\[roles\.legal\]\n(?:.+\n)*?review_by = )\S+", r"\g<1>2099-01-01"),
    "OWN104": alone,
    "OWN105": swap("catalog-info.yaml", r"lifecycle: \w+", "lifecycle: production"),
    "OWN106": swap(OWNERSHIP, r'"/chassis/", ', ""),
    **{
        f"SGN{kind.upper()}": swap(f"signoffs/{kind}.toml", r"^expires_on = \S+", "expires_on = 2026-12-01")
        for kind in KINDS
    },
    "DLV101": remove("uv.lock"),
    "DLV102": swap(WORKFLOW, r"@[0-9a-f]{40}", "@v7"),
    "DLV103": swap(WORKFLOW, r"^permissions: \{\}", "permissions: write-all"),
    "DLV104": swap(WORKFLOW, r"make check", "make chuck"),
    "DLV105": swap(".github/workflows/evals.yml", r"make evals", "make eels"),
    "DLV106": remove(".copier-answers.yml"),
    "SEC103": swap("Dockerfile", r"^USER .*", "USER root"),
    "SEC104": swap("Dockerfile", r"@sha256:\w+", ""),
    "SEC105": swap(".gitignore", r"^\.env$", ".environment"),
    "SEC106": swap(".env.example", r"^# OPENAI_API_KEY=", "OPENAI_API_KEY=sk-live"),
    "OBS102": remove("chassis/docs/runbooks/latency.md"),
    "DOC101": swap("pyproject.toml", r'^description = ".*"', 'description = ""'),
    "DOC102": swap("README.md", r"ai@acme\.example", "us"),
}
"""What is spoilt, by the one check that must see it."""
CODE = {
    "SEC101": "import openai",
    "SEC102": 'eval("1")',
    "OBS101": 'print("hello")',
}
"""Lines that the team's code must not hold; a run of the evaluation is stale after any of them."""


@pytest.fixture(scope="module")
def ready(generated_once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a critical service about which everything is known and signed."""
    project = Path(shutil.copytree(generated_once({}), tmp_path_factory.mktemp("ready") / "project"))
    (project / "uv.lock").write_text("[[package]]\n", encoding="utf-8")
    answers = project / ".copier-answers.yml"
    if "_commit" not in answers.read_text(encoding="utf-8"):
        answers.write_text(answers.read_text(encoding="utf-8") + "_commit: 1.0.0\n", encoding="utf-8")
    swap(CONSTRAINTS, r"^# (region|retention_days)( = \S+)", r"\1\2", sign=False)(project)
    swap(CONSTRAINTS, r'^tier = "\w+"', 'tier = "critical"')(project)
    return project


@pytest.fixture
def project(ready: Path, tmp_path: Path) -> Path:
    """Return a copy of it to spoil, without the code of the chassis, which no check reads."""
    code = str(ready / "chassis/src")
    return Path(shutil.copytree(ready, tmp_path / "project", ignore=lambda at, names: names if at == code else []))


def failing(found: Review) -> dict[str, str]:
    """Return the checks that do not pass, with their verdicts."""
    return {result.check.id: result.verdict for result in found.results if result.verdict != "pass"}


def test_what_is_ready_passes(ready: Path) -> None:
    """Nothing stands in the way, and the level is the highest."""
    found = review(ready, TODAY)

    assert [(each.check.id, each.evidence) for each in found.results if each.verdict != "pass"] == []
    assert (found.level, found.tier) == ("critical", "critical")


@pytest.mark.slow
@pytest.mark.parametrize("check", SPOILT)
def test_what_is_spoilt_is_seen_by_its_check(project: Path, check: str) -> None:
    """Exactly the one check fails."""
    SPOILT[check](project)

    assert failing(review(project, TODAY)) == {check: "fail"}


@pytest.mark.parametrize("check", CODE)
def test_what_code_must_not_hold(project: Path, check: str) -> None:
    """The check sees the line, and the evaluation that it was not measured."""
    file = project / TASK
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{CODE[check]}\n", encoding="utf-8")

    assert failing(review(project, TODAY)) == {check: "fail", "EVL106": "fail"}


def test_what_is_in_production_is_no_experiment(project: Path) -> None:
    """Lifecycle and tier contradict each other."""
    swap(OWNERSHIP, r'^lifecycle = "\w+"', 'lifecycle = "production"')(project)
    swap(CONSTRAINTS, r'^tier = "\w+"', 'tier = "experiment"')(project)

    assert failing(review(project, TODAY)) == {"CON106": "fail"}


def test_one_model_and_no_way_out(project: Path) -> None:
    """An error is all that a caller gets when the only model fails."""
    swap(CONSTRAINTS, r'^\[\[models\]\]\nname = "local"\n(.+\n)+', "", sign=False)(project)
    swap(CONSTRAINTS, r'^models_failed = "\w+"', 'models_failed = "error"')(project)

    assert failing(review(project, TODAY)) == {"FBK102": "fail"}


def test_every_check_is_spoilt_once() -> None:
    """A check that nothing turns red is no check."""
    assert {check.id for check in CHECKS} == {*SPOILT, *CODE, "CON101", "CON106", "FBK102"}
    assert len({check.id for check in CHECKS}) == len(CHECKS) >= 35


def test_what_cannot_be_read_is_unknown(project: Path) -> None:
    """Constraints that cannot be meant fail, and what depends on them is unknown, never a pass."""
    swap(CONSTRAINTS, r"^per_day_usd = \S+", "per_day_usd = -1", sign=False)(project)

    found = review(project, TODAY)

    assert failing(found)["CON101"] == "fail"
    assert failing(found)["CST102"] == failing(found)["SGNSECURITY"] == failing(found)["OWN105"] == "unknown"
    assert (found.level, found.tier) == (None, None)
    assert found.blocking


def test_a_reason_is_shown_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What makes a file unreadable fails one check; the many that need the file do not repeat it on the screen."""
    swap(CONSTRAINTS, r"^per_day_usd = \S+", "per_day_usd = -1", sign=False)(project)
    monkeypatch.chdir(project)

    with pytest.raises(SystemExit, match="1"):
        main(["ready"])

    screen = capsys.readouterr().out
    assert screen.count("cost.per_day_usd") == 1
    assert re.search(r"For the same reason \d\d more checks could not be carried out\.", screen)


def test_the_page_names_the_bounds_that_are_checked() -> None:
    """What a page says of a number is the number; and it says more of each check than its title."""
    sections = dict(re.findall(r"^## (\w+\d+)\n\n(.+)", handbook(), re.MULTILINE))
    bounds = {"CON103": CHANCE, "FBK101": MAX_HOURS, "CST101": MAX_TOKENS, "CST103": MAX_TURNS, "EVL101": MIN_CASES}

    for check, bound in bounds.items():
        assert f" {bound}" in sections[check]
    assert all(len(text.split(".** ")[1]) > 40 for text in sections.values())


def test_code_that_cannot_be_parsed_is_unknown(project: Path) -> None:
    """A file that the parser skips could hold anything."""
    (project / "src/acme_help/new.py").write_text("def (:\n", encoding="utf-8")

    assert failing(review(project, TODAY)) == {
        **dict.fromkeys(("SEC101", "SEC102", "OBS101"), "unknown"),
        "EVL106": "fail",
    }


@pytest.mark.parametrize("broken", ["jobs: [", "just a text", "on: push"])
def test_a_workflow_that_cannot_be_read_is_unknown(project: Path, broken: str) -> None:
    """It could run anything, or nothing; it is no YAML, no table, or has no job."""
    (project / ".github/workflows/other.yml").write_text(broken + "\n", encoding="utf-8")

    assert failing(review(project, TODAY)) == dict.fromkeys(("DLV102", "DLV103", "DLV104", "DLV105"), "unknown")


@pytest.mark.parametrize(
    ("check", "pattern", "instead"),
    [
        ("DLV102", r"@sha256:\w+", ""),
        ("DLV104", r"^    - make check", "    - make check\n  allow_failure: true"),
        ("DLV104", r"^    - make check", "    - echo make check"),
        ("DLV104", r"^    - make check", "    - [echo make check, [true]]"),
        ("DLV105", r"^    - make evals\n", "    - make evals\n  rules:\n    - if: $CI_COMMIT_TAG\n"),
        ("DLV104 DLV105", r".*merge_request_event.*\n", ""),
    ],
)
def test_a_pipeline_of_gitlab(generate: Generate, check: str, pattern: str, instead: str) -> None:
    """It is read by the same rules: what is included from the repository, images, and who hears a failure."""
    project = generate(**one_with(forge="gitlab"))
    before = failing(review(project, TODAY))
    assert set(check.split()).isdisjoint(before)
    swap("chassis/ci/gitlab.yml", pattern, instead)(project)

    assert failing(review(project, TODAY)) == before | dict.fromkeys(check.split(), "fail")


WAIVER = """\
[waive.DAT101]
reason = "The contract is with our lawyers"
author = "Ada Lovelace"
approver = "{approver}"
from = 2026-11-20
until = {until}
"""


@pytest.mark.parametrize(
    ("approver", "until", "verdict", "said"),
    [
        ("Grace Hopper", "2026-12-20", "waived", "Grace Hopper waived it until 2026-12-20"),
        ("Grace Hopper", "2026-12-01", "fail", "the waiver in waivers.toml ran until 2026-12-01"),
        ("ada lovelace", "2026-12-20", "fail", "approver is 'ada lovelace', as is author. Let somebody else agree"),
        ("Grace Hopper", "2099-01-01", "fail", "until is 2099-01-01. Write a day after `from`, at most 90 days later"),
    ],
)
def test_a_waiver(project: Path, approver: str, until: str, verdict: str, said: str) -> None:
    """It needs a second person and an end; one that cannot be meant waives nothing, and is said aloud."""
    SPOILT["DAT101"](project)
    (project / "waivers.toml").write_text(WAIVER.format(approver=approver, until=until), encoding="utf-8")

    found = review(project, TODAY)

    assert failing(found) == {"DAT101": verdict}
    evidence = next(result.evidence for result in found.results if result.check.id == "DAT101")
    assert said in f"{evidence} {found.waivers_problem}"
    assert (found.level == "critical") == (verdict == "waived")


@pytest.mark.slow
@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_a_fresh_project(generate: Generate, forge: str) -> None:
    """It says honestly what nobody but the team can know: where data goes, and who agreed."""
    project = generate(forge=forge)
    (project / "uv.lock").write_text("[[package]]\n", encoding="utf-8")
    (project / ".copier-answers.yml").write_text("_commit: 1.0.0\n", encoding="utf-8")
    write(load_decisions(find_project(project)))

    found = review(project, TODAY)

    assert (found.level, found.tier) == ("experiment", "standard")
    assert [result.check.id for result in found.blocking] == ["DAT101", "DAT102", "SGNSECURITY", "SGNPROCUREMENT"]


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        (r"^  pull_request:$", "  workflow_dispatch:"),
        (r"run: make check$", "run: echo make check"),
        (r"run: make check$", "run: make check\n        continue-on-error: true"),
        (r"run: make check$", "run: make check\n        if: false"),
        (r"run: make check$", "run: make check || true"),
        (r"run: make check$", "# run: make check\n        run: true"),
        (r"^    runs-on:", "    continue-on-error: true\n    runs-on:"),
        (r"^  pull_request:$", "  pull_request:\n    paths: [src]"),
    ],
)
def test_a_check_that_cannot_stop_a_change(project: Path, pattern: str, instead: str) -> None:
    """To name the command is not enough; it must run on each change, and be heard."""
    swap(WORKFLOW, pattern, instead)(project)

    assert failing(review(project, TODAY)) == {"DLV104": "fail"}


def test_forms(project: Path) -> None:
    """JSON holds every fact, SARIF and Markdown what is in the way."""
    SPOILT["DAT101"](project)
    found = review(project, TODAY)

    facts, sarif = json.loads(as_json(found)), json.loads(as_sarif(found))

    assert (facts["blocking"], len(facts["checks"])) == (["DAT101"], len(CHECKS))
    assert [(each["ruleId"], each["level"]) for each in sarif["runs"][0]["results"]] == [("DAT101", "error")]
    assert all((project / check.file).is_file() for check in CHECKS)
    assert "| [DAT101](chassis/docs/ready.md#dat101) |" in as_markdown(found)
    assert "1 check stand in the way" not in as_markdown(found)
