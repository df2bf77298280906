"""Whoever comes through cookiecutter with something that cannot work gets one sentence, and nothing is left behind."""

import shutil
from pathlib import Path

import pytest
from answer_sets import CONFIG
from cookiecutter_user import Visitor, left
from generated_project import rendered

WANTED = f"Copier {CONFIG['_min_copier_version']} or newer"


def test_no_copier(source: Path, visitor: Visitor) -> None:
    """Without Copier nothing is even asked."""
    done = visitor.without_copier().run(source)
    assert done.stderr.strip() == f"{WANTED} was neither found nor fetched; install it, with: pipx install copier"
    assert "What is the service called" not in done.stdout
    assert_nothing(done.returncode, visitor)


@pytest.mark.slow
def test_an_old_copier(source: Path, visitor: Visitor, tmp_path: Path) -> None:
    """A Copier that could not read the template is none."""
    old = tmp_path / "copier"
    old.write_text("#!/bin/sh\necho copier 9.2.0\n", encoding="utf-8")
    old.chmod(0o755)
    done = visitor.without_copier(old).run(source)
    assert f"{WANTED} was neither found nor fetched" in done.stderr
    assert_nothing(done.returncode, visitor)


REFUSED = {
    "a name that is a path": (
        "service_name=../elsewhere",
        'service_name\': "../elsewhere" is no service name; type lower',
    ),
    "no name": ("service_name=", 'service_name\': "" is no service name; type lower-case words joined by dashes'),
    "one team twice": ("deputy_team=@acme/ai", '"@acme/ai" is the owner itself; type another team or person'),
    "no number": ("deadline_seconds=soon", "deadline_seconds: invalid literal for int() with base 10: 'soon'"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_bad_answer(source: Path, visitor: Visitor, answer: str, sentence: str) -> None:
    """Copier's own sentence arrives, as one line, and the folder that cookiecutter made is gone."""
    done = visitor.run("--no-input", source, answer)
    assert sentence in done.stderr
    assert done.stderr.startswith("Copier made nothing: ")
    assert len(done.stderr.splitlines()) == 1
    assert_nothing(done.returncode, visitor)


@pytest.mark.slow
def test_an_unknown_release(source: Path, visitor: Visitor) -> None:
    """A release that the template does not have is named."""
    done = visitor.run("--no-input", "--checkout", "7.0.0", source)
    assert done.stderr.strip() == "Copier made nothing: Unknown revision: '7.0.0'"
    assert_nothing(done.returncode, visitor)


@pytest.mark.slow
def test_a_relative_path(source: Path, visitor: Visitor) -> None:
    """A path that means nothing elsewhere is refused, because it would be written down for updates."""
    visitor.here.mkdir(parents=True)
    (visitor.here.parent / "template").symlink_to(source)
    done = visitor.run("--no-input", "../template")
    assert done.stderr.startswith("'../template' means nothing in another folder")
    assert "--replay to keep your answers" in done.stderr
    assert_nothing(done.returncode, visitor)


@pytest.mark.slow
def test_no_history(source: Path, visitor: Visitor, tmp_path: Path) -> None:
    """A bare folder and an archive are refused before the first question."""
    plain = tmp_path / "plain"
    shutil.copytree(source, plain, ignore=shutil.ignore_patterns(".git"))
    archive = shutil.make_archive(str(tmp_path / "template"), "zip", tmp_path, "plain")
    for template in (plain, archive):
        done = visitor.run(template)
        assert done.stderr.startswith("This template came without its git history")
        assert "What is the service called" not in done.stdout
        assert done.returncode == 1
        assert left(visitor.here) == []


@pytest.mark.slow
def test_a_folder_in_use(source: Path, visitor: Visitor) -> None:
    """What lies in a folder stays as it was, also when cookiecutter is told to overwrite it."""
    (visitor.here / "acme-help").mkdir(parents=True)
    (visitor.here / "acme-help/README.md").write_text("# Ours\n", encoding="utf-8")
    assert "already exists" in visitor.run("--no-input", source).stdout
    done = visitor.run("--no-input", "--overwrite-if-exists", source)
    assert done.returncode == 1
    assert "is not empty and was left as it was" in done.stderr
    assert rendered(visitor.here) == {"acme-help/README.md": b"# Ours\n"}


def assert_nothing(returncode: int, visitor: Visitor) -> None:
    """Assert that cookiecutter failed and left neither a folder nor a temporary file."""
    assert returncode == 1
    assert list(visitor.here.iterdir()) == []
    assert left(visitor.temporary) == []
