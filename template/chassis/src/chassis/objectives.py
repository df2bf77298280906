"""The sections of `constraints.toml` that say how good the service has to be: how fast, how reliable, how right."""

from typing import Annotated

from pydantic import Field

from chassis.sections import Section

type Fraction = Annotated[float, Field(ge=0, le=1)]


class Latency(Section):
    """How long a caller waits."""

    deadline_seconds: float = Field(gt=0, le=600)
    """Seconds for a whole call: every retry, fallback and tool loop draws from it."""
    p95_seconds: float = Field(gt=0, le=600)
    """95 of 100 answers come within so many seconds; `make evals` fails if they certainly do not."""


class Reliability(Section):
    """How often it may fail its callers; `chassis sync` makes the objectives of the alerts from it."""

    availability: float = Field(gt=0, lt=1)
    """This share of requests gets no server error (5xx). Nothing reaches 1, and nobody could change anything then."""
    undegraded: float = Field(gt=0, lt=1)
    """This share of calls gets the first model's answer, or a person's if it was unsure; the rest is fallbacks."""


class Quality(Section):
    """How good is good enough."""

    confidence_floor: Fraction
    """A draft less sure than this goes to the baseline, then to a person."""
    accuracy_floor: Fraction
    """`make evals` fails below this share of right cases."""
    largest_drop: Fraction
    """The drop from the accepted run that a live run has to rule out, or it is undecided; `on_inconclusive` of its
    suite says whether that fails. A proven drop of a point or more always does."""
