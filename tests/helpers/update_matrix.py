"""Updates repositories of every former release, untouched and edited, and counts what an update must never do."""

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from answer_sets import ROOT
from chassis_tools.updates.copier import ANSWERS_FILE, load_answers_file
from chassis_tools.updates.git import unmerged_files
from chassis_tools.updates.path_ownership import PathOwners, load_path_owners, owner_of
from chassis_tools.updates.update import update_chassis
from copier import run_update
from former_releases import BUDGET, CURRENT, FORMER_RELEASES, RENAMED_QUESTIONS, template_with_releases
from generated_project import commit, generate_into, git, rendered
from quick_copier import quick_copier
from template_releases import generate_repository

EDITS = ROOT / "tests/edits"
PAGE = ROOT / "docs/reference/updates.md"
UPDATED_OWNERS = {"chassis", "record"}
"""The owners whose files an update may change."""
COUNTS = ("conflicts", "lost", "resurrected", "differing")
OTHER_ANSWERS = {"deadline_seconds": 7, "owner_team": "@acme/new", "shape": "blank", "forge": "gitlab"}


type Layout = Callable[[Path, Path], Path]
"""Puts the content of a repository into a folder, as some teams keep it, and returns the folder of the service."""


@dataclass(frozen=True)
class UpdateCase:
    """A repository, what a team did to it before the update, and how it is updated.

    Args:
        name: As the page calls it.
        script: A script in `tests/edits`; none if nothing was edited.
        given: Answers with which it was generated, except for defaults.
        answers: Answers that are changed by the update.
        layout: How the team keeps the repository.
        record: Where Copier keeps the answers.
        by_chassis: Whether `chassis update` updates it, instead of `copier update`.
        each_release: Whether it is updated to each release in turn.
    """

    name: str
    script: str | None = None
    given: tuple[tuple[str, Any], ...] = ()
    answers: tuple[tuple[str, Any], ...] = ()
    layout: Layout | None = None
    record: str = ANSWERS_FILE
    by_chassis: bool = False
    each_release: bool = False


def _in_a_folder(pristine: Path, folder: Path) -> Path:
    """Make it one service of a repository."""
    (folder / "README.md").write_text("# Several services\n", encoding="utf-8")
    service = _without_git(pristine, folder / "services/help")
    _init(folder)
    return service


def _in_a_worktree(pristine: Path, folder: Path) -> Path:
    """Check it out beside the repository, where `.git` is a file."""
    repository = shutil.copytree(pristine, folder / "repository", symlinks=True)
    git(repository, "worktree", "add", "--quiet", "-b", "work", str(folder / "project"))
    return folder / "project"


def _in_sha256(pristine: Path, folder: Path) -> Path:
    """Use the other object format of git."""
    return _init(_without_git(pristine, folder / "project"), "--object-format=sha256")


def _with_crlf(pristine: Path, folder: Path) -> Path:
    """Check it out as git for Windows does."""
    git(folder, "clone", "--quiet", "--config", "core.autocrlf=true", str(pristine), "project")
    return folder / "project"


def _without_git(pristine: Path, target: Path) -> Path:
    return shutil.copytree(pristine, target, symlinks=True, ignore=shutil.ignore_patterns(".git"))


def _init(folder: Path, *options: str) -> Path:
    git(folder, "init", "--quiet", "--initial-branch", "main", *options)
    commit(folder, "As generated")
    return folder


