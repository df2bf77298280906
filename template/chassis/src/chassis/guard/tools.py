"""Which tools a model may be offered: those that people have declared, so that a new one is seen before it is used."""

from collections.abc import Collection, Sequence

from pydantic_ai.tools import ToolDefinition

from chassis.constraints import FILE
from chassis.errors import ConfigError


def check_tools(offered: Sequence[ToolDefinition], declared: Collection[str]) -> None:
    """Stop a request that offers a tool which nobody declared; nothing has been sent yet.

    Raises:
        ConfigError: It names the tool and the section to add.
    """
    for tool in offered:
        if tool.name not in declared:
            raise ConfigError(
                f"{FILE}: tools",
                f"the task offers its model the tool {tool.name!r}, which is not declared",
                f"Add [tools.{tool.name}] with destination and changes",
            )
