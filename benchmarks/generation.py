"""What it costs to generate a project, against Jinja rendering and writing the same files with no tool around it."""

import posixpath
import subprocess
import sys
from collections.abc import Callable, Container, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from copier import run_copy
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.projects import copy_template
from benchmarks.rounds import Effort, cpu_seconds, in_turn, lowest
from benchmarks.tables import Table, compared, python_version

FLOOR = "Jinja alone"
RECORD = ".copier-answers.yml"
SUFFIX = ".jinja"

type Files = dict[str, bytes]
type Generator = Callable[[Path], object]


def measure(effort: Effort) -> Table:
    """Generate with each contestant in turn; a quick round leaves out the subpackages of the chassis."""
    with TemporaryDirectory() as folder:
        template = copy_template(Path(folder, "template"), subpackages=effort.rounds > 1)
        files, answers = generated(template, Path(folder, "first"))
        contestants: dict[str, Generator] = {
            FLOOR: partial(render, template / "template", answers, files),
            "copier.run_copy, in process": partial(copy_in_process, template),
            "copier copy, from the shell": partial(copy_from_shell, template),
        }
        costs = lowest((name, cost(generator, files)) for name, generator in in_turn(contestants, effort.rounds))
    return Table(
        "Generating a project",
        f"{python_version()}; {len(files)} files, default answers, template in a plain folder; "
        f"least of {effort.rounds} rounds",
        compared({name: seconds * 1e3 for name, seconds in costs.items()}, "ms", FLOOR),
    )


def cost(generator: Generator, expected: Files) -> float:
    """Return the CPU seconds of one generation.

    Raises:
        RuntimeError: It made other files than expected, so that comparing would mean nothing.
    """
    with TemporaryDirectory() as folder:
        before = cpu_seconds()
        generator(Path(folder))
        spent = cpu_seconds() - before
        if other := {path for path, _ in files_in(Path(folder)).items() ^ expected.items()}:
            raise RuntimeError(f"these files are not as Copier first made them: {sorted(other)}")
    return spent


def generated(template: Path, destination: Path) -> tuple[Files, Mapping[str, Any]]:
    """Return the files that Copier makes, and what it told Jinja."""
    worker = run_copy(str(template), destination, defaults=True, quiet=True)
    files = files_in(destination)
    told = {"_copier_conf": {"answers_file": RECORD}, "_copier_answers": yaml.safe_load(files[RECORD])}
    return files, {**worker.answers.combined, **told}


def render(templates: Path, answers: Mapping[str, Any], wanted: Container[str], destination: Path) -> None:
    """Do with Jinja what Copier does: names that hold braces and files that end in .jinja are templates.

    Args:
        templates: Their folder.
        answers: What Copier tells Jinja.
        wanted: The files that Copier makes; it leaves out others.
        destination: Where to.
    """
    jinja = Environment(  # noqa: S701 - files, not pages
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
    )
    for source in filter(Path.is_file, templates.rglob("*")):
        template = source.relative_to(templates).as_posix()
        name = jinja.from_string(template).render(answers) if "{" in template else template
        name = posixpath.normpath(name.removesuffix(SUFFIX))
        if name not in wanted:
            continue
        path = destination / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if template.endswith(SUFFIX):
            path.write_text(jinja.get_template(template).render(answers), encoding="utf-8")
        else:
            path.write_bytes(source.read_bytes())


def copy_in_process(template: Path, destination: Path) -> None:
    """Generate as tests do."""
    run_copy(str(template), destination, defaults=True, quiet=True)


def copy_from_shell(template: Path, destination: Path) -> None:
    """Generate as people do."""
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "--quiet", str(template), str(destination)]
    subprocess.run(command, check=True)


def files_in(folder: Path) -> Files:
    """Return every file below a folder, by its path from there."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
