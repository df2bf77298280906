"""If cookiecutter cannot generate the service, it prints one message and leaves nothing behind."""

import shutil
from pathlib import Path

import pytest
from answer_sets import CONFIG
from cookiecutter_user import CookiecutterUser, files_below
from generated_project import rendered

NO_COPIER = f"Copier {CONFIG['_min_copier_version']} or newer is required, but was not found"
FIRST_PROMPT = "Service name"


def test_no_copier(source: Path, cookiecutter_user: CookiecutterUser) -> None:
    """Without Copier no question is asked."""
    done = cookiecutter_user.without_copier().run(source)
    assert done.stderr.strip() == f"{NO_COPIER}. Install it: pipx install copier"
    assert FIRST_PROMPT not in done.stdout
    assert_nothing_left(done.returncode, cookiecutter_user)


@pytest.mark.slow
def test_an_old_copier(source: Path, cookiecutter_user: CookiecutterUser, tmp_path: Path) -> None:
    """A Copier that is too old to read the template does not count."""
    old = tmp_path / "copier"
    old.write_text("#!/bin/sh\necho copier 9.2.0\n", encoding="utf-8")
    old.chmod(0o755)
    done = cookiecutter_user.without_copier(old).run(source)
    assert NO_COPIER in done.stderr
    assert_nothing_left(done.returncode, cookiecutter_user)


INVALID = {
    "a name that is a path": (
        "service_name=../elsewhere",
        'service_name\': use lowercase words joined by hyphens, such as acme-help, not "../elsewhere"',
    ),
    "no name": ("service_name=", 'service_name\': use lowercase words joined by hyphens, such as acme-help, not ""'),
    "the same team twice": ("deputy_team=@acme/ai", "use another team or person than the owner"),
    "not a number": ("deadline_seconds=soon", "deadline_seconds: invalid literal for int() with base 10: 'soon'"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "message"), INVALID.values(), ids=INVALID)
def test_an_invalid_answer(source: Path, cookiecutter_user: CookiecutterUser, answer: str, message: str) -> None:
    """Copier's message is shown on one line, and the folder that cookiecutter created is gone."""
    done = cookiecutter_user.run("--no-input", source, answer)
    assert message in done.stderr
    assert done.stderr.startswith("Copier generated nothing: ")
    assert len(done.stderr.splitlines()) == 1
    assert_nothing_left(done.returncode, cookiecutter_user)


@pytest.mark.slow
def test_an_unknown_release(source: Path, cookiecutter_user: CookiecutterUser) -> None:
    """A release that the template does not have is named."""
    done = cookiecutter_user.run("--no-input", "--checkout", "7.0.0", source)
    assert done.stderr.strip() == "Copier generated nothing: Unknown revision: '7.0.0'"
    assert_nothing_left(done.returncode, cookiecutter_user)


@pytest.mark.slow
def test_a_relative_path(source: Path, cookiecutter_user: CookiecutterUser) -> None:
    """A relative path is refused, because it would be recorded for updates, which run in another folder."""
    cookiecutter_user.cwd.mkdir(parents=True)
    (cookiecutter_user.cwd.parent / "template").symlink_to(source)
    done = cookiecutter_user.run("--no-input", "../template")
    assert done.stderr.startswith("'../template' is a relative path")
    assert "--replay to keep your answers" in done.stderr
    assert_nothing_left(done.returncode, cookiecutter_user)


@pytest.mark.slow
def test_no_git_history(source: Path, cookiecutter_user: CookiecutterUser, tmp_path: Path) -> None:
    """A plain folder and an archive are refused before the first question."""
    plain = tmp_path / "plain"
    shutil.copytree(source, plain, ignore=shutil.ignore_patterns(".git"))
    archive = shutil.make_archive(str(tmp_path / "template"), "zip", tmp_path, "plain")
    for template in (plain, archive):
        done = cookiecutter_user.run(template)
        assert done.stderr.startswith("This template has no git history")
        assert FIRST_PROMPT not in done.stdout
        assert done.returncode == 1
        assert files_below(cookiecutter_user.cwd) == []


@pytest.mark.slow
def test_a_folder_in_use(source: Path, cookiecutter_user: CookiecutterUser) -> None:
    """The files in it stay as they are, even with --overwrite-if-exists."""
    (cookiecutter_user.cwd / "acme-help").mkdir(parents=True)
    (cookiecutter_user.cwd / "acme-help/README.md").write_text("# Ours\n", encoding="utf-8")
    assert "already exists" in cookiecutter_user.run("--no-input", source).stdout
    done = cookiecutter_user.run("--no-input", "--overwrite-if-exists", source)
    assert done.returncode == 1
    assert "is not empty and was left unchanged" in done.stderr
    assert rendered(cookiecutter_user.cwd) == {"acme-help/README.md": b"# Ours\n"}


def assert_nothing_left(returncode: int, user: CookiecutterUser) -> None:
    """Assert that cookiecutter failed, and left neither a folder nor a temporary file."""
    assert returncode == 1
    assert list(user.cwd.iterdir()) == []
    assert files_below(user.temporary) == []
