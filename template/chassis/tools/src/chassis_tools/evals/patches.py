"""Finds functions that the code of the team has replaced while suites ran: what they say then proves nothing."""

import sys
from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType

MEASURING = frozenset({"builtins", "datetime", "hashlib", "json", "os", "pathlib", "random", "time"})
"""The modules of the standard library with which an evaluation measures and writes."""
PACKAGES = frozenset({"chassis", "chassis_tools"})
FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType, type)
METHODS = (FunctionType, classmethod, staticmethod, property)


def watched_functions() -> dict[str, object]:
    """Return all functions, classes and methods of the chassis and of `MEASURING`, by their full names."""
    modules = [name for name in sys.modules if name in MEASURING or name.partition(".")[0] in PACKAGES]
    return {name: value for module in modules for name, value in _functions_of(module)}


def replaced_functions(before: Mapping[str, object]) -> list[str]:
    """Return the full names of what is not what it was when `watched_functions` returned `before`."""
    after = watched_functions()
    return [name for name, value in before.items() if after.get(name) is not value]


def _functions_of(module: str) -> Iterator[tuple[str, object]]:
    for name, value in list(vars(sys.modules[module]).items()):
        if isinstance(value, FUNCTIONS):
            yield f"{module}.{name}", value
        if isinstance(value, type) and value.__module__ == module:
            for member, function in list(vars(value).items()):
                if isinstance(function, METHODS):
                    yield f"{module}.{name}.{member}", function
