"""Updates from every former release lose nothing, restore nothing and leave no conflict; mutations prove it."""

import re
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from copier.errors import UnsafeTemplateError
from former_releases import CURRENT, FORMER_RELEASES, RETIRED_WORKFLOW, substitute, template_with_releases
from generated_project import commit, git
from update_matrix import (
    CASES,
    FORBIDDEN_EDITS,
    HEAVY_EDITS,
    PAGE,
    UpdateCounts,
    UpdateMatrix,
    measure_release,
    page_rows,
    totals,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_copier_on_path")]
MINIMUM_RUNS = 50
LATEST = FORMER_RELEASES[-1]

type UpdateToMutation = Callable[..., UpdateCounts]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template with four releases, of which a test may change the last one."""
    return template_with_releases(tmp_path_factory.mktemp("mutated") / "template", subpackages=False)


@pytest.fixture
def update_to_mutation(source: Path, tmp_path: Path) -> Generator[UpdateToMutation]:
    """Return a function that changes the last release, updates a heavily edited repository to it, and counts."""

    def mutate_and_update(path: str, pattern: str, replacement: str, version: str = LATEST) -> UpdateCounts:
        git(source, "checkout", "--quiet", "-B", "mutation", CURRENT)
        substitute(source / path, pattern, replacement)
        commit(source, "A mutation")
        git(source, "tag", "--force", CURRENT)
        return UpdateMatrix(source, tmp_path).measure(version, HEAVY_EDITS)

    original = git(source, "rev-parse", CURRENT).strip()
    yield mutate_and_update
    git(source, "tag", "--force", CURRENT, original)


@pytest.mark.parametrize("version", FORMER_RELEASES)
def test_every_update_of_a_release(version: str, tmp_path: Path) -> None:
    """Unless a team edits chassis files, it loses nothing; the reference page has exactly these figures."""
    results = measure_release(version, tmp_path)
    allowed = [each for each in results if each.case != FORBIDDEN_EDITS.name]
    print(f"{len(allowed)} updates: {totals(allowed)}")
    assert len(allowed) == len(CASES)
    assert totals(allowed) == {"conflicts": 0, "lost": 0, "resurrected": 0, "differing": 0}
    assert [each.conflicts > 0 for each in results if each not in allowed] == [True] * (version == LATEST)
    assert f"\n{page_rows(results)}" in PAGE.read_text(encoding="utf-8")
    retired = tmp_path / version / "untouched/project" / RETIRED_WORKFLOW
    assert retired.exists() == (version != LATEST)


def test_the_page_has_every_row() -> None:
    """There are at least 50 updates, and one with forbidden edits."""
    page = PAGE.read_text(encoding="utf-8")
    assert len(FORMER_RELEASES) * len(CASES) >= MINIMUM_RUNS
    assert len(re.findall(r"^\| \d", page, re.MULTILINE)) == len(FORMER_RELEASES) * len(CASES) + 1
    assert f"\n{len(FORMER_RELEASES) * len(CASES)} updates of repositories with an unedited chassis: " in page


def test_a_file_with_two_owners_is_detected(update_to_mutation: UpdateToMutation) -> None:
    """A file that the team edits and an update replaces ends in a conflict, or in lost lines."""
    counts = update_to_mutation("template/chassis/paths.txt", r"\nyours ", "\nchassis constraints.toml\nyours ")
    assert counts.conflicts + counts.lost > 0


def test_paths_that_all_belong_to_the_chassis_are_detected(update_to_mutation: UpdateToMutation) -> None:
    """What the team deleted or moved would come back, or its edits would conflict."""
    counts = update_to_mutation("template/chassis/paths.txt", r"\nyours ", "\nchassis ")
    assert counts.conflicts + counts.lost + counts.differing > 0


def test_a_lost_answer_is_detected(update_to_mutation: UpdateToMutation) -> None:
    """A renamed question that does not read its former answer would fall back to its default."""
    counts = update_to_mutation("copier.yml", r"budget_usd \| default\(300\)", "300", version=FORMER_RELEASES[0])
    assert counts.differing == 1


def test_a_task_is_detected(update_to_mutation: UpdateToMutation) -> None:
    """A release that runs code is refused, as it would be by every user's Copier."""
    with pytest.raises(UnsafeTemplateError):
        update_to_mutation("copier.yml", r"\n_subdirectory:", "\n_tasks: [make]\n_subdirectory:")
