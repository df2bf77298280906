"""Update repositories of every former release, untouched and edited, and count what an update must never do."""

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from answer_sets import ROOT
from chassis_tools.updates.copier import load_answers_file
from chassis_tools.updates.path_ownership import PATHS_FILE, owner_of, parse_path_owners
from copier import run_update
from former_releases import FORMER, NOW, RENAMED, SPENT, releases
from generated_project import commit, generate_into, git, rendered
from template_releases import project_of

EDITS = ROOT / "tests/edits"
PAGE = ROOT / "docs/reference/updates.md"
OURS = {"chassis", "record"}
CHANGED = {"deadline_seconds": 7, "owner_team": "@acme/new", "shape": "blank", "forge": "gitlab"}
"""Answers that are given anew with the update."""


@dataclass(frozen=True)
class Case:
    """One way to work with a repository before it is updated."""

    name: str
    script: str | None = None
    answers: tuple[tuple[str, Any], ...] = ()


CASES = (
    Case("untouched"),
    Case("standard edits", "standard.sh"),
    Case("heavy edits", "heavy.sh"),
    Case("standard edits, other answers", "standard.sh", tuple(CHANGED.items())),
)
TRESPASS = Case("forbidden edits", "trespass.sh")


@dataclass(frozen=True)
class Result:
    """What an update did to one repository.

    Args:
        release: Where it came from.
        case: How people had worked in it.
        conflicts: Files that are left unmerged or rejected.
        lost: Lines of the team's files that are gone, or one for a file that differs in any other way.
        resurrected: Files that people had deleted, and that are back.
        differing: Files of the chassis and of Copier that a new repository with these answers has otherwise.
    """

    release: str
    case: str
    conflicts: int
    lost: int
    resurrected: int
    differing: int


def start(source: Path, version: str, folder: Path) -> Path:
    """Generate a repository from a former release."""
    budget = "budget_usd" if version == FORMER[0] else "monthly_budget_usd"
    return project_of(source, version, folder, **{budget: SPENT})


def edit(project: Path, case: Case) -> None:
    """Let people work in a repository, and commit what they did."""
    if case.script:
        subprocess.run(["sh", EDITS / case.script], cwd=project, check=True)
        commit(project, case.name)


def measure(source: Path, version: str, case: Case, pristine: Path, folder: Path) -> Result:
    """Edit a copy of a repository in a folder, update it as anybody would, and count."""
    project = shutil.copytree(pristine, folder / "project", symlinks=True)
    edit(project, case)
    before, gone = _theirs(project, source), set(tracked(pristine)) - set(tracked(project))
    answers = _answered(project) | dict(case.answers)
    run_update(project, dict(case.answers), defaults=True, overwrite=True, quiet=True, vcs_ref=NOW)
    after = _theirs(project, source)
    return Result(
        version,
        case.name,
        conflicts=len(_unmerged(project)),
        lost=sum(_lost(content, after.get(path)) for path, content in before.items()),
        resurrected=sum((project / path).exists() for path in gone),
        differing=len(list(_differing(project, source, answers, folder))),
    )


def tracked(project: Path) -> list[str]:
    """Return the paths that git knows and that are there."""
    return [name for name in git(project, "ls-files", "-z").split("\0") if name and (project / name).is_file()]


def _theirs(project: Path, source: Path) -> dict[str, bytes]:
    law = _law(source)
    return {path: (project / path).read_bytes() for path in tracked(project) if owner_of(path, law) not in OURS}


def _law(source: Path) -> tuple[tuple[str, str], ...]:
    return parse_path_owners((source / "template" / PATHS_FILE).read_text(encoding="utf-8"))


def _unmerged(project: Path) -> set[str]:
    rejected = git(project, "ls-files", "--others", "--", "*.rej").splitlines()
    return {line.split("\t")[1] for line in git(project, "ls-files", "--unmerged").splitlines()} | set(rejected)


def _lost(before: bytes, after: bytes | None) -> int:
    if before == after:
        return 0
    missing = Counter(before.splitlines()) - Counter((after or b"").splitlines())
    return max(1, sum(missing.values()))


def _answered(project: Path) -> dict[str, Any]:
    """Return what a repository has recorded, under the names that the questions have today."""
    recorded = load_answers_file(project).answers.items()
    return {RENAMED.get(name, name): value for name, value in recorded if not name.startswith("_")}


def _differing(project: Path, source: Path, answers: dict[str, Any], folder: Path) -> Iterator[str]:
    """Return what of ours is not as in a new repository; what people deleted or renamed is theirs to do without."""
    fresh = generate_into(folder / "fresh", source, answers, vcs_ref=NOW)
    law = _law(source)
    ours = {path: content for path, content in rendered(fresh).items() if owner_of(path, law) in OURS}
    deleted = set(git(project, "log", "--diff-filter=D", "--name-only", "--format=", "--no-renames").split())
    for path, content in ours.items():
        file = project / path
        if path not in deleted and (
            not file.is_file() or file.read_bytes() != content or _mode(file) != _mode(fresh / path)
        ):
            yield path
    yield from (path for path in tracked(project) if owner_of(path, law) in OURS and path not in ours)


def _mode(file: Path) -> int:
    return file.stat().st_mode & 0o111


def run(folder: Path) -> list[Result]:
    """Measure every case from every former release, and last the forbidden edits."""
    source = releases(folder / "template")
    results: list[Result] = []
    for version in FORMER:
        pristine = start(source, version, folder / version / "pristine")
        for case in (*CASES, TRESPASS) if version == FORMER[-1] else CASES:
            (folder / version / case.name).mkdir()
            results.append(measure(source, version, case, pristine, folder / version / case.name))
            print(results[-1], file=sys.stderr)
    return results


def page(results: list[Result]) -> str:
    """Return the page of the reference that tells the figures."""
    rows = [
        f"| {each.release} | {each.case} | {each.conflicts} | {each.lost} | {each.resurrected} | {each.differing} |\n"
        for each in results
    ]
    return HEAD + "".join(rows) + TAIL


HEAD = f"""\
# Updates, measured

`make updates` writes this page. It creates three former releases from this working tree
(`tests/helpers/former_releases.py`), generates a repository from each, edits it, and runs `copier update` to this
working tree, called {NOW}. The releases differ in files, dependencies and pins of the chassis, in the starter files, in
a renamed question, a new question, a retired workflow and a removed module.

- **conflicts**: files left unmerged, or with a `.rej` file beside them.
- **lost lines**: lines of the team's files that existed before the update and not after it. Any other difference in a
  file, such as its line endings, counts as one.
- **resurrected**: files that the team had deleted and that came back.
- **not as new**: chassis files, or Copier's answers file, whose content or mode differs from a new repository with the
  same answers. The team's files are compared with themselves instead.

| from | edits | conflicts | lost lines | resurrected | not as new |
|---|---|---|---|---|---|
"""
TAIL = """
The edits of each row are a script in [tests/edits](../../tests/edits). *Other answers* are given with the update and
move the repository to another forge and another shape. *Forbidden edits* violate
[path ownership](../explanation/path-ownership.md): they change chassis files, including every pin of the workflows, as
an unconfigured bot would. `chassis status` names such files before an update, and `chassis update` changes nothing
rather than leave a conflict.
"""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        PAGE.write_text(page(run(Path(place))), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))
