"""The commands of each package, and those that `chassis --help` lists."""

import re

RUNTIME_COMMANDS = {"serve", "ask", "trace", "keys", "review", "budget", "models", "forget"}
TOOLS_COMMANDS = {"local-model", "evals", "cases", "ready", "signoffs", "sync", "status", "verify", "update", "adopt"}
WIDE = ("env", "COLUMNS=200")
"""Put before `chassis --help` so that no description is wrapped."""


def listed_commands(printed: str) -> set[str]:
    """Return the commands in what `chassis --help` printed."""
    return set(re.findall(r"^│ ([a-z][a-z-]*) ", printed, re.MULTILINE))
