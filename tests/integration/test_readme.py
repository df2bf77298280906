"""A stranger types what the project's README says, command by command, and gets what it promises."""

import json
import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from generated_project import generate_into
from shell import Shell, require_program

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.MULTILINE)
MENTIONED = re.compile(r"`(make|uv run chassis) ([a-z]+(?:[ -][a-z]+)*)[^`]*`")

HELP_OF_EACH = """
import sys
from chassis.cli.main import main
for command in sys.argv[1:]:
    try:
        main([*command.split(), "--help"])
    except SystemExit as exit:
        assert exit.code == 0, command
"""
"""In one process, because there are many commands."""


def test_readme(template: Path, newcomers_shell: Shell, no_network_if_possible: tuple[str, ...]) -> None:
    """Every command of every code block works as it stands; after `make setup` without a network."""
    require_program("curl")
    project = generate_into(newcomers_shell.folder / "stranger" / "acme-help", template, {})
    blocks = BLOCK.findall((project / "README.md").read_text(encoding="utf-8"))
    here, key, printed = replace(newcomers_shell, folder=project.parent), "", dict[str, str]()
    with ExitStack() as terminals:
        for command in COMMAND.findall("".join(blocks)):
            name = " ".join(command.split()[:2])
            if name.startswith("cd "):
                here = replace(here, folder=here.folder / name.removeprefix("cd "))
            elif name == "make serve":
                serving = terminals.enter_context(here.start("bash", "-c", command))
                key = serving.wait_for(r"(ck_\S+)")
            else:
                printed[name] = here.run("bash", "-c", command.replace("ck_…", key))
            if name == "make setup":
                here = replace(here, prefix=no_network_if_possible)

    assert "Sources" in printed["make ask"]
    assert " passed" in printed["make check"]
    [curled] = [json.loads(text) for name, text in printed.items() if name.startswith("curl ")]
    assert (curled["outcome"], curled["answered_by"]) == ("answered", "baseline")


def test_the_commands_for_agents(set_up_project: Shell) -> None:
    """Every command of AGENTS.md works as it stands, without a key, and leaves the checks green."""
    page = (set_up_project.folder / "AGENTS.md").read_text(encoding="utf-8")
    commands = [command for block in BLOCK.findall(page) for command in COMMAND.findall(block)]
    assert len(commands) > 5
    for command in [*commands, "make check"]:
        set_up_project.run("bash", "-c", command)


def test_what_is_mentioned(set_up_project: Shell) -> None:
    """Every target of make and every command of chassis that the README or the handbook speaks of is there."""
    pages = [set_up_project.folder / "README.md", *(set_up_project.folder / "chassis/handbook").glob("*.md")]
    mentioned = {match for page in pages for match in MENTIONED.findall(page.read_text(encoding="utf-8"))}
    targets = {target for program, words in mentioned if program == "make" for target in words.split()}
    listed = set(re.findall(r"^ +make (\S+)", set_up_project.run("make"), re.MULTILINE))
    assert targets >= {"setup", "serve", "ask", "check", "evals", "local-model"}
    assert targets <= listed
    commands = sorted({words for program, words in mentioned if program != "make"})
    assert len(commands) > 10
    set_up_project.run(".venv/bin/python", "-c", HELP_OF_EACH, *commands)