_OTHER = tuple(OTHER_ANSWERS.items())
_BLANK = (("shape", "blank"),)
CASES = (
    UpdateCase("untouched"),
    UpdateCase("standard edits", "standard.sh"),
    UpdateCase("heavy edits", "heavy.sh"),
    UpdateCase("standard edits, other answers", "standard.sh", answers=_OTHER),
    UpdateCase("heavy edits, other answers", "heavy.sh", answers=_OTHER),
    UpdateCase("deletions", "deletions.sh"),
    UpdateCase("ignored files", "ignored.sh"),
    UpdateCase("blank, heavy edits", "heavy.sh", given=_BLANK),
    UpdateCase("without a model, standard edits", "standard.sh", given=(("provider", "none"),)),
    UpdateCase("in a folder, standard edits", "standard.sh", layout=_in_a_folder),
    UpdateCase("in a folder, heavy edits", "heavy.sh", layout=_in_a_folder),
    UpdateCase("worktree, heavy edits", "heavy.sh", layout=_in_a_worktree),
    UpdateCase("CRLF, standard edits", "standard.sh", layout=_with_crlf),
    UpdateCase("record elsewhere, standard edits", "standard.sh", record=".copier/chassis.yml"),
    UpdateCase("release by release, standard edits", "standard.sh", each_release=True),
    UpdateCase("release by release, heavy edits", "heavy.sh", each_release=True),
    UpdateCase("`chassis update`, heavy edits", "heavy.sh", by_chassis=True),
    UpdateCase("`chassis update`, SHA-256, standard edits", "standard.sh", layout=_in_sha256, by_chassis=True),
)
HEAVY_EDITS = CASES[2]
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


def generate_former(source: Path, version: str, folder: Path, case: UpdateCase = CASES[0]) -> Path:
    """Generate the repository of a case from a former release."""
    budget = "budget_usd" if version == FORMER_RELEASES[0] else "monthly_budget_usd"
    return generate_repository(
        source, version, folder, answers_file=case.record, **{budget: BUDGET}, **dict(case.given)
    )


def apply_edits(project: Path, case: UpdateCase) -> None:
    """Run the script of a case in a repository, and commit the result."""
    if case.script:
        subprocess.run(["sh", EDITS / case.script], cwd=project, check=True)
        commit(project, case.name)


@dataclass(frozen=True)
class UpdateMatrix:
    """The releases of a template, and repositories of these, each generated once.

    Args:
        source: The template.
        folder: Where the repositories are generated.
    """

    source: Path
    folder: Path
    generated: dict[str, Path] = field(default_factory=dict[str, Path])

    def measure(self, version: str, case: UpdateCase) -> UpdateCounts:
        """Edit a copy of a repository of a former release, update it, and count."""
        pristine = self._pristine(version, case)
        project = self._copy(pristine, version, case)
        apply_edits(project, case)
        owners = (("record", case.record), *load_path_owners(self.source / "template"))
        before, deleted = _team_files(project, owners), set(_tracked(pristine)) - set(_tracked(project))
        answers = _recorded_answers(project) | dict(case.answers)
        conflicts = self._update(project, version, case)
        after = _team_files(project, owners)
        return UpdateCounts(
            version,
            case.name,
            conflicts,
            lost=sum(_lost_lines(content, after.get(path)) for path, content in before.items()),
            resurrected=sum((project / path).exists() for path in deleted),
            differing=len(list(_differing(project, self._fresh(answers, case.record), owners))),
        )

    def _pristine(self, version: str, case: UpdateCase) -> Path:
        key = f"{version}-{dict(case.given)}-{case.record}"
        return self._once(key, lambda folder: generate_former(self.source, version, folder, case))

    def _fresh(self, answers: Mapping[str, Any], record: str) -> Path:
        """Return a new repository with the answers that an updated one has recorded."""
        options = {"vcs_ref": CURRENT, "answers_file": record}
        key = f"{sorted(answers.items())}-{record}"
        return self._once(key, lambda folder: generate_into(folder, self.source, dict(answers), **options))

    def _once(self, key: str, make: Callable[[Path], Path]) -> Path:
        if key not in self.generated:
            self.generated[key] = make(Path(tempfile.mkdtemp(prefix="generated-", dir=self.folder)))
        return self.generated[key]

    def _copy(self, pristine: Path, version: str, case: UpdateCase) -> Path:
        folder = self.folder / version / case.name
        folder.mkdir(parents=True)
        return (
            case.layout(pristine, folder)
            if case.layout
            else Path(shutil.copytree(pristine, folder / "project", symlinks=True))
        )

    def _update(self, project: Path, version: str, case: UpdateCase) -> int:
        """Update a repository, and return the number of conflicts, also those on the way."""
        if case.by_chassis:
            return len(update_chassis(project).conflicts)
        releases = (*FORMER_RELEASES, CURRENT)
        conflicts = 0
        for release in releases[releases.index(version) + 1 :] if case.each_release else (CURRENT,):
            run_update(
                project,
                dict(case.answers),
                answers_file=case.record,
                vcs_ref=release,
                defaults=True,
                overwrite=True,
                quiet=True,
            )
            conflicts += len(unmerged_files(project))
            if release != CURRENT:
                commit(project, release)
        return conflicts


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
    deleted = set(
        git(project, "log", "--diff-filter=D", "--name-only", "--format=", "--no-renames", "--relative").split()
    )
    for path, content in expected.items():
        file = project / path
        if path not in deleted and (
            not file.is_file() or file.read_bytes() != content or _mode(file) != _mode(fresh / path)
        ):
            yield path
    yield from (p for p in _tracked(project) if owner_of(p, owners) in UPDATED_OWNERS and p not in expected)


