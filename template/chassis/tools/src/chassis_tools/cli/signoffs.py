"""`chassis signoffs`: who agreed to what, until when, and what they did not agree to."""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from chassis.clock import now
from chassis.errors import ConfigError

if TYPE_CHECKING:
    from chassis_tools.governance.decisions import Decisions
    from chassis_tools.governance.signoff_status import Standing

MARKS = {"valid": "✓", "not needed": "·", "missing": "?", "expired": "!", "condition overdue": "!"}

app = typer.Typer(help="See who agreed to what, and what they did not.", no_args_is_help=True)

KindName = Annotated[str, typer.Argument(help="security, privacy, legal, procurement or risk")]


@app.command()
def status() -> None:
    """Show how each sign-off stands today."""
    for standing in _standings()[1]:
        _show(standing)


@app.command()
def check(
    release: Annotated[bool, typer.Option("--release", help="Fail for missing and expired ones too")] = False,
) -> None:
    """Fail if what somebody signed for has changed; before a release also if anything is missing or over."""
    from chassis_tools.governance.signoff_status import BLOCKS_CHANGE, BLOCKS_RELEASE

    blocking = [each for each in _standings()[1] if each.state in (BLOCKS_RELEASE if release else BLOCKS_CHANGE)]
    for standing in blocking:
        _show(standing, err=True)
    if blocking:
        typer.echo(f"Ask again: `uv run chassis signoffs request {blocking[0].kind}` prints the page for it", err=True)
    raise typer.Exit(1 if blocking else 0)


@app.command()
def request(kind: KindName) -> None:
    """Print the page that a reviewer needs, as Markdown."""
    from chassis_tools.governance.signoff_request import intake

    decisions, standings = _standings()
    typer.echo(intake(decisions, standings[_place(kind)]), nl=False)


@app.command()
def record(  # noqa: PLR0913, PLR0917 - the fields of the record
    kind: KindName,
    approver: Annotated[str, typer.Option(help="The person who decided")],
    decision: Annotated[str, typer.Option(help="approved, approved_with_conditions, rejected or not_required")],
    expires: Annotated[str | None, typer.Option(help="Until when, such as 2027-05-01; a year if left out")] = None,
    reference: Annotated[str, typer.Option(help="Where it was discussed")] = "",
    reason: Annotated[str, typer.Option(help="Why, if rejected or not required")] = "",
    condition: Annotated[list[str] | None, typer.Option(help="A day and what must be done by then")] = None,
) -> None:
    """Write down a decision, bound to what constraints.toml says now."""
    from chassis.config.toml_file import config_error_from
    from chassis_tools.governance.signoff import SignOff, covered, path_of, save
    from chassis_tools.governance.signoff_kinds import KINDS

    _place(kind)
    decisions, _ = _standings()
    today = now().date()
    fields = {
        "decision": decision,
        "approver": approver,
        "team": getattr(decisions.ownership.roles, KINDS[kind].role).accountable,
        "decided_on": today,
        "expires_on": expires or today + timedelta(days=365),
        "reference": reference,
        "reason": reason,
        "conditions": [_condition(text) for text in condition or ()],
        **covered(KINDS[kind].covers(decisions.constraints)),
    }
    try:
        signoff = SignOff.model_validate(fields)
    except ValidationError as error:
        raise config_error_from(path_of(kind), error) from None
    typer.echo(f"{save(decisions.project.root, kind, signoff).relative_to(decisions.project.root)} written; commit it")


def _standings() -> "tuple[Decisions, list[Standing]]":
    from chassis.config.project import find_project
    from chassis_tools.governance.decisions import load_decisions
    from chassis_tools.governance.signoff import load_signoffs
    from chassis_tools.governance.signoff_status import standings

    decisions = load_decisions(find_project())
    return decisions, standings(decisions.constraints, load_signoffs(decisions.project.root), now().date())


def _place(kind: str) -> int:
    from chassis_tools.governance.signoff_kinds import KINDS

    if kind not in KINDS:
        raise ConfigError("the sign-off", f"there is no kind {kind!r}", f"Write one of: {', '.join(KINDS)}")
    return list(KINDS).index(kind)


def _condition(text: str) -> dict[str, object]:
    day, _, what = text.partition(" ")
    try:
        return {"due_on": date.fromisoformat(day), "text": what.strip()}
    except ValueError:
        raise ConfigError(
            "--condition", f"{text!r} does not begin with a day", 'Write such as "2027-03-01 rotate the keys"'
        ) from None


def _show(standing: "Standing", *, err: bool = False) -> None:
    typer.echo(f"{MARKS.get(standing.state, '✗')} {standing.kind:<12} {standing.state:<12} {standing.because}", err=err)
    for sign, facts in (("+", standing.added), ("-", standing.gone)):
        for fact in sorted(facts):
            typer.echo(f"    {sign} {fact}", err=err)
