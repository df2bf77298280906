"""Measures Python packages from their source alone: names, sizes, comments. Nothing is imported."""

import ast
import io
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

RUNTIME, TOOLS = "template/chassis/src", "template/chassis/tools/src"
"""Where the two packages are, relative to the root of the template."""

type Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.TypeAlias
type Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of a package.

    Args:
        name: Its dotted name, such as `chassis.guard.retry`; a package has the name of its folder.
        file: Where it is.
    """

    name: str
    file: Path

    @cached_property
    def text(self) -> str:
        """Return its source."""
        return self.file.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """Return its syntax tree."""
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        """Return its number of lines, blank ones included."""
        return len(self.text.splitlines())

    @property
    def is_root(self) -> bool:
        """Return whether it lies in the folder of the package itself, not in a subfolder."""
        return self.name.count(".") == 1 and self.file.stem != "__init__"

    def definitions(self) -> Iterator[tuple[str, Definition]]:
        """Yield the public classes, functions and type aliases at module level, by name."""
        for node in self.tree.body:
            match node:
                case ast.TypeAlias(name=ast.Name(id=name)):
                    pass
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    pass
                case _:
                    continue
            if not name.startswith("_"):
                yield name, node

    def constants(self) -> set[str]:
        """Return the public names that are assigned at module level."""
        names = (name for node in self.tree.body for name in _assigned(node))
        return {name for name in names if not name.startswith("_")}

    def functions(self) -> Iterator[Function]:
        """Yield every function and method, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def _assigned(node: ast.stmt) -> list[str]:
    match node:
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []


def modules(source: Path) -> list[Module]:
    """Return every module below a folder `src`, in alphabetical order; none if there is no such folder."""
    return [Module(_name(file.relative_to(source)), file) for file in sorted(source.rglob("*.py"))]


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def homonyms(code: Iterable[Module]) -> dict[str, list[str]]:
    """Return the public names of classes, functions and types that several modules define, with those modules."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module in code:
        for name, _ in module.definitions():
            places[name].append(module.name)
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}


def repeated_stems(code: Iterable[Module], times: int = 3) -> list[str]:
    """Return the file names, without suffix, that several modules share: at least `times` of them."""
    stems = Counter(module.file.stem for module in code if module.file.stem != "__init__")
    return sorted(stem for stem, count in stems.items() if count >= times)


def function_lines(function: Function) -> int:
    """Return the lines of a function's body; a docstring and the signature do not count."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body and body[-1].end_lineno else 0


def comments_per_100_lines(code: Iterable[Module]) -> float:
    """Return the comments in each hundred lines of code; docstrings and blank lines are no code."""
    comments = lines = 0
    for module in code:
        tokens = list(tokenize.generate_tokens(io.StringIO(module.text).readline))
        comments += sum(token.type == tokenize.COMMENT for token in tokens)
        lines += len(_code_lines(tokens) - _docstring_lines(module.tree))
    return 100 * comments / max(lines, 1)


def _code_lines(tokens: Iterable[tokenize.TokenInfo]) -> set[int]:
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    spans = (range(token.start[0], token.end[0] + 1) for token in tokens if token.type not in blank)
    return {line for span in spans for line in span}


def _docstring_lines(tree: ast.Module) -> set[int]:
    """Return the lines of all strings that are statements: docstrings, and those below attributes."""
    strings = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
    return {line for node in strings for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def percentile(values: Iterable[float], percent: int) -> float:
    """Return the smallest value that is not exceeded by `percent` percent of the values; 0 if there are none."""
    ordered = sorted(values)
    return ordered[max(-(-percent * len(ordered) // 100) - 1, 0)] if ordered else 0


def middle(values: Iterable[float]) -> float:
    """Return the median; 0 if there are no values."""
    return median(list(values) or [0])
