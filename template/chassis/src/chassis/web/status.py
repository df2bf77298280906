"""The status page at `/review/status`: what the service did in the last days, what it cost, and what needs a person."""

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from fastapi import Response

from chassis.clock import now, to_timestamp
from chassis.guard.circuit_breaker import CircuitBreaker
from chassis.money.accounts import Account, BudgetUsage, accounts_for, forecast, usage_of
from chassis.quality.accepted_runs import RateTrend, load_trends
from chassis.quality.drift import SignalReport
from chassis.quality.success import DAYS as SUCCESS_DAYS
from chassis.quality.success import METRIC_NAMES, MIN_OBSERVATIONS, SuccessMeasurement, format_metric, measure_success
from chassis.store.agreement import reviewer_agreement
from chassis.store.quality_history import DailyCount, DriftAlarms, read_counts, totals_of
from chassis.store.review_queue import CALLER_WAITS
from chassis.usd import format_usd, to_usd
from chassis.web.pages import Pages
from chassis.web.review_access import Visit
from chassis.wiring import Wiring

PLOT_HEIGHT, PLOT_TOP, PLOT_BOTTOM = 190, 14, 24
"""The height of a plot, and what of it is left free above and below the bars, in CSS pixels."""
PLOT_LEFT = 10.0
"""The part of the width that is left free for the labels of the lines, in percent."""
MAX_LINES, THOUSAND = 4, 1000


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of a bar. Places are percent of the width, and CSS pixels from the top."""

    series: str
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class BarPlot:
    """Bars of one or several series over days, and what the template draws of them as SVG.

    Bars are placed in percent of the width, so that they fit every screen while their labels keep their size. They get
    their colors from the CSS of the page, so that they also suit a dark screen.

    Args:
        days: The days, the oldest first.
        series: The names of the series, the lowest first.
        values: By series, a value for each day.
        prefix: What is written before a number, such as `$`.
    """

    days: Sequence[date]
    series: Sequence[str]
    values: Mapping[str, Sequence[float]]
    prefix: str = ""

    @property
    def highest(self) -> float:
        """Return the height of the highest bar."""
        return max(sum(values) for values in zip(*(self.values[name] for name in self.series), strict=True))

    @property
    def step(self) -> float:
        """Return the distance of the lines: 1, 2 or 5 times a power of ten, so that at most four are above zero."""
        if self.highest <= 0:
            return 1.0
        power = 10.0 ** math.floor(math.log10(self.highest / MAX_LINES))
        step = next(power * factor for factor in (1, 2, 5, 10) if self.highest <= power * factor * MAX_LINES)
        return step if self.prefix else max(1.0, step)

    @property
    def top(self) -> float:
        """Return the value at the upper end of the plot."""
        return self.step * max(1, math.ceil(self.highest / self.step - 1e-9))

    def y(self, value: float) -> float:
        """Return where a value is, in pixels from the top."""
        return round(PLOT_HEIGHT - PLOT_BOTTOM - (PLOT_HEIGHT - PLOT_TOP - PLOT_BOTTOM) * value / self.top, 1)

    def lines(self) -> Iterator[tuple[float, str]]:
        """Yield the horizontal lines: where each is, and its label."""
        for number in range(round(self.top / self.step) + 1):
            value = number * self.step
            yield self.y(value), self.label(value)

    def label(self, value: float) -> str:
        """Return a number as it is written at a line: `1.5k`, `$0.50`, `$0.002`."""
        if value >= THOUSAND:
            return f"{self.prefix}{value / THOUSAND:g}k"
        decimals = max(2, -math.floor(math.log10(self.step))) if value and self.step < 1 else 0
        return f"{self.prefix}{value:.{decimals}f}"

    def bars(self) -> Iterator[Bar]:
        """Yield the pieces of all bars."""
        slot = (100 - PLOT_LEFT) / len(self.days)
        for index, day in enumerate(self.days):
            below = 0.0
            for name in self.series:
                value = self.values[name][index]
                if value > 0:
                    y, x = self.y(below + value), PLOT_LEFT + slot * index + slot * 0.14
                    title = f"{day:%-d %B}: {self.prefix}{value:,.6g} {name}"
                    yield Bar(name.replace(" ", "-"), round(x, 2), y, round(slot * 0.72, 2), self.y(below) - y, title)
                below += value

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield the days that are written below: every fourth, ending with today; where each is, and its label."""
        slot = (100 - PLOT_LEFT) / len(self.days)
        for index in range(len(self.days) - 1, -1, -4):
            yield round(PLOT_LEFT + slot * (index + 0.5), 2), f"{self.days[index]:%-d %b}"


