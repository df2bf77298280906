"""Checks of `constraints.toml`: what is promised, and whether it can be kept."""

from chassis_tools.readiness.check import Check
from chassis_tools.readiness.evidence import Evidence, Failed, Unknown

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
    """`constraints.toml` and `ownership.toml` are there, and every value in them can be meant.

    Most other checks read these two files, and are `unknown` until this one passes.
    """
    _ = evidence.project  # what is wrong there is no matter of these two
    try:
        _ = evidence.decisions
    except Unknown as error:
        raise Failed(str(error)) from None
    return "constraints.toml and ownership.toml can be meant"


def quantile(evidence: Evidence) -> str:
    """`latency.p95_seconds` is below `latency.deadline_seconds`.

    Calls are cut off at the deadline, so a p95 at or above it could never be missed.
    """
    latency = evidence.constraints.latency
    said = f"p95_seconds is {latency.p95_seconds:g}, deadline_seconds {latency.deadline_seconds:g}"
    return need(latency.p95_seconds < latency.deadline_seconds, said, said)


def floor(evidence: Evidence) -> str:
    """`quality.accuracy_floor` is at least 0.5.

    Below that, `make evals` would let a service pass that is wrong more often than right.
    """
    value = evidence.constraints.quality.accuracy_floor
    return need(value >= CHANCE, f"accuracy_floor is {value:g}, no better than chance", f"accuracy_floor is {value:g}")


def doubt(evidence: Evidence) -> str:
    """`quality.confidence_floor` is above 0.

    At 0 no draft counts as unsure, so every guess is shown as an answer and no question reaches a person.
    """
    value = evidence.constraints.quality.confidence_floor
    return need(value > 0, "confidence_floor is 0: no draft is ever unsure", f"confidence_floor is {value:g}")


def person(evidence: Evidence) -> str:
    """`review.due_hours` is at most 72. It is the time within which callers are promised a person's answer."""
    hours = evidence.constraints.review.due_hours
    return need(hours <= MAX_HOURS, f"due_hours is {hours:g}, over {MAX_HOURS}", f"within {hours:g} hours")


def fallback(evidence: Evidence) -> str:
    """There is a second model, or `fallback.models_failed` is not `refuse`.

    Otherwise an outage of the one vendor is an outage of the service.
    """
    constraints = evidence.constraints
    way = constraints.fallback.models_failed
    count = len(constraints.models)
    return need(way != "error" or count > 1, "one model, and models_failed is 'error'", f"{count} models, then {way}")


def success(evidence: Evidence) -> str:
    """`success.review_on` lies ahead.

    On that day people look whether `success.metric` has reached its target, and whether the service goes on.
    """
    day = evidence.constraints.success.review_on
    return need(day > evidence.today, f"success.review_on was {day}", f"next on {day}")


def tier(evidence: Evidence) -> str:
    """`risk.tier` is not `experiment` while `lifecycle` in `ownership.toml` is `production`.

    The tier decides which checks a release has to pass, and an experiment has to pass few.
    """
    ownership, found = evidence.decisions.ownership, evidence.constraints.risk.tier
    said = f"lifecycle is {ownership.lifecycle}, tier is {found}"
    return need(ownership.lifecycle != "production" or found != "experiment", said, said)


def caps(evidence: Evidence) -> str:
    """No model has a `max_output_tokens` above 32768.

    The price of a reply of that length is held before each request, so a wide cap also uses up the budgets.
    """
    wide = [link.name for link in evidence.constraints.models if link.max_output_tokens > MAX_TOKENS]
    return need(not wide, f"more than {MAX_TOKENS} output tokens: {', '.join(wide)}", "every model has a cap")


def budgets(evidence: Evidence) -> str:
    """The ceilings of `[cost]` do not fall from request to caller and day, day, and month.

    One that is larger than the next could never be reached.
    """
    cost = evidence.constraints.cost
    parts = [cost.per_request_usd, cost.per_caller_day_usd, cost.per_day_usd, cost.per_month_usd]
    said = " ≤ ".join(f"{part:g}" for part in parts) + " USD"
    return need(parts == sorted(parts), f"not in order: {said}", said)


def turns(evidence: Evidence) -> str:
    """`limits.model_requests_per_call` is at most 50. There an agent that keeps asking in a loop is stopped."""
    count = evidence.constraints.limits.model_requests_per_call
    return need(count <= MAX_TURNS, f"{count} requests in one call, over {MAX_TURNS}", f"{count} requests in one call")


CHECKS = (
    Check("CON101", "Constraints and owners can be read", "experiment", "Mend what the sentence names", declared),
    Check("CON102", "The usual answer comes before the deadline", "standard", "Lower latency.p95_seconds", quantile),
    Check("CON103", "The quality floor is above chance", "standard", "Raise quality.accuracy_floor", floor),
    Check("CON104", "Unsure drafts are not shown as answers", "experiment", "Raise quality.confidence_floor", doubt),
    Check(
        "CON105", "A day is set to look at success", "standard", "Hold the review, then move success.review_on", success
    ),
    Check("CON106", "What is in production is no experiment", "standard", "Raise risk.tier", tier),
    Check("FBK101", "A person answers within three days", "standard", "Lower review.due_hours", person),
    Check(
        "FBK102",
        "One failing model is not the end",
        "standard",
        "Add a model, or set fallback.models_failed to baseline or desk",
        fallback,
    ),
    Check("CST101", "Every reply has a sane cap", "experiment", "Lower max_output_tokens of the model", caps),
    Check(
        "CST102",
        "No part of the budget exceeds the whole",
        "experiment",
        "Put the ceilings of [cost] in order",
        budgets,
    ),
    Check("CST103", "A looping agent stops", "standard", "Lower limits.model_requests_per_call", turns),
)
