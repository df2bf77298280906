"""The command finds repositories, shows them, and changes nothing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from answer_sets import ROOT
from chassis_tools.updates.template_repository import TemplateRepository
from fleet_view import TODAY

from fleet.repositories import Place, found, listed
from fleet.survey import visit

pytestmark = pytest.mark.slow


def test_places(service: Path, template: Path, tmp_path: Path) -> None:
    """A clone is itself, a folder is all that lies in it, and a list may also hold addresses, which are cloned."""
    for name in ("one", "two", ".hidden"):
        (tmp_path / name).mkdir()
    assert [place.path.name for place in found([service, tmp_path])] == ["acme-help", "one", "two"]

    text = f"# ours\n\n{service}\nfile://{service}\nfile:///nowhere/x.git\n"
    path, address, nowhere = listed(text, tmp_path / "clones")
    assert (path, address.address) == (Place(service), f"file://{service}")
    for _ in ("cloned", "brought up to date"):
        assert visit(address, TemplateRepository(template / ".git"), TODAY).service == "acme-help"
    (trouble,) = visit(nowhere, TemplateRepository(template / ".git"), TODAY).troubles
    assert trouble.startswith("file:///nowhere/x.git could not be fetched: ")


def test_the_command(service: Path, template: Path, tmp_path: Path) -> None:
    """The command shows every repository, writes JSON and a page that asks nobody for anything, and changes nothing."""
    shutil.copytree(service, tmp_path / "fleet/a-service")
    (tmp_path / "fleet/<b>").mkdir()
    before = sorted(tmp_path.rglob("*"))
    outputs = ["--json", str(tmp_path / "fleet.json"), "--html", str(tmp_path / "fleet.html")]
    command = [
        sys.executable,
        "-m",
        "fleet",
        str(tmp_path / "fleet"),
        "--template",
        str(template),
        "--today",
        "2026-12-01",
    ]
    done = subprocess.run([*command, *outputs], cwd=ROOT, check=True, capture_output=True, text=True)

    assert "2 repositories: 1 unreadable, 1 sign-off due, 1 not ready, 1 behind" in done.stdout
    rows = json.loads((tmp_path / "fleet.json").read_text(encoding="utf-8"))["repositories"]
    assert [(row["name"], row["version"], row["concerns"]) for row in rows] == [
        ("<b>", None, ["unreadable"]),
        ("a-service", "1.0.0", ["sign-off due", "not ready", "behind"]),
    ]
    page = (tmp_path / "fleet.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page
    assert "<b></b>" not in page
    assert "http" not in page.replace(str(tmp_path), "")
    assert sorted(set(tmp_path.rglob("*")) - set(before)) == [tmp_path / "fleet.html", tmp_path / "fleet.json"]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--list=gone.txt", "argument --list: gone.txt cannot be read: No such file or directory"),
        ("--json=gone/fleet.json", "argument --json: gone/fleet.json cannot be written: its folder is missing"),
        ("--html=tests", "argument --html: tests cannot be written"),
        ("--template=tests", "argument --template: tests is no clone; name a clone of the template"),
    ],
)
def test_what_cannot_be_read_or_written_is_said_first(option: str, sentence: str) -> None:
    """Nobody waits for a report that cannot be written."""
    command = [sys.executable, "-m", "fleet", ".", option]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_nothing_named() -> None:
    """Without a place the command says what to name."""
    done = subprocess.run([sys.executable, "-m", "fleet"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("No repository was named; give a clone, a folder of clones, or --list")
