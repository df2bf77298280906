"""Checks of `constraints.toml`: limits that can be met, and rules for the data that is sent to models and tools."""

import re

from chassis.config.constraints import CONSTRAINTS_FILE, SELF_HOSTED
from chassis.errors import ConfigError
from chassis.quality.success import SuccessMeasurement
from chassis_tools.readiness import placeholders
from chassis_tools.readiness.check import Check, CheckFailed, Family, Repository, require

MIN_ACCURACY_FLOOR = 0.5
MAX_DUE_HOURS = 72
MAX_OUTPUT_TOKENS = 32_768
MAX_MODEL_REQUESTS = 50


class ConstraintsCheck(Check):
    """A check of the limits and promises."""

    family = Family.CONSTRAINTS
    file = CONSTRAINTS_FILE


class DecisionsAreValid(ConstraintsCheck, id="CON101", level="experiment"):
    """constraints.toml and ownership.toml are valid.

    Both files exist, and every key and value in them is valid. Most other checks read these files and are `unknown`
    until this check passes.
    """

    remedy = "Correct the value that the message names"

    def check(self, repository: Repository) -> str:
        _ = repository.project  # an invalid pyproject.toml makes this check unknown, not failed
        try:
            _ = repository.decisions
        except ConfigError as error:
            raise CheckFailed(str(error)) from None
        return "both files are valid"


class P95BelowDeadline(ConstraintsCheck, id="CON102", level="standard"):
    """The p95 latency target is below the deadline.

    `latency.p95_seconds` is below `latency.deadline_seconds`. Calls are cut off at the deadline, so a target at or
    above it could never be missed.
    """

    remedy = "Lower latency.p95_seconds"

    def check(self, repository: Repository) -> str:
        latency = repository.constraints.latency
        evidence = f"p95_seconds is {latency.p95_seconds:g}, deadline_seconds is {latency.deadline_seconds:g}"
        return require(latency.p95_seconds < latency.deadline_seconds, evidence, evidence)


class AccuracyFloorAboveChance(ConstraintsCheck, id="CON103", level="standard"):
    """The team has set the accuracy floor, to at least one half.

    `quality.accuracy_floor` is at least 0.5; below that `make evals` would accept a service that is wrong more often
    than right. The template's example counts as open until the owner of `model_quality` is confirmed.
    """

    remedy = "Decide on quality.accuracy_floor; if the example is right, confirm the owner of roles.model_quality"

    def check(self, repository: Repository) -> str:
        floor = repository.constraints.quality.accuracy_floor
        evidence = f"accuracy_floor is {floor:g}"
        require(floor >= MIN_ACCURACY_FLOOR, f"{evidence}, below {MIN_ACCURACY_FLOOR}", evidence)
        decided = floor != placeholders.ACCURACY_FLOOR or _quality_owner_confirmed(repository)
        return require(decided, f"{evidence}, the template's example", evidence)


class ConfidenceFloorAboveZero(ConstraintsCheck, id="CON104", level="standard"):
    """The team has set the confidence floor, above zero.

    `quality.confidence_floor` is above 0; with 0, every guess is returned as an answer and no question reaches the
    review queue. The template's example counts as open until the owner of `model_quality` is confirmed.
    """

    remedy = "Decide on quality.confidence_floor; if the example is right, confirm the owner of roles.model_quality"

    def check(self, repository: Repository) -> str:
        floor = repository.constraints.quality.confidence_floor
        evidence = f"confidence_floor is {floor:g}"
        require(floor > 0, evidence, evidence)
        decided = floor != placeholders.CONFIDENCE_FLOOR or _quality_owner_confirmed(repository)
        return require(decided, f"{evidence}, the template's example", evidence)


def _quality_owner_confirmed(repository: Repository) -> bool:
    tier = repository.constraints.risk.tier
    return "model_quality" not in repository.ownership.unconfirmed(repository.today, tier)


