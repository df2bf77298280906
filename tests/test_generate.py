"""A new project is correct: its files parse, are formatted and linted, and the chassis can read them."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from answer_sets import QUESTIONS, QUICK_SETS, ROOT, Answers, choices, pairs, pairwise
from chassis.config.constraints import RetentionRules, load_constraints
from chassis.config.project import find_project
from chassis_tools.governance.derived_files import out_of_date_files, write_derived_files
from chassis_tools.governance.file_contents import load_decisions
from generated_project import Generate, GenerateOnce, generate_into, rendered
from path_ownership import owner_of

SETS = {"-".join(answers.values()): answers for answers in pairwise()}


def parameter(number: int, name: str) -> Any:
    """Return a set of answers as a test parameter; all but the first few are slow."""
    return pytest.param(SETS[name], id=name, marks=[pytest.mark.slow] if number >= QUICK_SETS else [])


@pytest.fixture(scope="module", params=[parameter(number, name) for number, name in enumerate(SETS)])
def project(
    request: pytest.FixtureRequest, generated_once: GenerateOnce, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a project for each set of answers."""
    folder = tmp_path_factory.mktemp("of_answers") / "project"
    return Path(shutil.copytree(generated_once(request.param), folder, symlinks=True))


def test_every_choice_is_generated() -> None:
    """The quick sets contain every choice of every question, and all sets together every pair of choices."""
    offered = {name: set(choices(question)) for name, question in QUESTIONS.items() if "choices" in question}
    quick = list(SETS.values())[:QUICK_SETS]
    assert {name: {answers[name] for answers in quick} for name in offered} == offered
    covered = set[object]().union(*(pairs(answers) for answers in SETS.values()))
    assert len(covered) == sum(len(offered[one]) * len(offered[other]) for one, other in combinations(offered, 2))


def test_formatted_and_linted(project: Path) -> None:
    """A new project passes its own formatter and linter."""
    assert_clean(project)


@pytest.mark.parametrize(
    ("path", "is_checked"),
    [
        ("documents/prices.pdf", False),
        ("services/help/documents/2026/prices.pdf", False),
        ("embeddings.npz", False),
        ("src/acme_help/weights.bin", True),
        ("my-documents/prices.pdf", True),
    ],
)
def test_what_is_searched_may_be_large(path: str, is_checked: bool) -> None:  # noqa: FBT001 - a parameter
    """The hook against large files leaves out documents, which are PDF files of many megabytes, and vectors."""
    settings = yaml.safe_load((ROOT / "template/.pre-commit-config.yaml").read_text(encoding="utf-8"))
    [hook] = [hook for hook in settings["repos"][0]["hooks"] if hook["id"] == "large-files"]

    assert (re.search(hook["exclude"], path) is None) == is_checked


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["answer", "blank"])
@pytest.mark.parametrize("name", ["a-b", "zoo-" + "x" * 36])
def test_clean_under_any_name(generate: Generate, shape: str, name: str) -> None:
    """Neither a long name nor one late in the alphabet changes line breaks or the order of imports."""
    assert_clean(generate(service_name=name, shape=shape))


def assert_clean(project: Path) -> None:
    """Run the formatter and the linter as `make check` does."""
    for command in (["ruff", "format", "--check", "--no-cache"], ["ruff", "check", "--no-cache"]):
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_files(project: Path) -> None:
    """Every file is text without Jinja, ends with one newline and parses."""
    write_derived_files(load_decisions(find_project(project)))
    for path, content in rendered(project).items():
        text = content.decode()
        assert owner_of(path) == "chassis" or not re.search(r"{[{%#]", text), path
        assert not text.endswith("\n\n"), path
        assert text == "" or text.endswith("\n"), path
        if path.endswith(".toml"):
            tomllib.loads(text)
        if path.endswith((".yaml", ".yml")):
            assert list(yaml.safe_load_all(text)), path


def test_decisions(project: Path) -> None:
    """The decisions are valid, and after one `chassis sync` every derived file is up to date."""
    decisions = load_decisions(find_project(project))
    write_derived_files(decisions)
    assert out_of_date_files(decisions) == []
    assert (project / f".{decisions.project.forge}/CODEOWNERS").is_file()


def test_answers_become_constraints(decide: Generate) -> None:
    """The answers are in constraints.toml."""
    project = decide(monthly_budget_usd=30, deadline_seconds=7, data_class="personal", when_models_fail="review")
    constraints = load_constraints(project)
    assert [amount for _, amount in constraints.cost] == [0.01, 0.05, 0.20, 2.00, 30.00]
    assert constraints.latency.deadline_seconds == 7
    assert constraints.data.data_class == "personal"
    assert constraints.fallback.models_failed == "review"


