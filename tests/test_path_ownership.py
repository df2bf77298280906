"""Every path has one owner, and the chassis is the same in every repository."""

from pathlib import Path
from typing import Any

import pytest
from answer_sets import CONFIG, QUESTIONS, QUICK_SETS, ROOT, Answers, answer_set_with, pairwise
from generated_project import GenerateOnce, copy_template, generate_into, rendered
from jinja2 import UndefinedError
from path_ownership import DERIVED_PATHS, PATH_OWNERS, matches, owner_of

NAMES = {"forge": "github", "service_name": "other-name", "owner_team": "@solo"}
RENDERED_PATTERNS = [pattern for owner, pattern in PATH_OWNERS if owner in {"chassis", "record"}]


def test_owners() -> None:
    """There are five owners, and a path that is not listed belongs to the team."""
    assert {owner for owner, _ in PATH_OWNERS} <= {"chassis", "derived", "record", "retired", "yours"}
    assert PATH_OWNERS[-1] == ("yours", "*")


@pytest.mark.parametrize("shape", ["answer", "blank"])
def test_every_pattern_matches_a_file(generated_once: GenerateOnce, shape: str) -> None:
    """Each listed path is rendered, and no path is matched by two patterns."""
    paths = rendered(generated_once(answer_set_with(shape=shape, forge="github")))
    matched = {pattern: {path for path in paths if matches(pattern, path)} for pattern in RENDERED_PATTERNS}
    assert [pattern for pattern, files in matched.items() if not files] == []
    assert sum(map(len, matched.values())) == len(set[str]().union(*matched.values()))


def test_derived_files_have_one_source(template: Path) -> None:
    """The derived paths are those that `chassis sync` writes, and the template renders none of them."""
    assert {pattern for owner, pattern in PATH_OWNERS if owner == "derived"} == DERIVED_PATHS
    sources = [str(path.relative_to(template / "template")) for path in (template / "template").rglob("*")]
    assert DERIVED_PATHS.isdisjoint(path.removesuffix(".jinja") for path in sources)


@pytest.mark.parametrize("sets", [pairwise()[:QUICK_SETS], pytest.param([NAMES], marks=pytest.mark.slow)])
def test_the_chassis_is_the_same_everywhere(generated_once: GenerateOnce, sets: list[Answers]) -> None:
    """No answer changes a byte of the chassis; only the workflows depend on the forge."""

    def chassis(answers: dict[str, Any]) -> dict[str, bytes]:
        paths = rendered(generated_once(answers))
        return {path: content for path, content in paths.items() if owner_of(path) == "chassis"}

    github = chassis({})
    of_forge = {
        "github": github,
        "gitlab": {path: content for path, content in github.items() if not path.startswith(".github/")},
    }
    for answers in sets:
        assert chassis(answers) == of_forge[answers["forge"]], answers


def test_the_chassis_contains_no_jinja() -> None:
    """Its files are shipped as they are: without a .jinja suffix, and without braces in a path."""
    sources = [str(path.relative_to(ROOT / "template")) for path in (ROOT / "template").rglob("*") if path.is_file()]
    chassis = [path for path in sources if owner_of(path) == "chassis"]
    assert len(chassis) > 10
    assert [path for path in chassis if path.endswith(".jinja") or "{" in path] == []


def test_the_template_needs_no_trust() -> None:
    """It runs no code: no tasks, extensions or migrations. One release with any of them would affect all later ones."""
    assert {"_tasks", "_jinja_extensions", "_migrations"}.isdisjoint(CONFIG)


def test_an_undefined_name_fails_the_render(tmp_path: Path) -> None:
    """A misspelt question in the template is an error, not an empty string."""
    template = copy_template(tmp_path)
    (template / "template/typo.txt.jinja").write_text("{{ servise_name }}\n", encoding="utf-8")
    with pytest.raises(UndefinedError, match="servise_name"):
        generate_into(tmp_path / "project", template, {})


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions(name: str) -> None:
    """Each has a short prompt, a default for unattended updates, and a validator unless it has choices."""
    question = QUESTIONS[name]
    assert len(question["help"]) <= 80
    assert question["help"][0].isupper()
    assert question["help"][-1] not in ".:?"
    assert question["default"] not in ("", None)
    assert ("choices" in question) != ("validator" in question)


def test_few_questions() -> None:
    """Two questions depend on the provider; all others are always asked."""
    assert len([name for name, question in QUESTIONS.items() if "when" not in question]) == 13
    assert [name for name, question in QUESTIONS.items() if "when" in question] == ["base_url", "model"]
