"""`constraints.toml`, typed: one class for each section, in the order of the file.

The docstring of each class and the text below each field also make the reference page and the JSON schema of the file.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from chassis.config.toml_file import HttpUrl, Section, load_toml
from chassis.contract import SensitiveKind

CONSTRAINTS_FILE = "constraints.toml"

type RiskTier = Literal["experiment", "standard", "critical"]
type DataClass = Literal["public", "internal", "confidential", "personal"]
type Provider = Literal["openai", "anthropic", "google", "openai-compatible", "local"]
type SuccessMetric = Literal[
    "answered_without_person", "positive_feedback", "reviewed_pass_rate", "cost_per_answer_usd", "p95_seconds"
]
type OutputCapParameter = Literal["both", "max_tokens", "max_completion_tokens"]
type Fraction = Annotated[float, Field(ge=0, le=1)]
type Dollars = Annotated[float, Field(ge=0, le=1e9)]
"""The databases hold amounts up to 9.2e9 USD, in billionths of a dollar."""
type UsdPerMillion = Annotated[float, Field(ge=0, le=100_000)]
type Count = Annotated[int, Field(gt=0, le=1_000_000)]
type CountOrZero = Annotated[int, Field(ge=0, le=1_000_000)]

VENDOR_URLS: dict[Provider, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
}
"""The base URLs of the vendors, as in their SDKs."""

SELF_HOSTED = frozenset[Provider]({"openai-compatible", "local"})
"""The providers whose models the team runs itself, on a server that speaks OpenAI's protocol. They need no contract."""


RESERVED_NAMES = frozenset({"baseline", "task", "referred", "refused", "abandoned", "failed"})
"""What logs and metrics call an answerer that is no model, or the end of a call without an answer."""


class Risk(Section):
    """The importance of the service."""

    tier: RiskTier
    """`experiment`: few people know of it. `standard`: people rely on it. `critical`: its mistakes cause harm. The tier
    decides which sign-offs a release needs, which level of `chassis ready` it has to reach, and how far ahead
    `review_by` in `ownership.toml` may be."""


class Success(Section):
    """The purpose of the service, and when to stop it."""

    metric: SuccessMetric
    """The measure of success, which the service measures over the last 28 days and `chassis ready` shows.
    `answered_without_person`: the share of calls that were answered, of those that were answered or referred.
    `positive_feedback`: the share of ratings by callers that were positive. `reviewed_pass_rate`: the share of reviewed
    answers of the random sample that passed. `cost_per_answer_usd`: the cost of all calls per answered call.
    `p95_seconds`: the time within which 95 % of calls were answered or referred."""
    target: float = Field(ge=0)
    """The value to reach."""
    stop_at: float = Field(ge=0)
    """The value at which the service is to be switched off for good. `chassis ready` fails if the measured value is as
    bad, or worse."""
    review_on: date
    """The day on which people check whether the target was reached. From then on `chassis ready` reports it."""
    stop_when: str = Field(min_length=5, max_length=200)
    """Any other condition under which the service is switched off for good, in words."""

    @property
    def lower_is_better(self) -> bool:
        """Return whether a lower value of the metric is better."""
        return self.metric in {"cost_per_answer_usd", "p95_seconds"}

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if not self.lower_is_better and self.target > 1:
            raise ValueError(f"target is {self.target:g}, but {self.metric} is a share; write a number from 0 to 1")
        if self.stop_at == self.target or (self.stop_at < self.target) == self.lower_is_better:
            side = "above" if self.lower_is_better else "below"
            raise ValueError(
                f"stop_at is {self.stop_at:g}, no worse than target = {self.target:g}; write one {side} it"
            )
        return self


class Latency(Section):
    """Time limits."""

    deadline_seconds: float = Field(gt=0, le=600)
    """The deadline of a call, in seconds. Every retry, fallback and tool loop uses up part of it."""
    p95_seconds: float = Field(gt=0, le=600)
    """The time within which 95 % of answers arrive, in seconds. `make evals` fails if they certainly do not."""


class Reliability(Section):
    """Service level objectives, which `chassis sync` writes into the alert rules."""

    availability: float = Field(gt=0, lt=1)
    """The share of requests without a server error (5xx). It is less than 1, because no service never fails."""
    without_fallback: float = Field(gt=0, lt=1)
    """The share of calls that the first model answers, or that go to a person because it was unsure. All other calls
    are fallbacks."""


class Quality(Section):
    """The required quality of answers."""

    confidence_floor: Fraction
    """The lowest confidence at which a draft becomes the answer. Below it, `fallback.low_confidence` applies."""
    accuracy_floor: Fraction
    """The lowest share of correct cases. `make evals` fails below it."""
    max_regression: Fraction
    """The largest loss of accuracy since the accepted run. A live run that cannot rule out a larger loss is
    inconclusive, and `on_inconclusive` of its suite decides whether that fails. A proven loss of one percentage point
    or more always fails."""


