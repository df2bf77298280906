"""Checks of the evaluation: whether anything proves that the service answers well."""

import json
from collections.abc import Iterator

from chassis_tools.evals.jsonl import code_hash
from chassis_tools.evals.suites import FILE as SUITES
from chassis_tools.readiness.check import Check
from chassis_tools.readiness.evidence import Evidence, Unknown
from chassis_tools.readiness.promises import need

MIN_CASES = 20


def cases(evidence: Evidence) -> str:
    """`evals/cases/` holds at least 20 cases. With fewer, a single case moves each share by more than five points."""
    files = sorted((evidence.root / "evals/cases").glob("*.jsonl"))
    count = sum(bool(line.strip()) for file in files for line in file.read_text(encoding="utf-8").splitlines())
    return need(count >= MIN_CASES, f"{count} cases, fewer than {MIN_CASES}", f"{count} cases")


def _with_rule(evidence: Evidence, kind: str) -> str:
    found = sorted(
        name
        for name, suite in evidence.suites.items()
        if suite.kind == "replay" and kind in {r.kind for r in suite.rules}
    )
    return need(found, f"no replay suite has a rule {kind!r}", f"in {', '.join(found)}")


def floors(evidence: Evidence) -> str:
    """A suite that replays has a rule of kind `floor`.

    It fails `make evals` when the share of right answers lies below `quality.accuracy_floor`.
    """
    return _with_rule(evidence, "floor")


def regressions(evidence: Evidence) -> str:
    """A suite that replays has a rule of kind `regression`.

    It fails `make evals` when answers are worse than those of the run that was accepted last.
    """
    return _with_rule(evidence, "regression")


def attacks(evidence: Evidence) -> str:
    """A suite that replays has a rule of kind `never`.

    It is for cases of which a single bad answer is one too many, such as attacks.
    """
    return _with_rule(evidence, "never")


def live(evidence: Evidence) -> str:
    """A suite of kind `live` asks the real models. Recorded replies cannot show that a vendor has changed a model."""
    found = [name for name, suite in evidence.suites.items() if suite.kind == "live"]
    return need(found, "no suite is live", f"live: {', '.join(found)}")


def measured(evidence: Evidence) -> str:
    """Every suite that replays was run on the code in `src/` as it is now.

    What was measured before the last change says nothing about the prompts and the code of today.
    """
    now = _code_hash(evidence)
    names = [name for name, suite in evidence.suites.items() if suite.kind == "replay"]
    stale = [name for name in names if now not in _measured_hashes(evidence, name)]
    return need(not stale, f"no run of this code: {', '.join(stale)}", f"{len(names)} suites were run on this code")


def _measured_hashes(evidence: Evidence, suite: str) -> Iterator[str]:
    for folder in ("evals/accepted", "var/evals"):
        file = evidence.root / folder / suite / "records.jsonl"
        if file.is_file():
            with file.open(encoding="utf-8") as lines:
                try:
                    yield json.loads(next(lines, "{}")).get("prompts_hash", "")
                except ValueError:
                    raise Unknown(f"{folder}/{suite}/records.jsonl cannot be read") from None


def _code_hash(evidence: Evidence) -> str:
    root = evidence.root / "src" / evidence.project.task_path.partition(":")[0].partition(".")[0]
    if not any(root.rglob("*.py")):
        raise Unknown(f"there is no code in {root.name}")
    return code_hash(root)


CHECKS = (
    Check("EVL101", f"There are at least {MIN_CASES} cases", "experiment", "Add cases to evals/cases", cases, SUITES),
    Check(
        "EVL102",
        "Too few right answers fail the gate",
        "standard",
        "Add a rule of kind floor in evals/suites.toml",
        floors,
        SUITES,
    ),
    Check(
        "EVL103",
        "Worse answers than before fail the gate",
        "standard",
        "Add a rule of kind regression in evals/suites.toml",
        regressions,
        SUITES,
    ),
    Check(
        "EVL104",
        "A single forbidden answer fails the gate",
        "standard",
        "Add a suite with a rule of kind never in evals/suites.toml",
        attacks,
        SUITES,
    ),
    Check(
        "EVL105",
        "Real models are measured too",
        "critical",
        "Add a suite of kind live in evals/suites.toml",
        live,
        SUITES,
    ),
    Check("EVL106", "This very code was measured", "standard", "Run `make evals`", measured, SUITES),
)