DAYS = 14
"""The number of days that are shown."""
MAX_CALLERS = 90
"""The number of callers whose budgets are compared: SQLite binds up to 99 parameters."""
CALLERS_SHOWN = 3
HIGH_USAGE = 0.8
OUTCOMES = ("answered", "fallback", "referred", "not answered")
"""How a call can end: the first model answered, something else did, a person will, or no one."""
WAITING = f"""SELECT COUNT(*) AS number, MIN(created_at) AS oldest,
    SUM(CASE WHEN due_at < $1 THEN 1 ELSE 0 END) AS late FROM referrals
    WHERE answered_at IS NULL AND {CALLER_WAITS}"""  # noqa: S608
TO_REVIEW = f"SELECT COUNT(*) AS number FROM referrals WHERE answered_at IS NULL AND NOT {CALLER_WAITS}"  # noqa: S608
TREND_HEIGHT, TREND_MARGIN = 36, 4
"""The height of the line of a rate in CSS pixels, and what is left free around it."""
COPIER_ANSWERS = ".copier-answers.yml"


class StatusPage:
    """The page. It reads a bounded number of rows: of the last days, of budgets, and of what waits."""

    def __init__(self, wiring: Wiring, pages: Pages) -> None:
        self._wiring, self._pages = wiring, pages

    async def show(self, visit: Visit) -> Response:
        """Show the page."""
        wiring, moment = self._wiring, now()
        days = [moment.date() - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]
        measures = ("outcome", "answered_by", "cost", "sample", "feedback")
        counts = await read_counts(wiring.database, wiring.task.name, measures, days[0])
        calls, cost = self._calls_plot(days, counts), _cost_plot(days, counts)
        return self._pages.render(
            "status.html",
            status=200,
            csrf_token=visit.csrf_token,
            reviewer=visit.reviewer,
            moment=moment,
            days=DAYS,
            plots=(("Calls per day", calls), ("Cost per day", cost)),
            plot_height=PLOT_HEIGHT,
            plot_left=PLOT_LEFT,
            totals={name: sum(calls.values[name]) for name in OUTCOMES},
            sample=totals_of(counts, "sample"),
            feedback=totals_of(counts, "feedback"),
            queue=await self._queue(moment),
            budgets=await self._budgets(moment),
            breakers=self._breakers(),
            models_configured=bool(self._wiring.constraints.models),
            models_off=await wiring.kill_switch.is_off(),
            success=await self._success(),
            success_days=SUCCESS_DAYS,
            min_observations=MIN_OBSERVATIONS,
            signals=await self._signals(),
            alarms=await DriftAlarms(wiring.database).open_alarms(),
            trends=[TrendLine(trend) for trend in load_trends(wiring.project.root)],
            trend_height=TREND_HEIGHT,
            agreement=await reviewer_agreement(wiring.database),
            version=wiring.project.version,
            template_version=_template_version(wiring.project.root),
        )

    def _calls_plot(self, days: Sequence[date], counts: Sequence[DailyCount]) -> BarPlot:
        models = self._wiring.constraints.models
        first = {models[0].name, "task"} if models else {"baseline", "task"}
        values = {name: [0.0] * len(days) for name in OUTCOMES}
        for count in counts:
            index = (count.day - days[0]).days
            if count.measure == "outcome" and index < len(days):
                name = count.value if count.value in {"answered", "referred"} else "not answered"
                values[name][index] += count.count
            elif count.measure == "answered_by" and count.value not in first and index < len(days):
                values["fallback"][index] += count.count
                values["answered"][index] -= count.count
        return BarPlot(days, OUTCOMES, values)

    async def _queue(self, moment: datetime) -> dict[str, object]:
        [waiting] = await self._wiring.database.fetch(WAITING, to_timestamp(moment))
        [reviews] = await self._wiring.database.fetch(TO_REVIEW)
        age = moment - datetime.fromisoformat(waiting["oldest"]) if waiting["oldest"] else None
        return {
            "waiting": waiting["number"],
            "late": waiting["late"] or 0,
            "age": _duration(age) if age is not None else None,
            "reviews": reviews["number"],
        }

    async def _budgets(self, moment: datetime) -> list[tuple[str, BudgetUsage, str, str]]:
        """Return the budgets: the name of each, its usage, how it is described, and its class in the CSS."""
        keys = await self._wiring.api_keys.list_keys()
        callers = sorted({key.caller for key in keys if key.role == "caller" and key.revoked_at is None})[:MAX_CALLERS]
        constraints = self._wiring.constraints
        _, day, month = accounts_for("", constraints, moment)
        of_callers = {caller: accounts_for(caller, constraints, moment)[0] for caller in callers}
        accounts: list[Account] = [day, month, *of_callers.values()]
        balances = {each.key: each for each in await self._wiring.ledger.balances(*(each.key for each in accounts))}
        highest = sorted(
            ((caller, usage_of(account, balances)) for caller, account in of_callers.items()),
            key=lambda pair: -pair[1].spent - pair[1].reserved,
        )[:CALLERS_SHOWN]
        this_month = usage_of(month, balances)
        rows = [("Today", usage_of(day, balances), ""), ("This month", this_month, "")]
        rows[1] = (*rows[1][:2], f"forecast {format_usd(round(forecast(this_month.spent, moment), -7))}")
        rows += [(f"{caller} today", usage, "") for caller, usage in highest]
        return [(name, usage, note, _level(usage)) for name, usage, note in rows]

    async def _success(self) -> "SuccessScale":
        measured = await measure_success(self._wiring.database, self._wiring.constraints.success)
        return SuccessScale(measured)

    async def _signals(self) -> Sequence[SignalReport]:
        """Return what the watch for quality drift sees now; its alarms are raised in the background."""
        [report] = await self._wiring.drift_watch.reports()
        return report.signals

    def _breakers(self) -> list[tuple[str, str]]:
        """Return each circuit breaker of this process, and its state in words."""
        guard = self._wiring.service.guard
        breakers: dict[str, CircuitBreaker] = {}
        for candidate in guard.candidates if guard else ():
            for breaker in (candidate.breaker, candidate.host_breaker):
                breakers[breaker.subject] = breaker
        return [(subject.replace(":", " "), _state(breaker)) for subject, breaker in sorted(breakers.items())]