class Cost(Section):
    """Budget limits in US dollars, reserved before a request is sent. Days and months are UTC."""

    mean_usd: Dollars
    """The mean cost of an answer. Not a budget limit: `make evals` fails if an answer costs more on average."""
    per_request_usd: Dollars
    """The limit of one call, all its model requests together."""
    per_caller_day_usd: Dollars
    """The limit of one caller per day, over all replicas."""
    per_day_usd: Dollars
    """The limit of all callers together per day."""
    per_month_usd: Dollars
    """The limit of all callers together per month. The procurement sign-off covers it."""


class Limits(Section):
    """Limits on the load that callers cause."""

    max_body_bytes: int = Field(gt=0, le=1_000_000_000)
    """The maximum size of a request body, in bytes. A larger one is refused with 413."""
    calls_per_minute: Count
    """The maximum number of calls of one caller to one process in any 60 seconds. More are refused with 429 and
    `Retry-After`."""
    concurrent_calls: Count
    """The maximum number of calls that one process handles at the same time."""
    queued_calls: CountOrZero
    """The maximum number of calls that wait for their turn. More are refused with 503 and `Retry-After`."""
    model_requests_per_call: Count
    """The maximum number of model requests of one call. It stops a looping agent."""
    concurrent_requests_per_model: Count
    """The maximum number of requests to one model at the same time, so that a slow model cannot block all calls."""
    queued_requests_per_model: CountOrZero
    """The maximum number of requests that wait for that model. If the queue is full, the next model is asked."""
    retries_per_model: int = Field(ge=0, le=3)
    """The maximum number of retries with the same model, after a request that did not reach it or came too soon."""


class Cache(Section):
    """Reuse of model replies."""

    ttl_seconds: int = Field(ge=0, le=366 * 86_400)
    """The time for which a reply is reused for the same request of the same caller, in seconds. 0 turns it off."""


class Data(Section):
    """The data that callers send."""

    data_class: DataClass = Field(alias="class")
    """The class of this data."""
    refuse: frozenset[SensitiveKind]
    """Kinds of sensitive values that callers may not send. A question that contains one is refused with 422."""


class Destination(Section):
    """A place outside this process that receives data, and what may be sent there."""

    classes: frozenset[DataClass]
    """The classes of data that may be sent there."""
    redact: frozenset[SensitiveKind]
    """Kinds of sensitive values that are replaced by placeholders before anything is sent there."""
    region: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]*$")
    """The region where the data is processed according to the contract, such as `eu`. `chassis ready` asks for it."""
    retention_days: int | None = Field(default=None, ge=0, le=36_500)
    """The number of days for which the data is kept there according to the contract; 0 means that it is not kept.
    `chassis ready` asks for it."""


class ModelConfig(Section):
    """One model. Models are asked in the order of the file: if one fails, the next one is asked."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)
    """The name of the model in logs, answers and budgets."""
    provider: Provider
    """The provider. `openai-compatible` is an endpoint of your own; `local` is started by `make local-model`."""
    model: str = Field(pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=200)
    """The vendor's id of the model; a dated one where the vendor offers it."""
    destination: str
    """The section under `[destinations]` that says what may be sent to the model."""
    max_output_tokens: int = Field(gt=0, le=10_000_000)
    """The output limit sent with every request, in tokens. Reasoning tokens count."""
    output_cap_parameter: OutputCapParameter = "both"
    """The name of the output limit in requests to an `openai-compatible` or `local` server. Many servers know only one
    of the two names and ignore the other, so both are sent. If yours refuses that, give the one that it knows."""
    base_url: HttpUrl | None = None
    """The URL of the endpoint, ending in `/v1`. Only for `openai-compatible`."""
    private_network: bool = False
    """Whether the host of `base_url` may have an address in a private network. Otherwise nothing is sent there."""
    input_usd_per_million: UsdPerMillion | None = None
    """The price of a million input tokens in US dollars. Give both prices if genai-prices does not know the model; 0
    for a model of your own."""
    output_usd_per_million: UsdPerMillion | None = None
    """The price of a million output tokens in US dollars. Reasoning tokens count."""

    @property
    def url(self) -> str | None:
        """Return the URL of the endpoint, or None for a local model, whose URL is in the environment."""
        return VENDOR_URLS.get(self.provider, self.base_url)

    @property
    def host(self) -> str:
        """Return the host of the endpoint with its port if that is in the URL, or `local`."""
        return urlsplit(self.url).netloc.rpartition("@")[2] if self.url else "local"

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name in RESERVED_NAMES:
            raise ValueError(f"the value is {name!r}, which has another meaning in `answered_by`; choose another name")
        return name

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if (self.input_usd_per_million is None) != (self.output_usd_per_million is None):
            raise ValueError("only one price is given; give both input_usd_per_million and output_usd_per_million")
        if (self.provider == "openai-compatible") != (self.base_url is not None):
            raise ValueError("base_url and provider = 'openai-compatible' go together; give both or neither")
        if self.output_cap_parameter != "both" and self.provider not in SELF_HOSTED:
            raise ValueError(f"output_cap_parameter has no effect with provider = {self.provider!r}; remove it")
        if self.private_network and self.base_url is None:
            raise ValueError("private_network has no effect without base_url; remove it")
        return self


