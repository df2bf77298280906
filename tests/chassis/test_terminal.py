"""What commands print: control sequences are visible instead of obeyed, and no closed stream ends a command."""

import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from chassis.cli.terminal import escaped, plain_console, protected_streams
from chassis.telemetry.local_traces import TRACES_FILE
from cli_runner import run
from rich.table import Table
from test_cli import environment, refer

HOSTILE = {
    "\x1b]52;c;cm0gLXJmIH4=\x07": r"\u001b]52;c;cm0gLXJmIH4=\u0007",
    "\x1b[2J": r"\u001b[2J",
    "\u009b2J": r"\u009b2J",
    "paid\rfree": r"paid\u000dfree",
    "\x08\x7f\x00": r"\u0008\u007f\u0000",
    "user\u202egpj.exe": r"user\u202egpj.exe",
    "\ud83d": r"\ud83d",
    "two\r\nlines\twith 👩‍👩‍👧 and हिन्दी": "two\r\nlines\twith 👩‍👩‍👧 and हिन्दी",
}
MAIN = [sys.executable, "-c", "from chassis.cli.main import main; main()"]


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_control_sequences_are_visible(text: str, shown: str) -> None:
    """Everything that moves the cursor, sets the clipboard or hides text is shown as in JSON; other text stays."""
    assert escaped(text) == shown
    assert escaped(f"\x1b[1m{text}\x1b[0m", keep_styles=True) == f"\x1b[1m{shown}\x1b[0m"


@pytest.mark.usefixtures("project")
def test_hostile_callers_reach_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A question or a name with control sequences passes through no command, nor through its log or its errors."""
    hostile = "why\x1b]52;c;cm0gLXJmIH4=\x07?\u009b2J"
    ticket = refer(capsys, hostile)
    run("keys", "create", hostile)
    for command in ("keys list", "review list", f"review show {ticket}", "trace", "budget"):
        assert run(*command.split()) == 0
    run("review", "show", hostile)
    run("ask", hostile, "--json")
    out, err = capsys.readouterr()
    assert r"\u001b]52" in out
    assert not {"\x1b", "\x07", "\u009b"} & {*out, *err}


def test_texts_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Names in colons are no pictures, and names in brackets no colors."""
    table = Table("account")
    table.add_row("caller-day:key:2026-11-27 [red]x[/red]")
    plain_console().print(table)
    assert "caller-day:key:2026-11-27 [red]x[/red]" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_an_output_shows_what_it_can(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """A character that the encoding lacks is escaped, and the tree of `chassis trace` is drawn without it."""
    bytes_out = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(bytes_out, encoding))
    with protected_streams():
        sys.stdout.write("你好\n")
        assert plain_console().options.ascii_only
    assert bytes_out.getvalue() == b"\\u4f60\\u597d\n"


def test_damaged_traces_are_explained(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is named, with what to do."""
    (project / "var").mkdir()
    (project / "var" / TRACES_FILE).write_text("garbage")
    assert run("trace") == 2
    assert capsys.readouterr().err == (
        "var/traces.db: it cannot be read (file is not a database). Delete it; new calls start it\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("log", ["2>/dev/full", "2>&-"])
def test_a_command_needs_no_standard_error(project: Path, log: str) -> None:
    """`chassis ask` answers, and a wrong setting still ends with exit code 2."""
    shell = f'"$@" {log}'
    command = ["sh", "-c", shell, "sh", *MAIN, "ask", "why?", "--json"]
    asked = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True, check=False)
    wrong = subprocess.run(
        command, cwd=project, env=environment() | {"CHASSIS_DATABASE_URL": "x"}, capture_output=True, check=False
    )
    assert (asked.returncode, wrong.returncode) == (0, 2)
    assert '"outcome": "referred"' in asked.stdout
