"""Updates repositories of every former release, untouched and edited, and counts what an update must never do."""

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
from chassis_tools.updates.git import unmerged_files
from chassis_tools.updates.path_ownership import PathOwners, load_path_owners, owner_of
from copier import run_update
from former_releases import BUDGET, CURRENT, FORMER_RELEASES, RENAMED_QUESTIONS, template_with_releases
from generated_project import commit, generate_into, git, rendered
from template_releases import generate_repository

EDITS = ROOT / "tests/edits"
PAGE = ROOT / "docs/reference/updates.md"
UPDATED_OWNERS = {"chassis", "record"}
"""The owners whose files an update may change."""
OTHER_ANSWERS = {"deadline_seconds": 7, "owner_team": "@acme/new", "shape": "blank", "forge": "gitlab"}


@dataclass(frozen=True)
class UpdateCase:
    """What a team did to its repository before the update.

    Args:
        name: As the page calls it.
        script: A script in `tests/edits`; none if nothing was edited.
        answers: Answers that are changed by the update.
    """

    name: str
    script: str | None = None
    answers: tuple[tuple[str, Any], ...] = ()


CASES = (
    UpdateCase("untouched"),
    UpdateCase("standard edits", "standard.sh"),
    UpdateCase("heavy edits", "heavy.sh"),
    UpdateCase("standard edits, other answers", "standard.sh", tuple(OTHER_ANSWERS.items())),
)
FORBIDDEN_EDITS = UpdateCase("forbidden edits", "forbidden.sh")


@dataclass(frozen=True)
class UpdateCounts:
    """What an update did to one repository.

    Args:
        release: The former release.
        case: The name of the case.
        conflicts: Files that are left unmerged or rejected.
        lost: Lines that the team's files have lost; a file that differs in any other way counts as one.
        resurrected: Files that the team had deleted and that are back.
        differing: Files of the chassis or of Copier that differ from a new repository with the same answers.
    """

    release: str
    case: str
    conflicts: int
    lost: int
    resurrected: int
    differing: int


def generate_former(source: Path, version: str, folder: Path) -> Path:
    """Generate a repository from a former release."""
    budget = "budget_usd" if version == FORMER_RELEASES[0] else "monthly_budget_usd"
    return generate_repository(source, version, folder, **{budget: BUDGET})


def apply_edits(project: Path, case: UpdateCase) -> None:
    """Run the script of a case in a repository, and commit the result."""
    if case.script:
        subprocess.run(["sh", EDITS / case.script], cwd=project, check=True)
        commit(project, case.name)


def measure_update(source: Path, version: str, case: UpdateCase, pristine: Path, folder: Path) -> UpdateCounts:
    """Edit a copy of a repository in a folder, update it with Copier, and count."""
    project = shutil.copytree(pristine, folder / "project", symlinks=True)
    apply_edits(project, case)
    owners = load_path_owners(source / "template")
    before, deleted = _team_files(project, owners), set(_tracked(pristine)) - set(_tracked(project))
    answers = _recorded_answers(project) | dict(case.answers)
    run_update(project, dict(case.answers), defaults=True, overwrite=True, quiet=True, vcs_ref=CURRENT)
    after = _team_files(project, owners)
    fresh = generate_into(folder / "fresh", source, answers, vcs_ref=CURRENT)
    return UpdateCounts(
        version,
        case.name,
        conflicts=len(unmerged_files(project)),
        lost=sum(_lost_lines(content, after.get(path)) for path, content in before.items()),
        resurrected=sum((project / path).exists() for path in deleted),
        differing=len(list(_differing(project, fresh, owners))),
    )


def _tracked(project: Path) -> list[str]:
    """Return the paths that git tracks and that exist."""
    return [name for name in git(project, "ls-files", "-z").split("\0") if name and (project / name).is_file()]


def _team_files(project: Path, owners: PathOwners) -> dict[str, bytes]:
    paths = (path for path in _tracked(project) if owner_of(path, owners) not in UPDATED_OWNERS)
    return {path: (project / path).read_bytes() for path in paths}


def _lost_lines(before: bytes, after: bytes | None) -> int:
    if before == after:
        return 0
    missing = Counter(before.splitlines()) - Counter((after or b"").splitlines())
    return max(1, sum(missing.values()))


def _recorded_answers(project: Path) -> dict[str, Any]:
    """Return the answers of a repository, under the current names of the questions."""
    recorded = load_answers_file(project).answers.items()
    return {RENAMED_QUESTIONS.get(name, name): value for name, value in recorded if not name.startswith("_")}


def _differing(project: Path, fresh: Path, owners: PathOwners) -> Iterator[str]:
    """Return the updated paths that differ from a new repository, except for those that the team deleted."""
    expected = {path: text for path, text in rendered(fresh).items() if owner_of(path, owners) in UPDATED_OWNERS}
    deleted = set(git(project, "log", "--diff-filter=D", "--name-only", "--format=", "--no-renames").split())
    for path, content in expected.items():
        file = project / path
        if path not in deleted and (
            not file.is_file() or file.read_bytes() != content or _mode(file) != _mode(fresh / path)
        ):
            yield path
    yield from (p for p in _tracked(project) if owner_of(p, owners) in UPDATED_OWNERS and p not in expected)


def _mode(file: Path) -> int:
    return file.stat().st_mode & 0o111


def run_matrix(folder: Path) -> list[UpdateCounts]:
    """Measure every case from every former release, and the forbidden edits from the last one."""
    source = template_with_releases(folder / "template")
    results: list[UpdateCounts] = []
    for version in FORMER_RELEASES:
        pristine = generate_former(source, version, folder / version / "pristine")
        for case in (*CASES, FORBIDDEN_EDITS) if version == FORMER_RELEASES[-1] else CASES:
            (folder / version / case.name).mkdir()
            results.append(measure_update(source, version, case, pristine, folder / version / case.name))
            print(results[-1], file=sys.stderr)
    return results


def updates_page(results: list[UpdateCounts]) -> str:
    """Return the reference page with these results."""
    rows = [
        f"| {each.release} | {each.case} | {each.conflicts} | {each.lost} | {each.resurrected} | {each.differing} |\n"
        for each in results
    ]
    return HEAD + "".join(rows) + TAIL


HEAD = f"""\
# Updates, measured

`make updates` writes this page. It creates three former releases from this working tree
(`tests/helpers/former_releases.py`), generates a repository from each, edits it, and runs `copier update` to this
working tree, called {CURRENT}. The releases differ in files, dependencies and pins of the chassis, in the starter
files, in a renamed question, a new question, a retired workflow and a removed module.

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
    with tempfile.TemporaryDirectory() as matrix_folder:
        PAGE.write_text(updates_page(run_matrix(Path(matrix_folder))), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))
