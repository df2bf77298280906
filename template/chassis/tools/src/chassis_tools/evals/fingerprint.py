"""The fingerprint of a grader: a hash of its behavior, with all that it uses of the team's code and data.

Comments, formatting, docstrings and type hints do not change it. A definition counts if the grader can reach it by
name, through the imports of team modules too; a method of a class that only a type hint names counts if it is called.
Where code imports or executes what no reader of its source can know, all code of the team counts.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

from chassis_tools.evals.identity import code_hash, files_hash, json_hash, without_package

MODULE_FOLDERS = ("src", "", "evals")
"""Where the modules of the team are, below the root of the project."""
VENDORED = frozenset({"chassis", "chassis_tools"})
DYNAMIC_BUILTINS = frozenset({"__import__", "exec", "eval", "compile", "globals"})
DYNAMIC_FUNCTIONS = frozenset({"import_module", "run_path", "run_module"})
"""Names of functions whose effect cannot be read off the source."""
READERS = frozenset({"open", "read_text", "read_bytes", "glob", "rglob", "iterdir"})
"""Names of functions with which code reads files whose names it may compute."""
KNOWN_FOLDERS = frozenset({"accepted", "calibrations", "cases", "labels", "recordings"})
"""Folders of `evals/` that hold no data of graders."""
FORMATTING = frozenset({"str", "repr", "format", "print"})
TEXT_METHODS = frozenset({"__str__", "__repr__", "__format__"})
"""Methods that only `FORMATTING` functions and f-strings call."""
MAX_NAME = 200
"""Longer strings are texts, not names of files."""

type Statement = ast.stmt
type Place = tuple[str, int, int]
"""A module, a line and a column."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the team.

    Args:
        name: Its dotted name.
        is_package: Whether it is the `__init__.py` of a package.
        tree: Its statements.
    """

    name: str
    is_package: bool
    tree: ast.Module

    def absolute(self, node: ast.ImportFrom) -> str:
        """Return the dotted name of the module that an import names, also if it is relative to this one."""
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        parent = parts[: len(parts) - node.level + self.is_package]
        return ".".join([*parent, *([node.module] if node.module else [])])

    def bindings(self, name: str) -> list[Statement]:
        """Return the statements at the top level that define a name, in their order; the last one is not always run."""
        return [statement for statement in self.tree.body if name in _bound_names(statement)]

    @property
    def effects(self) -> Iterator[Statement]:
        """Yield the top-level statements that do more than define a name, such as `if`, calls and `module.name = …`."""
        for statement in self.tree.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            sets_others = any(isinstance(target, ast.Attribute | ast.Subscript) for target in targets)
            if sets_others or not (isinstance(statement, _DEFINITIONS) or _is_string(statement)):
                yield statement

    @property
    def imported(self) -> Iterator[str]:
        """Yield the dotted names of everything that is imported when this module is, packages included."""
        for statement in self.tree.body:
            names: list[str] = []
            if isinstance(statement, ast.Import):
                names = [alias.name for alias in statement.names]
            elif isinstance(statement, ast.ImportFrom):
                origin = self.absolute(statement)
                names = [origin, *(f"{origin}.{alias.name}" for alias in statement.names)]
            for name in names:
                parts = name.split(".")
                yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


_DEFINITIONS = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom),
    *(ast.Assign, ast.AnnAssign, ast.TypeAlias),
)


@dataclass(slots=True)
class _Reached:
    """What a grader reaches; grows until nothing new is found.

    Args:
        statements: The normalized statements, by the module and their place in it.
        names: The names that were followed, with their module.
        hinted: Classes that type hints name; only their methods that are called count.
        attributes: Every attribute that reached code reads or calls.
        strings: Every string that could name a file.
        is_dynamic: Whether reached code imports or executes what its source does not show.
        reads_files: Whether reached code reads files.
        formats: Whether reached code turns values into text.
    """

    statements: dict[Place, str] = field(default_factory=dict[Place, str])
    names: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    hinted: list[tuple[Module, ast.ClassDef]] = field(default_factory=list[tuple[Module, ast.ClassDef]])
    attributes: set[str] = field(default_factory=set[str])
    strings: set[str] = field(default_factory=set[str])
    is_dynamic: bool = False
    reads_files: bool = False
    formats: bool = False

    def calls(self, method: str) -> bool:
        """Return whether reached code calls a method of this name, as far as names tell."""
        if method in TEXT_METHODS:
            return self.formats
        return method in self.attributes or method.startswith("__")


class Fingerprints:
    """Computes the fingerprints of the graders of one project.

    Args:
        root: The root of the project.
        source: The text of `evals/graders.py`.
    """

    def __init__(self, root: Path, source: str) -> None:
        self._root = root
        self._graders = Module("graders", is_package=False, tree=ast.parse(source))
        self._modules: dict[str, Module | None] = {"graders": self._graders}

    def of(self, name: str) -> str:
        """Return the fingerprint of the grader with this name."""
        reached = _Reached()
        self._follow(self._graders, name, reached)
        # Any module that is imported could replace what the grader uses.
        for module in self._imported_modules:
            for statement in module.effects:
                self._add(module, statement, reached)
        self._add_called_methods(reached)
        statements = [(module, text) for (module, *_), text in reached.statements.items()]
        parts: list[object] = [name, sorted(without_package(self._root, statements))]
        data = self._data_files() if reached.reads_files else ()
        parts.append(files_hash(self._root, {*self._named_files(reached.strings), *data}))
        if reached.is_dynamic:
            parts.append(self._all_code)
        return json_hash(parts)

    def _follow(self, module: Module, name: str, reached: _Reached) -> None:
        """Add everything that a name of a module stands for."""
        if (module.name, name) in reached.names:
            return
        reached.names.add((module.name, name))
        statements = module.bindings(name)
        if len(statements) > 1:  # then their order counts too
            reached.statements[f"{module.name}:{name}", -1, 0] = str(
                [_dump(_without_hints(each)) for each in statements]
            )
        for statement in statements:
            match statement:
                case ast.Import():
                    self._follow_import(statement, name, reached)
                case ast.ImportFrom():
                    self._follow_import_from(module, statement, name, reached)
                case _:
                    self._add(module, statement, reached)
        if not statements:
            for statement in module.tree.body:  # `from module import *` may bind it
                if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
                    self._follow_import_from(module, statement, name, reached)

    def _follow_import(self, statement: ast.Import, name: str, reached: _Reached) -> None:
        for alias in statement.names:
            if (alias.asname or alias.name.partition(".")[0]) != name:
                continue
            if imported := self._module(alias.name):
                self._add_module(imported, reached)
            else:
                reached.statements[name, 0, 0] = alias.name

    def _follow_import_from(self, module: Module, statement: ast.ImportFrom, name: str, reached: _Reached) -> None:
        origin_name = module.absolute(statement)
        for alias in statement.names:
            if alias.name != "*" and (alias.asname or alias.name) != name:
                continue
            original = name if alias.name == "*" else alias.name
            if submodule := self._module(f"{origin_name}.{original}"):
                self._add_module(submodule, reached)
            elif origin := self._module(origin_name):
                # Which of two modules a name comes from can change without a change in either.
                reached.statements[f"{module.name}:{name}", 0, 0] = origin_name
                self._follow(origin, original, reached)
            else:
                # Vendored code may move with an update, which must not make every accepted score invalid.
                is_vendored = origin_name.partition(".")[0] in VENDORED
                reached.statements[f"{module.name}:{name}", 0, 0] = (
                    original if is_vendored else f"{origin_name}.{original}"
                )

    def _add_module(self, module: Module, reached: _Reached) -> None:
        for statement in module.tree.body:
            for name in _bound_names(statement):
                self._follow(module, name, reached)

    def _add(self, module: Module, statement: Statement, reached: _Reached) -> None:
        """Add a statement and everything that it refers to."""
        key = (module.name, statement.lineno, statement.col_offset)
        if key in reached.statements or _is_string(statement):
            return
        code = _without_hints(statement)
        reached.statements[key] = _dump(code)
        self._add_references(module, code, reached)
        for hint in _hints(statement):
            for name in _names(hint):
                self._note_hinted(module, name, reached)

    def _add_references(self, module: Module, code: ast.AST, reached: _Reached) -> None:
        for node in ast.walk(code):
            match node:
                case ast.Name(id=name):
                    reached.is_dynamic |= name in DYNAMIC_BUILTINS | DYNAMIC_FUNCTIONS
                    reached.formats |= name in FORMATTING
                    reached.reads_files |= name in READERS
                    self._follow(module, name, reached)
                case ast.Attribute(attr=name):
                    reached.is_dynamic |= name in DYNAMIC_FUNCTIONS
                    reached.reads_files |= name in READERS
                    reached.attributes.add(name)
                case ast.FormattedValue():
                    reached.formats = True
                case ast.Constant(value=str(text)) if len(text) <= MAX_NAME:
                    reached.strings.add(text)
                case ast.Import():  # inside a function
                    for alias in node.names:
                        self._follow_import(node, alias.asname or alias.name.partition(".")[0], reached)
                case ast.ImportFrom():
                    for alias in node.names:
                        self._follow_import_from(module, node, alias.asname or alias.name, reached)
                case _:
                    pass

    def _note_hinted(self, module: Module, name: str, reached: _Reached) -> None:
        """Note a class of the team that a type hint or a base class names."""
        for statement in module.bindings(name):
            match statement:
                case ast.ClassDef() if not any(statement is known for _, known in reached.hinted):
                    reached.hinted.append((module, statement))
                    # The classes of its fields may have methods too.
                    fields = [part.annotation for part in statement.body if isinstance(part, ast.AnnAssign)]
                    for other in [name for part in (*statement.bases, *fields) for name in _names(part)]:
                        self._note_hinted(module, other, reached)
                case ast.ImportFrom():
                    origin = self._module(module.absolute(statement))
                    for alias in statement.names:
                        if origin and (alias.asname or alias.name) == name:
                            self._note_hinted(origin, alias.name, reached)
                case _:
                    pass

    def _add_called_methods(self, reached: _Reached) -> None:
        """Add the methods that are called on values whose class only a type hint names, until there is no other."""
        count = -1
        while count != len(reached.statements):
            count = len(reached.statements)
            for module, definition in list(reached.hinted):
                for method in definition.body:
                    if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and reached.calls(method.name):
                        self._add(module, method, reached)

    def _module(self, name: str) -> Module | None:
        """Return a module of the team, or None if there is none of this name."""
        if name not in self._modules:
            self._modules[name] = self._load(name)
        return self._modules[name]

    def _load(self, name: str) -> Module | None:
        if not name or name.partition(".")[0] in VENDORED:
            return None
        # The graders were executed before, so a folder that they or the package index put on the path counts too.
        imported = getattr(sys.modules.get(name.partition(".")[0]), "__file__", None) or ""
        folders = [self._root / folder for folder in MODULE_FOLDERS]
        folders += [folder for folder in Path(imported).parents[:2] if self._is_ours(folder)]
        for folder in folders:
            path = folder / name.replace(".", "/")
            for file, is_package in ((path.with_suffix(".py"), False), (path / "__init__.py", True)):
                if file.is_file():
                    return Module(name, is_package, ast.parse(file.read_bytes(), file))
        return None

    def _named_files(self, strings: Iterable[str]) -> Iterator[Path]:
        """Yield the files of the project that strings in the code name."""
        for text in sorted(strings):
            for folder in (self._root, self._root / "evals"):
                path = folder / text
                if text.strip("./") and "\0" not in text and path.is_relative_to(self._root) and path.is_file():
                    yield path

    def _data_files(self) -> Iterator[Path]:
        """Yield the files of `evals/` that can only be data of graders."""
        for path in (self._root / "evals").rglob("*"):
            folder, *inside = path.relative_to(self._root / "evals").parts
            is_known = folder in KNOWN_FOLDERS or (not inside and path.suffix == ".toml")
            if path.is_file() and not is_known and path.suffix not in {".py", ".pyc"}:
                yield path

    def _is_ours(self, path: Path) -> bool:
        """Return whether a folder is part of the repository, rather than of its environment or of the chassis."""
        parts = path.relative_to(self._root).parts if path.is_relative_to(self._root) else ("..",)
        return not any(part in {"..", "chassis", "var"} or part.startswith(".") for part in parts)

    @cached_property
    def _imported_modules(self) -> list[Module]:
        modules = {"": self._graders}
        waiting = [self._graders]
        while waiting:
            for name in waiting.pop().imported:
                if name not in modules and (module := self._module(name)):
                    modules[name] = module
                    waiting.append(module)
        return list(modules.values())

    @cached_property
    def _all_code(self) -> list[str]:
        modules = sorted(path for path in self._root.rglob("*.py") if self._is_ours(path.parent))
        return [code_hash(path) for path in (self._root / "src", *modules) if path.exists()]


def _bound_names(statement: Statement) -> set[str]:
    """Return the names that a top-level statement defines, also those in the branches of an `if` or `try`."""
    names: set[str] = set()
    for node in [statement] if isinstance(statement, _DEFINITIONS) else list(ast.walk(statement)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
            case ast.Assign(targets=targets):
                names |= {name for target in targets for name in _names(target)}
            case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
                names |= set(_names(target))
            case ast.TypeAlias(name=ast.Name(id=name)):
                names.add(name)
            case _:
                pass
    return names - {"*"}


def _names(node: ast.AST) -> list[str]:
    """Return the names in an expression; a string is read as the expression that it quotes, as in a type hint."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval")
        except SyntaxError:
            return []
    return [child.id for child in ast.walk(node) if isinstance(child, ast.Name)]


def _hints(statement: Statement) -> Iterator[ast.expr]:
    """Yield the type hints of functions in a statement."""
    for node in ast.walk(statement):
        hint = getattr(node, "returns", None) if not isinstance(node, ast.arg) else node.annotation
        if isinstance(hint, ast.expr):
            yield hint


def _without_hints(statement: Statement) -> Statement:
    """Return a copy without docstrings and without the type hints of functions; those of fields have an effect."""
    copy = ast.parse(ast.unparse(statement)).body[0]
    for node in ast.walk(copy):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns, node.type_params = None, []
        body: Sequence[ast.AST] | None = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [each for each in body if not _is_string(each)] or [ast.Pass()]
    return copy


def _dump(node: object) -> str:
    """Return a syntax tree as a text that is the same in every version of Python, unlike that of `ast.dump`."""
    if isinstance(node, list):
        return f"[{', '.join(map(_dump, cast('list[object]', node)))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    # Versions differ in which empty fields they have.
    fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != []]
    shown = (f"{name}={_dump(value)}" for name, value in fields if not isinstance(value, ast.expr_context))
    return f"{type(node).__name__}({', '.join(shown)})"


def _is_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
