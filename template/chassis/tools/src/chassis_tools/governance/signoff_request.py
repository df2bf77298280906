"""The one page that a reviewer gets: what is asked of them, and every fact that they would sign for."""

from chassis_tools.governance.decisions import Decisions
from chassis_tools.governance.signoff_kinds import KINDS
from chassis_tools.governance.signoff_status import Standing

PAGE = """\
# {title} sign-off for {name}

{question}

| | |
|---|---|
| what it does | {purpose} |
| who asks | {contact} |
| who decides | {team} ({role}) |
| why | {because} |
| metric of success | {metric}; target {target:g} |
| when it ends for good | {stop_when} |

{changes}## What is signed for

{facts}

A change of any of these lines voids the sign-off. Nothing else does.

## How to answer

Decide, then let somebody with access to the repository run

```console
$ uv run chassis signoffs record {kind} --approver "Your Name" --decision approved --reference https://…
```

Other decisions: `approved_with_conditions` with `--condition "2027-03-01 what must be done by then"`,
`rejected` and `not_required` with `--reason`.
"""


def intake(decisions: Decisions, standing: Standing) -> str:
    """Return the page of one kind as Markdown."""
    kind, ownership = KINDS[standing.kind], decisions.ownership
    success = decisions.constraints.success
    accountable = getattr(ownership.roles, kind.role).accountable
    facts = sorted(kind.covers(decisions.constraints))
    return PAGE.format(
        title=standing.kind.capitalize(),
        name=decisions.project.name,
        question=kind.question,
        purpose=decisions.project.description or "not said in pyproject.toml",
        contact=ownership.contact,
        team=ownership.teams[accountable].handle,
        role=kind.role,
        because=standing.because or "not needed at present",
        metric=success.metric,
        target=success.target,
        stop_when=success.stop_when,
        changes=_changes(standing),
        facts="\n".join(f"- `{fact}`" for fact in facts) or "- nothing yet",
        kind=standing.kind,
    )


def _changes(standing: Standing) -> str:
    lines = [f"- new: `{fact}`" for fact in sorted(standing.added)]
    lines += [f"- gone: `{fact}`" for fact in sorted(standing.gone)]
    return "## What has changed since\n\n" + "\n".join(lines) + "\n\n" if lines else ""
