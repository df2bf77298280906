"""The command `chassis`: its output and its exit codes."""

import io
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from importlib.metadata import version
from inspect import cleandoc
from pathlib import Path
from typing import Any

import pytest
from chassis.cli.main import RUNTIME_COMMANDS, Subcommand
from chassis_tools.cli.main import TOOL_COMMANDS
from cli_runner import run


def environment() -> dict[str, str]:
    """Return the environment of this process, with its import path."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def refer(capsys: pytest.CaptureFixture[str], question: str = "why?") -> str:
    """Ask a question that is referred to a person, and return the ticket."""
    run("ask", question, "--json")
    return str(json.loads(capsys.readouterr().out)["referral_id"])


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command has a description."""
    monkeypatch.setenv("COLUMNS", "200")

    assert run("--help") == 0

    rows = [line.strip("│ ").split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    described = {row[0] for row in rows if len(row) > 1 and row[1].endswith(".")}
    commands = {
        "serve",
        "ask",
        "trace",
        "local-model",
        "keys",
        "review",
        "evals",
        "budget",
        "models",
        "sync",
        "status",
        "update",
    }
    assert described >= commands


def modules_after(project: Path, *arguments: str) -> set[str]:
    """Return the names of the modules that a command has imported when it ends."""
    code = (
        "import sys\nfrom chassis.cli.main import main\n"
        f"try:\n    main({list(arguments)})\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=environment(), capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


SLOW = {"asyncio", "fastapi", "jinja2", "numpy", "opentelemetry", "pydantic", "pydantic_ai", "sample", "structlog"}
"""Packages that take longer to import than the help takes to print, and the team's own code."""


RUNTIME_LIST = {"chassis", "chassis.cli", "chassis.cli.main", "chassis.cli.terminal", "chassis.errors"}
TOOLS_LIST = {"chassis_tools", "chassis_tools.cli", "chassis_tools.cli.main"}


@pytest.mark.parametrize(
    ("argument", "lists"), [("--help", RUNTIME_LIST | TOOLS_LIST), ("--version", RUNTIME_LIST)], ids=["help", "version"]
)
def test_help_imports_no_subcommand(project: Path, argument: str, lists: set[str]) -> None:
    """Of our own modules, only those that list the subcommands are imported."""
    imported = modules_after(project, argument)

    ours = {name for name in imported if name.partition(".")[0] in {"chassis", "chassis_tools"}}
    assert not imported & SLOW
    assert ours == lists


@pytest.mark.parametrize(("command", "unneeded"), [("status", "pydantic_ai"), ("keys", "fastapi"), ("serve", "numpy")])
def test_a_subcommand_imports_itself_only(project: Path, command: str, unneeded: str) -> None:
    """Its own help needs no other subcommand, and nothing of what it will do. The runtime's needs no other package."""
    imported = modules_after(project, command, "--help")

    modules = {name for name in imported if name.startswith(("chassis.cli.", "chassis_tools.cli."))}
    lists = {"chassis.cli.main", "chassis.cli.terminal"}
    expected = {f"chassis.cli.{command}"}
    if command == "status":
        lists, expected = lists | {"chassis_tools.cli.main"}, {"chassis_tools.cli.template"}
    assert modules == lists | expected
    assert unneeded not in imported


@pytest.mark.parametrize("command", [*RUNTIME_COMMANDS, *TOOL_COMMANDS], ids=lambda command: command.name)
def test_the_help_says_of_a_subcommand_what_its_own_help_says(command: Subcommand) -> None:
    """The list repeats the first paragraph, because it imports no subcommand to read it."""
    own = command.make_context(command.name, [], resilient_parsing=True).command

    assert " ".join(own.help.partition("\n\n")[0].split()) == command.help


ACTIONS = {
    *("serve", "local-model", "forget", "keys create", "keys revoke", "models on", "models off", "review answer"),
    *("budget release", "drift close", "signoffs request", "signoffs record", "propose"),
    *("cases promote", "cases import", "cases draft", "evals accept", "evals calibrate", "evals calibrate-confidence"),
}
"""The commands that do something, and print what they did in a sentence."""


def leaf_commands() -> Iterator[tuple[str, Any]]:
    """Yield every command that does something when it is typed, by its words."""
    for top in (*RUNTIME_COMMANDS, *TOOL_COMMANDS):
        command = top.make_context(top.name, [], resilient_parsing=True).command
        subcommands = getattr(command, "commands", {})
        if not subcommands or command.invoke_without_command:
            yield str(top.name), command
        yield from ((f"{top.name} {name}", each) for name, each in subcommands.items())


def test_no_help_breaks_a_line_within_a_paragraph() -> None:
    """Typer keeps line breaks after the first paragraph, so that words would stand alone in a narrower terminal."""
    for subcommand in (*RUNTIME_COMMANDS, *TOOL_COMMANDS):
        command = subcommand.make_context("chassis", ["--help"], resilient_parsing=True).command
        for each in (command, *getattr(command, "commands", {}).values()):
            _, *paragraphs = cleandoc(each.help or "").split("\n\n")
            assert not [paragraph for paragraph in paragraphs if "\n" in paragraph], f"{subcommand.name} {each.name}"


def test_every_report_is_available_as_json() -> None:
    """The option is spelled and described the same everywhere; commands without it only do something."""
    helps = {
        words: [each.help for each in command.params if "--json" in each.opts] for words, command in leaf_commands()
    }
    assert {words for words, texts in helps.items() if not texts} == ACTIONS
    assert {text for texts in helps.values() for text in texts} == {"Print JSON instead of text."}


JSON_REPORTS = {
    "keys list": {"keys"},
    "models status": {"off", "kill_switch", "CHASSIS_MODELS_OFF"},
    "review list": {"referrals"},
    "review notifications": {"notifications"},
    "budget": {"accounts", "forecast_usd", "lost"},
    "drift": {"tasks"},
    "trace": {"spans", "exchanges"},
    "signoffs status": {"signoffs"},
    "signoffs check": {"blocking"},
    "sync --check": {"out_of_date"},
    "ready": {"schema", "name", "tier", "level", "waivers_error", "blocking", "checks"},
}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("words", JSON_REPORTS)
def test_a_report_as_json(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is one JSON object and nothing else."""
    run("ask", "ping")
    run("keys", "create", "intranet")
    capsys.readouterr()
    run(*words.split(), "--json")
    printed = json.loads(capsys.readouterr().out)
    assert printed.keys() == JSON_REPORTS[words]


@pytest.mark.usefixtures("project")
def test_amounts_and_times_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Money is in dollars, times are in ISO 8601 with their zone."""
    run("keys", "create", "intranet")
    capsys.readouterr()
    run("budget", "--json")
    accounts = json.loads(capsys.readouterr().out)["accounts"]
    run("keys", "list", "--json")
    [key] = json.loads(capsys.readouterr().out)["keys"]

    assert accounts[0].keys() == {"account", "spent_usd", "reserved_usd", "left_usd", "limit_usd"}
    assert all(each["left_usd"] == each["limit_usd"] > 0 for each in accounts)
    assert datetime.fromisoformat(key["created_at"]).utcoffset() == timedelta(0)
    assert (key["caller"], key["revoked_at"]) == ("intranet", None)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("question", ["ping", '{"text": "ping"}'])
def test_ask_takes_text_or_json(capsys: pytest.CaptureFixture[str], question: str) -> None:
    """If the question type has a single field, plain text is enough. The answer comes first, then the facts."""
    assert run("ask", question) == 0

    out = capsys.readouterr().out
    assert json.loads(out.partition("}")[0] + "}") == {"text": "PING"}
    assert "answered by baseline · confidence 0.80, not calibrated · $0.00 · trace " in out


@pytest.mark.usefixtures("project")
def test_ask_reads_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash means standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO("ping\n"))

    assert run("ask", "-", "--json") == 0

    assert json.loads(capsys.readouterr().out)["answer"] == {"text": "PING"}


@pytest.mark.usefixtures("project")
def test_ask_prints_the_ticket_of_a_referral(capsys: pytest.CaptureFixture[str]) -> None:
    """A referral is not a failure: ticket, due time, location and contact are printed, and the exit code is 0."""
    assert run("ask", "why?") == 0

    out = capsys.readouterr().out
    assert "The ticket is r_" in out
    assert "/v1/referrals/r_" in out
    assert "us@example.com" in out


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["ask", '{"txt": "ping"}'],
            2,
            "the question: txt: unknown key (value 'ping'). Did you mean text?\n",
        ),
        (
            ["ask", "{"],
            2,
            "the question: not valid JSON (EOF while parsing an object at line 1 column 1). Correct the JSON\n",
        ),
        (
            ["ask", "pay 4111 1111 1111 1111"],
            1,
            "The question seems to contain a card, which",
        ),
        (
            ["review", "show", "r_0"],
            1,
            "There is no referral 'r_0'; `uv run chassis review list` lists the open ones\n",
        ),
        (
            ["review", "answer", "r_0"],
            2,
            "chassis review answer: exactly one answer is needed. Give either ANSWER or --file\n",
        ),
        (
            ["local-model"],
            2,
            "constraints.toml: models: no model has the provider 'local'. Add one, or the model is never used\n",
        ),
    ],
)
def test_errors_are_explained(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, sentence: str
) -> None:
    """The error says what to do instead, without a traceback."""
    assert run(*arguments) == code

    err = capsys.readouterr().err
    assert sentence in err
    assert "Traceback" not in err


