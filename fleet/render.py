"""Renders the fleet as a table for the terminal and as a self-contained HTML page."""

from collections.abc import Iterator, Sequence
from datetime import date
from importlib import resources

from chassis.quality.success import METRIC_NAMES, format_metric
from jinja2 import Environment, StrictUndefined
from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from fleet.status import MonthlyBudget, Readiness, ServiceStatus, SuccessStatus, WaiverStatus, count_concerns

COLUMNS = (
    "repository",
    "release",
    "behind",
    "drift",
    "ready",
    "owners",
    "sign-offs",
    "waivers",
    "USD/month",
    "success",
)
LEFT_ALIGNED = {"repository", "release", "ready"}
UNKNOWN = "[dim]?[/]"


def fleet_page(fleet: Sequence[ServiceStatus], today: date) -> str:
    """Return the HTML page; it loads nothing from elsewhere."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = resources.files("fleet").joinpath("page.html.jinja").read_text(encoding="utf-8")
    newest = next((status.newest_version for status in fleet if status.newest_version), None)
    counts = count_concerns(fleet)
    return environment.from_string(template).render(
        format_metric=format_metric, names=METRIC_NAMES, fleet=fleet, today=today, newest=newest, counts=counts
    )


def fleet_table(fleet: Sequence[ServiceStatus]) -> Group:
    """Return the table, the errors of single repositories, and one line about all of them."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in LEFT_ALIGNED else "right", no_wrap=True)
    for status in fleet:
        table.add_row(*_cells(status))
    errors = (f"[red]{escape(status.name)}[/]  {escape(error)}" for status in fleet for error in status.errors)
    return Group(table, *errors, _summary(fleet))


def _cells(status: ServiceStatus) -> Iterator[RenderableType]:
    """Yield the cells of a repository; a question mark means that the value could not be read."""
    yield f"[red]{escape(status.name)}[/]" if status.errors else escape(status.name)
    yield UNKNOWN if status.version is None else escape(status.version)
    yield _count(status.commits_behind, "yellow")
    yield _count(None if status.drift is None else len(status.drift), "red")
    yield UNKNOWN if status.readiness is None else _readiness(status.readiness)
    yield _count(None if status.unconfirmed_owners is None else len(status.unconfirmed_owners), "red")
    yield _count(None if status.blocking_signoffs is None else len(status.blocking_signoffs), "yellow")
    yield UNKNOWN if status.waivers is None else _waivers(status.waivers)
    yield UNKNOWN if status.budget is None else _budget(status.budget)
    yield UNKNOWN if status.success is None else _success(status.success)


def _count(number: int | None, color: str) -> str:
    if number is None:
        return UNKNOWN
    return f"[{color}]{number}[/]" if number else "[dim]0[/]"


def _readiness(readiness: Readiness) -> str:
    """Return the level reached, and how many checks fail for the required one, such as `experiment -4`."""
    level, failing = escape(readiness.level or "no level"), len(readiness.failing_checks)
    return f"{level} [yellow]-{failing}[/]" if failing else level


def _waivers(waivers: Sequence[WaiverStatus]) -> str:
    return _count(len(waivers), "red" if any(waiver.expired for waiver in waivers) else "default")


def _budget(budget: MonthlyBudget) -> str:
    """Return the budget, and behind `of` what procurement approved."""
    if budget.approved_usd is None:
        return f"{budget.per_month_usd:,.0f}"
    color = "red" if budget.exceeds_approval else "default"
    return f"[{color}]{budget.per_month_usd:,.0f}[/] of {budget.approved_usd:,.0f}"


def _success(success: SuccessStatus) -> str:
    """Return the measured value, and behind `of` its target."""
    target = format_metric(success.metric, success.target)
    if success.value is None:
        return f"[dim]not measured[/] of {target}"
    color = "red" if success.stop_rule_reached else "default" if success.target_reached else "yellow"
    return f"[{color}]{format_metric(success.metric, success.value)}[/] of {target}"


def _summary(fleet: Sequence[ServiceStatus]) -> str:
    counts = ", ".join(f"{number} {concern}" for concern, number in count_concerns(fleet).items() if number)
    repositories = "repository" if len(fleet) == 1 else "repositories"
    return f"\n{len(fleet)} {repositories}: {counts or 'nothing to do'}"
