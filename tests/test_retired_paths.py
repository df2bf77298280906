"""No chassis file outside `chassis/` disappears from a release unless it is retired."""

from itertools import pairwise
from pathlib import Path

import pytest
from answer_sets import ROOT
from chassis_tools.updates.template_repository import RELEASE_TAG, TemplateRepository
from former_releases import CURRENT, FORMER_RELEASES, RETIRED_WORKFLOW, substitute, template_with_releases
from generated_project import commit, git
from retired_paths import broken_promises


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template with four releases; the third drops a workflow that the second had."""
    return template_with_releases(tmp_path_factory.mktemp("retirement") / "template")


def after_change(source: Path, path: str, old: str, new: str) -> list[str]:
    """Change the newest release, and return which promises it breaks to the release with the workflow."""
    git(source, "checkout", "--quiet", "--detach", CURRENT)
    substitute(source / path, old, new)
    commit(source, "A mutation")
    head = git(source, "rev-parse", "HEAD").strip()
    return list(broken_promises(TemplateRepository(source / ".git"), FORMER_RELEASES[1], head))


def test_the_working_tree_breaks_no_promise(source: Path) -> None:
    """The workflow of the former release is retired, and a module inside `chassis/` may be removed."""
    template = TemplateRepository(source / ".git")
    assert [list(broken_promises(template, version, CURRENT)) for version in FORMER_RELEASES] == [[], [], []]


def test_no_release_breaks_a_promise() -> None:
    """Each release of this repository, and the current commit, keep the promises of the release before."""
    tags = git(ROOT, "tag", "--merged", "HEAD", "--sort=version:refname").split()
    history = [*(tag for tag in tags if RELEASE_TAG.match(tag)), "HEAD"]
    template = TemplateRepository(Path(git(ROOT, "rev-parse", "--absolute-git-dir").strip()))
    assert [list(broken_promises(template, old, new)) for old, new in pairwise(history)] == [[]] * (len(history) - 1)


@pytest.mark.parametrize(
    ("path", "old", "new", "sentence"),
    [
        (
            "template/chassis/paths.txt",
            rf"\nretired {RETIRED_WORKFLOW}\n",
            "\n",
            f"{RETIRED_WORKFLOW} was removed but is not listed as retired in chassis/paths.txt",
        ),
        (
            "copier.yml",
            rf"\n  - /{RETIRED_WORKFLOW}\n",
            "\n",
            f"{RETIRED_WORKFLOW} is retired but not excluded in copier.yml, so an update would delete it",
        ),
        (
            "template/chassis/paths.txt",
            r"\nchassis chassis/\n",
            "\nyours chassis/tasks.mk\nchassis chassis/\n",
            "chassis/tasks.mk was removed, but files of the team refer to it",
        ),
    ],
)
def test_a_broken_promise_is_reported(source: Path, path: str, old: str, new: str, sentence: str) -> None:
    """A path that disappears, a path that an update would delete, and a path that files of the team include."""
    assert after_change(source, path, old, new) == [sentence]