class SuccessReviewScheduled(ConstraintsCheck, id="CON105", level="standard"):
    """The team has a stop condition of its own, and a date to review its success.

    `success.stop_when` is not the template's example, and `success.review_on` is in the future. On that date the team
    decides whether the metric has reached its target and whether the service goes on.
    """

    remedy = "Write your own success.stop_when, and the next success.review_on"

    def check(self, repository: Repository) -> str:
        success = repository.constraints.success
        require(success.stop_when != placeholders.STOP_WHEN, "success.stop_when is still the template's example", "")
        day = success.review_on
        return require(day > repository.today, f"review_on was {day}", f"review_on is {day}")


class StopRuleNotReached(ConstraintsCheck, id="CON107", level="standard"):
    """The measured success is better than the stop rule.

    The value of `success.metric` over the last 28 days, in the database that `CHASSIS_DATABASE_URL` names, is better
    than `success.stop_at`. A database without calls, as in CI, measures nothing and passes; with fewer than 50
    observations the value is only shown.
    """

    remedy = (
        "Decide with the owner of roles.system whether the service goes on; if so, fix its cause or success.stop_at"
    )

    def check(self, repository: Repository) -> str:
        success = repository.constraints.success
        measured = repository.measured_success or SuccessMeasurement(success, None, 0)
        return require(not measured.stop_rule_reached, str(measured), str(measured))


class ProductionIsNotExperiment(ConstraintsCheck, id="CON106", level="standard"):
    """A service in production is not an experiment.

    `risk.tier` is not `experiment` when `lifecycle` in `ownership.toml` is `production`. The tier decides which
    checks a release must pass, and an experiment must pass only a few.
    """

    remedy = "Raise risk.tier"

    def check(self, repository: Repository) -> str:
        lifecycle, tier = repository.ownership.lifecycle, repository.constraints.risk.tier
        evidence = f"lifecycle is {lifecycle}, tier is {tier}"
        return require((lifecycle, tier) != ("production", "experiment"), evidence, evidence)


class ReviewersAnswerInTime(ConstraintsCheck, id="FBK101", level="standard"):
    """Callers are promised an answer within three days.

    `review.due_hours` is at most 72. Callers whose question goes to the review queue are promised an answer within
    this time.
    """

    remedy = "Lower review.due_hours"

    def check(self, repository: Repository) -> str:
        hours = repository.constraints.review.due_hours
        evidence = f"due_hours is {hours:g}"
        return require(hours <= MAX_DUE_HOURS, f"{evidence}, above {MAX_DUE_HOURS}", evidence)


class ModelOutageHasFallback(ConstraintsCheck, id="FBK102", level="standard"):
    """There is something to fall back on when a model fails.

    There is a second model at another host, or `fallback.models_failed` is not `error`. Otherwise an outage of the only
    vendor is an outage of the service.
    """

    remedy = "Add a model, or set fallback.models_failed to baseline or review"

    def check(self, repository: Repository) -> str:
        hosts = {model.host for model in repository.constraints.models}
        models_failed = repository.constraints.fallback.models_failed
        evidence = f"hosts of models: {len(hosts)}, models_failed is {models_failed}"
        return require(len(hosts) > 1 or models_failed != "error", evidence, evidence)


class OutputTokensCapped(ConstraintsCheck, id="CST101", level="experiment"):
    """The length of a reply is capped.

    No model has a `max_output_tokens` above 32768. The price of a reply of that length is reserved before each
    request, so a high cap also uses up the budget.
    """

    remedy = "Lower max_output_tokens of the model"

    def check(self, repository: Repository) -> str:
        models = repository.constraints.models
        uncapped = [model.name for model in models if model.max_output_tokens > MAX_OUTPUT_TOKENS]
        failure = f"max_output_tokens is above {MAX_OUTPUT_TOKENS} for {', '.join(uncapped)}"
        return require(not uncapped, failure, f"max_output_tokens is at most {MAX_OUTPUT_TOKENS} for every model")


