"""No path of the chassis vanishes between releases without being retired."""

from itertools import pairwise
from pathlib import Path

import pytest
from answer_sets import ROOT
from chassis_tools.updates.source import RELEASE, Template
from former_releases import FORMER, LINT, NOW, releases, swap
from generated_project import commit, git
from retirement import breaches


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template with four releases; the third gives up a workflow that the second had."""
    return releases(tmp_path_factory.mktemp("retirement") / "template")


def changed(source: Path, path: str, old: str, new: str) -> list[str]:
    """Change the newest release, and return which promises it then breaks to the one with the workflow."""
    git(source, "checkout", "--quiet", "--detach", NOW)
    swap(source / path, old, new)
    commit(source, "A mutation")
    return list(breaches(Template(source / ".git"), FORMER[1], git(source, "rev-parse", "HEAD").strip()))


def test_this_working_tree_breaks_no_promise(source: Path) -> None:
    """The workflow of former releases is retired, and a module inside the folder may go."""
    template = Template(source / ".git")
    assert [list(breaches(template, version, NOW)) for version in FORMER] == [[], [], []]


def test_released_paths_are_still_there_or_retired() -> None:
    """Each release of this repository, and what is committed now, keeps the promises of the one before."""
    tags = git(ROOT, "tag", "--merged", "HEAD", "--sort=version:refname").split()
    history = [*(tag for tag in tags if RELEASE.match(tag)), "HEAD"]
    template = Template(Path(git(ROOT, "rev-parse", "--absolute-git-dir").strip()))
    assert [list(breaches(template, old, new)) for old, new in pairwise(history)] == [[]] * (len(history) - 1)


@pytest.mark.parametrize(
    ("path", "old", "new", "sentence"),
    [
        (
            "template/chassis/paths.txt",
            rf"\nretired {LINT}\n",
            "\n",
            f"{LINT} is gone, and chassis/paths.txt does not retire it",
        ),
        (
            "copier.yml",
            rf"\n  - /{LINT}\n",
            "\n",
            f"{LINT} is retired, and copier.yml does not exclude it, so an update would delete it",
        ),
        (
            "template/chassis/paths.txt",
            r"\nchassis chassis/\n",
            "\nyours chassis/tasks.mk\nchassis chassis/\n",
            "chassis/tasks.mk is gone, and files that no update touches name it",
        ),
    ],
)
def test_a_broken_promise_is_named(source: Path, path: str, old: str, new: str, sentence: str) -> None:
    """A path that vanishes, one that an update would delete, and one that team files include."""
    assert changed(source, path, old, new) == [sentence]
