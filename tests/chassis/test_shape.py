"""The shape of the code: imports point down, a name means one thing, and files and functions stay small."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

import code_measures
import pytest
from code_measures import Module, function_lines, middle

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "chassis": code_measures.modules(ROOT / code_measures.RUNTIME),
    "chassis_tools": code_measures.modules(ROOT / code_measures.TOOLS),
}
MODULES = {module.name: module for code in PACKAGES.values() for module in code}
LAYERS = {
    "chassis": (
        ("contract", "errors", "clock", "usd", "support"),
        ("config",),
        ("privacy",),
        ("call", "store", "telemetry"),
        ("money", "search"),
        ("guard", "gauges", "call_log", "quality", "notifier"),
        ("draft",),
        ("service",),
        ("wiring",),
        ("web", "testing"),
        ("cli",),
    ),
    "chassis_tools": (
        ("evals", "governance"),
        ("readiness", "updates"),
        ("cli",),
    ),
}
"""Bottom layer first; a module or subpackage imports from its own layer and from those below it."""
STEPS = {
    *("kill_switch", "redact", "reply_cache", "reservation", "fallback"),
    *("concurrency", "circuit_breaker", "retry", "meter", "timeout"),
}
LIMITS: dict[str, dict[str, float]] = {
    "files": {"chassis": 116, "chassis_tools": 72},
    "lines": {"chassis": 17_349, "chassis_tools": 14_647},
    "longest file": {"chassis": 400, "chassis_tools": 400},
    "median file": {"chassis": 150, "chassis_tools": 215},
    "median function": {"chassis": 8, "chassis_tools": 8},
    "percent of long functions": {"chassis": 10, "chassis_tools": 10},
}
"""The most that each package may measure; lengths in lines."""
SHORT_FUNCTION = 25
"""Lines below which a function is short."""
IMPORT_EVERYTHING = """
import importlib.metadata, pkgutil, sys
sys.modules["chassis_tools"] = None
importlib.metadata.entry_points = lambda **_: ()
import chassis
for module in pkgutil.walk_packages(chassis.__path__, "chassis."):
    importlib.import_module(module.name)
"""


def imports_of(module: Module) -> set[str]:
    """Return our modules that a module imports, inside functions too, without the packages that only re-export."""
    imported = {_nearest(name) for name in _imported_names(module)}
    return {name for name in imported if name is not None} - {module.name, *PACKAGES}


def _imported_names(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(origin), names=names):
                yield from (f"{origin}.{name.name}" for name in names)
            case _:
                pass


def _nearest(name: str) -> str | None:
    while name not in MODULES and "." in name:
        name = name.rpartition(".")[0]
    return name if name in MODULES else None


def layer_of(name: str) -> tuple[int, int]:
    """Return the package of a module, the runtime being the lower one, and its layer therein."""
    package, part, *_ = name.split(".")
    layers = LAYERS[package]
    return list(PACKAGES).index(package), next(level for level, parts in enumerate(layers) if part in parts)


INNER = {name: module for name, module in MODULES.items() if name not in PACKAGES}


@pytest.mark.parametrize("module", INNER.values(), ids=INNER)
def test_imports_point_down(module: Module) -> None:
    """A module imports from its own layer and from lower ones; so the runtime imports nothing from the tools."""
    upward = {other for other in imports_of(module) if layer_of(other) > layer_of(module.name)}

    assert upward == set()


def test_the_runtime_works_without_the_tools() -> None:
    """Every module of the runtime can be imported where there is no `chassis_tools`, as in the production image."""
    done = subprocess.run([sys.executable, "-c", IMPORT_EVERYTHING], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


def test_there_is_no_cycle() -> None:
    """The modules of both packages have an order in which each imports only earlier ones."""
    order = TopologicalSorter({module.name: imports_of(module) for module in MODULES.values()}).static_order()

    assert set(order) >= set(MODULES) - set(PACKAGES)


def test_statistics_know_nothing_of_evaluation() -> None:
    """The formulas take numbers and return numbers, so that they can be read and checked alone."""
    prefix = "chassis_tools.evals.stats."
    imported = {other for name, module in INNER.items() if name.startswith(prefix) for other in imports_of(module)}

    assert {name for name in imported if not name.startswith(prefix)} == set()


def test_the_map_in_the_readme_is_true() -> None:
    """A reader of the README finds every module of the runtime, on the line of its layer."""
    text = (ROOT / "template/chassis/README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| (`.+?`) \|", text.partition("## The map")[2], re.MULTILINE)

    assert tuple(tuple(re.findall(r"[a-z_]+", line)) for line in lines) == LAYERS["chassis"]


def test_the_steps_of_the_pipeline_do_not_import_each_other() -> None:
    """Only `guard/pipeline.py` knows their order, so that a step can be read, moved or left out alone."""
    imported = {step: imports_of(MODULES[f"chassis.guard.{step}"]) for step in STEPS}
    other_steps = {step: {f"chassis.guard.{other}" for other in STEPS - {step}} for step in STEPS}

    assert {step for step in STEPS if imported[step] & other_steps[step]} == set()


def test_the_sdks_of_vendors_are_imported_in_one_place() -> None:
    """That is where a provider can be reached, so a guard is always in front of it."""
    sdks = {"openai", "anthropic", "google"}
    importing = {
        module.name for module in MODULES.values() if sdks & {name.split(".")[0] for name in _imported_names(module)}
    }

    assert importing == {"chassis.guard.vendors", "chassis.guard.chat_completions"}
    direct = {module.name for module in MODULES.values() if "chassis.guard.chat_completions" in imports_of(module)}
    assert direct == {"chassis.guard.vendors"}


def test_a_public_name_means_one_thing() -> None:
    """No two modules, of either package, define a public class, function or type of the same name."""
    assert code_measures.homonyms(MODULES.values()) == {}


def test_no_file_name_stands_three_times() -> None:
    """A reader who searches for a file by its name gets few to choose from."""
    assert code_measures.repeated_stems(MODULES.values()) == []


def long_functions(code: Sequence[Module]) -> float:
    """Return how many percent of all functions are not short."""
    lengths = [function_lines(function) for module in code for function in module.functions()]
    return 100 * sum(length >= SHORT_FUNCTION for length in lengths) / len(lengths)


SIZES: dict[str, Callable[[Sequence[Module]], float]] = {
    "files": len,
    "lines": lambda code: sum(module.lines for module in code),
    "longest file": lambda code: max(module.lines for module in code),
    "median file": lambda code: middle(module.lines for module in code),
    "median function": lambda code: middle(function_lines(each) for module in code for each in module.functions()),
    "percent of long functions": long_functions,
}


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("size", SIZES)
def test_sizes(package: str, size: str) -> None:
    """A package has few files, a file holds one idea, and a function fits on a screen."""
    assert SIZES[size](PACKAGES[package]) <= LIMITS[size][package]


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_each_file_says_what_it_is_for(module: Module) -> None:
    """Its docstring opens with one sentence, on one line."""
    first_line = (ast.get_docstring(module.tree) or "").partition("\n")[0]

    assert re.search(r"[.?!]$", first_line)
