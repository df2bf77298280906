"""The ways in which one model can fail. `Fallback` then asks the next one; callers never see these errors.

pydantic_ai.ModelAPIError   the vendor's own errors: 401, 429, 500, connection refused ...
├── TimedOut                the model's time budget is used up
├── CircuitOpen             its circuit breaker is open; nothing was sent
├── ModelQueueFull          too many requests are waiting for it; nothing was sent
├── EgressRefused           the request would not have gone to the address in the constraints; nothing was sent
├── UnsentRequest           the vendor's library could not send the request; nothing was sent
└── UnusableReply           the model answered, but the reply cannot be used
    ├── EmptyReply          neither text nor a tool call
    ├── TruncatedReply      cut off at the output cap, or by an error
    ├── RefusedReply        stopped by the vendor's content filter, or refused by the model
    ├── OversizedReply      far longer than the output cap allows
    ├── UnreadableReply     the vendor's own library cannot read it, or it is not well formed
    └── LoopingReply        the same tool with the same arguments, again and again
"""

from pydantic_ai.exceptions import ModelAPIError, ModelConnectionError


class TimedOut(ModelAPIError):
    """The model's time budget is used up."""


class CircuitOpen(ModelAPIError):
    """The model's circuit breaker is open; nothing was sent."""


class ModelQueueFull(ModelAPIError):
    """Too many requests are waiting for the model; nothing was sent."""


class EgressRefused(ModelConnectionError):
    """The request would not have gone to the address in the constraints; it is raised in the phase `connect`."""


class UnsentRequest(ModelAPIError):
    """The vendor's library could not send the request; nothing was sent."""


class UnusableReply(ModelAPIError):
    """The model answered, but the reply cannot be used."""


class UnreadableReply(UnusableReply):
    """A reply that the vendor's own library cannot read, or that is not well formed."""


class EmptyReply(UnusableReply):
    """A reply with neither text nor a tool call."""


class TruncatedReply(UnusableReply):
    """A reply that was cut off."""


class RefusedReply(UnusableReply):
    """A reply that the vendor's content filter stopped, or a refusal by the model."""


class OversizedReply(UnusableReply):
    """A reply far longer than the output cap allows."""


class LoopingReply(UnusableReply):
    """A reply that asks for the same tool with the same arguments as the ones before it."""
