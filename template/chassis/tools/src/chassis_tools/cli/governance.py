"""`chassis sync` and `chassis signoffs`: derived files and sign-offs."""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from chassis.cli.terminal import AsJson, print_json
from chassis.clock import now
from chassis.config.ownership import OWNERSHIP_FILE
from chassis.config.project import find_project
from chassis.errors import ConfigError

if TYPE_CHECKING:
    from chassis_tools.governance.file_contents import Decisions
    from chassis_tools.governance.signoffs import SignOffStatus

FAILED = 1
SYMBOLS = {"valid": "✓", "not required": "·", "missing": "?", "expired": "!", "condition overdue": "!"}
"""By state of a sign-off; every other state gets ✗."""
VALIDITY = timedelta(days=365)
"""How long a sign-off is valid if no date is given."""

signoffs = typer.Typer(help="Request, record and check sign-offs.", no_args_is_help=True)

KindName = Annotated[str, typer.Argument(help="security, privacy, legal, procurement or risk")]


def sync(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file is out of date")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the files derived from constraints.toml, ownership.toml and pyproject.toml, such as CODEOWNERS."""
    from chassis_tools.governance.derived_files import SYNC_COMMAND, out_of_date_files, write_derived_files
    from chassis_tools.governance.file_contents import load_decisions

    decisions = load_decisions(find_project())
    _check_owner_reviews(decisions)
    if not check:
        written = write_derived_files(decisions)
        if as_json:
            names = [file.path for file in written if file.content is not None]
            print_json({"written": names, "removed": [file.path for file in written if file.content is None]})
            return
        for file in written:
            typer.echo(f"{file.path} {'removed' if file.content is None else 'written'}")
        return
    outdated = out_of_date_files(decisions)
    if as_json:
        print_json({"out_of_date": [{"path": file.path, "problem": file.problem} for file in outdated]})
        raise typer.Exit(FAILED if outdated else 0)
    for file in outdated:
        typer.echo(f"{file.path} is {file.problem}; run `{SYNC_COMMAND}`", err=True)
    raise typer.Exit(FAILED if outdated else 0)


@signoffs.command("status")
def show_signoffs(as_json: AsJson = False) -> None:
    """Show the status of every kind of sign-off."""
    statuses = _statuses(_decisions())
    if as_json:
        print_json({"signoffs": list(statuses.values())})
        return
    for status in statuses.values():
        _print_status(status)


@signoffs.command("check")
def check_signoffs(
    release: Annotated[
        bool, typer.Option("--release", help="Also fail if one is missing, expired, rejected or overdue")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check that no fact has changed since it was signed off; exits with 1 otherwise."""
    from chassis_tools.governance.signoffs import BLOCKS_CHANGE, BLOCKS_RELEASE

    blocking_states = BLOCKS_RELEASE if release else BLOCKS_CHANGE
    blocking = [status for status in _statuses(_decisions()).values() if status.state in blocking_states]
    if as_json:
        print_json({"blocking": blocking})
        raise typer.Exit(FAILED if blocking else 0)
    for status in blocking:
        _print_status(status, err=True)
    if blocking:
        typer.echo(f"To request one again: `uv run chassis signoffs request {blocking[0].kind}`", err=True)
    raise typer.Exit(FAILED if blocking else 0)


@signoffs.command("request")
def request_signoff(kind: KindName) -> None:
    """Print the request for a sign-off, as Markdown for the reviewer."""
    from chassis_tools.governance.signoffs import signoff_request

    _require_kind(kind)
    decisions = _decisions()
    typer.echo(signoff_request(decisions, _statuses(decisions)[kind]), nl=False)


@signoffs.command("record")
def record_signoff(  # noqa: PLR0913, PLR0917 - one option for each field
    kind: KindName,
    approver: Annotated[str, typer.Option(help="The person who decided")],
    decision: Annotated[str, typer.Option(help="approved, approved_with_conditions, rejected or not_required")],
    expires: Annotated[
        str | None, typer.Option(help="The day it expires, such as 2027-05-01; default: in a year")
    ] = None,
    reference: Annotated[str, typer.Option(help="Where it was discussed, such as a ticket")] = "",
    reason: Annotated[str, typer.Option(help="Why it was rejected or is not required")] = "",
    condition: Annotated[
        list[str] | None, typer.Option(help="A date, and what must be done by then; can be repeated")
    ] = None,
) -> None:
    """Record a decision, bound to the current facts in constraints.toml."""
    from chassis.config.toml_file import config_error_from
    from chassis_tools.governance.signoff_kinds import SIGNOFF_KINDS
    from chassis_tools.governance.signoffs import SignOff, covering, save_signoff, signoff_path

    _require_kind(kind)
    decisions, today = _decisions(), now().date()
    fields = {
        "decision": decision,
        "approver": approver,
        "team": getattr(decisions.ownership.roles, SIGNOFF_KINDS[kind].role).accountable,
        "decided_on": today,
        "expires_on": expires or today + VALIDITY,
        "reference": reference,
        "reason": reason,
        "conditions": [_parse_condition(text) for text in condition or ()],
        **covering(SIGNOFF_KINDS[kind].covers(decisions.constraints)),
    }
    try:
        signoff = SignOff.model_validate(fields)
    except ValidationError as error:
        raise config_error_from(signoff_path(kind), error) from None
    save_signoff(decisions.project.root, kind, signoff)
    typer.echo(f"{signoff_path(kind)} written; commit it")


def _check_owner_reviews(decisions: "Decisions") -> None:
    """Refuse dates that are too far off, and print a reminder for each one that has passed."""
    ownership, today = decisions.ownership, now().date()
    ownership.check_reviews(today, decisions.constraints.risk.tier)
    for role in ownership.due_reviews(today):
        reminder = f"{OWNERSHIP_FILE}: roles.{role}.review_by has passed; confirm the team and set a new date"
        typer.echo(reminder, err=True)


def _decisions() -> "Decisions":
    from chassis_tools.governance.file_contents import load_decisions

    return load_decisions(find_project())


def _statuses(decisions: "Decisions") -> "dict[str, SignOffStatus]":
    from chassis_tools.governance.signoffs import load_signoffs, signoff_statuses

    return signoff_statuses(decisions.constraints, load_signoffs(decisions.project.root), now().date())


def _require_kind(kind: str) -> None:
    from chassis_tools.governance.signoff_kinds import SIGNOFF_KINDS

    if kind not in SIGNOFF_KINDS:
        raise ConfigError("chassis signoffs", f"there is no kind {kind!r}", f"Use one of: {', '.join(SIGNOFF_KINDS)}")


def _parse_condition(text: str) -> dict[str, object]:
    day, _, task = text.partition(" ")
    try:
        return {"due_on": date.fromisoformat(day), "text": task.strip()}
    except ValueError:
        raise ConfigError(
            "--condition", f"{text!r} does not begin with a date", 'Write for example "2027-03-01 rotate the keys"'
        ) from None


def _print_status(status: "SignOffStatus", *, err: bool = False) -> None:
    symbol = SYMBOLS.get(status.state, "✗")
    typer.echo(f"{symbol} {status.kind:<12} {status.state:<12} {status.reason}", err=err)
    for sign, facts in (("+", status.added), ("-", status.removed)):
        for fact in sorted(facts):
            typer.echo(f"    {sign} {fact}", err=err)
