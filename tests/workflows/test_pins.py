"""All pins are in `pins.toml`, and every workflow uses them."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from answer_sets import ROOT
from pins import NotPinned, Pins, with_pins, workflow_files

PINS: Pins = tomllib.loads((ROOT / "pins.toml").read_text(encoding="utf-8"))
USES = "      - uses: actions/checkout/sub@main\n"


def test_the_workflows_are_up_to_date() -> None:
    """`make pins` would change nothing."""
    done = run(ROOT, "--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_every_pin_is_used() -> None:
    """Each pin is in at least one workflow."""
    used: set[tuple[str, str]] = set()
    for file in workflow_files(ROOT):
        with_pins(file.read_text(encoding="utf-8"), PINS, used)
    assert used == {(table, name) for table, names in PINS.items() for name in names}


@pytest.mark.parametrize("name", PINS["actions"])
def test_an_action_is_pinned_to_a_commit(name: str) -> None:
    """Anyone who takes over an account can move a tag, but not a commit."""
    pin = PINS["actions"][name]
    assert re.fullmatch(r"[0-9a-f]{40}", pin["commit"])
    assert re.fullmatch(r"v\d+\.\d+\.\d+", pin["tag"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (USES, f"      - uses: actions/checkout/sub@{PINS['actions']['actions/checkout']['commit']} # v7.0.1\n"),
        ("    runs-on: ubuntu-latest\n", f"    runs-on: {PINS['runners']['ubuntu']}\n"),
        ("          version: latest # pin: uv\n", f"          version: {PINS['tools']['uv']} # pin: uv\n"),
        ("uv=1 # pin: uv\n", f"uv={PINS['tools']['uv']} # pin: uv\n"),
    ],
)
def test_every_kind_of_pin_is_written(before: str, after: str) -> None:
    """An action, a runner and a tool get the value of the file; writing it again changes nothing."""
    assert with_pins(before, PINS) == after
    assert with_pins(after, PINS) == after


@pytest.mark.parametrize("line", ["uses: evil/action@v1\n", "runs-on: windows-2025\n", "x=1 # pin: nothing\n"])
def test_a_missing_pin_is_an_error(line: str) -> None:
    """The message says where to add it."""
    with pytest.raises(NotPinned, match=r"has no pin; add it to \[\w+\] in pins\.toml"):
        with_pins(line, PINS)


def test_an_outdated_workflow_is_reported(tmp_path: Path) -> None:
    """`--check` names the file and the command that updates it."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".github/workflows").mkdir(parents=True)
    for file in ("pins.toml", "scripts/pins.py", ".github/workflows/check.yml"):
        (tmp_path / file).write_bytes((ROOT / file).read_bytes())
    workflow = tmp_path / ".github/workflows/check.yml"
    workflow.write_text(re.sub(r"@[0-9a-f]{40} # \S+", "@main", workflow.read_text(encoding="utf-8")), encoding="utf-8")

    compared = run(tmp_path, "--check")
    assert compared.returncode == 1
    assert "check.yml does not match pins.toml; run `make pins`" in compared.stderr
    assert run(tmp_path).returncode == 0
    assert workflow.read_bytes() == (ROOT / ".github/workflows/check.yml").read_bytes()


def run(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a template repository."""
    command = [sys.executable, "scripts/pins.py", *options]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
