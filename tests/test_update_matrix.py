"""Updates lose nothing, bring nothing back and leave nothing to merge; and the test that says so can fail."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from copier.errors import UnsafeTemplateError
from former_releases import FORMER, LINT, NOW, releases, swap
from generated_project import commit, git
from update_matrix import CASES, PAGE, TRESPASS, Result, measure, page, run, start

pytestmark = pytest.mark.slow
LATEST = FORMER[-1]
HEAVY = CASES[2]

type Mutate = Callable[..., Result]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template with four releases, whose last one a test may change."""
    return releases(tmp_path_factory.mktemp("mutated") / "template")


@pytest.fixture(scope="module")
def pristine(source: Path) -> Path:
    """Return a repository of the release before the last."""
    return start(source, LATEST, source.parent / "pristine")


@pytest.fixture
def mutated(source: Path, pristine: Path, tmp_path: Path) -> Generator[Mutate]:
    """Return a function that changes the last release, updates an edited repository to it, and counts."""

    def change(path: str, old: str, new: str, version: str = LATEST) -> Result:
        git(source, "checkout", "--quiet", "-B", "mutation", NOW)
        swap(source / path, old, new)
        commit(source, "A mutation")
        git(source, "tag", "--force", NOW)
        begun = pristine if version == LATEST else start(source, version, tmp_path / "pristine")
        return measure(source, version, HEAVY, begun, tmp_path)

    first = git(source, "rev-parse", NOW).strip()
    yield change
    git(source, "tag", "--force", NOW, first)


def test_every_update_of_the_matrix(tmp_path: Path) -> None:
    """Whoever keeps the law loses nothing; the page of the reference tells exactly these figures."""
    results = run(tmp_path)
    kept = [each for each in results if each.case != TRESPASS.name]
    together = [sum(getattr(each, what) for each in kept) for what in ("conflicts", "lost", "resurrected", "differing")]
    print(f"{len(kept)} updates: conflicts, lost lines, resurrected files, files not as new: {together}")
    assert len(kept) == len(FORMER) * len(CASES)
    assert together == [0, 0, 0, 0]
    assert [each.conflicts > 0 for each in results if each.case == TRESPASS.name] == [True]
    assert PAGE.read_text(encoding="utf-8") == page(results)
    assert (tmp_path / LATEST / "untouched/project" / LINT).exists() is False
    assert (tmp_path / FORMER[1] / "untouched/project" / LINT).exists()


def test_a_hybrid_file_is_found(mutated: Mutate) -> None:
    """A file that the team edits and an update replaces ends in a conflict, or in lost lines."""
    result = mutated("template/chassis/paths.txt", r"\nyours ", "\nchassis constraints.toml\nyours ")
    assert result.conflicts + result.lost > 0


def test_a_law_that_gives_all_to_the_chassis_is_found(mutated: Mutate) -> None:
    """What a team deleted or moved would come back, or its edits would be in the way."""
    result = mutated("template/chassis/paths.txt", r"\nyours ", "\nchassis ")
    assert result.conflicts + result.lost + result.differing > 0


def test_an_answer_that_is_forgotten_is_found(mutated: Mutate) -> None:
    """A question with a new name that does not read the old one would fall back to its default."""
    result = mutated("copier.yml", r"budget_usd \| default\(300\)", "300", version=FORMER[0])
    assert result.differing == 1


def test_a_task_is_found(mutated: Mutate) -> None:
    """A release that wants to run something is refused, as it would be on everybody's machine."""
    with pytest.raises(UnsafeTemplateError):
        mutated("copier.yml", r"\n_subdirectory:", "\n_tasks: [make]\n_subdirectory:")
