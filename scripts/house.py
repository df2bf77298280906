"""Prints how large the code, a generated project and its image are: one column for each checkout that is named."""

import argparse
import ast
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from code_measures import (
    RUNTIME,
    TOOLS,
    Module,
    comments_per_100_lines,
    function_lines,
    homonyms,
    middle,
    modules,
    percentile,
    repeated_stems,
)
from copier import run_copy

ROOT = Path(__file__).parents[1]
SHORT_FUNCTION = 25
"""Lines below which a function counts as short."""
NO_IMAGE = "needs buildah, root"
DEPTH = {"chassis": 2, "chassis/src": 4, "chassis/tools": 5}
"""How many folders of a path stand in the table of files; elsewhere only the first."""

type Rows = Iterator[tuple[str, str]]


def code_rows(root: Path) -> Rows:
    """Yield the measures of the two packages."""
    runtime, tools = modules(root / RUNTIME), modules(root / TOOLS)
    code = runtime + tools
    lines = [module.lines for module in code]
    lengths = [function_lines(function) for module in code for function in module.functions()]
    short = sum(length < SHORT_FUNCTION for length in lengths)
    yield "files, lines", _files_and_lines(code)
    yield "  runtime package", _files_and_lines(runtime)
    yield "  tools package", _files_and_lines(tools)
    yield "public names", str(sum(len([*module.definitions(), *module.constants()]) for module in code))
    yield "public names with two meanings", str(len(homonyms(code)))
    yield "file names used three times", str(len(repeated_stems(code)))
    yield "modules at the package roots", " + ".join(str(sum(one.is_root for one in part)) for part in (runtime, tools))
    yield "lines of a file: median, p90, most", f"{middle(lines):.0f}, {percentile(lines, 90):.0f}, {max(lines)}"
    yield (
        "lines of a function: median, p90, most",
        f"{middle(lengths):.0f}, {percentile(lengths, 90):.0f}, {max(lengths)}",
    )
    yield f"functions under {SHORT_FUNCTION} lines", f"{100 * short / len(lengths):.1f} %"
    yield "comments per 100 lines of code", f"{comments_per_100_lines(code):.1f}"
    yield "frames of one guarded call", str(frames(root))


def _files_and_lines(code: list[Module]) -> str:
    return f"{len(code)}, {sum(module.lines for module in code):,}"


def rows_of_tests(folders: Iterable[Path]) -> Rows:
    """Yield how many test functions and assertions the tests in some folders have, counted where they stand."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for folder in folders for file in folder.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    yield "test functions", f"{sum(function.name.startswith('test_') for function in functions):,}"
    yield "assertions in tests", f"{sum(map(_asserts, nodes)):,}"


def _asserts(node: ast.AST) -> bool:
    match node:
        case ast.Assert() | ast.Call(func=ast.Attribute(value=ast.Name("pytest"), attr="raises" | "warns" | "fail")):
            return True
        case _:
            return False


def frames(root: Path) -> int:
    """Return how many functions of a checkout's runtime lie between `Service.answer` and the model."""
    script = [sys.executable, str(ROOT / "scripts/guarded_call.py")]
    environment = os.environ | {"PYTHONPATH": str(root / RUNTIME)}
    return int(subprocess.run(script, env=environment, check=True, capture_output=True, text=True).stdout)


def project_files(root: Path) -> list[str]:
    """Return the files of a project with the default answers after `make setup`, except those that git ignores."""
    with tempfile.TemporaryDirectory() as folder:
        _generate(root, Path(folder))
        rendered = [str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()]
    return after_setup(rendered, root)


def after_setup(rendered: Iterable[str], root: Path) -> list[str]:
    """Return the files that Copier rendered for GitHub, and those that `make setup` adds to them."""
    owners = (root / "template/chassis/paths.txt").read_text(encoding="utf-8")
    derived = [line.split()[1] for line in owners.splitlines() if line.startswith("derived ")]
    return sorted([*rendered, *(path for path in derived if not path.startswith(".gitlab/")), "uv.lock"])


def _generate(root: Path, folder: Path) -> None:
    with warnings.catch_warnings(action="ignore"):
        run_copy(str(root), folder, defaults=True, quiet=True, vcs_ref="HEAD")


def by_folder(files: Iterable[str]) -> dict[str, int]:
    """Return how many files each folder of a project holds; a package counts as one folder for each subpackage."""
    return dict(sorted(Counter(map(_folder, files)).items()))


def _folder(path: str) -> str:
    *folders, _ = path.split("/")
    depth = max((deep for start, deep in DEPTH.items() if f"{path}/".startswith(f"{start}/")), default=1)
    return "/".join(folders[:depth]) or "."


def image_row(root: Path) -> str:
    """Return the files and the size of what a project's image adds to its base, or what it takes to measure that."""
    if shutil.which("buildah") is None or os.geteuid() != 0:
        return NO_IMAGE
    sys.path.insert(0, str(ROOT / "tests/helpers"))
    from image_build import images
    from shell import Shell, clean_environment

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("home", "images"):
            (folder / part).mkdir()
        _generate(root, folder / "project")
        shell = Shell(folder / "project", clean_environment(folder / "home"))
        shell.run("make", "uv.lock")
        with images(shell, folder / "images") as store:
            store.build(shell.folder, "localhost/house")
            with store.mounted("localhost/house") as mounted:
                sizes = [path.lstat().st_size for path in (mounted / "app").rglob("*") if not path.is_dir()]
    return f"{len(sizes):,}, {sum(sizes) / 1e6:.0f} MB"


def rows(root: Path) -> Rows:
    """Yield the name and the value of every measure of a checkout."""
    yield from code_rows(root)
    yield from rows_of_tests(
        [root / "tests", root / "template/chassis/tests"]
    )  # where older checkouts have some of them
    yield "files of a default project", str(len(project_files(root)))
    yield "files, size of /app in its image", image_row(root)


def main() -> None:
    """Print the table, and below it the files of a default project of the last checkout by folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, action="append", help="a checkout; may be given again [default: this one]")
    roots = parser.parse_args().root or [ROOT]
    columns = [dict(rows(root.resolve())) for root in roots]
    print(f"{'':<40}" + "".join(f"{root.resolve().name:>22}" for root in roots))
    for name in columns[0]:
        print(f"{name:<40}" + "".join(f"{column[name]:>22}" for column in columns))
    print("\nFiles of a default project, by folder")
    for folder, count in by_folder(project_files(roots[-1])).items():
        print(f"  {folder:<48} {count:>4}")


if __name__ == "__main__":
    main()
