"""The same caller asking the same thing again gets the same reply, for nothing."""

import hashlib

from pydantic import TypeAdapter
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.call import Turn
from chassis.guard.flights import Flights
from chassis.guard.request import canonical_of
from chassis.store.replies import Replies
from chassis.types import Attempt

REPLY = TypeAdapter(ModelResponse)
type Landed = tuple[str, ModelResponse]
"""A model's name and its reply."""


class Cached(WrapperModel):
    """Looks into the cache before the wrapped model is asked, keeps what it says, and asks once for requests in flight.

    Args:
        wrapped: The rest of the walk.
        replies: The store.
        flights: The requests of this process that are under way.
        chain_id: Changes whenever the models of the chain do.
        turn: The request's turn; its caller is part of the key, so replies are never shared between callers.
    """

    def __init__(self, wrapped: Model, replies: Replies, flights: Flights[Landed], chain_id: str, turn: Turn) -> None:
        super().__init__(wrapped)
        self._replies, self._flights, self._chain_id, self._turn = replies, flights, chain_id, turn

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Answer from the cache, or with the reply to the same request in flight, if possible."""
        if not self._replies.enabled:
            return await self.wrapped.request(messages, model_settings, model_request_parameters)
        request = canonical_of(self._turn, messages, model_settings, model_request_parameters)
        key = hashlib.sha256(f"{self._turn.call.caller}\0{self._chain_id}\0".encode() + request).hexdigest()
        self._turn.reply_key = key

        async def find_or_ask() -> Landed:
            if known := await self._replies.find(key):
                return known[0], self._free(known[0], known[1])
            response = await self.wrapped.request(messages, model_settings, model_request_parameters)
            model = self._turn.attempts[-1].model
            await self._replies.keep(key, model, _dump(response))
            return model, response

        if (landed := await self._flights.landing(key)) is not None:
            return self._free(landed[0], _dump(landed[1]))  # a copy: each caller's agent may write on its own
        return (await self._flights.send(key, find_or_ask))[1]

    def _free(self, model: str, reply: str) -> ModelResponse:
        """Return a reply that costs nothing any more."""
        self._turn.attempts.append(Attempt(model, None, 0, 0, cost=0, seconds=0, cached=True))
        return _load(reply)


def _dump(response: ModelResponse) -> str:
    return REPLY.dump_json(response).decode()


def _load(text: str) -> ModelResponse:
    return REPLY.validate_json(text)
