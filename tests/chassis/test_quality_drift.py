"""Quality drift: a rise of a failure rate is found, named and reported, and what has not changed stays silent."""

import asyncio
import json
import random
import re
import statistics
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from chassis.clock import now
from chassis.contract import Answered
from chassis.errors import NotFound
from chassis.quality.detectors import MIN_SAMPLE, DayRate, compare_shapes, detect_rise
from chassis.quality.drift import MAIN_FALSE_ALARM_DAYS, OTHER_FALSE_ALARM_DAYS, DriftWatch, SignalReport
from chassis.store.database import Database
from chassis.store.quality_history import DriftAlarm, DriftAlarms, Measure, add_count, bin_of
from chassis.store.reviews import Assessment, Reviews
from chassis.telemetry.instruments import NO_INSTRUMENTS
from chassis.testing import ScriptedModel, wire_for_tests
from cli_runner import run
from database_story import run_with_database
from prometheus_client.parser import text_string_to_metric_families
from sample_task import TASK, Question

TODAY = now().date()
NEVER = 10_000
SIGNALS_OF_A_SERVICE = [
    (MAIN_FALSE_ALARM_DAYS, 50, 10),
    *2 * [(OTHER_FALSE_ALARM_DAYS, 50, 10)],
    *2 * [(OTHER_FALSE_ALARM_DAYS, 14, 100)],
]
"""Of each, how rare its false alarms are, the days of its reference, and its observations per day."""
type Story = Callable[[Database], Awaitable[None]]


def days_of(rate: float, count: int, *, per_day: int = 10, rng: random.Random | None = None) -> list[DayRate]:
    """Return days with this failure rate, exactly or at random."""
    first = date(2026, 1, 1)
    failures = [
        sum(rng.random() < rate for _ in range(per_day))
        if rng
        else int((day + 1) * rate * per_day + 1e-9) - int(day * rate * per_day + 1e-9)
        for day in range(count)
    ]
    return [DayRate(first + timedelta(days=day), failed, per_day) for day, failed in enumerate(failures)]


def after(days: Sequence[DayRate], more: Sequence[DayRate]) -> list[DayRate]:
    """Return the days of two series, one after the other."""
    last = days[-1].day
    return [
        *days,
        *(DayRate(last + timedelta(days=number), day.failures, day.total) for number, day in enumerate(more, start=1)),
    ]


def first_alarm(
    days: Sequence[DayRate], reference: int, change: int = 0, mean_days: float = MAIN_FALSE_ALARM_DAYS
) -> int:
    """Return on which day after a change there is an alarm, looking at each evening; a large number if never."""
    evenings = range(reference + 1, len(days) + 1)
    return next((end for end in evenings if detect_rise(days[:end], mean_days, None).evidence >= 1), NEVER) - change


def test_a_rise_from_5_to_15_percent_is_found_within_8_days() -> None:
    """At ten judged answers per day, after a quiet month, in the median of simulations with a fixed seed."""
    rng = random.Random(16)  # noqa: S311 - simulations, here and below
    delays = [
        delay
        for _ in range(150)
        if (delay := first_alarm(after(days_of(0.05, 80, rng=rng), days_of(0.15, 60, rng=rng)), 50, 80)) > 0
    ]

    assert len(delays) > 130
    assert statistics.median(delays) <= 8


@pytest.mark.slow
def test_false_alarms_of_all_signals_together_are_rare() -> None:
    """At most one quiet quarter in ten has one, although the references themselves are samples."""
    rng = random.Random(5)  # noqa: S311
    quarters = 200
    alarms = sum(
        any(
            first_alarm(days_of(0.05, reference + 90, per_day=per_day, rng=rng), reference, mean_days=mean_days) < NEVER
            for mean_days, reference, per_day in SIGNALS_OF_A_SERVICE
        )
        for _ in range(quarters)
    )

    assert alarms / quarters <= 0.1


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.2, 0.6])
def test_other_rates_are_watched_too(rate: float) -> None:
    """A rate that stays is silent, and one that rises by 20 points is found, from the right day on."""
    quiet = days_of(rate, 90)
    assert first_alarm(quiet, 50) == NEVER

    drifted = after(quiet, days_of(min(rate + 0.2, 1), 60))
    report = detect_rise(drifted, MAIN_FALSE_ALARM_DAYS, None)
    assert report.evidence >= 1
    assert report.since
    assert abs((report.since - drifted[90].day).days) <= 5


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3])
def test_an_improvement_is_no_alarm(rate: float) -> None:
    """Only a rise of a failure rate is, and without one no day is named on which it began."""
    report = detect_rise(after(days_of(0.3, 60), days_of(rate, 60)), MAIN_FALSE_ALARM_DAYS, None)
    assert report.evidence < 0.5
    assert report.since is None


