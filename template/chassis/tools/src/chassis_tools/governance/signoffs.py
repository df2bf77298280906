"""Sign-offs in `signoffs/NAME.toml`: who approved which facts until when, whether that holds, how to ask for one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from chassis.config.constraints import Constraints
from chassis.config.toml_file import Section, load_toml
from chassis_tools.governance.file_contents import Decisions
from chassis_tools.governance.signoff_kinds import SIGNOFF_KINDS, Facts, facts_sha256

SIGNOFFS_FOLDER = "signoffs"

type SignOffDecision = Literal["approved", "approved_with_conditions", "rejected", "not_required"]


class Condition(Section):
    """Something that has to be done for an approval to stay valid."""

    text: str = Field(min_length=5)
    """What has to be done."""
    due_on: date
    """The day by which it has to be done."""
    done: bool = False
    """Whether it has been done."""


class SignOff(Section):
    """One file in `signoffs/`."""

    decision: SignOffDecision
    """`not_required` is a decision as well: it has an approver and a reason."""
    approver: str = Field(min_length=3)
    """The person who decided."""
    team: str = Field(min_length=1)
    """The approver's team, by its id in `ownership.toml`."""
    decided_on: date
    """The day of the decision."""
    expires_on: date
    """The day from which the sign-off no longer counts."""
    reference: str = ""
    """Where it was discussed: a ticket, a contract, a page."""
    reason: str = Field(default="", pattern=r"^$|^.{10}")
    """The reason in one sentence; required for `rejected` and `not_required`."""
    conditions: tuple[Condition, ...] = ()
    """The conditions of an approval."""
    covers_sha256: str
    """The SHA-256 of `covers`, so that an edit by hand is noticed."""
    covers: frozenset[str]
    """The facts that were reviewed, one per line."""

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.expires_on <= self.decided_on:
            raise ValueError("expires_on is not after decided_on; write a later date")
        if self.decision in {"rejected", "not_required"} and not self.reason:
            raise ValueError(f"decision is {self.decision!r} but there is no reason; give the reason in one sentence")
        if (self.decision == "approved_with_conditions") != bool(self.conditions):
            raise ValueError("decision 'approved_with_conditions' and conditions go together; give both or neither")
        if self.covers_sha256 != facts_sha256(self.covers):
            raise ValueError("covers_sha256 does not match covers; record the decision again instead of editing it")
        return self


class SignOffState(StrEnum):
    """Whether a sign-off holds."""

    VALID = "valid"
    OPTIONAL = "not required"
    MISSING = "missing"
    EXPIRED = "expired"
    OVERDUE = "condition overdue"
    REJECTED = "rejected"
    STALE = "stale"
    """The facts have changed since it was given."""


BLOCKS_CHANGE = frozenset({SignOffState.STALE})
"""Only what the change itself has caused: a date that has passed must not block an unrelated fix."""
BLOCKS_RELEASE = frozenset(SignOffState) - {SignOffState.VALID, SignOffState.OPTIONAL}


@dataclass(frozen=True, slots=True)
class SignOffStatus:
    """One kind of sign-off, compared with today's facts.

    Args:
        kind: Its name, a key of `SIGNOFF_KINDS`.
        state: Whether it holds.
        reason: Why it is required, why it does not hold, or until when it does; empty if it is not required.
        added: Facts that were added since it was given.
        removed: Facts that were removed since it was given.
    """

    kind: str
    state: SignOffState
    reason: str
    added: Facts = frozenset()
    removed: Facts = frozenset()


def signoff_path(kind: str) -> str:
    """Return the path of a sign-off from the root of the repository."""
    return f"{SIGNOFFS_FOLDER}/{kind}.toml"


def load_signoffs(root: Path) -> dict[str, SignOff]:
    """Read every sign-off of the repository at `root`, by kind.

    Raises:
        ConfigError: A file is invalid.
    """
    files = {kind: root / signoff_path(kind) for kind in SIGNOFF_KINDS}
    return {kind: load_toml(file, SignOff) for kind, file in files.items() if file.exists()}


def save_signoff(root: Path, kind: str, signoff: SignOff) -> Path:
    """Write a sign-off and return its file."""
    file = root / signoff_path(kind)
    file.parent.mkdir(exist_ok=True)
    file.write_text(_to_toml(signoff), encoding="utf-8")
    return file


def covering(facts: Facts) -> dict[str, object]:
    """Return the two fields that bind a `SignOff` to facts."""
    return {"covers": facts, "covers_sha256": facts_sha256(facts)}


def signoff_statuses(
    constraints: Constraints, signoffs: Mapping[str, SignOff], today: date
) -> dict[str, SignOffStatus]:
    """Return the status of each kind, in the order of `SIGNOFF_KINDS`."""
    return {kind: _status(kind, constraints, signoffs.get(kind), today) for kind in SIGNOFF_KINDS}