@pytest.mark.parametrize(
    ("data_class", "kept"),
    [
        ("personal", RetentionRules(referrals_days=30, calls_days=1)),
        ("confidential", RetentionRules()),
        ("internal", RetentionRules()),
        ("public", RetentionRules()),
    ],
)
def test_personal_data_is_kept_for_a_shorter_time(decide: Generate, data_class: str, kept: RetentionRules) -> None:
    """The other classes start with what holds if `[retention]` says nothing."""
    assert load_constraints(decide(data_class=data_class)).retention == kept


@pytest.mark.parametrize("budget", [0, 1, 10, 300, 10_000_000])
def test_no_part_of_the_budget_exceeds_the_whole(decide: Generate, budget: int) -> None:
    """Each budget is at most the next one: request, caller and day, day, month."""
    amounts = [amount for _, amount in load_constraints(decide(monthly_budget_usd=budget)).cost]
    assert amounts == sorted(amounts)
    assert amounts[-1] == budget


def test_teams_of_the_same_name(decide: Generate) -> None:
    """Two teams whose handles end with the same name get different ids."""
    project = decide(owner_team="@acme/ai", deputy_team="@Other/AI")
    teams = load_decisions(find_project(project)).ownership.teams
    assert [team.handle for team in teams.values()] == ["@acme/ai", "@Other/AI"]


def test_own_endpoint(decide: Generate) -> None:
    """A self-hosted endpoint has a price of 0 until the team sets one."""
    first = load_constraints(decide(provider="openai-compatible", base_url="http://gpu.example/v1")).models[0]
    assert (first.base_url, first.input_usd_per_million, first.output_usd_per_million) == (
        "http://gpu.example/v1",
        0,
        0,
    )


@pytest.mark.slow
def test_users_get_the_same_files(template: Path, generated_once: GenerateOnce, tmp_path: Path) -> None:
    """The Copier of users makes the files that the quick one of the tests makes, with the same modes."""
    project = tmp_path / "project"
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "--quiet", str(template), str(project)]
    subprocess.run(command, check=True)
    quick = generated_once({})
    assert rendered(project) == rendered(quick)
    assert {path: (project / path).stat().st_mode for path in rendered(quick)} == {
        path: (quick / path).stat().st_mode for path in rendered(quick)
    }


@pytest.mark.slow
@pytest.mark.parametrize("answers", [{}, {"shape": "blank"}])
def test_deterministic(template: Path, generated_once: GenerateOnce, tmp_path: Path, answers: Answers) -> None:
    """The same answers give the same bytes."""
    again = generate_into(tmp_path / "again", template, dict(answers))
    assert rendered(again) == rendered(generated_once(dict(answers)))


@pytest.mark.parametrize("shape", ["answer", "blank"])
def test_the_example_of_a_question_is_answered(generate: Generate, shape: str) -> None:
    """`/docs` shows it as the first body to try, and without a key the baseline answers it."""
    code = """
from acme_help.task import TASK
[example] = TASK.takes.model_json_schema()["properties"]["text"]["examples"]
print(TASK.baseline(TASK.takes(text=example)).confidence)
"""
    project = generate(shape=shape)
    environment = os.environ | {"PYTHONPATH": str(project / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=environment, check=True, capture_output=True, text=True
    )
    assert float(done.stdout) >= load_constraints(project).quality.confidence_floor


@pytest.mark.parametrize(
    ("shape", "old", "new", "typo"),
    [
        ("answer", '"never"', '"nevr"', "nevr"),
        ("answer", '"says"', '"say"', "say"),
        ("answer", '"expected": "referred"', '"expected": "refered"', "refered"),
        ("blank", '"expected": "referred"', '"expected": "refered"', "refered"),
        ("blank", '{"urgent"', '{"sure": true, "urgent"', "sure"),
    ],
)
def test_an_expected_answer_with_a_typo_is_refused(
    generate: Generate, shape: str, old: str, new: str, typo: str
) -> None:
    """The starter's graders read what a case expects before they look at the outcome, and name case and key."""
    project = generate(shape=shape)
    file = next(each for each in sorted((project / "evals/cases").glob("*.jsonl")) if old in each.read_text())
    file.write_text(file.read_text().replace(old, new, 1))
    code = "from chassis.cli.main import main; main()"
    places = os.environ | {"PYTHONPATH": str(project / "src")}

    run = subprocess.run(
        [sys.executable, "-c", code, "evals", "run"],
        cwd=project,
        env=places,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 2, run.stdout
    assert " fails on the case " in run.stderr
    assert typo in run.stderr
    assert "Traceback" not in run.stderr
