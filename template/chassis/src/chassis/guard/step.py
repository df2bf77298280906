"""One step of the walk from a task to a vendor."""

from typing import Protocol

from pydantic_ai.messages import ModelResponse

from chassis.guard.request import Request


class Step(Protocol):
    """Replies to a request: most steps by asking the step behind them, under a condition of their own."""

    async def ask(self, request: Request) -> ModelResponse:
        """Return the reply, or raise why there is none."""
        ...