def test_outside_of_a_project_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says that this is not a project."""
    monkeypatch.chdir(tmp_path)

    assert run("budget") == 2

    assert "no pyproject.toml with [tool.chassis] here or in a folder above" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_a_person_answers_a_referral(capsys: pytest.CaptureFixture[str]) -> None:
    """A referral is listed, shown and answered, and then is not listed any more."""
    ticket = refer(capsys)
    assert run("review", "list") == 0
    assert ticket in capsys.readouterr().out

    assert run("review", "answer", ticket, "Because.", "--by", "bob") == 0

    assert capsys.readouterr().out == f"{ticket} is answered.\n"
    assert run("review", "list") == 0
    assert capsys.readouterr().out == "The review queue is empty.\n"
    assert run("review", "show", ticket) == 0
    shown = capsys.readouterr().out
    assert "answered_by      bob" in shown
    assert re.search(r"^confidence       0\.10\ncreated_at       \d{4}-\d\d-\d\d \d\d:\d\d UTC$", shown, re.MULTILINE)
    assert '"text": "Because."' in shown


@pytest.mark.parametrize(
    "command", [("review", "list"), ("review", "show", "r_0"), ("ask", "why?")], ids=lambda command: command[-1]
)
def test_a_missing_table_is_one_sentence(
    project: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """It names the table and the remedy, instead of a traceback."""
    refer(capsys)
    with closing(sqlite3.connect(project / "var/service.db")) as other:
        other.execute("ALTER TABLE referrals RENAME TO elsewhere")

    assert run(*command) == 1

    *_, sentence = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"The database is missing a table or a column \(no such table: (main\.)?referrals\)\. Restore a backup",
        sentence,
    )


def test_an_answer_from_a_file_is_validated(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer has to fit the task's type, because the caller's program reads it."""
    ticket = refer(capsys)
    file = project / "answer.json"
    file.write_text('{"text": 3}')
    assert run("review", "answer", ticket, "--file", str(file)) == 2
    assert "the answer: text: the value is 3. Input should be a valid string" in capsys.readouterr().err

    for empty in ("", " \n", '{"text": ""}', '{"text": "\\t"}'):
        file.write_text(empty)
        assert run("review", "answer", ticket, "--file", str(file)) == 2
        assert "the answer: text: it is empty" in capsys.readouterr().err

    file.write_text('{"text": "Because."}')

    assert run("review", "answer", ticket, "--file", str(file)) == 0


