"""The kinds of sign-off: what each covers, who gives it, and when one is required.

Decided here: a sign-off covers facts, not a file. Changing a price voids the procurement's, not the security review's.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import JsonValue

from chassis.config.constraints import Constraints

type Facts = frozenset[str]
"""Lines such as `destinations.openai.classes: internal`; a list is one line an entry, so that a change is a line."""

WHEN_WRONG = {"low_confidence", "models_failed", "budget_exhausted", "database_down"}
"""Keys are named one by one: a key that a later release adds must not void what was signed before it."""
OWN = frozenset({"local", "openai-compatible"})
"""Providers that nobody has a contract with."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of sign-off.

    Args:
        role: The role of `ownership.toml` that gives it.
        question: What is signed for.
        covers: The facts of `constraints.toml` that it is about.
        needed: Why it is required, or None if it is not.
    """

    role: str
    question: str
    covers: Callable[[Constraints], Facts]
    needed: Callable[[Constraints], str | None]


def fingerprint(facts: Facts) -> str:
    """Return a text that changes with any fact: SHA-256 over the sorted lines."""
    return hashlib.sha256("\n".join(sorted(facts)).encode()).hexdigest()


def egress_hosts(constraints: Constraints) -> Facts:
    """Return every host outside this machine that data may go to: of models and of tools."""
    models = {urlsplit(link.url or "").hostname for link in constraints.models}
    tools = set[str]().union(*(tool.hosts for tool in constraints.tools.values()))
    return frozenset(host for host in models | tools if host)


def _lines(name: str, value: JsonValue | frozenset[str] | Mapping[str, JsonValue]) -> Iterator[str]:
    match value:
        case Mapping():
            for key, part in value.items():
                yield from _lines(f"{name}.{key}", part)
        case list() | frozenset():
            yield from (f"{name}: {part}" for part in value)
        case None:
            yield f"{name}: unknown"
        case _:
            yield f"{name}: {str(value).lower() if isinstance(value, bool) else value}"


def _facts(**sections: JsonValue | frozenset[str] | Mapping[str, JsonValue]) -> Facts:
    return frozenset(line for name, value in sections.items() for line in _lines(name, value))


def _data(constraints: Constraints) -> dict[str, JsonValue]:
    return {"class": constraints.data.data_class, "refuse": [*sorted(constraints.data.refuse)]}


def _tools(constraints: Constraints, *keys: str) -> dict[str, JsonValue]:
    return {name: tool.model_dump(mode="json", include=set(keys)) for name, tool in constraints.tools.items()}


def _security(constraints: Constraints) -> Facts:
    return _facts(
        hosts=egress_hosts(constraints),
        tools=_tools(constraints, "destination", "side_effects"),
        refuse=constraints.data.refuse,
        private={link.name: link.private_network for link in constraints.models if link.base_url},
    )


def _privacy(constraints: Constraints) -> Facts:
    keys = {"classes", "redact", "region", "retention_days"}
    places = {name: place.model_dump(mode="json", include=keys) for name, place in constraints.destinations.items()}
    return _facts(data=_data(constraints), destinations=places, tools=_tools(constraints, "destination"))


def _procurement(constraints: Constraints) -> Facts:
    bought = {link.name: f"{link.provider} {link.model}" for link in constraints.models if link.provider not in OWN}
    return _facts(models=dict(bought), per_month_usd=constraints.cost.per_month_usd)


def _legal(constraints: Constraints) -> Facts:
    models = {link.name: f"{link.provider} {link.model}" for link in constraints.models}
    return _facts(tier=constraints.risk.tier, data=_data(constraints), models=dict(models))


def _risk(constraints: Constraints) -> Facts:
    success = constraints.success.model_dump(mode="json", include={"metric", "target", "stop_when"})
    return _facts(
        tier=constraints.risk.tier,
        tools=_tools(constraints, "side_effects"),
        success=success,
        fallback=constraints.fallback.model_dump(mode="json", include=WHEN_WRONG),
        confidence_floor=constraints.quality.confidence_floor,
    )


def _above_experiment(constraints: Constraints) -> str | None:
    return f"the tier is {constraints.risk.tier}" if constraints.risk.tier != "experiment" else None


def _for_privacy(constraints: Constraints) -> str | None:
    if constraints.data.data_class == "personal":
        return "callers send personal data"
    if constraints.data.data_class == "confidential" and egress_hosts(constraints):
        return "confidential data leaves this machine"
    return None


def _for_procurement(constraints: Constraints) -> str | None:
    bought = sorted({link.provider for link in constraints.models if link.provider not in OWN})
    return f"models are bought from {', '.join(bought)}" if bought and _above_experiment(constraints) else None


def _for_legal(constraints: Constraints) -> str | None:
    if constraints.risk.tier == "critical":
        return "the tier is critical"
    return "callers send personal data" if constraints.data.data_class == "personal" else None


def _for_risk(constraints: Constraints) -> str | None:
    acting = sorted(name for name, tool in constraints.tools.items() if tool.side_effects)
    if acting:
        return f"tools change things outside: {', '.join(acting)}"
    return "the tier is critical" if constraints.risk.tier == "critical" else None


KINDS = {
    "security": Kind("security", "Is it safe to run?", _security, _above_experiment),
    "privacy": Kind("data_protection", "May these data go there?", _privacy, _for_privacy),
    "legal": Kind("legal", "Which laws apply, and are they kept?", _legal, _for_legal),
    "procurement": Kind("vendor", "Is there a contract for this, up to this much?", _procurement, _for_procurement),
    "risk": Kind("risk_acceptance", "Who signs for what is left?", _risk, _for_risk),
}
"""Every kind by the name of its file, `signoffs/NAME.toml`."""
