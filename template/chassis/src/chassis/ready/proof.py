"""Checks of the evaluation, the tests and the team's code: whether anything proves that it works."""

import ast
import json
from collections.abc import Iterator

from chassis.evals.lines import code_digest
from chassis.evals.suites import FILE as SUITES
from chassis.ready.check import Check
from chassis.ready.evidence import Evidence, Failed, Unknown
from chassis.ready.promises import need

MIN_CASES = 20
VENDORS = {"openai", "anthropic", "google"}
DANGEROUS = {"eval", "exec", "system", "popen"}


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
    return code_digest(root)


def tested(evidence: Evidence) -> str:
    """`tests/` holds at least one function whose name begins with `test_`."""
    count = sum(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        for tree in evidence.tests.values()
        for node in ast.walk(tree)
    )
    return need(count, "tests/ holds no test", f"{count} tests")


def guarded(evidence: Evidence) -> str:
    """No file in `src/` imports `openai`, `anthropic` or `google`.

    What is sent through a vendor's own library is neither redacted nor paid for from the budgets, timed or logged.
    """
    found = [
        path
        for path, tree in evidence.code.items()
        if any(name.partition(".")[0] in VENDORS for name in _imports(tree))
    ]
    return need(
        not found, f"a vendor's SDK is imported past the guard in {', '.join(found)}", "none goes past the guard"
    )


def logged(evidence: Evidence) -> str:
    """No file in `src/` calls `print`.

    What it writes has no call id, cannot be searched, and may hold what callers have sent.
    """
    return _without(evidence, {"print"}, "print()")


def harmless(evidence: Evidence) -> str:
    """No file in `src/` calls `eval`, `exec`, `os.system` or `os.popen`.

    If the words of a model or a caller reach one of these, they are run as a program.
    """
    return _without(evidence, DANGEROUS, "eval, exec or a shell")


def _without(evidence: Evidence, names: set[str], what: str) -> str:
    found = sorted(
        path for path, tree in evidence.code.items() if any(_called(node) in names for node in ast.walk(tree))
    )
    if found:
        raise Failed(f"{what} in {', '.join(found)}")
    return f"no {what} in {len(evidence.code)} files"


def _called(node: ast.AST) -> str | None:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name
        case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr=name)):
            return name
        case _:
            return None


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case _:
                pass


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
    Check("TST101", "The team's code has tests", "experiment", "Write one in tests/", tested, "pyproject.toml"),
    Check(
        "SEC101",
        "No vendor is reached past the guard",
        "experiment",
        "Ask the model that the task is given instead",
        guarded,
        "pyproject.toml",
    ),
    Check("SEC102", "No text is run as a program", "standard", "Remove the call", harmless, "pyproject.toml"),
    Check(
        "OBS101",
        "The code logs instead of printing",
        "standard",
        "Use structlog instead of print",
        logged,
        "pyproject.toml",
    ),
)
