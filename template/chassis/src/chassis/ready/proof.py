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
    """All files of `evals/cases` together; with fewer, chance decides what the gate says."""
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
    """A replay suite has a rule of kind `floor`: a share of right answers below which nothing is merged."""
    return _with_rule(evidence, "floor")


def regressions(evidence: Evidence) -> str:
    """A replay suite has a rule of kind `regression`: a case that was right before stays right."""
    return _with_rule(evidence, "regression")


def attacks(evidence: Evidence) -> str:
    """A replay suite has a rule of kind `never`, such as that no instruction of a document is obeyed."""
    return _with_rule(evidence, "never")


def live(evidence: Evidence) -> str:
    """A suite is of kind `live`: a recording cannot show that a vendor's model has changed."""
    found = [name for name, suite in evidence.suites.items() if suite.kind == "live"]
    return need(found, "no suite is live", f"live: {', '.join(found)}")


def measured(evidence: Evidence) -> str:
    """The last or the accepted run of each replay suite is of the code that is here; others prove nothing."""
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
    """`tests/` holds a function whose name begins with `test_`."""
    count = sum(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        for tree in evidence.tests.values()
        for node in ast.walk(tree)
    )
    return need(count, "tests/ holds no test", f"{count} tests")


def guarded(evidence: Evidence) -> str:
    """Nothing in `src/` imports a vendor's SDK, past which nothing is budgeted, redacted or logged."""
    found = [
        path
        for path, tree in evidence.code.items()
        if any(name.partition(".")[0] in VENDORS for name in _imports(tree))
    ]
    return need(
        not found, f"a vendor's SDK is imported past the guard in {', '.join(found)}", "none goes past the guard"
    )


def logged(evidence: Evidence) -> str:
    """Nothing in `src/` calls `print`, whose lines have no level and no call id."""
    return _without(evidence, {"print"}, "print()")


def harmless(evidence: Evidence) -> str:
    """Nothing in `src/` calls `eval`, `exec`, `os.system` or `os.popen`: no word of a model is a command."""
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
    Check("EVL102", "Too few right answers fail", "standard", "Add a rule of kind floor", floors, SUITES),
    Check("EVL103", "A worse answer fails", "standard", "Add a rule of kind regression", regressions, SUITES),
    Check(
        "EVL104", "Some things must never happen", "standard", "Add a suite with a rule of kind never", attacks, SUITES
    ),
    Check("EVL105", "Real models are measured too", "critical", "Add a suite of kind live", live, SUITES),
    Check("EVL106", "This very code was measured", "standard", "`make evals`", measured, SUITES),
    Check("TST101", "The team's code has tests", "experiment", "Write one in tests/", tested, "pyproject.toml"),
    Check(
        "SEC101",
        "No vendor is reached past the guard",
        "experiment",
        "Use the model that the task is given",
        guarded,
        "pyproject.toml",
    ),
    Check("SEC102", "No text becomes a command", "standard", "Remove the call", harmless, "pyproject.toml"),
    Check(
        "OBS101",
        "What is said is said to the log",
        "standard",
        "Use structlog instead of print",
        logged,
        "pyproject.toml",
    ),
)
