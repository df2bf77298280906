"""The kinds of sign-off: which facts each covers, which role gives it, and when it is required.

A sign-off covers single facts instead of whole files. A new price voids the procurement sign-off, but not the security
sign-off.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import JsonValue

from chassis.config.constraints import SELF_HOSTED, Constraints

type Facts = frozenset[str]
"""Lines such as `destinations.openai.classes: internal`; a list has one line for each entry."""
type FactValue = JsonValue | frozenset[str] | Mapping[str, JsonValue]

FALLBACK_KEYS = {"low_confidence", "models_failed", "budget_exhausted", "database_down"}
"""Listed one by one, so that a key added by a later release does not void earlier sign-offs."""


@dataclass(frozen=True, slots=True)
class SignOffKind:
    """One kind of sign-off.

    Args:
        role: The role in `ownership.toml` that gives it.
        question: What the role has to decide.
        covers: Returns the facts of `constraints.toml` that it covers.
        required_because: Returns why it is required, or None if it is not.
    """

    role: str
    question: str
    covers: Callable[[Constraints], Facts]
    required_because: Callable[[Constraints], str | None]


def facts_sha256(facts: Facts) -> str:
    """Return the SHA-256 of the sorted lines, in hexadecimal."""
    return hashlib.sha256("\n".join(sorted(facts)).encode()).hexdigest()


def egress_hosts(constraints: Constraints) -> Facts:
    """Return every host that models and tools may send data to."""
    models = {urlsplit(model.url or "").hostname for model in constraints.models}
    tools = set[str]().union(*(tool.hosts for tool in constraints.tools.values()))
    return frozenset(host for host in models | tools if host)


def _facts(**sections: FactValue) -> Facts:
    return frozenset(line for name, value in sections.items() for line in _lines(name, value))


def _lines(name: str, value: FactValue) -> Iterator[str]:
    match value:
        case Mapping():
            for key, nested in value.items():
                yield from _lines(f"{name}.{key}", nested)
        case list() | frozenset():
            yield from (f"{name}: {entry}" for entry in value)
        case None:
            yield f"{name}: unknown"
        # Booleans are written as in TOML, since reviewers compare the lines with constraints.toml.
        case bool():
            yield f"{name}: {str(value).lower()}"
        case _:
            yield f"{name}: {value}"


def _data(constraints: Constraints) -> dict[str, JsonValue]:
    return {"class": constraints.data.data_class, "refuse": [*sorted(constraints.data.refuse)]}


def _tools(constraints: Constraints, *keys: str) -> dict[str, JsonValue]:
    return {name: tool.model_dump(mode="json", include=set(keys)) for name, tool in constraints.tools.items()}


def _models(constraints: Constraints, *, bought_only: bool = False) -> dict[str, JsonValue]:
    models = (model for model in constraints.models if not bought_only or model.provider not in SELF_HOSTED)
    return {model.name: f"{model.provider} {model.model}" for model in models}


def _security_facts(constraints: Constraints) -> Facts:
    return _facts(
        hosts=egress_hosts(constraints),
        tools=_tools(constraints, "destination", "side_effects"),
        refuse=constraints.data.refuse,
        private={model.name: model.private_network for model in constraints.models if model.base_url},
    )


def _privacy_facts(constraints: Constraints) -> Facts:
    keys = {"classes", "redact", "region", "retention_days"}
    destinations = constraints.destinations.items()
    return _facts(
        data=_data(constraints),
        destinations={name: destination.model_dump(mode="json", include=keys) for name, destination in destinations},
        own_database=_own_database(constraints),
        tools=_tools(constraints, "destination"),
    )


def _own_database(constraints: Constraints) -> Mapping[str, JsonValue]:
    """Return what the service's own database keeps, for how long, and which key of `constraints.toml` says so."""
    retention, cache_seconds = constraints.retention, constraints.cache.ttl_seconds
    texts = {
        "answers, to give feedback on": ("calls_days", retention.calls_days),
        "feedback of callers": ("feedback_days", retention.feedback_days),
        "questions in the review queue, and their answers": ("referrals_days", retention.referrals_days),
    }
    kept = {
        what: f"in clear text, retention.{key} = {days}" if days else "not kept" for what, (key, days) in texts.items()
    }
    return kept | {
        "audit trail of reviewers": f"without texts, retention.audit_days = {retention.audit_days}",
        "replies of models, to reuse": f"with placeholders, cache.ttl_seconds = {cache_seconds}"
        if cache_seconds
        else "not kept",
    }


def _legal_facts(constraints: Constraints) -> Facts:
    return _facts(tier=constraints.risk.tier, data=_data(constraints), models=_models(constraints))


def _procurement_facts(constraints: Constraints) -> Facts:
    return _facts(models=_models(constraints, bought_only=True), per_month_usd=constraints.cost.per_month_usd)


def _risk_facts(constraints: Constraints) -> Facts:
    return _facts(
        tier=constraints.risk.tier,
        tools=_tools(constraints, "side_effects"),
        success=constraints.success.model_dump(mode="json", include={"metric", "target", "stop_at", "stop_when"}),
        fallback=constraints.fallback.model_dump(mode="json", include=FALLBACK_KEYS),
        confidence_floor=constraints.quality.confidence_floor,
    )


def _security_required(constraints: Constraints) -> str | None:
    return f"the tier is {constraints.risk.tier}" if constraints.risk.tier != "experiment" else None


def _privacy_required(constraints: Constraints) -> str | None:
    if constraints.data.data_class == "personal":
        return "callers send personal data"
    if constraints.data.data_class == "confidential" and egress_hosts(constraints):
        return "confidential data is sent to other hosts"
    return None


def _legal_required(constraints: Constraints) -> str | None:
    if constraints.risk.tier == "critical":
        return "the tier is critical"
    return "callers send personal data" if constraints.data.data_class == "personal" else None


def _procurement_required(constraints: Constraints) -> str | None:
    vendors = sorted({model.provider for model in constraints.models} - SELF_HOSTED)
    if vendors and constraints.risk.tier != "experiment":
        return f"models are bought from {', '.join(vendors)}"
    return None


def _risk_required(constraints: Constraints) -> str | None:
    acting = sorted(name for name, tool in constraints.tools.items() if tool.side_effects)
    if acting:
        return f"these tools have side effects: {', '.join(acting)}"
    return "the tier is critical" if constraints.risk.tier == "critical" else None


SIGNOFF_KINDS = {
    "security": SignOffKind("security", "Is the service secure enough to run?", _security_facts, _security_required),
    "privacy": SignOffKind(
        "data_protection",
        "May this data be sent to these destinations, and kept for this long?",
        _privacy_facts,
        _privacy_required,
    ),
    "legal": SignOffKind("legal", "Which laws apply, and does the service comply?", _legal_facts, _legal_required),
    "procurement": SignOffKind(
        "vendor",
        "Is there a contract that covers these models and this budget?",
        _procurement_facts,
        _procurement_required,
    ),
    "risk": SignOffKind("risk_acceptance", "Is the remaining risk acceptable?", _risk_facts, _risk_required),
}
"""Every kind, by the name of its file `signoffs/NAME.toml`."""
