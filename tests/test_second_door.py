"""Whoever comes through cookiecutter gets the service that Copier makes, or one sentence and nothing else."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from answer_sets import CONFIG, QUESTIONS, ROOT, Answers, pairwise
from cookiecutter.generate import generate_context  # pyright: ignore[reportMissingTypeStubs] - it has none
from cookiecutter.prompt import prompt_for_config  # pyright: ignore[reportMissingTypeStubs] - it has none
from cookiecutter_user import Visitor, release
from copier import run_copy, run_update
from generated_project import commit, generate_into, git, rendered
from second_door import pages

ROWS = {"-".join(answers.values()): answers for answers in pairwise()}


def test_the_door_follows_from_the_questions() -> None:
    """What `make reference` would write is what is there."""
    for path, text in pages(CONFIG).items():
        assert (ROOT / path).read_text(encoding="utf-8") == text


@pytest.mark.slow
@pytest.mark.parametrize("answers", list(ROWS.values())[:3])
def test_the_same_questions_with_the_same_defaults(template: Path, tmp_path: Path, answers: Answers) -> None:
    """Both ask the same in the same order, and whoever answers some gets the same defaults for the others."""
    copier = run_copy(str(template), tmp_path, data=answers, defaults=True, quiet=True, pretend=True).answers.combined
    context: dict[str, Any] = generate_context(str(ROOT / "cookiecutter.json"), extra_context=dict(answers))
    cookiecutter = prompt_for_config(context, no_input=True)

    asked = [name for name in cookiecutter if not name.startswith("_")]
    assert asked == list(QUESTIONS)
    assert {name: str(cookiecutter[name]) for name in asked} == {name: str(copier[name]) for name in asked}


@pytest.mark.slow
@pytest.mark.parametrize("answers", [pytest.param(answers, id=name) for name, answers in ROWS.items()])
def test_the_same_bytes(source: Path, visitor: Visitor, tmp_path: Path, answers: Answers) -> None:
    """For every row of the matrix of options, both doors lead to the same files."""
    done = visitor.run("--no-input", source, *(f"{name}={value}" for name, value in answers.items()))
    assert done.returncode == 0, done.stdout + done.stderr
    expected = generate_into(tmp_path / "acme-help", source, dict(answers))
    assert rendered(visitor.here / "acme-help") == rendered(expected)


@pytest.mark.slow
def test_from_an_address_and_updated(source: Path, visitor: Visitor, tmp_path: Path) -> None:
    """A service from a git address, in another folder, of an older release, is brought up to date by Copier."""
    repository = tmp_path / "template.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(source), str(repository))
    work = tmp_path / "work"
    git(tmp_path, "clone", "--quiet", str(repository), str(work))
    (work / "template/chassis/new.txt").write_text("of the second release\n", encoding="utf-8")
    release(work, "2.0.0")
    git(work, "push", "--quiet", "--tags", "origin", "main")
    address = f"file://{repository}"

    done = visitor.run("--no-input", "--checkout", "1.0.0", "-o", tmp_path, address, "purpose=Sagt schnell, wo es 🔥.")
    assert done.returncode == 0, done.stdout + done.stderr
    service = tmp_path / "acme-help"
    record = yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert (record["_src_path"], record["_commit"], record["purpose"]) == (address, "1.0.0", "Sagt schnell, wo es 🔥.")

    git(service, "init", "--quiet")
    commit(service, "As generated")
    run_update(service, defaults=True, overwrite=True, quiet=True)
    newest = run_copy(address, tmp_path / "newest", {"purpose": record["purpose"]}, defaults=True, quiet=True)
    assert rendered(service / "chassis") == rendered(newest.subproject.local_abspath / "chassis")


@pytest.mark.slow
def test_again_with_the_same_answers(source: Path, visitor: Visitor, tmp_path: Path) -> None:
    """What was answered once need not be typed again."""
    visitor.run("--no-input", source, "shape=blank", "deadline_seconds=7")
    done = visitor.run("--replay", "-o", tmp_path, source)
    assert done.returncode == 0, done.stdout + done.stderr
    assert rendered(tmp_path / "acme-help") == rendered(visitor.here / "acme-help")


@pytest.mark.slow
def test_copier_on_the_path(source: Path, visitor: Visitor) -> None:
    """A Copier that was installed apart from cookiecutter is found."""
    done = visitor.without_copier(Path(str(shutil.which("copier")))).run("--no-input", source)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (visitor.here / "acme-help/chassis/README.md").exists()


@pytest.mark.slow
def test_without_hooks(source: Path, visitor: Visitor, tmp_path: Path) -> None:
    """Whoever accepts no hooks gets a page that says what to do, and which Copier can read."""
    visitor.run("--no-input", "--accept-hooks", "no", source, "provider=none")
    (page,) = (visitor.here / "acme-help").iterdir()
    assert f"copier copy --data-file acme-help/{page.name} {source} service" in page.read_text(encoding="utf-8")
    answers = yaml.safe_load(page.read_text(encoding="utf-8"))
    assert answers.keys() == QUESTIONS.keys() - {"base_url", "model"}
    generate_into(tmp_path / "service", source, answers)