class BudgetLimitsAscend(ConstraintsCheck, id="CST102", level="experiment"):
    """Budget limits are in ascending order.

    The limits in `[cost]` do not decrease from one request to a caller's day, a day and a month. A limit that is
    larger than the next one could never be reached.
    """

    remedy = "Put the limits of [cost] in ascending order"

    def check(self, repository: Repository) -> str:
        cost = repository.constraints.cost
        limits = [cost.per_request_usd, cost.per_caller_day_usd, cost.per_day_usd, cost.per_month_usd]
        evidence = f"limits in USD: {', '.join(f'{limit:g}' for limit in limits)}"
        return require(limits == sorted(limits), evidence, evidence)


class AgentLoopsBounded(ConstraintsCheck, id="CST103", level="standard"):
    """Agent loops are bounded.

    `limits.model_requests_per_call` is at most 50. An agent that calls a model in a loop is stopped at that number.
    """

    remedy = "Lower limits.model_requests_per_call"

    def check(self, repository: Repository) -> str:
        count = repository.constraints.limits.model_requests_per_call
        evidence = f"model_requests_per_call is {count}"
        return require(count <= MAX_MODEL_REQUESTS, f"{evidence}, above {MAX_MODEL_REQUESTS}", evidence)


class DataCheck(Check):
    """A check of where data goes and what is removed from it."""

    family = Family.DATA
    file = CONSTRAINTS_FILE


class RegionsAreKnown(DataCheck, id="DAT101", level="standard"):
    """The region of every destination is known.

    Every destination that a model or a tool uses has a `region`. The privacy and legal sign-offs depend on it. The
    contract with the provider states it.
    """

    remedy = "Set region of the destination, as the contract states it"

    def check(self, repository: Repository) -> str:
        return _known_for_all_destinations(repository, "region")


class RetentionIsKnown(DataCheck, id="DAT102", level="standard"):
    """The data retention of every destination is known.

    Every destination that a model or a tool uses has `retention_days`. The privacy sign-off depends on it. The
    contract with the provider states it.
    """

    remedy = "Set retention_days of the destination, as the contract states it"

    def check(self, repository: Repository) -> str:
        return _known_for_all_destinations(repository, "retention_days")


def _known_for_all_destinations(repository: Repository, key: str) -> str:
    constraints = repository.constraints
    users = (*constraints.models, *constraints.tools.values())
    used = {user.destination for user in users}
    unknown = sorted(name for name in used if getattr(constraints.destinations[name], key) is None)
    return require(not unknown, f"no {key} for {', '.join(unknown)}", f"{key} is set for {', '.join(sorted(used))}")


class SecretsRedactedEverywhere(DataCheck, id="DAT103", level="experiment"):
    """Every destination redacts secrets and card numbers.

    Every destination has `secret` and `card` in its `redact` list. Keys and card numbers are then replaced by
    placeholders before a request is sent.
    """

    remedy = "Add secret and card to redact of every destination"

    def check(self, repository: Repository) -> str:
        destinations = repository.constraints.destinations.items()
        unredacted = sorted(name for name, rules in destinations if not {"secret", "card"} <= rules.redact)
        return require(not unredacted, f"not redacted for {', '.join(unredacted)}", "redacted for every destination")


class QuestionsWithSecretsRefused(DataCheck, id="DAT104", level="standard"):
    """Questions that contain secrets are refused.

    `data.refuse` contains `secret`. A question that contains a password or a key is then refused with status 422,
    and the response says why.
    """

    remedy = "Add secret to data.refuse"

    def check(self, repository: Repository) -> str:
        contained = "secret" in repository.constraints.data.refuse
        return require(contained, "data.refuse does not contain secret", "data.refuse contains secret")


class ModelVersionsPinned(DataCheck, id="DAT105", level="critical"):
    """Vendor models are pinned to a dated version.

    The id of every vendor model contains a date, such as `gpt-5.4-mini-2026-03-17`. The vendor can replace a model
    without a date at any time.
    """

    remedy = "Use the dated version of the model"

    def check(self, repository: Repository) -> str:
        models = [model.model for model in repository.constraints.models if model.provider not in SELF_HOSTED]
        undated = [model for model in models if not re.search(r"20\d\d-?\d\d-?\d\d", model)]
        return require(not undated, f"no date in {', '.join(undated)}", f"dated: {', '.join(models) or 'none needed'}")