@dataclass(frozen=True, slots=True)
class SuccessScale:
    """The measured success, and where its value, target and stop rule are on a scale. Places are percent."""

    measured: SuccessMeasurement

    @property
    def name(self) -> str:
        """Return what follows the value."""
        return METRIC_NAMES[self.measured.success.metric]

    def shown(self, value: float) -> str:
        """Return a value as people write it."""
        return format_metric(self.measured.success.metric, value)

    def place(self, value: float) -> float:
        """Return where a value is: of a share from 0 to 1, of a cost or duration a bit beyond the highest."""
        success = self.measured.success
        highest = max(success.target, success.stop_at, self.measured.value or 0)
        top = 1.25 * highest if success.lower_is_better else 1
        return round(100 * min(1, value / top), 2) if top else 0


@dataclass(frozen=True, slots=True)
class TrendLine:
    """The line of a rate over its accepted runs. Places are percent of the width, and CSS pixels from the top."""

    trend: RateTrend

    @property
    def points(self) -> list[tuple[float, float]]:
        """Return where the rates are, the last one at the right end."""
        rates = self.trend.rates
        step = (100 - 2 * TREND_MARGIN) / max(1, len(rates) - 1)
        # A small change must not look like a large one, so the height is at least a fifth of the whole scale.
        middle, range_ = (max(rates) + min(rates)) / 2, max(0.2, max(rates) - min(rates))
        pixels = (TREND_HEIGHT - 2 * TREND_MARGIN) / range_
        return [
            (round(100 - TREND_MARGIN - step * back, 2), round(TREND_HEIGHT / 2 - pixels * (rate - middle), 1))
            for back, rate in zip(range(len(rates) - 1, -1, -1), rates, strict=True)
        ]

    @property
    def change(self) -> float | None:
        """Return the difference to the accepted run before, in percentage points."""
        rates = self.trend.rates
        return 100 * (rates[-1] - rates[-2]) if len(rates) > 1 else None


def _cost_plot(days: Sequence[date], counts: Sequence[DailyCount]) -> BarPlot:
    values = [0.0] * len(days)
    for count in counts:
        index = (count.day - days[0]).days
        if count.measure == "cost" and index < len(days):
            values[index] += to_usd(count.count)
    return BarPlot(days, ("spent",), {"spent": values}, prefix="$")


def _level(usage: BudgetUsage) -> str:
    """Return how far a budget is used: `low`, `high` from `HIGH_USAGE` on, or `full`."""
    used = usage.spent + usage.reserved
    return "full" if used >= usage.limit else "high" if used >= HIGH_USAGE * usage.limit else "low"


def _state(breaker: CircuitBreaker) -> str:
    if breaker.open_until is None:
        return "closed"
    seconds = math.ceil(breaker.open_until - time.monotonic())
    return f"open, next try in {seconds} s" if seconds > 0 else "open, next try with the next call"


def _duration(age: timedelta) -> str:
    """Return a duration for people: `3 d 4 h`, `2 h 5 min`, `8 min`."""
    minutes = int(age.total_seconds() // 60)
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _template_version(root: Path) -> str | None:
    """Return the release of the template that the repository was last updated to."""
    file = root / COPIER_ANSWERS
    found = re.search(r"^_commit: (\S+)$", file.read_text(encoding="utf-8"), re.MULTILINE) if file.is_file() else None
    return found[1] if found else None
