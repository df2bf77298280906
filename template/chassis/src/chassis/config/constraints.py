"""The sections of `constraints.toml` that say how good the service has to be: how fast, how reliable, how right."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chassis.config.toml_file import Section, load_toml
from chassis.contract import SensitiveKind

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
    without_fallback: float = Field(gt=0, lt=1)
    """This share of calls gets the first model's answer, or a person's if it was unsure; the rest is fallbacks."""


class Quality(Section):
    """How good is good enough."""

    confidence_floor: Fraction
    """A draft less sure than this goes to the baseline, then to a person."""
    accuracy_floor: Fraction
    """`make evals` fails below this share of right cases."""
    max_regression: Fraction
    """The drop from the accepted run that a live run has to rule out, or it is undecided; `on_inconclusive` of its
    suite says whether that fails. A proven drop of a point or more always does."""


type RiskTier = Literal["experiment", "standard", "critical"]


class Risk(Section):
    """How much depends on it."""

    tier: RiskTier
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
    side_effects: bool
    """Whether a call changes anything outside; then somebody signs for the risk."""
    hosts: frozenset[str] = frozenset()
    """The hosts it reaches, such as `orders.example.com`."""


class FallbackRules(Section):
    """What happens instead. `baseline` goes on to the desk when the baseline is not sure either."""

    low_confidence: Literal["baseline", "review"]
    """When the model's draft is less sure than `quality.confidence_floor`."""
    models_failed: Literal["baseline", "review", "error"]
    """When no model of the chain gave a usable answer in time."""
    budget_exhausted: Literal["cheaper", "baseline", "review", "error"]
    """When the next request could break a ceiling of `[cost]`. `cheaper` leaves out the dearest models of the chain
    until the rest fits; if none fits, it means `baseline`."""
    database_down: Literal["baseline", "error"]
    """Without the database no money can be held, so no model is asked, and no question can be laid on the desk."""


class ReviewRules(Section):
    """How fast people answer."""

    due_hours: float = Field(gt=0)
    """Within how many hours a person answers a referral."""


FILE = "constraints.toml"

type DataClass = Literal["public", "internal", "confidential", "personal"]
type Provider = Literal["openai", "anthropic", "google", "openai-compatible", "local"]
VENDOR_URLS: dict[Provider, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
}
"""Where the vendors listen, as their SDKs have it."""

type Dollars = Annotated[float, Field(ge=0)]


class Cost(Section):
    """Ceilings in US dollars, held before anything is sent. Days and months are UTC."""

    mean_usd: Dollars
    """The only one that is no ceiling: `make evals` fails if an answer costs more than this on average."""
    per_request_usd: Dollars
    """For one call, all its model requests together."""
    per_caller_day_usd: Dollars
    """For one caller in a day, in all replicas together."""
    per_day_usd: Dollars
    """For everybody in a day."""
    per_month_usd: Dollars
    """For everybody in a month; the procurement's sign-off covers it."""


class Limits(Section):
    """How much one caller, or all together, may ask for."""

    max_body_bytes: int = Field(gt=0)
    """A larger request body is refused with 413."""
    calls_per_minute: int = Field(gt=0)
    """How often one caller may ask one process in any minute; beyond that 429 and `Retry-After`."""
    concurrent_calls: int = Field(gt=0)
    """How many calls are worked on at once."""
    queued_calls: int = Field(ge=0)
    """How many more wait for a place; beyond that they are refused with 503 and `Retry-After`."""
    model_requests_per_call: int = Field(gt=0)
    """Where a looping agent stops."""
    concurrent_requests_per_model: int = Field(gt=0)
    """How many requests one model is sent at once, so that a slow one cannot tie up every call."""
    queued_requests_per_model: int = Field(ge=0)
    """How many more wait for it; beyond that the next model is asked."""
    retries_per_model: int = Field(ge=0, le=3)
    """How often a request that never arrived, or came too soon, is sent to the same model again."""


