"""Runs every fault and writes `docs/reference/faults.md`: the expected result and the time it took."""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from answer_sets import ROOT
from fault import DEADLINE_SECONDS, Fault
from fault_table import FAULTS, PROCESS_ENDS
from faulty_service import resolving_nowhere, run
from faulty_vendor import faulty_vendor
from reference_pages import table
from telemetry_sinks import production_lines

PAGE = ROOT / "docs/reference/faults.md"
HEAD = (
    "fault",
    "status",
    "answered by",
    "fallback_reason",
    "charged to the first model",
    "log lines before `call.finished`",
)
SECONDS = "seconds"
INTRODUCTION = f"""# Faults

What a caller gets when something fails, what it costs and what the log says. Every row is a test: a complete service
behind HTTP asks a misbehaving vendor through OpenAI's own SDK. Two models are configured, `first` and `second`;
`second` works unless the row says otherwise. The deadline is {DEADLINE_SECONDS:g} seconds, and no call took more than
5 % longer. Each call also logs `call.finished`, and no reservation is left open, except after a kill.

The last column is the duration of the call when this page was written; `make faults` writes the page again.
"""


def page(seconds: Mapping[str, float]) -> str:
    """Return the page; `seconds` says how long each fault took, by what goes wrong."""
    sections = [
        f"## {title}\n\n"
        + table((*HEAD, SECONDS), [(*_facts(fault), _shown(seconds.get(fault.what))) for fault in rows])
        for title, rows in FAULTS.items()
    ]
    return "\n".join([INTRODUCTION, *sections])


def without_seconds(text: str) -> list[str]:
    """Return the lines of a page without what differs each time."""
    return [line.rpartition(" | ")[0] if line.startswith("|") else line for line in text.splitlines()]


def _facts(fault: Fault) -> tuple[str, ...]:
    result = fault.result
    status = str(result.status) if result.status else "none"
    return (
        fault.what,
        status,
        result.answered_by,
        result.fallback_reason or "",
        result.charged,
        ", ".join(result.logged),
    )


def _shown(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"


def measure() -> dict[str, float]:
    """Run the faults of one process and return how long each call took.

    Raises:
        AssertionError: One did not end as the table says.
    """
    seconds: dict[str, float] = {}
    with faulty_vendor() as vendor, resolving_nowhere():
        for fault in [fault for rows in FAULTS.values() for fault in rows if fault not in PROCESS_ENDS]:
            with tempfile.TemporaryDirectory() as folder, production_lines() as lines:
                ran = run(fault, vendor, Path(folder), lines)
            if ran.result != fault.result or ran.reserved or ran.seconds > DEADLINE_SECONDS * 1.05:
                raise AssertionError(f"{fault.what}: expected {fault.result}, but {ran}")
            seconds[fault.what] = ran.seconds
            print(f"{ran.seconds:5.2f} s  {fault.what}", file=sys.stderr)
    return seconds


if __name__ == "__main__":
    PAGE.write_text(page(measure()), encoding="utf-8")
