"""The law of paths: every path has one owner, and what the template promises for ever."""

from pathlib import Path
from typing import Any

import pytest
from answer_sets import CONFIG, QUESTIONS, QUICK, ROOT, Answers, one_with, pairwise
from generated_project import Once, copy_template, generate_into, rendered
from jinja2 import UndefinedError
from path_ownership import DERIVED, LAW, kind_of, matches

NAMES = {"forge": "github", "service_name": "other-name", "owner_team": "@solo"}
NAMED = [pattern for kind, pattern in LAW if kind in {"chassis", "record"}]


def test_kinds() -> None:
    """There are no other kinds, and whatever is not named belongs to the team."""
    assert {kind for kind, _ in LAW} <= {"chassis", "derived", "record", "retired", "template", "yours"}
    assert LAW[-1] == ("yours", "*")


@pytest.mark.parametrize("shape", ["answer", "blank"])
def test_every_line_of_the_law_is_about_something(generated_once: Once, shape: str) -> None:
    """Each named path is rendered, and none is named twice."""
    paths = rendered(generated_once(one_with(shape=shape, forge="github")))
    about = {pattern: {path for path in paths if matches(pattern, path)} for pattern in NAMED}
    assert "template" not in {kind_of(path) for path in paths}
    assert [pattern for pattern, found in about.items() if not found] == []
    assert sum(map(len, about.values())) == len(set[str]().union(*about.values()))


def test_derived_files_have_one_source(template: Path) -> None:
    """The law names those that `chassis sync` writes, and the template renders none a second time."""
    assert {pattern for kind, pattern in LAW if kind == "derived"} == DERIVED
    sources = [str(path.relative_to(template / "template")) for path in (template / "template").rglob("*")]
    assert DERIVED.isdisjoint(path.removesuffix(".jinja") for path in sources)


@pytest.mark.parametrize("sets", [pairwise()[:QUICK], pytest.param([NAMES], marks=pytest.mark.slow)])
def test_the_chassis_is_the_same_everywhere(generated_once: Once, sets: list[Answers]) -> None:
    """Answers change nothing in the chassis: not a byte, and no path but those of the other forge."""

    def chassis(answers: dict[str, Any]) -> dict[str, bytes]:
        paths = rendered(generated_once(answers))
        return {path: content for path, content in paths.items() if kind_of(path) == "chassis"}

    github = chassis({})
    of_forge = {
        "github": github,
        "gitlab": {path: content for path, content in github.items() if not path.startswith(".github/")},
    }
    for answers in sets:
        assert chassis(answers) == of_forge[answers["forge"]], answers


def test_the_chassis_holds_no_template_syntax() -> None:
    """Its files are shipped as they are: no suffix, and no braces in a path."""
    sources = [str(path.relative_to(ROOT / "template")) for path in (ROOT / "template").rglob("*") if path.is_file()]
    chassis = [path for path in sources if kind_of(path) == "chassis"]
    assert len(chassis) > 10
    assert [path for path in chassis if path.endswith(".jinja") or "{" in path] == []


def test_nobody_has_to_trust_the_template() -> None:
    """It has no code to run: no tasks, no extensions, no migrations; one release with them would taint all."""
    assert {"_tasks", "_jinja_extensions", "_migrations"}.isdisjoint(CONFIG)


def test_a_misspelt_answer_stops_the_render(tmp_path: Path) -> None:
    """A name that no question has is an error, not an empty string."""
    template = copy_template(tmp_path)
    (template / "template/typo.txt.jinja").write_text("{{ servise_name }}\n", encoding="utf-8")
    with pytest.raises(UndefinedError, match="servise_name"):
        generate_into(tmp_path / "project", template, {})


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions(name: str) -> None:
    """Each asks one thing, has a default for unattended updates, and judges whatever people type freely."""
    question = QUESTIONS[name]
    assert question["help"].count("?") == 1
    assert question["help"].endswith("?")
    assert question["default"] not in ("", None)
    assert ("choices" in question) != ("validator" in question)


def test_few_questions() -> None:
    """Two questions depend on the provider; the others everybody answers."""
    assert len([name for name, question in QUESTIONS.items() if "when" not in question]) == 13
    assert [name for name, question in QUESTIONS.items() if "when" in question] == ["base_url", "model"]
