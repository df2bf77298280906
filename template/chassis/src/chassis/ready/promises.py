"""Checks of `constraints.toml`: what is promised, and whether it can be kept."""

import re

from chassis.ready.check import Check
from chassis.ready.evidence import Evidence, Failed, Unknown
from chassis.signoffs.kinds import OWN

CHANCE, MAX_TURNS, MAX_TOKENS, MAX_HOURS = 0.5, 50, 32_768, 72


def need(condition: object, failing: str, passing: str) -> str:
    """Return the evidence.

    Raises:
        Failed: The condition does not hold.
    """
    if not condition:
        raise Failed(failing)
    return passing


def declared(evidence: Evidence) -> str:
    """Both files fit their types. While one does not, whatever depends on it is unknown."""
    _ = evidence.project  # what is wrong there is no matter of these two
    try:
        _ = evidence.decisions
    except Unknown as error:
        raise Failed(str(error)) from None
    return "constraints.toml and ownership.toml can be meant"


def quantile(evidence: Evidence) -> str:
    """`latency.p95_seconds` is below the deadline, or one call in twenty may end in a timeout."""
    latency = evidence.constraints.latency
    said = f"p95_seconds is {latency.p95_seconds:g}, deadline_seconds {latency.deadline_seconds:g}"
    return need(latency.p95_seconds < latency.deadline_seconds, said, said)


def floor(evidence: Evidence) -> str:
    """`quality.accuracy_floor` is at least 0.5; a lower one is kept by guessing."""
    value = evidence.constraints.quality.accuracy_floor
    return need(value >= CHANCE, f"accuracy_floor is {value:g}, no better than chance", f"accuracy_floor is {value:g}")


def doubt(evidence: Evidence) -> str:
    """`quality.confidence_floor` is above 0; at 0 no draft is ever unsure, and no person is ever asked."""
    value = evidence.constraints.quality.confidence_floor
    return need(value > 0, "confidence_floor is 0: no draft is ever unsure", f"confidence_floor is {value:g}")


def person(evidence: Evidence) -> str:
    """`desk.due_hours` is at most 72; whoever waits longer has asked elsewhere."""
    hours = evidence.constraints.desk.due_hours
    return need(hours <= MAX_HOURS, f"due_hours is {hours:g}, over {MAX_HOURS}", f"within {hours:g} hours")


def fallback(evidence: Evidence) -> str:
    """There is a second model, or `when_wrong.models_failed` leads to the baseline or a person."""
    constraints = evidence.constraints
    way = constraints.when_wrong.models_failed
    count = len(constraints.models)
    return need(way != "refuse" or count > 1, "one model, and models_failed is 'refuse'", f"{count} models, then {way}")


def success(evidence: Evidence) -> str:
    """`success.review_on` lies ahead; from that day on people have to say whether it was worth it."""
    day = evidence.constraints.success.review_on
    return need(day > evidence.today, f"success.review_on was {day}", f"next on {day}")


def tier(evidence: Evidence) -> str:
    """Where `lifecycle` is `production`, the tier is not `experiment`, which needs no sign-off."""
    ownership, found = evidence.decisions.ownership, evidence.constraints.risk.tier
    said = f"lifecycle is {ownership.lifecycle}, tier is {found}"
    return need(ownership.lifecycle != "production" or found != "experiment", said, said)


def caps(evidence: Evidence) -> str:
    """No model may write more than 32768 tokens; what is held for one request grows with its cap."""
    wide = [link.name for link in evidence.constraints.models if link.max_output_tokens > MAX_TOKENS]
    return need(not wide, f"more than {MAX_TOKENS} output tokens: {', '.join(wide)}", "every model has a cap")


def budgets(evidence: Evidence) -> str:
    """A request costs no more than a caller's day, that no more than a day, a day no more than a month."""
    cost = evidence.constraints.cost
    parts = [cost.per_request_usd, cost.per_caller_day_usd, cost.per_day_usd, cost.per_month_usd]
    said = " ≤ ".join(f"{part:g}" for part in parts) + " USD"
    return need(parts == sorted(parts), f"not in order: {said}", said)


