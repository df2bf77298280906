"""A model of the chain as others may look at it: what it can do is visible, and asking it alone is a mistake."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from pydantic_ai.models import StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel


class Listed(WrapperModel):
    """Tells pydantic-ai what a model can do, and refuses to pass anything on."""

    async def request(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse.

        Raises:
            TypeError: Always; it is a mistake in code.
        """
        raise TypeError(f"{self.model_name} cannot be asked past the guards; ask the model that the task was given")

    async def count_tokens(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse, as `request` does: counting sends the whole prompt."""
        await self.request()

    @asynccontextmanager
    async def request_stream(self, *_: Any, **__: Any) -> AsyncGenerator[StreamedResponse]:
        """Refuse, as `request` does."""
        yield await self.request()