@pytest.mark.parametrize("failures", [100, 10_000])
def test_one_bad_day_is_no_alarm(failures: int) -> None:
    """It may be an outage, which has its own alarm. Two of them are, however many calls a day has."""
    quiet = days_of(0.05, 60, per_day=100)
    bad = DayRate(quiet[-1].day + timedelta(days=1), failures, failures)

    assert detect_rise([*quiet, bad], MAIN_FALSE_ALARM_DAYS, None).evidence < 1
    assert (
        detect_rise(
            [*quiet, bad, DayRate(bad.day + timedelta(days=1), failures, failures)], MAIN_FALSE_ALARM_DAYS, None
        ).evidence
        >= 1
    )


@pytest.mark.parametrize(
    ("count", "per_day", "enough"),
    [
        (13, 1000, False),
        (14, 1000, True),
        (49, 10, False),
        (50, 10, True),
        (59, 4, False),
        (60, 4, True),
        (60, 3, False),
    ],
)
def test_a_reference_is_large_enough(count: int, per_day: int, *, enough: bool) -> None:
    """Two weeks and 500 observations, or 60 days and 200."""
    assert (
        detect_rise(days_of(0.05, count, per_day=per_day), MAIN_FALSE_ALARM_DAYS, None).reference is not None
    ) is enough


@pytest.mark.parametrize("rate", [0.96, 0.99, 1.0])
def test_where_almost_everything_fails_nothing_is_found(rate: float) -> None:
    """Such a rate cannot rise; that it is that high is what other alarms are for."""
    report = detect_rise(after(days_of(rate, 60), days_of(1.0, 60)), MAIN_FALSE_ALARM_DAYS, None)
    assert report.reference
    assert report.evidence == 0


def test_evidence_is_finite_however_long_a_change_lasts() -> None:
    """A year of failures does not overflow."""
    assert (
        1
        < detect_rise(after(days_of(0.05, 60), days_of(1.0, 300)), MAIN_FALSE_ALARM_DAYS, None).evidence
        < float("inf")
    )


def lengths(rng: random.Random, count: int, mean: float = 5) -> Counter[str]:
    """Return the bins of so many lengths."""
    return Counter(bin_of(rng.lognormvariate(mean, 0.8)) for _ in range(count))


@pytest.mark.slow
def test_psi_is_silent_without_drift() -> None:
    """Of 1,000 windows of the smallest size, at most 5 are reported at the stated 0.1 %; expected is 1."""
    rng = random.Random(3)  # noqa: S311
    moved = [compare_shapes(lengths(rng, 500), lengths(rng, MIN_SAMPLE)) for _ in range(1000)]

    assert sum(shape is not None and shape.moved for shape in moved) <= 5


@pytest.mark.parametrize("mean", [4.4, 5.6, 6.5])
def test_psi_finds_a_move(mean: float) -> None:
    """In almost every window, in either direction."""
    rng = random.Random(3)  # noqa: S311
    moved = [compare_shapes(lengths(rng, 500), lengths(rng, MIN_SAMPLE, mean)) for _ in range(50)]

    assert sum(shape is not None and shape.moved for shape in moved) >= 48


@pytest.mark.parametrize(("reference", "present"), [(199, 1000), (1000, 199), (0, 0)])
def test_psi_refuses_small_samples(reference: int, present: int) -> None:
    """On either side."""
    rng = random.Random(3)  # noqa: S311
    assert compare_shapes(lengths(rng, reference), lengths(rng, present)) is None


def test_psi_of_a_constant_is_silent_until_it_moves() -> None:
    """All in one bin has no degree of freedom left; a new constant has one."""
    constant = Counter({"0.90": 300})
    same, other = compare_shapes(constant, constant), compare_shapes(constant, Counter({"0.30": 300}))
    assert same
    assert other
    assert (same.moved, other.moved, other.before, other.now) == (False, True, 0.9, 0.3)


async def fill(
    database: Database, measure: Measure, rates: Sequence[float], per_day: int = 20, end: date = TODAY
) -> None:
    """Count verdicts for the days up to today, or to another day."""
    bad, good = ("negative", "positive") if measure == "feedback" else ("fail", "pass")
    async with database.transaction() as tx:
        for number, rate in enumerate(reversed(rates)):
            day = end - timedelta(days=number)
            failures = round(rate * per_day)
            await add_count(tx, "echo", measure, bad, failures, day)
            await add_count(tx, "echo", measure, good, per_day - failures, day)


