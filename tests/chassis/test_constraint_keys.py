"""Every key of `constraints.toml` has an effect: two values of it make two services that behave differently."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
from chassis.config.constraints import Constraints
from chassis.testing import CONSTRAINTS
from constraint_effects import Raw, See, connected, judged, needed, objective, refused, reviewed, voided_since
from observations import (
    answered_by,
    answered_late,
    answered_over_the_network,
    answered_two_at_once,
    answered_without_database,
    asked_at_once,
    asked_for_one_question,
    asked_for_the_same_question_twice,
    callback_allowed,
    called_back_into_the_network,
    caps_sent,
    charged,
    due_in_hours,
    kept,
    late_calls,
    referred_after_negative_feedback,
    reviewed_twice,
    sampled,
    sent,
    sent_as_cap,
    statuses,
    worked_on_at_once,
)
from pydantic import BaseModel
from pydantic_ai.exceptions import ModelHTTPError

BASE: Raw = CONSTRAINTS | {
    "destinations": CONSTRAINTS["destinations"] | {"elsewhere": {"classes": ["internal"], "redact": []}},
    "tools": {"look": {"destination": "vendor", "side_effects": False}},
    "callbacks": {},
}
VOIDED = voided_since(BASE)
DOWN, SOON = ModelHTTPError(503, "first"), ModelHTTPError(408, "first")
OWN = {"provider": "openai-compatible", "base_url": "https://gpu.example.com/v1"}
CARD = "Pay with 4111 1111 1111 1111"
GATE = {"floor": {"kind": "floor", "evaluator": "right"}, "drop": {"kind": "regression", "evaluator": "right"}}

type Seen = tuple[object, object]
"""A value of the key, and what is observed with it."""

KEYS: dict[str, tuple[See, Seen, Seen]] = {
    "risk.tier": (needed, ("experiment", set()), ("standard", {"security", "procurement"})),
    "success.metric": (VOIDED, ("answered_without_person", set()), ("positive_feedback", {"risk"})),
    "success.target": (VOIDED, (0.6, set()), (0.7, {"risk"})),
    "success.stop_at": (VOIDED, (0.3, set()), (0.2, {"risk"})),
    "success.stop_when": (VOIDED, (CONSTRAINTS["success"]["stop_when"], set()), ("Never at all", {"risk"})),
    "success.review_on": (reviewed("CON105"), ("2030-01-01", "pass"), ("2029-06-01", "fail")),
    "latency.deadline_seconds": (answered_late, (20, "first"), (1, "baseline")),
    "latency.p95_seconds": (late_calls, (5, 0), (0.000001, 1)),
    "reliability.availability": (objective("availability"), (0.99, "0.99"), (0.9, "0.9")),
    "reliability.without_fallback": (objective("without_fallback"), (0.9, "0.9"), (0.8, "0.8")),
    "quality.confidence_floor": (answered_by("Four."), (0.5, "first"), (0.95, "review: low_confidence")),
    "quality.accuracy_floor": (judged(GATE["floor"], 160), (0.8, "PASS"), (0.9, "FAIL")),
    "quality.max_regression": (judged(GATE["drop"], 199, kind="live"), (0.05, "PASS"), (0.001, "INCONCLUSIVE")),
    "cost.mean_usd": (judged({"kind": "cost"}, 200), (0.002, "PASS"), (0.0005, "FAIL")),
    "cost.per_request_usd": (answered_by("Four."), (1, "first"), (0.000001, "baseline")),
    "cost.per_caller_day_usd": (answered_by("Four."), (1, "first"), (0.000001, "baseline")),
    "cost.per_day_usd": (answered_by("Four."), (1, "first"), (0.000001, "baseline")),
    "cost.per_month_usd": (answered_by("Four."), (1, "first"), (0.000001, "baseline")),
    "limits.max_body_bytes": (statuses("hello"), (100, [200]), (10, [413])),
    "limits.calls_per_minute": (statuses("one", "two"), (2, [200, 200]), (1, [200, 429])),
    "limits.concurrent_calls": (worked_on_at_once, (2, 2), (1, 1)),
    "limits.queued_calls": (statuses("one", "two", together=True), (1, [200, 200]), (0, [200, 503])),
    "limits.model_requests_per_call": (asked_for_one_question, (4, 4), (2, 2)),
    "limits.concurrent_requests_per_model": (asked_at_once, (2, 2), (1, 1)),
    "limits.queued_requests_per_model": (answered_two_at_once, (1, ["first"] * 2), (0, ["first", "second"])),
    "limits.retries_per_model": (answered_by(SOON, "Four."), (1, "first"), (0, "baseline")),
    "cache.ttl_seconds": (asked_for_the_same_question_twice, (0, 2), (60, 1)),
    "data.class": (refused, ("internal", None), ("personal", "the model 'first' may not receive 'personal' data")),
    "data.refuse": (answered_by("Four.", text=CARD), ([], "first"), (["card"], "input-not-allowed")),
    "destinations.classes": (
        refused,
        (["internal"], None),
        (["public"], "the model 'first' may not receive 'internal' data"),
    ),
    "destinations.redact": (sent, ([], "ada@example.com"), (["email"], "[EMAIL_1]")),
    "destinations.region": (reviewed("DAT101"), (None, "fail"), ("eu", "pass")),
    "destinations.retention_days": (reviewed("DAT102"), (None, "fail"), (30, "pass")),
    "models.name": (answered_by("Four."), ("first", "first"), ("other", "baseline")),
    "models.provider": (connected(lambda it: it.system), ("openai", "openai"), ("google", "google")),
    "models.model": (connected(lambda it: it.model_name), ("first", "first"), ("other", "other")),
    "models.destination": (sent, ("vendor", "[EMAIL_1]"), ("elsewhere", "ada@example.com")),
    "models.max_output_tokens": (sent_as_cap, (100, 100), (50, 50)),
    "models.output_cap_parameter": (
        caps_sent,
        ("both", {"max_tokens", "max_completion_tokens"}),
        ("max_tokens", {"max_tokens"}),
    ),
    "models.base_url": (
        connected(lambda it: it.base_url),
        ("https://gpu.example.com/v1", "https://gpu.example.com/v1/"),
        ("https://cpu.example.com/v1", "https://cpu.example.com/v1/"),
    ),
    "models.private_network": (answered_over_the_network, (True, "first"), (False, "baseline")),
    "models.input_usd_per_million": (charged, (10, 0.0006), (110, 0.0016)),
    "models.output_usd_per_million": (charged, (100, 0.0006), (300, 0.0016)),
    "tools.destination": (
        refused,
        ("vendor", None),
        ("nowhere", "the tool 'look' has the unknown destination 'nowhere'"),
    ),
    "tools.side_effects": (needed, (False, {"security", "procurement"}), (True, {"security", "procurement", "risk"})),
    "tools.hosts": (VOIDED, ([], set()), (["x.example.com"], {"security"})),
    "fallback.low_confidence": (answered_by("?"), ("baseline", "baseline"), ("review", "review: low_confidence")),
    "fallback.models_failed": (answered_by(DOWN), ("review", "review: models_failed"), ("error", "models-failed")),
    "fallback.budget_exhausted": (answered_by("Four."), ("baseline", "baseline"), ("error", "budget-exhausted")),
    "fallback.database_down": (answered_without_database, ("baseline", "baseline"), ("error", "database-unavailable")),
    "review.due_hours": (due_in_hours, (8, 8), (1, 1)),
    "review.negative_feedback": (referred_after_negative_feedback, (True, 1), (False, 0)),
    "review.sample_share": (sampled, (1, 1), (0, 0)),
    "review.second_share": (reviewed_twice, (1, 1), (0, 0)),
    "callbacks.origins": (callback_allowed, (["https://orders.example.com"], True), ([], False)),
    "callbacks.private_network": (called_back_into_the_network, (True, 1), (False, 0)),
    "retention.calls_days": (kept("calls", days=7), (8, True), (7, False)),
    "retention.feedback_days": (kept("feedback", days=7), (8, True), (7, False)),
    "retention.referrals_days": (kept("referrals", days=31), (31, True), (30, False)),
    "retention.audit_days": (kept("review_events", days=31), (32, True), (30, False)),
}
"""By key: how its effect is observed, and two values, each with what is observed."""
GIVEN: dict[str, Mapping[str, Raw]] = {
    "limits.queued_calls": {"limits": {"concurrent_calls": 1}},
    "limits.queued_requests_per_model": {"limits": {"concurrent_requests_per_model": 1}},
    "models.output_cap_parameter": {"models": OWN},
    "models.base_url": {"models": OWN},
    "models.private_network": {"models": OWN},
    "fallback.budget_exhausted": {"cost": {"per_request_usd": 0.000001}},
}
"""Other changes without which a key has no effect."""


def keys_of(section: type[BaseModel], above: str = "") -> Iterator[str]:
    """Yield the dotted names of all keys with a value, without the names of tables that the team chooses."""
    for name, field in section.model_fields.items():
        key = f"{above}{field.alias or name}"
        inner = next(sections_in(field.annotation), None)
        yield from keys_of(inner, f"{key}.") if inner else [key]


def sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections that a type contains."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from sections_in(part)


def table(raw: Raw, path: str) -> Raw:
    """Return a table of the file; if there are several under names that the team chooses, the first."""
    found: Any = raw[path]
    if path == "models":
        return found[0]
    return next(iter(found.values())) if path in {"destinations", "tools"} else found


def with_key(key: str, value: object) -> Raw:
    """Return constraints in which a key has this value."""
    raw, (section, _, name) = deepcopy(BASE), key.partition(".")
    for given, changes in GIVEN.get(key, {}).items():
        table(raw, given).update(changes)
    table(raw, section)[name] = value
    return raw


def test_every_key_is_in_the_table() -> None:
    """A new key needs a row too."""
    assert sorted(KEYS) == sorted(keys_of(Constraints))


@pytest.mark.parametrize("key", KEYS)
def test_a_key_has_an_effect(key: str, tmp_path: Path) -> None:
    """The two services differ in nothing but the key."""
    see, *both = KEYS[key]
    assert both[0][1] != both[1][1]
    for place, (value, expected) in enumerate(both):
        folder = tmp_path / str(place)
        folder.mkdir()
        assert see(folder, with_key(key, value)) == expected
