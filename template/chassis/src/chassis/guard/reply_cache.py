"""Reuses replies: from the cache, or from an equal request that is in flight at the same moment."""

import asyncio
import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from pydantic_ai.messages import ModelResponse

from chassis.call import Attempt, Turn
from chassis.guard.reply_check import REPLY
from chassis.guard.request import Request, Step
from chassis.store.reply_cache import ReplyCache

log = structlog.get_logger()

type CachedReply = tuple[str, str]
"""The name of the model that replied, and its reply as JSON."""


class SingleFlight[T]:
    """Lets concurrent requests with the same key share one result, as Go's `singleflight` package does.

    It works within one process. A key has to cover everything that influences the result.
    """

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Future[T | None]] = {}

    async def wait_for(self, key: str) -> T | None:
        """Return the result of the request in flight, or None if there is none and the caller should `lead`.

        A failure is not shared: it may be due to the deadline or the budget of the call that led. The first of the
        waiting requests to wake up then finds no flight and leads, and the others wait for that one.
        """
        while (flight := self._flights.get(key)) is not None:
            await asyncio.wait([flight])
            if (result := flight.result()) is not None:
                return result
        return None

    @contextmanager
    def lead(self, key: str) -> Generator[asyncio.Future[T | None]]:
        """Be the request that others wait for; share the result by setting it on the future.

        Nothing may be awaited between `wait_for` and this, or two requests could lead at the same time.
        """
        # A future and not a task: if the call that leads is cancelled, its request ends with it, and those who wait
        # lead anew.
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        try:
            yield flight
        finally:
            del self._flights[key]
            if not flight.done():  # an error, or a caller who disconnected
                flight.set_result(None)


@dataclass(slots=True)
class UseReplyCache:
    """Looks in the cache before a model is asked, and stores its reply.

    Args:
        inner: The next step.
        cache: The cache in the database.
        in_flight: The requests that this process is sending.
        chain_id: Identifies the models of the chain; another chain might reply differently.
        models: The names of these models. A row with another name is as good as none, because names become labels.
        turn: Its caller is part of the key, so that callers never see each other's replies.
    """

    inner: Step
    cache: ReplyCache
    in_flight: SingleFlight[CachedReply]
    chain_id: str
    models: frozenset[str]
    turn: Turn

    async def ask(self, request: Request) -> ModelResponse:
        """Return a reply from the cache or from an equal request in flight, and ask only if there is neither."""
        if not self.cache.enabled:
            return await self.inner.ask(request)
        key = self.turn.reply_key = self._key(request)
        # Before the database is asked: of a hundred equal questions at once, one looks and the others wait for it.
        if (shared := await self.in_flight.wait_for(key)) is not None:
            return self._reuse(shared[0], REPLY.validate_json(shared[1]))
        with self.in_flight.lead(key) as flight:
            if (cached := await self.cache.find(key)) is not None and (response := self._readable(cached)) is not None:
                flight.set_result(cached)
                return self._reuse(cached[0], response)
            response = await self.inner.ask(request)
            # The last attempt is the one that succeeded.
            reply = self.turn.attempts[-1].model, REPLY.dump_json(response).decode()
            # Stored before it is shared: whoever comes after the flight has ended finds the reply in the database.
            await self.cache.store(key, *reply)
            flight.set_result(reply)
            return response

    def _key(self, request: Request) -> str:
        scope = f"{self.turn.call.caller}\0{self.chain_id}\0".encode()
        return hashlib.sha256(scope + request.canonical).hexdigest()

    def _reuse(self, model: str, response: ModelResponse) -> ModelResponse:
        """Return a reply that costs nothing. Each call has a copy of its own, because agents may modify messages."""
        self.turn.attempts.append(Attempt(model, None, 0, 0, cost=0, seconds=0, cached=True))
        return response

    def _readable(self, cached: CachedReply) -> ModelResponse | None:
        """Return a cached reply, or None if another version of pydantic-ai wrote it or its row is damaged."""
        model, reply = cached
        try:
            if model in self.models:
                return REPLY.validate_json(reply)
        except ValueError:
            pass
        log.warning("reply_cache.unreadable")
        return None
