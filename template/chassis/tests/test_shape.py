"""The shape of the code: every arrow points one way, nothing goes round in circles, and no file grows out of sight."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import chassis

SOURCE = Path(chassis.__file__).parent
LAYERS = (
    ("contract", "errors", "clock", "usd"),
    ("config",),
    ("privacy",),
    ("call", "limits", "store", "telemetry"),
    ("money",),
    ("guard", "gauges", "call_log"),
    ("draft",),
    ("service",),
    ("wiring",),
    ("web", "testing"),
    ("cli",),
)
"""From the ground up; a module or a folder may import from its own layer and from those below it."""
STEPS = {
    *("kill_switch", "redact", "reply_cache", "reservation", "fallback"),
    *("concurrency", "circuit_breaker", "retry", "meter", "timeout"),
}
MAX_LINES = 400


def module_of(file: Path) -> str:
    """Return the dotted name of a file of ours."""
    return ".".join(("chassis", *file.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module_of(file): file for file in sorted(SOURCE.rglob("*.py"))}


def imports_of(module: str) -> set[str]:
    """Return the modules of ours that a module imports, inside functions too."""
    return {found for name in _imported_names(MODULES[module]) if (found := _nearest(name)) not in {None, module}}


def _imported_names(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{name.name}" for name in names)


def _nearest(name: str) -> str | None:
    while name not in MODULES and "." in name:
        name = name.rpartition(".")[0]
    return name if name in MODULES else None


def layer_of(module: str) -> int:
    """Return how far above the ground a module stands."""
    part = module.split(".")[1]
    return next(level for level, parts in enumerate(LAYERS) if part in parts)


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"chassis"}))
def test_imports_point_down(module: str) -> None:
    """A module knows only its own layer and those below it; the package itself exports from the ground."""
    upward = {other for other in imports_of(module) - {"chassis"} if layer_of(other) > layer_of(module)}

    assert upward == set()


def test_the_map_is_true() -> None:
    """Whoever reads the README finds every module, and on the line where it stands."""
    text = (SOURCE.parents[1] / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| (`.+?`) \|", text.partition("## The map")[2], re.MULTILINE)

    assert tuple(tuple(re.findall(r"[a-z_]+", line)) for line in lines) == LAYERS


def test_there_is_no_cycle() -> None:
    """The modules can be put in an order in which each imports only earlier ones."""
    order = TopologicalSorter({module: imports_of(module) - {"chassis"} for module in MODULES}).static_order()

    assert set(order) >= set(MODULES)


def test_the_steps_of_the_pipeline_do_not_import_each_other() -> None:
    """Only `guard/pipeline.py` knows their order, so that a step can be read, moved or left out alone."""
    imports = {
        (step, other)
        for step in STEPS
        for other in STEPS
        if f"chassis.guard.{other}" in imports_of(f"chassis.guard.{step}")
    }

    assert imports == set()


def test_the_sdks_of_vendors_are_imported_in_one_file() -> None:
    """Where a provider is reached there is a guard in front of it, because there is only one such place."""
    reaching = {
        module
        for module, file in MODULES.items()
        if any(name.split(".")[0] in {"openai", "anthropic", "google"} for name in _imported_names(file))
    }

    assert reaching == {"chassis.guard.vendors"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_file_can_be_read_in_one_go(module: str) -> None:
    """No file is longer than three screens, and each opens with a sentence that says what it is for."""
    text = MODULES[module].read_text(encoding="utf-8")

    assert len(text.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(text))
