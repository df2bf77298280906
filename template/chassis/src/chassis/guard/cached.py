"""The same caller asking the same thing again gets the same reply, for nothing."""

import hashlib

from pydantic import TypeAdapter
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.call import Turn
from chassis.guard.request import canonical
from chassis.store.replies import Replies
from chassis.types import Attempt

REPLY = TypeAdapter(ModelResponse)


class Cached(WrapperModel):
    """Looks into the cache before the wrapped model is asked, and keeps what it says.

    Args:
        wrapped: The rest of the walk.
        replies: The store.
        chain_id: Changes whenever the models of the chain do.
        turn: The request's turn; its caller is part of the key, so replies are never shared between callers.
    """

    def __init__(self, wrapped: Model, replies: Replies, chain_id: str, turn: Turn) -> None:
        super().__init__(wrapped)
        self._replies, self._chain_id, self._turn = replies, chain_id, turn

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Answer from the cache if possible."""
        if not self._replies.enabled:
            return await self.wrapped.request(messages, model_settings, model_request_parameters)
        request = canonical(messages, model_settings, model_request_parameters)
        key = hashlib.sha256(f"{self._turn.call.caller}\0{self._chain_id}\0".encode() + request).hexdigest()
        if known := await self._replies.find(key):
            model, reply = known
            self._turn.attempts.append(Attempt(model, None, 0, 0, cost=0, seconds=0, cached=True))
            return _load(reply)
        response = await self.wrapped.request(messages, model_settings, model_request_parameters)
        await self._replies.keep(key, self._turn.attempts[-1].model, _dump(response))
        return response


def _dump(response: ModelResponse) -> str:
    return REPLY.dump_json(response).decode()


def _load(text: str) -> ModelResponse:
    return REPLY.validate_json(text)
