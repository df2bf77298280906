"""What watching for quality drift costs each call, and what it finds in simulations with fixed seeds.

`python -m benchmarks.drift` prints how many quiet quarters have a false alarm of the main signal, and of all five
together, and after how many days a rise of the failure rate is found.
"""

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from chassis.call import Attempt, Call, Deadline
from chassis.call_log import CallLog
from chassis.contract import Answered
from chassis.quality.detectors import DayRate, detect_rise
from chassis.quality.drift import MAIN_FALSE_ALARM_DAYS, OTHER_FALSE_ALARM_DAYS
from chassis.store.quality_history import DailyCounts, Measure
from chassis.telemetry.instruments import NO_INSTRUMENTS

from benchmarks.rounds import Effort
from benchmarks.tables import Goal, Row, Table, python_version

CALLS = 2_000
REPETITIONS = 600
LIMIT_MICROS = 100.0
QUIET_RATE, CHANGED_RATES = 0.05, (0.10, 0.15, 0.30)
QUARTER = 90
OF_CALLS = 1400, 100
"""The observations in the reference of a signal that is counted for each call, and those of a day."""
QUIET_DAYS, LONGEST = 30, 120
"""Days after which a change counts as not found."""
START = date(2026, 1, 1)
VERSIONS: dict[Measure, str] = {
    "release": "1.0.0",
    "code": "0123abcd",
    "prompts": "0123abcd",
    "constraints": "0123abcd",
}


@dataclass(frozen=True, slots=True)
class Reached:
    """What the watch reaches.

    Args:
        main_false_alarms: The share of quiet quarters with an alarm of the main signal.
        false_alarms: The same of any signal: three that people judge, and two that are counted for each call.
        main_days: By failure rate after the change, after how many days half of its changes are found.
        other_days: The same of another signal that people judge.
    """

    main_false_alarms: float
    false_alarms: float
    main_days: dict[float, float]
    other_days: dict[float, float]


def simulated(*, reference: int = 500, per_day: int = 10, repetitions: int = REPETITIONS, seed: int = 16) -> Reached:
    """Simulate quiet quarters, and changes after a quiet month. Each day ends with a check.

    Args:
        reference: The observations in the reference of a judged signal.
        per_day: The answers that are judged for it per day.
        repetitions: How many quarters, and how many changes to each rate.
        seed: Of the random numbers.
    """
    rng = random.Random(seed)  # noqa: S311 - a simulation
    main = sum(has_alarm(rng, MAIN_FALSE_ALARM_DAYS, reference, per_day) for _ in range(repetitions))
    others = sum(
        any(has_alarm(rng, OTHER_FALSE_ALARM_DAYS, *each) for each in 2 * [(reference, per_day), OF_CALLS])
        for _ in range(repetitions)
    )
    quiet = (1 - main / repetitions) * (1 - others / repetitions)
    medians = [
        {
            rate: statistics.median(days_to_alarm(rng, days, reference, per_day, rate) for _ in range(repetitions))
            for rate in CHANGED_RATES
        }
        for days in (MAIN_FALSE_ALARM_DAYS, OTHER_FALSE_ALARM_DAYS)
    ]
    return Reached(main / repetitions, 1 - quiet, *medians)


def has_alarm(rng: random.Random, mean_days: float, reference: int, per_day: int) -> bool:
    """Return whether a quiet quarter has an alarm."""
    length = reference // per_day
    return alarm_day(_days(rng, START, length + QUARTER, per_day, QUIET_RATE), mean_days, length) is not None


def days_to_alarm(rng: random.Random, mean_days: float, reference: int, per_day: int, rate: float) -> int:
    """Return the days from a change of a signal to its alarm. If there was an alarm before the change, try again."""
    quiet_days = reference // per_day + QUIET_DAYS
    while True:
        quiet = _days(rng, START, quiet_days, per_day, QUIET_RATE)
        changed = _days(rng, START + timedelta(days=quiet_days), LONGEST, per_day, rate)
        day = alarm_day([*quiet, *changed], mean_days, reference // per_day)
        if day is None or day > QUIET_DAYS:
            return (day or QUIET_DAYS + LONGEST) - QUIET_DAYS


def alarm_day(days: Sequence[DayRate], mean_days: float, reference: int) -> int | None:
    """Return the number of the day after the reference on which an alarm is raised, or None."""
    ends = range(reference + 1, len(days) + 1)
    return next((end - reference for end in ends if detect_rise(days[:end], mean_days, None).evidence >= 1), None)


def _days(rng: random.Random, first: date, count: int, per_day: int, rate: float) -> list[DayRate]:
    return [
        DayRate(first + timedelta(days=day), sum(rng.random() < rate for _ in range(per_day)), per_day)
        for day in range(count)
    ]


def measure(effort: Effort) -> Table:
    """Measure what the daily counts add to the log line and the metrics of a call, in the best round."""
    rounds = [(_micros(counting=False), _micros(counting=True)) for _ in range(effort.rounds)]
    without, counted = (min(micros) for micros in zip(*rounds, strict=True))
    return Table(
        "Counting a call for quality drift",
        f"{python_version()}; best of {effort.rounds} rounds of {CALLS} calls",
        [Row("one call", {"CPU µs": counted, "+ CPU µs of the counts": counted - without})],
        [Goal("counting a call, CPU µs", max(counted - without, 0.1), LIMIT_MICROS)],
    )


def _count_nothing(*_: object) -> None:
    """Stand for the counting."""


def _micros(*, counting: bool) -> float:
    counts = DailyCounts(VERSIONS if counting else {})
    if not counting:
        counts.add = _count_nothing  # ty: ignore[invalid-assignment] # pyright: ignore[reportAttributeAccessIssue]
    call_log = CallLog(5, NO_INSTRUMENTS, counts)
    started = time.process_time()
    for _ in range(CALLS):
        call = Call("c_1", "ann", Deadline.after(5), 3)
        call.new_turn().attempts.append(Attempt("gpt", None, 300, 40, 125_000, 0.2, served="gpt-4o-2024-08-06"))
        with call_log.scope("help", call) as scope:
            scope.question_length, scope.answer_length = 120, 480
            scope.outcome = Answered("so", "gpt", 0.9, degraded=False, fallback_reason=None)
    return (time.process_time() - started) / CALLS * 1e6


def main() -> None:
    """Print what is reached."""
    for per_day, reference in ((10, 500), (4, 240), (30, 510)):
        print(f"{per_day} judged answers per day and signal, a reference of {reference}", flush=True)
        reached = simulated(reference=reference, per_day=per_day)
        for name, false_alarms, found in (
            ("main signal", reached.main_false_alarms, reached.main_days),
            ("all five, and the delay of another one", reached.false_alarms, reached.other_days),
        ):
            days = ", ".join(f"{rate:.0%}: {days:g} d" for rate, days in found.items())
            print(f"  {name}: {false_alarms:.1%} of quarters with a false alarm; {days}", flush=True)


if __name__ == "__main__":
    main()
