"""Writes the page that asks for a sign-off: the question, the facts that it covers, and how to record the decision."""

from chassis_tools.governance.decisions import Decisions
from chassis_tools.governance.signoff_kinds import SIGNOFF_KINDS
from chassis_tools.governance.signoffs import SignOffStatus

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
| Stop condition | {stop_when} |

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
        stop_when=success.stop_when,
        changes=_changes(status),
        facts="\n".join(f"- `{fact}`" for fact in facts) or "- none yet",
        kind=status.kind,
    )


def _changes(status: SignOffStatus) -> str:
    lines = [f"- added: `{fact}`" for fact in sorted(status.added)]
    lines += [f"- removed: `{fact}`" for fact in sorted(status.removed)]
    return "## Changes since the last sign-off\n\n" + "\n".join(lines) + "\n\n" if lines else ""
