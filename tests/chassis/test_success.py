"""`[success]`: the metric is measured from the daily counts, and compared with its target and its stop rule."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from chassis.clock import now
from chassis.config.constraints import Success, SuccessMetric
from chassis.quality.success import (
    DAYS,
    MIN_OBSERVATIONS,
    SuccessMeasurement,
    export_success,
    format_metric,
    measure_success,
)
from chassis.store.database import Database
from chassis.store.opening import open_database
from chassis.store.quality_history import Measure, add_count
from chassis.testing import ScriptedModel, constraints_for_tests, wire_for_tests
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError
from sample_task import TASK, Question


def success(metric: str, target: float = 0.6, stop_at: float = 0.3) -> Success:
    """Return the rule for a metric."""
    rule = {"metric": metric, "target": target, "stop_at": stop_at, "review_on": "2030-01-01", "stop_when": "A leak"}
    return Success.model_validate(rule)


def run_story(folder: Path, story: Callable[[Database], Awaitable[None]]) -> None:
    """Run a story with a database in this folder."""

    async def run() -> None:
        database = await open_database("sqlite:///store.db", folder)
        try:
            await story(database)
        finally:
            await database.close()

    asyncio.run(run())


CASES: list[tuple[str, Mapping[tuple[Measure, str], int], float, int]] = [
    (
        "answered_without_person",
        {("outcome", "answered"): 30, ("outcome", "referred"): 10, ("outcome", "refused"): 99},
        0.75,
        40,
    ),
    ("positive_feedback", {("feedback", "positive"): 1, ("feedback", "negative"): 3}, 0.25, 4),
    ("reviewed_pass_rate", {("sample", "pass"): 9, ("sample", "fail"): 1, ("review", "fail"): 50}, 0.9, 10),
    (
        "cost_per_answer_usd",
        {("cost", "nano_usd"): 6_000_000_000, ("outcome", "answered"): 3, ("outcome", "referred"): 7},
        2,
        3,
    ),
    ("p95_seconds", {("seconds", "0.5"): 94, ("seconds", "2"): 3, ("seconds", "16"): 3}, 2, 100),
]
"""For each metric, what was counted, its value, and of how many observations."""


@pytest.mark.parametrize(("metric", "counts", "value", "observations"), CASES, ids=lambda case: str(case)[:25])
def test_each_metric_has_its_value(
    tmp_path: Path, metric: str, counts: Mapping[tuple[Measure, str], int], value: float, observations: int
) -> None:
    """Over all days and tasks of the last four weeks; what is older, or of another measure, does not count."""
    rule = success(metric, *((0.1, 0.2) if metric in {"cost_per_answer_usd", "p95_seconds"} else ()))

    async def story(database: Database) -> None:
        assert (await measure_success(database, rule)).value is None
        today = now().date()
        async with database.transaction() as tx:
            for (measure, name), count in counts.items():
                await add_count(tx, "echo", measure, name, count - 1, today)
                await add_count(tx, "other", measure, name, 1, today - timedelta(days=DAYS - 1))
                await add_count(tx, "echo", measure, name, 1000, today - timedelta(days=DAYS))
        measured = await measure_success(database, rule)
        assert measured.value == pytest.approx(value)
        assert measured.observations == observations

    run_story(tmp_path, story)


def test_a_service_measures_itself(tmp_path: Path) -> None:
    """From its calls to the value, without anything in between that a team would have to do."""

    async def story() -> SuccessMeasurement:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("hello", "?maybe", "hello", "hello")) as wiring:
            for text in ("one", "why", "three", "four"):
                await wiring.service.answer(Question(text=text), wiring.service.new_call("ann"))
            await wiring.service.call_log.daily_counts.save(wiring.database)
            return await measure_success(wiring.database, wiring.constraints.success)

    measured = asyncio.run(story())

    assert (measured.value, measured.observations) == (0.75, 4)
    assert (measured.target_reached, measured.stop_rule_reached) == (True, False)
    assert "answered_without_person was 0.75 in the last 28 days, of 4; below 50 the stop rule waits" in str(measured)


@pytest.mark.parametrize(
    ("metric", "bounds", "value", "reached", "stopped"),
    [
        ("positive_feedback", (0.6, 0.3), 0.6, True, False),
        ("positive_feedback", (0.6, 0.3), 0.59, False, False),
        ("positive_feedback", (0.6, 0.3), 0.3, False, True),
        ("p95_seconds", (2, 8), 2, True, False),
        ("p95_seconds", (2, 8), 7.9, False, False),
        ("p95_seconds", (2, 8), 8, False, True),
        ("cost_per_answer_usd", (0.01, 0.05), 0.2, False, True),
    ],
)
def test_the_target_and_the_stop_rule(
    metric: str, bounds: tuple[float, float], value: float, *, reached: bool, stopped: bool
) -> None:
    """A cost and a duration are better if lower. With few observations the rule waits."""
    rule = success(metric, *bounds)
    measured = SuccessMeasurement(rule, value, MIN_OBSERVATIONS)

    assert (measured.target_reached, measured.stop_rule_reached) == (reached, stopped)
    assert not SuccessMeasurement(rule, value, MIN_OBSERVATIONS - 1).stop_rule_reached


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "Tickets per week"}, "answered_without_person"),
        ({"target": 60}, "is a share; write a number from 0 to 1"),
        ({"stop_at": 0.6}, "no worse than target = 0.6; write one below it"),
        ({"stop_at": 0.9}, "no worse than target = 0.6; write one below it"),
        ({"metric": "p95_seconds"}, "no worse than target = 0.6; write one above it"),
        ({"target": -1}, "greater than or equal to 0"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    """The message says what to write instead."""
    with pytest.raises(ValidationError, match=message):
        constraints_for_tests(success=change)


def test_the_value_is_exported(tmp_path: Path) -> None:
    """As a metric, by which the fleet report knows it; without observations there is none."""

    async def story() -> list[dict[str, float]]:
        pages: list[dict[str, float]] = []
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("hello")) as wiring:
            rule, instruments = wiring.constraints.success, wiring.telemetry.instruments
            for count in (0, 3):
                await add_count(wiring.database, "echo", "outcome", "referred", count)
                await add_count(wiring.database, "echo", "outcome", "answered", 3 * count)
                await export_success(wiring.database, rule, instruments)
                page = wiring.telemetry.metrics_page()[0].decode()
                samples = [each for family in text_string_to_metric_families(page) for each in family.samples]
                pages.append({each.name: each.value for each in samples if "success" in each.name})
                assert all(
                    each.labels["chassis_success_metric"] == rule.metric for each in samples if "success" in each.name
                )
        return pages

    assert asyncio.run(story()) == [{}, {"chassis_success_value": 0.75, "chassis_success_observations": 12}]


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("answered_without_person", 0.62, "62%"),
        ("positive_feedback", 0.9876, "98.8%"),
        ("reviewed_pass_rate", 1, "100%"),
        ("cost_per_answer_usd", 0.004, "$0.004"),
        ("cost_per_answer_usd", 1000, "$1,000.00"),
        ("p95_seconds", 2.378, "2.38 s"),
    ],
)
def test_a_value_is_shown_in_its_unit(metric: SuccessMetric, value: float, shown: str) -> None:
    """On the status page and in the fleet report."""
    assert format_metric(metric, value) == shown