class Tool(Section):
    """A function that a model may call. A function without such a section is never offered to a model."""

    destination: str
    """The section under `[destinations]` that says what may be sent where the tool runs."""
    side_effects: bool
    """Whether a call changes anything outside this process. If so, the risk sign-off is needed."""
    hosts: frozenset[str] = frozenset()
    """The hosts that the tool connects to, such as `orders.example.com`."""


class FallbackRules(Section):
    """Fallbacks. `baseline` includes a person: if the baseline is not confident enough, the question is referred."""

    low_confidence: Literal["baseline", "review"]
    """When the confidence of the model's draft is below `quality.confidence_floor`."""
    models_failed: Literal["baseline", "review", "error"]
    """When no model gave a usable answer in time."""
    budget_exhausted: Literal["cheaper", "baseline", "review", "error"]
    """When the next request could exceed a limit of `[cost]`. `cheaper` skips the most expensive models until the
    request fits; if none fits, it means `baseline`."""
    database_down: Literal["baseline", "error"]
    """When the database is unavailable. Then no budget can be reserved, so no model is asked, and no question can be
    added to the review queue."""


class ReviewRules(Section):
    """The review queue."""

    due_hours: float = Field(gt=0, le=366 * 24)
    """The number of hours within which a person has to answer a referral."""
    negative_feedback: bool = True
    """Whether a caller's negative feedback opens a referral, so that a person looks at the answer and corrects it."""
    sample_share: Fraction = 0
    """The share of answers that a person reviews although nothing was wrong, chosen at random. It is the only unbiased
    measure of what production gets right: 20 reviewed answers a week find a jump from 5 to 30 % failures in days."""
    second_share: Fraction = 0.1
    """The share of reviews that a second reviewer repeats without seeing the first verdict, chosen at random. It needs
    two reviewers, and measures how far their verdicts can be trusted."""


class Callbacks(Section):
    """The addresses to which the answers of people may be sent."""

    origins: tuple[HttpUrl, ...] = ()
    """The origins that callers may register for their tickets, such as `https://orders.example.com`. Without any, no
    caller can register a callback. They also need `CHASSIS_WEBHOOK_SECRET`."""
    private_network: bool = False
    """Whether the hosts may have addresses in a private network. Otherwise nothing is sent there."""

    def allow(self, url: str) -> bool:
        """Return whether a URL has one of the origins, and nothing that hides where it leads."""
        if not re.fullmatch(r"https?://[!-~]{1,2000}", url) or re.search(r"[\\@#]", url):
            return False
        try:
            return origin_of(url) in map(origin_of, self.origins)
        except ValueError:  # the port is no number, or a bracket is missing
            return False


class RetentionRules(Section):
    """How long the database keeps what people wrote. The service deletes it every hour."""

    referrals_days: int = Field(default=90, gt=0, le=3660)
    """The number of days for which a referral is kept after it was due, or after it was answered if that is later."""
    audit_days: int = Field(default=365, gt=0, le=3660)
    """The number of days for which the audit trail of the review queue is kept. It contains no question or answer."""
    calls_days: int = Field(default=7, ge=0, le=366)
    """The number of days for which a question and its answer are kept, so that their caller can send feedback. With 0
    they are not kept, and feedback is refused."""
    feedback_days: int = Field(default=365, gt=0, le=3660)
    """The number of days for which feedback is kept."""


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
    retention: RetentionRules = RetentionRules()
    callbacks: Callbacks = Callbacks()

    @model_validator(mode="after")
    def _check_model_names(self) -> Self:
        names = [model.name for model in self.models]
        if duplicate := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the model {duplicate!r} appears twice; give each model its own name")
        return self

    @model_validator(mode="after")
    def _check_destinations(self) -> Self:
        for kind, name, destination in self._senders():
            if destination not in self.destinations:
                raise ValueError(
                    f"the {kind} {name!r} has the unknown destination {destination!r}; add [destinations.{destination}]"
                )
            if self.data.data_class not in self.destinations[destination].classes:
                raise ValueError(
                    f"the {kind} {name!r} may not receive {self.data.data_class!r} data; "
                    f"allow it in destinations.{destination}.classes or remove the {kind}"
                )
        return self

    def _senders(self) -> Iterator[tuple[str, str, str]]:
        """Yield everything that sends data to a destination: `model` or `tool`, its name, the destination."""
        for model in self.models:
            yield "model", model.name, model.destination
        for name, tool in self.tools.items():
            yield "tool", name, tool.destination


def origin_of(url: str) -> tuple[str, str, int]:
    """Return the scheme, host and port of a URL.

    Raises:
        ValueError: It cannot be parsed.
    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]


def load_constraints(root: Path) -> Constraints:
    """Read and check `constraints.toml` of the project at `root`.

    Raises:
        ConfigError: The file is missing or is not TOML, or a key is missing, unknown or out of range.
    """
    return load_toml(root / CONSTRAINTS_FILE, Constraints)
