"""The sections of `constraints.toml` on what is at stake: tier, success, tools, and what happens instead."""

from datetime import date
from typing import Literal

from pydantic import Field

from chassis.sections import Section

type Tier = Literal["experiment", "standard", "critical"]


class Risk(Section):
    """How much depends on it."""

    tier: Tier
    """`experiment`: few know of it. `standard`: people rely on it. `critical`: harm is done when it is wrong. It
    decides which sign-offs and which level of `chassis ready` a release needs, and how far off `review_by` may lie."""


class Success(Section):
    """What it is for, and when to stop."""

    metric: str = Field(min_length=5, max_length=200)
    """What is counted, in words."""
    target: float
    """The value to reach."""
    review_on: date
    """When people look whether it was reached; from that day on `chassis ready` asks."""
    stop_when: str = Field(min_length=5, max_length=200)
    """At what point it is switched off for good."""


class Tool(Section):
    """A function that a model may call. One that is not declared here is never offered to a model."""

    destination: str
    """The key under `[destinations]` that says what may be sent where it runs."""
    changes: bool
    """Whether a call changes anything outside; then somebody signs for the risk."""
    hosts: frozenset[str] = frozenset()
    """The hosts it reaches, such as `orders.example.com`."""


class WhenWrong(Section):
    """What happens instead. `baseline` goes on to the desk when the baseline is not sure either."""

    low_confidence: Literal["baseline", "desk"]
    """When the model's draft is less sure than `quality.confidence_floor`."""
    models_failed: Literal["baseline", "desk", "refuse"]
    """When no model of the chain gave a usable answer in time."""
    budget_exhausted: Literal["cheaper", "baseline", "desk", "refuse"]
    """When the next request could break a ceiling of `[cost]`. `cheaper` leaves out the dearest models of the chain
    until the rest fits; if none fits, it means `baseline`."""
    store_down: Literal["baseline", "refuse"]
    """Without the database no money can be held, so no model is asked, and no question can be laid on the desk."""


class DeskRules(Section):
    """How fast people answer."""

    due_hours: float = Field(gt=0)
    """Within how many hours a person answers a referral."""