async def state(database: Database, name: str = "reviews") -> SignalReport:
    """Return the report of one signal."""
    [report] = await DriftWatch(database).reports()
    return next(signal for signal in report.signals if signal.signal.name == name)


@pytest.mark.parametrize("measure", ["review", "sample", "feedback"])
def test_an_alarm_is_raised_once(store_url: str, measure: Measure) -> None:
    """By several replicas and checks together. It stays open until a person closes it, then the watch goes on."""
    name = {"review": "reviews", "sample": "samples", "feedback": "feedback"}[measure]

    async def story(database: Database) -> None:
        await fill(database, measure, [0.05] * 40 + [0.4] * 8)
        watches = [DriftWatch(database) for _ in range(3)]
        await asyncio.gather(*(watch.check(NO_INSTRUMENTS) for watch in watches))
        [alarm] = await DriftAlarms(database).all_alarms()
        assert (alarm.task, alarm.signal, alarm.closed_at) == ("echo", name, None)
        assert abs((TODAY - timedelta(days=7) - alarm.changed_on).days) <= 1

        await DriftAlarms(database).close(alarm.id, accept=False)
        await DriftWatch(database).check(NO_INSTRUMENTS)
        assert len(await DriftAlarms(database).all_alarms()) == 1
        assert (await state(database, name)).state == "steady"
        with pytest.raises(NotFound):
            await DriftAlarms(database).close(alarm.id, accept=False)

    run_with_database(store_url, story)


@pytest.mark.parametrize(
    ("others", "is_main"),
    [
        ({}, True),
        ({"feedback": 0}, True),
        ({"sample": 0}, False),
        ({"sample": 0, "feedback": 0}, False),
        ({"sample": 40}, True),
    ],
    ids=["alone", "before feedback", "after samples", "after samples, with feedback", "samples have ended"],
)
def test_the_main_signal_alarms_first(tmp_path: Path, others: dict[Measure, int], *, is_main: bool) -> None:
    """The first that people still judge needs the least evidence, and all others need the same."""

    async def story(database: Database) -> None:
        await fill(database, "review", [0.05] * 40 + [0.2] * 5)
        for measure, days_ago in others.items():
            await fill(database, measure, [0.05] * 45, end=TODAY - timedelta(days=days_ago))
        mean_days = MAIN_FALSE_ALARM_DAYS if is_main else OTHER_FALSE_ALARM_DAYS
        days = [DayRate(TODAY - timedelta(days=44 - n), 1 if n < 40 else 4, 20) for n in range(45)]
        assert (await state(database)).rate == detect_rise(days, mean_days, None)

    run_with_database(f"sqlite:///{tmp_path}/store.db", story)


@pytest.mark.parametrize("accept", [False, True])
def test_a_closed_alarm_comes_back_unless_the_level_is_accepted(tmp_path: Path, *, accept: bool) -> None:
    """Fixed means that the old reference still holds; accepted means that a new one is collected."""

    async def story(database: Database) -> None:
        await fill(database, "review", [0.05] * 40 + [0.4] * 20)
        closing = now() - timedelta(days=10)
        await DriftAlarms(database).raise_alarm("echo", "reviews", closing.date(), "before")
        [before] = await DriftAlarms(database).all_alarms()
        with patch("chassis.store.quality_history.now", lambda: closing):
            await DriftAlarms(database).close(before.id, accept=accept)
        await DriftWatch(database).check(NO_INSTRUMENTS)
        assert len(await DriftAlarms(database).all_alarms()) == (1 if accept else 2)
        assert (await state(database)).state == ("collecting" if accept else "alarm")

    run_with_database(f"sqlite:///{tmp_path}/store.db", story)


@pytest.mark.parametrize("measure", ["release", "code", "prompts", "constraints", "model"])
def test_the_likely_cause_is_what_appeared_with_the_change(tmp_path: Path, measure: Measure) -> None:
    """A version that was there from the start, or that appeared long before, is none."""

    async def story(database: Database) -> None:
        await fill(database, "review", [0.05] * 40 + [0.4] * 8)
        async with database.transaction() as tx:
            for version, age in (("old", 47), ("middle", 30), ("new", 8)):
                await add_count(tx, "echo", measure, version, 1, TODAY - timedelta(days=age))
        [cause] = (await state(database)).causes
        assert cause.kind == measure
        assert cause.details.startswith("new, first used on ")

    run_with_database(f"sqlite:///{tmp_path}/store.db", story)


