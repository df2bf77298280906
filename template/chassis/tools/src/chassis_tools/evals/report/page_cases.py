"""One case on the page: what was asked, expected and answered, and what is different from the accepted run."""

from difflib import SequenceMatcher
from html import escape

from chassis_tools.evals.report.report import CaseLine
from chassis_tools.evals.report.tables import MARKS

ALIKE = 0.3
"""Two texts that share less than this are two texts; marking every word of both would show nothing."""


def case_details(case: CaseLine, *, opened: bool) -> str:
    """Return the case, folded to its question unless it is to be seen at once."""
    states = [case.change if case.change != "changed" else "new", *(["error"] if case.error else [])]
    states += ["right" if case.is_right else "wrong"]
    values = [f"{_value(value)} {escape(name)}" for name, value in case.values.items()]
    marks = " · ".join(filter(None, [escape(MARKS[case.change]), "must pass" if case.must_pass else "", *values]))
    facts = f"{case.seconds:.3f} s · ${case.usd:.6f}" + (f" · {escape(case.error)}" if case.error else "")
    trace = f" · trace {escape(case.trace_id)}" if case.trace_id else ""
    return f"""\
<details{" open" * opened} class="case {" ".join(states)}" data-tags="{escape(" ".join(case.tags))}">
<summary><code>{escape(case.id)}</code> <span class="ask">{escape(case.question)}</span>
<span class="marks">{marks}</span></summary>
<div class="columns">{_columns(case)}</div>
<p class="meta">{escape(" ".join(case.tags))} · {facts}{trace}</p></details>"""


def _columns(case: CaseLine) -> str:
    asked = _box("Question", escape(case.question)) + _box("Expected", escape(case.expected))
    told: list[tuple[str, str]] = []
    if case.accepted_answer and case.accepted_answer != case.answer:
        before, after = _difference(case.accepted_answer, case.answer)
        told += [("Accepted answer", before), ("Answer now", after)]
    else:
        told.append(("Answer" if case.accepted_answer else "Answer now", escape(case.answer)))
    told += [(name, escape(text)) for name, text in _others(case) if text]
    return f"<div>{asked}</div>" + "".join(f"<div>{_box(*each)}</div>" for each in told)


def _others(case: CaseLine) -> tuple[tuple[str, str], ...]:
    return ("Baseline's answer", case.baseline_answer), ("What judges say", case.reasons)


def _box(name: str, text: str) -> str:
    return f"<h4>{name}</h4><pre>{text}</pre>"


def _value(value: float) -> str:
    return {0.0: "✗", 1.0: "✓"}.get(value, f"{value:.2g}")


def _difference(before: str, after: str) -> tuple[str, str]:
    """Return both texts with the words marked that are only in one of them."""
    old, new = _words(before), _words(after)
    compared = SequenceMatcher(None, old, new, autojunk=False)
    if compared.ratio() < ALIKE:
        return escape(before), escape(after)
    left, right = "", ""
    for what, i, j, k, m in compared.get_opcodes():
        gone, come = escape("".join(old[i:j])), escape("".join(new[k:m]))
        left += gone if what == "equal" else f"<del>{gone}</del>" if gone else ""
        right += come if what == "equal" else f"<ins>{come}</ins>" if come else ""
    return left, right


def _words(text: str) -> list[str]:
    return [part for line in text.splitlines(keepends=True) for part in line.replace(" ", " \0").split("\0")]