@pytest.mark.parametrize(("content", "byte"), [(b"Gr\xfc\xdfe", 2), (b"\x89PNG", 0), (b"Because\xe2\x82", 7)])
def test_an_answer_from_a_file_that_is_no_text_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], content: bytes, byte: int
) -> None:
    """The error names the byte, as for other files."""
    ticket = refer(capsys)
    (project / "answer").write_bytes(content)

    assert run("review", "answer", ticket, "--file", "answer") == 2

    assert capsys.readouterr().err.endswith(f"answer: byte {byte} is not UTF-8. Save the file as UTF-8\n")


@pytest.mark.usefixtures("project")
def test_a_question_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape codes and markup in a question are printed as plain text."""
    refer(capsys, "why \x1b[31m[bold]red?")

    assert run("review", "list") == 0

    assert r"why \u001b[31m[bold]red?" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_budget_shows_every_limit(capsys: pytest.CaptureFixture[str]) -> None:
    """The day and the month are listed even before anything is spent."""
    assert run("budget") == 0

    out = capsys.readouterr().out
    assert "day:20" in out
    assert "month:20" in out
    assert "$1.00" in out


def test_version_is_the_version_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the version of the distribution."""
    assert run("--version") == 0

    assert capsys.readouterr().out == f"chassis {version('ai-service-chassis')}\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("chassis rev", {"review"}),
        ("chassis review ", {"answer", "list", "show"}),
        ("chassis update --", {"--discard-edits", "--json"}),
        ("chassis budget --", {"--help"}),
    ],
)
def test_the_shell_completes_commands_and_options(words: str, expected: set[str]) -> None:
    """What `--install-completion` sets up: bash asks the command itself, also below a subcommand."""
    request = {"_CHASSIS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    program = Path(sys.executable).with_name("chassis")
    done = subprocess.run([program], env=environment() | request, check=False, capture_output=True, text=True)
    assert (done.returncode, expected - set(done.stdout.split())) == (0, set())


LOCAL_MODEL = """
import signal
from types import SimpleNamespace
from chassis_tools.cli import local_model as command
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, such as these tests, ignore it
command._find_weights = lambda: None
command._start_server = lambda weights, port: SimpleNamespace(listening_address=f"http://127.0.0.1:{port}")
command.load_constraints = lambda root: SimpleNamespace(models=[SimpleNamespace(provider="local")])
command.local_model(9)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_file_of_a_local_model_does_not_outlive_it(project: Path, number: signal.Signals) -> None:
    """Otherwise each later call would ask a model that is gone."""
    command = [sys.executable, "-c", LOCAL_MODEL]
    with subprocess.Popen(command, cwd=project, env=environment(), stdout=subprocess.PIPE, text=True) as model:
        assert model.stdout is not None
        while "Ctrl-C stops it" not in (line := model.stdout.readline()):
            assert line, "it ended"
        file = project / "var/local-model.env"
        assert file.read_text(encoding="utf-8") == "CHASSIS_LOCAL_MODEL_URL=http://127.0.0.1:9/v1\n"
        model.send_signal(number)
        try:
            assert model.wait(60) == 0
        finally:
            model.kill()
    assert not file.exists()


def test_ask_says_that_the_local_model_is_gone(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that was killed leaves its file behind; one that listens is not mentioned."""
    monkeypatch.setattr("os.environ", dict(os.environ))
    file = project / "var/local-model.env"
    file.parent.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        file.write_text(f"CHASSIS_LOCAL_MODEL_URL={url}\n", encoding="utf-8")
        run("ask", "ping")
        assert "local model" not in capsys.readouterr().err
    run("ask", "ping", "--json")
    sentence = f"No local model runs at {url}; start `make local-model` or delete var/local-model.env\n"
    output = capsys.readouterr()
    assert output.err.count(sentence) == 1
    assert json.loads(output.out)["outcome"] == "answered"
