"""What copying and updating cost, beside an empty template of as many files: the floor of Copier itself."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.clones import commit, git
from benchmarks.projects import copy_template
from benchmarks.rounds import Effort, cpu_seconds, in_turn, lowest
from benchmarks.tables import Row, Table, goals, python_version

CHANGED = 5
"""How many files the second release changes."""
RECORD = "{{ _copier_conf.answers_file }}.jinja"

RATIO, GOALS = "x empty template", {"copier copy": 1.3, "copier update": 1.5}

type Template = Path
type Job = Callable[[Template, Path], float]


def measure(effort: Effort) -> Table:
    """Copy the second release, and update to it from the first, each with all templates in turn.

    A quick round leaves out the subpackages of the chassis.
    """
    with TemporaryDirectory() as folder:
        ours = make_ours(Path(folder, "ours"), subpackages=effort.rounds > 1)
        paths = generated_paths(ours, Path(folder, "generated"))
        templates = {
            "floor": make_floor(Path(folder, "floor"), [f"file-{number:03}.txt" for number in range(len(paths))]),
            "folders": make_floor(Path(folder, "folders"), paths),
            "ours": ours,
        }
        jobs: Mapping[str, Job] = {"copier copy": copy, "copier update": update}
        contestants = {
            f"{name}, {whose}": partial(job, template)
            for name, job in jobs.items()
            for whose, template in templates.items()
        }
        costs = lowest((name, cost(job)) for name, job in in_turn(contestants, effort.rounds))
    rows = [row(name, costs) for name in jobs]
    return Table(
        "Copying and updating, beside an empty template of as many files",
        f"{python_version()}; {len(paths)} files, {CHANGED} of them changed by the update, default answers, from the "
        "shell, git repositories with two releases; the empty template has all files in one folder, or in the same "
        f"folders as ours: Copier renders two templates for each part of a path; least of {effort.rounds} rounds",
        rows,
        goals(rows, RATIO),
    )


def row(job: str, costs: Mapping[str, float]) -> Row:
    """Return what one job costs with both templates."""
    floor, folders, ours = (costs[f"{job}, {whose}"] for whose in ("floor", "folders", "ours"))
    figures = {"CPU ms": ours * 1e3, "empty template": floor * 1e3, RATIO: ours / floor, "goal": GOALS[job]}
    return Row(job, figures | {"same folders": folders * 1e3, "x same folders": ours / folders})


def cost(job: Callable[[Path], float]) -> float:
    """Return the CPU seconds of a job in a new folder."""
    with TemporaryDirectory() as folder:
        return job(Path(folder) / "project")


def copy(template: Template, project: Path) -> float:
    """Generate a project; return the CPU seconds."""
    return copier("copy", "--defaults", "--quiet", str(template), str(project))


def update(template: Template, project: Path) -> float:
    """Bring a project of the first release, committed and clean, to the second; return the CPU seconds."""
    copier("copy", "--defaults", "--quiet", "--vcs-ref", "1.0.0", str(template), str(project))
    commit(project, "As generated")
    return copier("update", "--defaults", "--quiet", str(project))


def copier(*arguments: str) -> float:
    """Run Copier and return its CPU seconds, with those of the git that it starts."""
    before = cpu_seconds()
    subprocess.run([sys.executable, "-m", "copier", *arguments], check=True, capture_output=True)
    return cpu_seconds() - before


def generated_paths(template: Template, project: Path) -> list[str]:
    """Return the files that a template makes, except for Copier's record."""
    copy(template, project)
    files = (path.relative_to(project).as_posix() for path in sorted(project.rglob("*")) if path.is_file())
    return [path for path in files if not path.startswith(".copier-answers")]


def make_ours(folder: Path, *, subpackages: bool) -> Template:
    """Return this template with two releases."""
    copy_template(folder, subpackages=subpackages)
    modules = sorted((folder / "template/chassis/src/chassis").glob("*.py"))
    return with_releases(folder, modules[:CHANGED])


def make_floor(folder: Path, paths: list[str]) -> Template:
    """Return a template of plain files without any content to speak of, and Copier's record, with two releases."""
    plain = [folder / "template" / path for path in paths]
    for file in plain:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("one line\n", encoding="utf-8")
    (folder / "copier.yml").write_text("_subdirectory: template\n", encoding="utf-8")
    (folder / "template" / RECORD).write_text("{{ _copier_answers | to_nice_yaml }}", encoding="utf-8")
    return with_releases(folder, plain[:CHANGED])


def with_releases(folder: Path, changed: list[Path]) -> Template:
    """Commit a template as its first release, change some files, and commit the second."""
    for version in ("1.0.0", "2.0.0"):
        for file in changed:
            file.write_text(file.read_text(encoding="utf-8") + f"# {version}\n", encoding="utf-8")
        commit(folder, version)
        git(folder, "tag", version)
    return folder
