"""The commands of each package, and those that `chassis --help` lists."""

import re

from chassis.cli import main as runtime
from chassis_tools.cli import main as tools

RUNTIME_COMMANDS = {command.name for command in runtime.RUNTIME_COMMANDS}
TOOLS_COMMANDS = {command.name for command in tools.TOOL_COMMANDS}
WIDE = ("env", "COLUMNS=200")
"""Put before `chassis --help` so that no description is wrapped."""


def listed_commands(printed: str) -> set[str]:
    """Return the commands in what `chassis --help` printed."""
    return set(re.findall(r"^│ ([a-z][a-z-]*) ", printed, re.MULTILINE))
