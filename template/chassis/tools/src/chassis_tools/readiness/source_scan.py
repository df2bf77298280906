"""Finds ways past the guard in a repository: whatever in its code could reach the vendor of a model directly.

Files are parsed, never run. Constant parts of a text are put together first, so that `"api." + "openai.com"` is found.
What runs cannot always be read, so the scan also reports what it could not see. The wall that holds at run time is the
HTTP client in `chassis/guard/egress.py`, and the network policy around the container.
"""

import ast
import json
import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from chassis_tools.readiness.constant_text import ConstantText, encoded_forms, parts
from chassis_tools.readiness.vendor_names import (
    AWS_MODELS,
    HARMLESS_MODELS,
    HOST,
    IN_TEXT,
    KEY_VARIABLE,
    MODEL_ID,
    PAGES,
    SDKS,
    client_in,
)
from chassis_tools.updates.git import git_list
from chassis_tools.updates.path_ownership import CHASSIS_FOLDER, load_path_owners, owner_of

PROGRAM = re.compile(
    r"(?:^|[\s;&|('\"])(?:\S*/)?(curl|wget|xh|httpie|aichat)(?=[\s'\")]|$)|(?:^|[;&|(]\s*)(?:\S*/)?(ollama|openai|llm)(?=\s|$)"
)
"""Programs that send requests anywhere in a command, and those that ask a model where a command begins."""
LOADERS = re.compile(
    r"__import__|builtins\.__import__|(?:importlib|pkgutil|pydoc|runpy)(?:\.\w+)*\.\w+|.*\b(?:exec_module|import_string)"
)
"""Functions that import what a text names, by their full names."""
STARTERS = re.compile(r"(?:subprocess|os|asyncio|pty|pexpect|sh|plumbum|invoke|fabric)\.\w+")
INTERPRETERS = frozenset({"exec", "eval", "compile", "builtins.exec", "builtins.eval", "code.interact"})
PYTHON, JUPYTER = frozenset({".py", ".pyi", ".pyw", ".pyx"}), ".ipynb"
PROSE = frozenset({".adoc", ".css", ".csv", ".lock", ".markdown", ".md", ".mdx", ".rst", ".svg", ".tsv"})
"""Files that no program takes an address from. The text of all others is searched for hosts."""
INLINE = re.compile(r"""\bpython[\w.]*\s+(?:-\w\s+)*-c\s+(?P<quote>['"])(?P<code>.*?)(?P=quote)""", re.DOTALL)
"""Python code in a command."""
INSTALLERS = re.compile(
    r"\b(?:pip[\d.]*|pipx|conda|mamba|npm)\s+install\b|\buv\s+(?:add|pip|tool|run\s+--with)\b|\buvx\b"
)
OTHER_LANGUAGES = re.compile(r"(?:^|\s|/)(node|deno|bun|ruby|perl|php|Rscript|osascript)(?=\s)")
UNREADABLE = frozenset({"cffi", "ctypes", "marshal", "pip", "zipimport"})
"""Modules that load compiled code, or code that is not in the repository."""
DECODERS = re.compile(
    r"(?:base64\.\w*decode|binascii\.\w+|bz2\.decompress|gzip\.decompress|lzma\.decompress|pickle\.loads|zlib\.decompress)"
)
"""Functions that turn a constant into another text."""
STARTUP = re.compile(r"(?:.*/)?(?:sitecustomize\.py|usercustomize\.py|[^/]+\.pth|chassis(?:_tools)?(?:/__init__)?\.py)")
"""Files that run in every Python process, or take the place of a package of the chassis."""
COMMAND = re.compile(r"""^\s*['"]?chassis['"]?\s*=\s*['"]|chassis\.commands""", re.MULTILINE)
"""What gives the command `chassis`, or a part of it, to a package of the team."""
NOT_CODE = ("documents/", "docs/", "evals/cases/", "evals/accepted/", "signoffs/", "constraints.toml", "uv.lock")
"""What the service does not run, and what the guard itself is configured with."""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What was found in a repository.

    Args:
        files: How many files were read.
        findings: The ways past the guard, as `path:line: what it is`.
        unseen: What could be a way and cannot be read, in the same form.
        clients: What can send bytes to a host that is computed, as `path:line: name`; once for each file and name.
    """

    files: int
    findings: tuple[str, ...]
    unseen: tuple[str, ...]
    clients: tuple[str, ...]


def scan_repository(root: Path) -> ScanResult:
    """Scan all files that git does not ignore, and those that they import from the repository.

    Raises:
        ConfigError: `root` is not a git repository.
        SyntaxError: A Python file cannot be parsed.
        ValueError: A Jupyter file cannot be parsed.
    """
    owners = load_path_owners(root)  # files of the chassis are compared with their release instead
    tracked = [
        path
        for path in git_list(root, "ls-files", "--cached", "--others", "--exclude-standard")
        if owner_of(path, owners) == "yours"
    ]
    # A list that grows: what a file imports is scanned too, even if git ignores it.
    waiting = [path for path in tracked if not _is_data(path) and (root / path).is_file()]
    scans: dict[str, _FileScan] = {}
    modules = _ModulesIn(root)
    while waiting:
        path = waiting.pop()
        if path not in scans:
            scans[path] = scan = _FileScan(root, path, modules)
            try:
                scan.read()
            except RecursionError:
                scan.unseen.append(f"{path}:1: nested too deeply to be read")
            waiting += scan.own_imports
    ordered = [scans[path] for path in sorted(scans)]
    return ScanResult(
        len(ordered),
        tuple(finding for scan in ordered for finding in scan.findings),
        tuple(place for scan in ordered for place in scan.unseen),
        tuple(f"{scan.path}:{line}: {name}" for scan in ordered for name, line in scan.clients.items()),
    )


def _is_data(path: str) -> bool:
    return path.startswith(NOT_CODE) and PurePosixPath(path).suffix not in {*PYTHON, JUPYTER}


@dataclass
class _FileScan(ast.NodeVisitor):
    """Collects what one file contains."""

    root: Path
    path: str
    modules: "_ModulesIn"
    findings: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    own_imports: list[str] = field(default_factory=list)
    clients: dict[str, int] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _texts: ConstantText = field(default_factory=lambda: ConstantText(ast.Module([], [])))

    def read(self) -> None:
        """Scan the file, by its kind."""
        suffix = PurePosixPath(self.path).suffix
        content = (self.root / self.path).read_bytes()
        if STARTUP.fullmatch(self.path):
            self.find(1, "runs in every Python process, or in place of the chassis")
        if self.path.endswith("pyproject.toml") and COMMAND.search(content.decode(errors="replace")):
            self.find(1, "replaces the command chassis")
        if suffix in PYTHON or re.match(rb"#!.*\bpython", content):
            self.visit_code(ast.parse(content, self.path))
        elif suffix == JUPYTER:
            self.visit_cells(json.loads(content))
        elif suffix not in PROSE and b"\0" not in content:
            for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
                # A comment may name any host.
                self.check_text(line.partition("# ")[0], number, is_python=False)
                self.check_inline(line, number)

    def visit_code(self, tree: ast.Module) -> None:
        """Visit a file, after its constants were collected."""
        self._texts = ConstantText(tree)
        self.visit(tree)

    def visit_cells(self, content: Mapping[str, Any]) -> None:
        """Visit the code cells; lines for the shell are searched like its programs."""
        for cell in content.get("cells", ()):
            if cell.get("cell_type") == "code":
                source = "".join(cell.get("source", ()))
                for line in re.findall(r"^\s*[!%].*", source, re.MULTILINE):
                    self.check_text(line, 1, is_python=False)
                    self._check_program([line], 1)
                # `pass` in place of the line, so that the numbers of all others stay right.
                self.visit_code(ast.parse(re.sub(r"^(\s*)[!%].*", r"\1pass", source, flags=re.MULTILINE), self.path))

    def visit_Import(self, node: ast.Import) -> None:
        """Check each module."""
        for alias in node.names:
            self._names[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )
            self._check_module(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Check the module with each name, which may be a module too."""
        folder = PurePosixPath(self.path).parents[node.level - 1] if node.level else None
        for alias in node.names:
            name = f"{node.module or ''}.{alias.name}".lstrip(".")
            if folder is not None:
                self._follow(name, str(folder))
                continue
            self._names[alias.asname or alias.name] = name
            self._check_module(name, node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Check a module that is reached through another one."""
        name = self._full_name(node)
        if name != _dotted(node) or "." in name:
            self._check_module(name, node.lineno)
        # The one private attribute that leads from a guarded model to the bare ones.
        if node.attr == "_guard":
            self.find(node.lineno, "takes the guard apart")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Note another name for a module or a function."""
        if (name := self._full_name(node.value)) and isinstance(node.targets[0], ast.Name):
            self._names[node.targets[0].id] = name
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        """Skip docstrings, which mention what they like."""
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Check a text."""
        if isinstance(node.value, str | bytes):
            self.check_text(self._texts.of(node) or "", node.lineno)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Check an f-string as a whole."""
        self._visit_text(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Check texts that are added as a whole."""
        self._visit_text(node)

    def _visit_text(self, node: ast.expr) -> None:
        if (text := self._texts.of(node)) is not None:
            self.check_text(text, node.lineno)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Check what imports a module, runs a text or starts a program, and texts that a method puts together."""
        name = self._full_name(node.func)
        first = self._texts.of(node.args[0]) if node.args else None
        if name == "sys.modules.get" and first is not None:
            self._check_module(first, node.lineno)
        elif LOADERS.fullmatch(name):
            self._check_import(first, node)
        elif name in INTERPRETERS:
            self._check_interpreter(first, node.lineno)
        elif STARTERS.fullmatch(name):
            values = [part for argument in (*node.args, *_values(node)) for part in parts(argument)]
            self._check_program([self._texts.of(value) for value in values], node.lineno)
        elif (DECODERS.fullmatch(name) and first is not None) or name.endswith(".translate"):
            decoded = any(HOST.search(form) for form in encoded_forms(first or ""))
            if not decoded and (first is not None or isinstance(node.func, ast.Attribute)):
                self._miss(node.lineno, f"decodes a text with {name or 'translate'}")
        if name.rpartition(".")[2] in {"delenv", "setenv"}:  # a test that needs a key to be absent
            return
        self._visit_text(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Check a module that is taken from those already imported."""
        if self._full_name(node.value) == "sys.modules" and (module := self._texts.of(node.slice)):
            self._check_module(module, node.lineno)
        self._visit_text(node)

    def _check_import(self, module: str | None, node: ast.Call) -> None:
        if module is not None and not _dotted(node.func).endswith("_from_file_location"):
            self._check_module(module.partition(":")[0], node.lineno)
        elif node.args:
            self._miss(node.lineno, "imports a module whose name is computed")

    def _check_interpreter(self, text: str | None, line: int) -> None:
        if text is None:
            self._miss(line, "runs a text as code")
            return
        with suppress(SyntaxError):
            # Its lines are counted from its own start.
            self.visit(ast.increment_lineno(ast.parse(text), line - 1))

    def check_inline(self, text: str, line: int) -> None:
        """Check Python code in a command."""
        for match in INLINE.finditer(text):
            self._check_interpreter(match["code"], line)

    def _full_name(self, node: ast.expr) -> str:
        """Return a chain of attributes with the full name of the module that it begins with."""
        root, dot, rest = _dotted(node).partition(".")
        return f"{self._names.get(root, root)}{dot}{rest}"

    def check_text(self, text: str, line: int, *, is_python: bool = True) -> None:
        """Find the host of a vendor in a text, also if it is reversed or encoded; in Python also names that connect."""
        # Encoded names are no accident; a review should not be passed by `b64decode`.
        for form in encoded_forms(text):
            for host in HOST.findall(form):
                if not PAGES.match(host.lower()):
                    self.find(line, f"names the host {host}")
        if client := IN_TEXT.search(text):
            self.clients.setdefault(client[0], line)
        if is_python and (key := KEY_VARIABLE.fullmatch(text)):
            self.find(line, f"reads {key[0]}")
        if is_python and (model := MODEL_ID.fullmatch(text)):
            self.find(line, f"connects the model {model[0]}")
        if is_python and text in {"__import__", "import_module"}:
            self._miss(line, f"names the function {text}")
        if is_python and AWS_MODELS.fullmatch(text):
            self.find(line, f"connects to {text}")

    def _check_program(self, arguments: Sequence[str | None], line: int) -> None:
        text = " ".join(argument or "" for argument in arguments)
        if program := PROGRAM.search(text):
            self.find(line, f"starts {program[1] or program[2]}")
        if "-c" in arguments[:-1] and "python" in (arguments[0] or "python"):
            self._check_interpreter(arguments[arguments.index("-c") + 1], line)
        self.check_inline(text, line)
        if INSTALLERS.search(text):
            self._miss(line, "installs packages when it runs")
        if language := OTHER_LANGUAGES.search(text):
            self._miss(line, f"starts {language[1]}")

    def _check_module(self, name: str, line: int) -> None:
        if self._follow(name, ""):
            return
        if client := client_in(name):
            self.clients.setdefault(client, line)
        if (top := name.partition(".")[0]) in UNREADABLE:
            self._miss(line, f"uses {top}")
        if sdk := _sdk(name):
            self.find(line, f"uses {sdk}")

    def _follow(self, name: str, folder: str) -> bool:
        """Note the files of a module that lies in the repository, and return whether there are any."""
        folders = (folder,) if folder else ("", "src", "tests", "evals", posixpath.dirname(self.path))
        bases = tuple(base for base in folders if name.partition(".")[0] in self.modules[base])
        # Without path objects, because this happens for every name in every file.
        found = [path for path in _module_files(name, bases) if os.path.isfile(f"{self.root}/{path}")]  # noqa: PTH113
        self.own_imports += found
        return bool(found)

    def find(self, line: int, what: str) -> None:
        """Note a way past the guard, once."""
        finding = f"{self.path}:{line}: {what}"
        if finding not in self.findings:
            self.findings.append(finding)

    def _miss(self, line: int, what: str) -> None:
        place = f"{self.path}:{line}: {what}"
        if place not in self.unseen:
            self.unseen.append(place)


class _ModulesIn(dict[str, frozenset[str]]):
    """The modules and packages in each folder, listed once: most of what a file imports lies outside the repository."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def __missing__(self, folder: str) -> frozenset[str]:
        try:
            files = list((self._root / folder).iterdir())
        except OSError:  # no folder
            files = []
        self[folder] = modules = frozenset(file.name.removesuffix(".py") for file in files)
        return modules


@lru_cache(maxsize=10_000)
def _module_files(name: str, bases: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files of the team in which a module could be, below each of some folders."""
    # The last part may be a name in the module.
    modules = [name.replace(".", "/")] + [name.rpartition(".")[0].replace(".", "/")] * ("." in name)
    stems = [PurePosixPath(base, stem) for base in bases for stem in modules]
    files = (path for stem in stems if stem.name for path in (f"{stem}.py", f"{stem}/__init__.py"))
    return tuple(path for path in files if not path.startswith(CHASSIS_FOLDER))


def _sdk(name: str) -> str | None:
    """Return the SDK that a module or a name in it belongs to, or None."""
    parts = name.split(".")
    # The longest name first: `google.genai` is an SDK, `google.cloud.storage` is none.
    for end in range(len(parts), 0, -1):
        if (prefix := ".".join(parts[:end])) in SDKS:
            return prefix
    if parts[0].startswith(("langchain", "llama_index", "haystack")):
        return parts[0]
    if parts[:2] == ["pydantic_ai", "models"] and len(parts) > 2 and parts[2] not in HARMLESS_MODELS:  # noqa: PLR2004
        return ".".join(parts[:3])
    return None


def _values(node: ast.Call) -> Iterator[ast.expr]:
    return (keyword.value for keyword in node.keywords)


def _dotted(node: ast.expr) -> str:
    """Return a chain of attributes as it is written, or its last names if it begins with something else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{_dotted(value)}.{attr}"
        case _:
            return ""