class Cache(Section):
    """Whether a model's reply is used twice."""

    ttl_seconds: int = Field(ge=0)
    """How long a model's reply may be used again for the same caller and the same request; 0 turns the cache off."""


class Data(Section):
    """What callers send."""

    data_class: DataClass = Field(alias="class")
    """The class of what callers send."""
    refuse: frozenset[SensitiveKind]
    """A question that contains one of these is refused with 422."""


class Destination(Section):
    """A place outside this process that a model listens at, and what may be sent there."""

    classes: frozenset[DataClass]
    """The classes of data that may be sent there."""
    redact: frozenset[SensitiveKind]
    """What is replaced by a placeholder before anything is sent there."""
    region: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Where it is processed, such as `eu`, as the contract says; left out, nobody knows; `chassis ready` asks."""
    retention_days: int | None = Field(default=None, ge=0)
    """How long it is kept there, as the contract says; 0 is not at all; left out, nobody knows."""


class ModelConfig(Section):
    """One model of the chain; they are asked in the order of the file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """What logs, answers and budgets call it."""
    provider: Provider
    """Who runs it; `openai-compatible` is an endpoint of your own, `local` what `make local-model` runs."""
    model: str = Field(min_length=1)
    """The vendor's id of the model, dated where the vendor offers it."""
    destination: str
    """The key under `[destinations]` that says what may be sent."""
    max_output_tokens: int = Field(gt=0)
    """The cap sent with every request; reasoning tokens count."""
    base_url: str | None = None
    """Only for `openai-compatible`: where it listens, ending in `/v1`."""
    private_network: bool = False
    """Whether the name in `base_url` leads into a private network; a model that says no is never asked there."""
    input_usd_per_million: Dollars | None = None
    """Of tokens that it reads. Both prices, if genai-prices does not know the model; 0 for a model of your own."""
    output_usd_per_million: Dollars | None = None
    """Of tokens that it writes, reasoning included."""

    @property
    def url(self) -> str | None:
        """Return where it listens; None for a model of this machine, of which only the environment knows."""
        return VENDOR_URLS.get(self.provider, self.base_url)

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if (self.input_usd_per_million is None) != (self.output_usd_per_million is None):
            raise ValueError("one price without the other; give both input_usd_per_million and output_usd_per_million")
        if (self.provider == "openai-compatible") != (self.base_url is not None):
            raise ValueError("base_url and provider = 'openai-compatible' go together; give both or neither")
        if self.private_network and self.base_url is None:
            raise ValueError("private means nothing without base_url; remove it")
        return self


class Constraints(Section):
    """The whole file."""

    risk: Risk
    success: Success
    latency: Latency
    reliability: Reliability
    quality: Quality
    cost: Cost
    limits: Limits
    cache: Cache
    data: Data
    destinations: Mapping[str, Destination] = Field(default_factory=dict)
    models: tuple[ModelConfig, ...] = ()
    tools: Mapping[str, Tool] = Field(default_factory=dict)
    fallback: FallbackRules
    review: ReviewRules

    @model_validator(mode="after")
    def _destinations_allow_the_data(self) -> Self:
        names = [link.name for link in self.models]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the model {twice!r} appears twice; give each model its own name")
        senders = [(f"the model {link.name!r}", link.destination) for link in self.models]
        senders += [(f"the tool {name!r}", tool.destination) for name, tool in self.tools.items()]
        for where, destination in senders:
            if destination not in self.destinations:
                raise ValueError(
                    f"{where} has the unknown destination {destination!r}; add [destinations.{destination}]"
                )
            if self.data.data_class not in self.destinations[destination].classes:
                raise ValueError(
                    f"{where} may not receive {self.data.data_class!r} data; "
                    f"allow it in destinations.{destination}.classes or remove the {where.split()[1]}"
                )
        return self


def load_constraints(root: Path) -> Constraints:
    """Read and check `constraints.toml` of the project at `root`.

    Raises:
        ConfigError: The file is missing, is not TOML, or says something that cannot be meant.
    """
    return load_toml(root / FILE, Constraints)
