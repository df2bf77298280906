"""What is being asked at this moment, so that the same request in flight is sent once."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import TypeAdapter
from pydantic_ai.messages import ModelResponse

from chassis.call import Attempt, Turn
from chassis.guard.request import Request, Step
from chassis.store.reply_cache import ReplyCache


class SingleFlight[T]:
    """The requests in flight of one process, by a key that covers everything that changes the reply."""

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Future[T | None]] = {}

    async def join(self, key: str) -> T | None:
        """Wait for the same request in flight and return what it brought, or None if there is none to wait for.

        A failure is not shared, because it may have been the other call's own deadline or money: the first of those who
        waited is told None and sends, and the others wait for that.
        """
        while (flight := self._flights.get(key)) is not None:
            await asyncio.wait([flight])
            if (landed := flight.result()) is not None:
                return landed
        return None

    async def run(self, key: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask at once, and let whoever waits in `landing` have the reply too."""
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        try:
            landed = await ask()
            flight.set_result(landed)
            return landed
        finally:
            del self._flights[key]
            if not flight.done():
                flight.set_result(None)


REPLY = TypeAdapter(ModelResponse)
type ModelReply = tuple[str, ModelResponse]
"""A model's name and its reply."""


@dataclass(frozen=True, slots=True)
class UseReplyCache:
    """Looks into the cache before a model is asked, keeps what it says, and asks once for requests in flight.

    Args:
        inner: The rest of the walk.
        replies: The store.
        flights: The requests of this process that are under way.
        chain_id: Changes whenever the models of the chain do.
        turn: The request's turn; its caller is part of the key, so replies are never shared between callers.
    """

    inner: Step
    cache: ReplyCache
    in_flight: SingleFlight[ModelReply]
    chain_id: str
    turn: Turn

    async def ask(self, request: Request) -> ModelResponse:
        """Answer from the cache, or with the reply to the same request in flight, if possible."""
        if not self.cache.enabled:
            return await self.inner.ask(request)
        whose = f"{self.turn.call.caller}\0{self.chain_id}\0".encode()
        key = hashlib.sha256(whose + request.canonical).hexdigest()
        self.turn.reply_key = key

        async def find_or_ask() -> ModelReply:
            if known := await self.cache.find(key):
                return known[0], self._free(known[0], known[1])
            response = await self.inner.ask(request)
            model = self.turn.attempts[-1].model
            await self.cache.keep(key, model, _dump(response))
            return model, response

        if (landed := await self.in_flight.join(key)) is not None:
            return self._free(landed[0], _dump(landed[1]))  # a copy: each caller's agent may write on its own
        return (await self.in_flight.run(key, find_or_ask))[1]

    def _free(self, model: str, reply: str) -> ModelResponse:
        """Return a reply that costs nothing any more."""
        self.turn.attempts.append(Attempt(model, None, 0, 0, cost=0, seconds=0, cached=True))
        return _load(reply)


def _dump(response: ModelResponse) -> str:
    return REPLY.dump_json(response).decode()


def _load(text: str) -> ModelResponse:
    return REPLY.validate_json(text)