@pytest.mark.slow
def test_a_model_that_turns_fluent_and_wrong_is_found_by_the_sample(tmp_path: Path) -> None:
    """It answers as confidently as before, so only the people who review the random sample notice."""
    quiet, wrong, per_day = 62, 8, 4
    replies = ["It is Paris."] * quiet * per_day + ["It is Lyon, without any doubt."] * wrong * per_day
    replies[::20] = ["It is Nice."] * len(replies[::20])

    async def story() -> Sequence[DriftAlarm]:
        async with wire_for_tests(
            TASK, tmp_path, ScriptedModel(*replies), review={"sample_share": 1, "second_share": 0}
        ) as wiring:
            for age in range(quiet + wrong - 1, -1, -1):
                for _ in range(per_day):
                    question = Question(text="What is the capital of France?")
                    outcome = await wiring.service.answer(question, wiring.service.new_call("ann"))
                    assert isinstance(outcome, Answered)
                    assert outcome.confidence == 0.9
                await wiring.call_history.flush()
                evening = now() - timedelta(days=age)
                with patch("chassis.store.reviews.now", lambda evening=evening: evening):
                    await review_all(wiring.reviews, right="Paris")
                if age < 2 * wrong:  # each check takes a while, and there is no reference before
                    await wiring.drift_watch.check(NO_INSTRUMENTS)
            return await DriftAlarms(wiring.database).all_alarms()

    [alarm] = asyncio.run(story())
    assert alarm.signal == "samples"
    assert abs((TODAY - timedelta(days=wrong - 1) - alarm.changed_on).days) <= 3


async def review_all(reviews: Reviews, right: str) -> None:
    """Review what waits, as a person does who knows the right answer."""
    while referral := await reviews.lease_next("ada"):
        verdict = "pass" if right in str(referral.draft) else "fail"
        await reviews.answer(referral.id, json.dumps(referral.draft), "ada", Assessment(verdict=verdict))


def test_the_gauges_show_the_state(tmp_path: Path) -> None:
    """The evidence and the alarm of each signal, and the time of the check, from which an alert sees a dead watch."""

    async def story() -> dict[str, float]:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("hello")) as wiring:
            await fill(wiring.database, "review", [0.05] * 40 + [0.4] * 8)
            await wiring.drift_watch.check(wiring.telemetry.instruments)
            page = wiring.telemetry.metrics_page()[0].decode()
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
        return {f"{each.name} {each.labels.get('chassis_signal', '')}": each.value for each in samples}

    gauges = asyncio.run(story())

    assert gauges["chassis_quality_drift_alarms reviews"] == 1
    assert gauges["chassis_quality_drift_alarms feedback"] == 0
    assert gauges["chassis_quality_drift_evidence reviews"] > 1
    assert abs(gauges["chassis_quality_drift_last_check_seconds "] - now().timestamp()) < 600


def test_the_command_says_what_to_do(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In words and as JSON; closing the alarm is the last step that it names."""

    def printed(*arguments: str) -> str:
        assert run("drift", *arguments) == 0
        return capsys.readouterr().out

    async def story(database: Database) -> None:
        await fill(database, "review", [0.05] * 40 + [0.4] * 8)
        async with database.transaction() as tx:
            for version, age in (("1.0.0", 47), ("1.1.0", 7)):
                await add_count(tx, "echo", "release", version, 1, TODAY - timedelta(days=age))
        await DriftWatch(database).check(NO_INSTRUMENTS)

    assert "No calls have been counted yet." in printed()
    run_with_database("sqlite:///var/service.db", story, project)

    assert run("review", "list") == 0
    listed = capsys.readouterr().out
    assert "The review queue is empty." in listed
    assert re.search(r"Drift alarm d_[0-9a-f]{16}: 64 of 160 \(40\.0%\) reviewed drafts failed since .*", listed)
    words = printed()
    assert "reviews: alarm" in words
    assert f"likely cause: release 1.1.0, first used on {TODAY - timedelta(days=7)}" in words
    assert "feedback: collecting" in words
    [task] = json.loads(printed("--json"))["tasks"]
    [alarm] = [signal["alarm"] for signal in task["signals"] if signal["state"] == "alarm"]
    assert f"uv run chassis drift close {alarm}" in words
    assert f"Closed {alarm}" in printed("close", alarm)
    assert "reviews: steady" in printed()
    assert run("drift", "close", alarm) == 1
    assert "is open" in capsys.readouterr().err
