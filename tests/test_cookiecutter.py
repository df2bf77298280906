"""Cookiecutter generates the same service as Copier, and Copier can update it later."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from answer_sets import CONFIG, QUESTIONS, ROOT, Answers, pairwise
from cookiecutter.generate import generate_context  # pyright: ignore[reportMissingTypeStubs] - it has none
from cookiecutter.prompt import prompt_for_config  # pyright: ignore[reportMissingTypeStubs] - it has none
from cookiecutter_questions import cookiecutter_files
from cookiecutter_user import CookiecutterUser
from copier import run_copy, run_update
from generated_project import commit, generate_into, git, rendered

ROWS = {"-".join(answers.values()): answers for answers in pairwise()}


def test_the_generated_files_are_up_to_date() -> None:
    """`make reference` would change nothing."""
    for path, text in cookiecutter_files(CONFIG).items():
        assert (ROOT / path).read_text(encoding="utf-8") == text


@pytest.mark.slow
@pytest.mark.parametrize("answers", list(ROWS.values())[:3])
def test_questions_and_defaults_are_the_same(template: Path, tmp_path: Path, answers: Answers) -> None:
    """Both ask the same questions in the same order and, given some answers, have the same defaults for the others."""
    copier = run_copy(str(template), tmp_path, data=answers, defaults=True, quiet=True, pretend=True).answers.combined
    context: dict[str, Any] = generate_context(str(ROOT / "cookiecutter.json"), extra_context=dict(answers))
    cookiecutter = prompt_for_config(context, no_input=True)

    asked = [name for name in cookiecutter if not name.startswith("_")]
    assert asked == list(QUESTIONS)
    assert {name: str(cookiecutter[name]) for name in asked} == {name: str(copier[name]) for name in asked}


@pytest.mark.slow
@pytest.mark.parametrize("answers", [pytest.param(answers, id=name) for name, answers in ROWS.items()])
def test_the_files_are_identical(
    source: Path, cookiecutter_user: CookiecutterUser, tmp_path: Path, answers: Answers
) -> None:
    """For every set of answers, cookiecutter generates the same bytes as Copier."""
    done = cookiecutter_user.run("--no-input", source, *(f"{name}={value}" for name, value in answers.items()))
    assert done.returncode == 0, done.stdout + done.stderr
    expected = generate_into(tmp_path / "acme-help", source, dict(answers))
    assert rendered(cookiecutter_user.cwd / "acme-help") == rendered(expected)


@pytest.mark.slow
def test_an_older_release_can_be_updated(source: Path, cookiecutter_user: CookiecutterUser, tmp_path: Path) -> None:
    """A service generated from a URL, an older release and into another folder is updated by Copier."""
    repository = tmp_path / "template.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(source), str(repository))
    work = tmp_path / "work"
    git(tmp_path, "clone", "--quiet", str(repository), str(work))
    (work / "template/chassis/new.txt").write_text("of the second release\n", encoding="utf-8")
    commit(work, "2.0.0")
    git(work, "tag", "2.0.0")
    git(work, "push", "--quiet", "--tags", "origin", "main")
    url, purpose = f"file://{repository}", "purpose=Sagt schnell, wo es 🔥."

    done = cookiecutter_user.run("--no-input", "--checkout", "1.0.0", "-o", tmp_path, url, purpose)
    assert done.returncode == 0, done.stdout + done.stderr
    service = tmp_path / "acme-help"
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert (answers["_src_path"], answers["_commit"]) == (url, "1.0.0")
    assert answers["purpose"] == "Sagt schnell, wo es 🔥."

    git(service, "init", "--quiet")
    commit(service, "As generated")
    run_update(service, defaults=True, overwrite=True, quiet=True)
    newest = run_copy(url, tmp_path / "newest", {"purpose": answers["purpose"]}, defaults=True, quiet=True)
    assert rendered(service / "chassis") == rendered(newest.subproject.local_abspath / "chassis")


@pytest.mark.slow
def test_answers_can_be_replayed(source: Path, cookiecutter_user: CookiecutterUser, tmp_path: Path) -> None:
    """With `--replay` no question has to be answered twice."""
    cookiecutter_user.run("--no-input", source, "shape=blank", "deadline_seconds=7")
    done = cookiecutter_user.run("--replay", "-o", tmp_path, source)
    assert done.returncode == 0, done.stdout + done.stderr
    assert rendered(tmp_path / "acme-help") == rendered(cookiecutter_user.cwd / "acme-help")


@pytest.mark.slow
def test_copier_on_path(source: Path, cookiecutter_user: CookiecutterUser) -> None:
    """A Copier that is installed apart from cookiecutter is found."""
    done = cookiecutter_user.without_copier(Path(str(shutil.which("copier")))).run("--no-input", source)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (cookiecutter_user.cwd / "acme-help/chassis/README.md").exists()


@pytest.mark.slow
def test_without_hooks(source: Path, cookiecutter_user: CookiecutterUser, tmp_path: Path) -> None:
    """Without hooks only the answers file is written; it contains the command to run, and Copier can read it."""
    cookiecutter_user.run("--no-input", "--accept-hooks", "no", source, "provider=none")
    (file,) = (cookiecutter_user.cwd / "acme-help").iterdir()
    assert f"copier copy --data-file acme-help/{file.name} {source} service" in file.read_text(encoding="utf-8")
    answers = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert answers.keys() == QUESTIONS.keys() - {"base_url", "model"}
    generate_into(tmp_path / "service", source, answers)
