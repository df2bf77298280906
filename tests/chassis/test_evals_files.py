"""Damaged files of runs: each is named with its path from the root and a remedy, and no traceback is shown."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runner import run as chassis
from sample_evaluation import FEW, run_and_accept, write_evaluation, write_start

RUN, ACCEPTED = "var/evals/answers", "evals/accepted/answers"


def make_folder(path: Path) -> None:
    """Put a folder in the place of a file or of a folder."""
    path.unlink()
    path.mkdir()
    (path / "kept").touch()


def cut(path: Path) -> None:
    """Leave out the end of a file, so that its last line has none."""
    path.write_bytes(path.read_bytes()[:-20])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": cut,
    "bracket": lambda path: path.write_bytes(path.read_bytes() + b"{\n"),
    "list": lambda path: path.write_text("[1]\n"),
    "number": lambda path: path.write_text("7\n"),
    "other": lambda path: path.write_text('{"name": "other"}\n'),
    "null": lambda path: path.write_text("null\n"),
    "binary": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "folder": make_folder,
    "missing": Path.unlink,
}


@pytest.fixture
def evaluated(project: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Write a project with a run and its report, accepted."""
    run_and_accept(write_start(write_evaluation(project), FEW))
    assert chassis("evals", "gate", "answers") in {0, 3, 4}
    capsys.readouterr()
    return project


@pytest.mark.parametrize("damage", sorted(DAMAGES.keys() - {"empty", "missing"}))
@pytest.mark.parametrize("name", ["trials.jsonl", "records.jsonl", "history.jsonl"])
def test_a_damaged_accepted_run_is_restored(
    evaluated: Path, capsys: pytest.CaptureFixture[str], name: str, damage: str
) -> None:
    """Neither a run nor accepting one can help, so both commands name the file and the one that does."""
    DAMAGES[damage](evaluated / ACCEPTED / name)

    for command in ("gate", "accept"):
        code, said = chassis("evals", command, "answers"), capsys.readouterr().err
        if name == "trials.jsonl" and damage in {"cut", "binary"}:
            continue  # a last line that was cut off is read again from the answers
        assert code == 2, said
        assert said.startswith(f"{ACCEPTED}/{name}")
        assert f"git checkout HEAD -- {ACCEPTED}" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["run.json", "trials.jsonl", "records.jsonl", "judgements.jsonl"])
def test_a_damaged_run_is_run_again(
    evaluated: Path, capsys: pytest.CaptureFixture[str], name: str, damage: str
) -> None:
    """A file that cannot be read is named; one that is missing leaves no evidence, or was not needed."""
    DAMAGES[damage](evaluated / RUN / name)

    for command in ("gate", "accept"):
        code, said = chassis("evals", command, "answers"), capsys.readouterr()
        assert "Traceback" not in said.err
        if damage not in {"empty", "missing", "cut", "binary"} or code == 2:
            assert code == (0 if (name, damage) == ("run.json", "other") else 2), said
        if code == 2:
            assert said.err.startswith(f"{RUN}/")
            assert "Run `chassis evals run answers`" in said.err
    assert chassis("evals", "run", "answers") == (2 if damage == "folder" else 0), capsys.readouterr().err


@pytest.mark.parametrize("path", ["var", "var/evals", RUN, "var/evals/report.json", "var/evals/report.html"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_in_the_way_of_a_run_is_named(
    evaluated: Path, capsys: pytest.CaptureFixture[str], path: str, kind: str
) -> None:
    """A file where a folder should be, and the other way round."""
    (evaluated / "var").rename(evaluated / "gone")
    obstacle = evaluated / path
    obstacle.parent.mkdir(parents=True, exist_ok=True)
    obstacle.touch() if kind == "file" else obstacle.mkdir()
    is_right = (kind == "folder") != ("report" in path)

    code, said = chassis("evals", "run", "answers"), capsys.readouterr().err

    assert code == (0 if is_right else 2), said
    assert (f"{path}: it cannot be written" in said) is not is_right
    assert "Traceback" not in said


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage != "missing"])
def test_a_damaged_report_is_rendered_by_another_run(
    evaluated: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    """Both commands that read it say so."""
    DAMAGES[damage](evaluated / "var/evals/report.json")

    for command in (["report"], ["show", "c0"]):
        assert chassis("evals", *command) == 2
        said = capsys.readouterr().err
        assert said.startswith("var/evals/report.json: ")
        assert "Run `chassis evals run` again" in said
