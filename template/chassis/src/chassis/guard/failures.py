"""What one model can do wrong. Each makes the next model of the chain be asked; none reaches a caller.

pydantic_ai.ModelAPIError   the vendor's own errors: 401, 429, 500, refused connection ...
├── TimedOut                the model's share of the deadline ran out
├── Resting                 its breaker is open; nothing was sent
├── Crowded                 too many requests wait for it already; nothing was sent
├── EgressRefused           it is not, or no longer, where the constraints say
└── UnusableReply           it answered, but with nothing that can be used
    ├── EmptyReply          no text and no tool call
    ├── TruncatedReply      cut off at the output cap, or by an error
    ├── RefusedReply        stopped by the vendor's content filter, or refused by the model
    ├── OversizedReply      far longer than the output cap allows
    ├── BrokenReply         not what the vendor's own library can read
    └── LoopingReply        the same tool with the same arguments, again and again
"""

from pydantic_ai.exceptions import ModelAPIError, ModelConnectionError


class TimedOut(ModelAPIError):
    """The model's share of the deadline ran out."""


class CircuitOpen(ModelAPIError):
    """The model's breaker is open; nothing was sent."""


class ModelQueueFull(ModelAPIError):
    """Too many requests wait for the model already; nothing was sent."""


class EgressRefused(ModelConnectionError):
    """The request would have gone somewhere else than the constraints say; a phase of `connect` means that none did."""


class UnusableReply(ModelAPIError):
    """The model answered, but with nothing that can be used."""


class UnreadableReply(UnusableReply):
    """A reply that the vendor's own library cannot read."""


class EmptyReply(UnusableReply):
    """A reply with neither text nor a tool call."""


class TruncatedReply(UnusableReply):
    """A reply that was cut off."""


class RefusedReply(UnusableReply):
    """A reply that the vendor's content filter stopped, or a refusal."""


class OversizedReply(UnusableReply):
    """A reply far longer than the output cap allows."""


class LoopingReply(UnusableReply):
    """A reply that asks for the same tool with the same arguments, again and again."""
