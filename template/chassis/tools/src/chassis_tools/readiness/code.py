"""Checks of the team's code: that it has tests, goes through the guard and does nothing that nobody sees."""

import ast
from collections.abc import Iterator

from chassis_tools.readiness.check import Check
from chassis_tools.readiness.evidence import Evidence, Failed
from chassis_tools.readiness.promises import need

VENDORS = {"openai", "anthropic", "google"}
DANGEROUS = {"eval", "exec", "system", "popen"}


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
