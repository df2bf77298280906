"""The fleet on a screen: a row a repository, the ones that need somebody first."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from fleet.facts import Budget, Facts, Readiness, Waiver, tally

COLUMNS = ("repository", "release", "behind", "drift", "ready", "lapsed", "due", "waivers", "USD/month")
UNKNOWN = "[dim]?[/]"


def drawn(fleet: Sequence[Facts]) -> Group:
    """Return the table, what is wrong with single repositories, and one line on all."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in COLUMNS:
        words = column in {"repository", "release", "ready"}
        table.add_column(column, justify="left" if words else "right", no_wrap=True)
    for facts in fleet:
        table.add_row(*cells(facts))
    return Group(table, *troubles(fleet), summary(fleet))


def cells(facts: Facts) -> Iterator[RenderableType]:
    """Return the cells of a repository; a question mark where nothing is known."""
    yield f"[red]{escape(facts.name)}[/]" if facts.troubles else escape(facts.name)
    yield UNKNOWN if facts.version is None else escape(facts.version)
    yield counted(facts.behind, "yellow")
    yield counted(None if facts.drifted is None else len(facts.drifted), "red")
    yield UNKNOWN if facts.readiness is None else reached(facts.readiness)
    yield counted(None if facts.lapsed is None else len(facts.lapsed), "red")
    yield counted(None if facts.due is None else len(facts.due), "yellow")
    yield UNKNOWN if facts.waivers is None else waived(facts.waivers)
    yield UNKNOWN if facts.budget is None else money(facts.budget)


def counted(number: int | None, colour: str) -> str:
    """Return a number that stands out unless it is nothing."""
    if number is None:
        return UNKNOWN
    return f"[{colour}]{number}[/]" if number else "[dim]0[/]"


def reached(readiness: Readiness) -> str:
    """Return the level that is reached, and how many checks stand between it and the one that is needed."""
    level = escape(readiness.level or "no level")
    return f"{level} [yellow]-{len(readiness.blockers)}[/]" if readiness.blockers else level


def waived(waivers: Sequence[Waiver]) -> str:
    """Return how many waivers there are, in red if one of them has expired."""
    return counted(len(waivers), "red" if any(waiver.expired for waiver in waivers) else "default")


def money(budget: Budget) -> str:
    """Return a budget and what procurement agreed to."""
    if budget.approved_usd is None:
        return f"{budget.per_month_usd:,.0f}"
    colour = "red" if budget.exceeds else "default"
    return f"[{colour}]{budget.per_month_usd:,.0f}[/] of {budget.approved_usd:,.0f}"


def troubles(fleet: Sequence[Facts]) -> Iterator[str]:
    """Return a line for each thing that is wrong with a repository itself."""
    return (f"[red]{escape(facts.name)}[/]  {escape(trouble)}" for facts in fleet for trouble in facts.troubles)


def summary(fleet: Sequence[Facts]) -> str:
    """Return how many repositories there are, and how many have which concern."""
    counts = tally(fleet)
    told = ", ".join(f"{number} {concern}" for concern, number in counts.items() if number)
    repositories = "repository" if len(fleet) == 1 else "repositories"
    return f"\n{len(fleet)} {repositories}: {told or 'nothing to do'}"