def turns(evidence: Evidence) -> str:
    """`limits.model_requests_per_call` is at most 50; a loop that needs more is no answer but a bill."""
    count = evidence.constraints.limits.model_requests_per_call
    return need(count <= MAX_TURNS, f"{count} requests in one call, over {MAX_TURNS}", f"{count} requests in one call")


def regions(evidence: Evidence) -> str:
    """Each destination that a model or a tool uses has a `region`, as the contract says."""
    return _known(evidence, "region")


def retention(evidence: Evidence) -> str:
    """Each destination that a model or a tool uses has `retention_days`, as the contract says."""
    return _known(evidence, "retention_days")


def _known(evidence: Evidence, key: str) -> str:
    used = {link.destination for link in evidence.constraints.models}
    used |= {tool.destination for tool in evidence.constraints.tools.values()}
    unknown = sorted(name for name in used if getattr(evidence.constraints.destinations[name], key) is None)
    return need(not unknown, f"no {key} for {', '.join(unknown)}", f"{key} is known for {len(used)} destinations")


def secrets(evidence: Evidence) -> str:
    """Each destination redacts `secret` and `card`, also your own: credentials help no model."""
    places = evidence.constraints.destinations.items()
    leaky = sorted(name for name, place in places if not {"secret", "card"} <= place.redact)
    return need(not leaky, f"secrets or cards reach {', '.join(leaky)}", "secrets and cards are redacted everywhere")


def refused(evidence: Evidence) -> str:
    """`data.refuse` names `secret`: whoever pastes a key is told so before it is anywhere."""
    found = "secret" in evidence.constraints.data.refuse
    return need(found, "data.refuse does not name secret", "questions with secrets are refused")


def dated(evidence: Evidence) -> str:
    """The id of each bought model has a date, so that the vendor cannot change it under its name."""
    bought = [link for link in evidence.constraints.models if link.provider not in OWN]
    loose = [link.model for link in bought if not re.search(r"20\d\d-?\d\d-?\d\d", link.model)]
    return need(not loose, f"no date in {', '.join(loose)}", f"{len(bought)} bought models, all dated")


CHECKS = (
    Check("CON101", "Constraints and owners can be read", "experiment", "Mend what the sentence names", declared),
    Check("CON102", "The usual answer comes before the deadline", "standard", "Lower latency.p95_seconds", quantile),
    Check("CON103", "The quality floor is above chance", "standard", "Raise quality.accuracy_floor", floor),
    Check("CON104", "An unsure draft is not an answer", "experiment", "Raise quality.confidence_floor", doubt),
    Check("CON105", "Success has a review ahead", "standard", "Hold the review, then move success.review_on", success),
    Check("CON106", "What is in production is no experiment", "standard", "Raise risk.tier", tier),
    Check("FBK101", "A person answers within three days", "standard", "Lower desk.due_hours", person),
    Check("FBK102", "One failing model is not the end", "standard", "Set models_failed, or add a model", fallback),
    Check("CST101", "Every reply has a sane cap", "experiment", "Lower max_output_tokens", caps),
    Check("CST102", "No part of the budget exceeds the whole", "experiment", "Put the ceilings in order", budgets),
    Check("CST103", "A looping agent stops", "standard", "Lower limits.model_requests_per_call", turns),
    Check("DAT101", "It is known where data is processed", "standard", "Read the contract; write region", regions),
    Check(
        "DAT102", "It is known how long data is kept", "standard", "Read the contract; write retention_days", retention
    ),
    Check("DAT103", "Secrets and cards are redacted everywhere", "experiment", "Add them to redact", secrets),
    Check("DAT104", "Questions with secrets are refused", "standard", "Add secret to data.refuse", refused),
    Check("DAT105", "Bought models carry a date", "critical", "Name the dated version of the model", dated),
)