def _status(kind: str, constraints: Constraints, signoff: SignOff | None, today: date) -> SignOffStatus:
    if signoff is None:
        required = SIGNOFF_KINDS[kind].required_because(constraints)
        if required is None:
            return SignOffStatus(kind, SignOffState.OPTIONAL, "")
        return SignOffStatus(kind, SignOffState.MISSING, f"required because {required}")
    # Changed facts come first: neither an approval nor a rejection says anything about facts that were not reviewed.
    facts = SIGNOFF_KINDS[kind].covers(constraints)
    if facts != signoff.covers:
        reason = f"the facts have changed since {signoff.approver} signed on {signoff.decided_on}"
        return SignOffStatus(kind, SignOffState.STALE, reason, facts - signoff.covers, signoff.covers - facts)
    return SignOffStatus(kind, *_state_of_unchanged(signoff, today))


def _state_of_unchanged(signoff: SignOff, today: date) -> tuple[SignOffState, str]:
    if signoff.decision == "rejected":
        return SignOffState.REJECTED, f"rejected by {signoff.approver} on {signoff.decided_on}: {signoff.reason}"
    if signoff.expires_on <= today:
        return SignOffState.EXPIRED, f"expired on {signoff.expires_on}; request it again"
    for condition in signoff.conditions:
        if not condition.done and condition.due_on <= today:
            return SignOffState.OVERDUE, f"{condition.text!r} was due on {condition.due_on}"
    decision = signoff.decision.replace("_", " ")
    return SignOffState.VALID, f"{decision} by {signoff.approver} until {signoff.expires_on}"


def _to_toml(signoff: SignOff) -> str:
    fields = signoff.model_dump(mode="json", exclude={"covers", "conditions"})
    # Dates are written bare, as TOML has a type for them; everything else is text.
    values = {key: value if key.endswith("_on") else _quoted(value) for key, value in fields.items() if value != ""}
    lines = [f"{key} = {value}" for key, value in values.items()]
    lines += ["covers = [", *(f"    {_quoted(fact)}," for fact in sorted(signoff.covers)), "]"]
    for condition in signoff.conditions:
        lines += ["", "[[conditions]]", f"text = {_quoted(condition.text)}", f"due_on = {condition.due_on}"]
        lines += [f"done = {str(condition.done).lower()}"]
    comment = "# Written by `uv run chassis signoffs record`. Do not edit; record a new decision instead.\n"
    return comment + "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return a text as a basic string of TOML, which has the escapes of JSON and also forbids DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


PAGE = """\
# {title} sign-off for {name}

{question}

| | |
|---|---|
| Purpose | {purpose} |
| Requested by | {contact} |
| Decided by | {team} ({role}) |
| Required | {required} |
| Success metric | {metric}, target {target:g} |
| Stop condition | {metric} at {stop_at:g}; {stop_when} |

{changes}## Facts covered

{facts}

The sign-off is void as soon as one of these lines changes. Other changes do not affect it.

## Record the decision

When you have decided, someone with access to the repository runs

```console
$ uv run chassis signoffs record {kind} --approver "Your Name" --decision approved --reference https://…
```

Other decisions are `approved_with_conditions`, with one or more `--condition "2027-03-01 what must be done by then"`,
and `rejected` or `not_required`, with a `--reason`.
"""


def signoff_request(decisions: Decisions, status: SignOffStatus) -> str:
    """Return the request for one kind of sign-off as Markdown."""
    kind, ownership = SIGNOFF_KINDS[status.kind], decisions.ownership
    success = decisions.constraints.success
    accountable = getattr(ownership.roles, kind.role).accountable
    required_because = kind.required_because(decisions.constraints)
    facts = sorted(kind.covers(decisions.constraints))
    return PAGE.format(
        title=status.kind.capitalize(),
        name=decisions.project.name,
        question=kind.question,
        purpose=decisions.project.description or "not given in pyproject.toml",
        contact=ownership.contact,
        team=ownership.teams[accountable].handle,
        role=kind.role,
        required=f"yes: {required_because}" if required_because else "no",
        metric=success.metric,
        target=success.target,
        stop_at=success.stop_at,
        stop_when=success.stop_when,
        changes=_changes(status),
        facts="\n".join(f"- `{fact}`" for fact in facts) or "- none yet",
        kind=status.kind,
    )


def _changes(status: SignOffStatus) -> str:
    lines = [f"- added: `{fact}`" for fact in sorted(status.added)]
    lines += [f"- removed: `{fact}`" for fact in sorted(status.removed)]
    return "## Changes since the last sign-off\n\n" + "\n".join(lines) + "\n\n" if lines else ""