def _mode(file: Path) -> int:
    return file.stat().st_mode & 0o111


def measure_release(version: str, folder: Path) -> list[UpdateCounts]:
    """Measure every case from one former release, and the forbidden edits from the last one."""
    with quick_copier():
        return list(_measure_cases(version, folder))


def _measure_cases(version: str, folder: Path) -> Iterator[UpdateCounts]:
    latest = version == FORMER_RELEASES[-1]
    whole = UpdateMatrix(template_with_releases(folder / "whole"), folder)
    small = UpdateMatrix(template_with_releases(folder / "small", subpackages=False), folder)
    for case in (*CASES, FORBIDDEN_EDITS) if latest else CASES:
        # `chassis update` runs the chassis of the new release. Otherwise a few updates show what holds for all modules.
        matrix = whole if case.by_chassis or (latest and case in CASES[:6]) else small
        counts = matrix.measure(version, case)
        print(counts, file=sys.stderr)
        yield counts


def run_matrix(folder: Path) -> list[UpdateCounts]:
    """Measure all former releases at the same time."""
    folders = [folder / version for version in FORMER_RELEASES]
    with ProcessPoolExecutor() as pool:
        return [row for rows in pool.map(measure_release, FORMER_RELEASES, folders) for row in rows]


def totals(results: Iterable[UpdateCounts]) -> dict[str, int]:
    """Return the sum of each count."""
    rows = list(results)
    return {count: sum(getattr(each, count) for each in rows) for count in COUNTS}


def updates_page(results: list[UpdateCounts]) -> str:
    """Return the reference page with these results."""
    allowed = [each for each in results if each.case != FORBIDDEN_EDITS.name]
    sums = ", ".join(f"{count} {number}" for count, number in totals(allowed).items())
    total = f"\n{len(allowed)} updates of repositories with an unedited chassis: {sums}.\n"
    return HEAD + page_rows(results) + total + TAIL


def page_rows(results: Iterable[UpdateCounts]) -> str:
    """Return rows of the table."""
    return "".join(
        f"| {each.release} | {each.case} | {each.conflicts} | {each.lost} | {each.resurrected} | {each.differing} |\n"
        for each in results
    )


HEAD = f"""\
# Updates, measured

`make updates` writes this page. It creates three former releases from this working tree
(`tests/helpers/former_releases.py`), generates a repository from each, edits it, and runs `copier update` to this
working tree, called {CURRENT}. The releases differ in files, dependencies and pins of the chassis, in the starter
files, in a renamed question, a new question, a retired workflow and a removed module. Most updates leave out the
subpackages of the chassis, which Copier treats like its other files.

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
move the repository to another forge and another shape. *In a folder* is a service in a folder of a repository, *record
elsewhere* one whose answers file has another name, *CRLF* a checkout as git for Windows makes it, and *release by
release* an update to each release in turn. *Forbidden edits* violate
[path ownership](../explanation/path-ownership.md): they change chassis files, including every pin of the workflows, as
an unconfigured bot would. `chassis status` names such files before an update, and `chassis update` changes nothing
rather than leave a conflict.
"""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as matrix_folder:
        PAGE.write_text(updates_page(run_matrix(Path(matrix_folder))), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))
