"""The reference pages say what the code says."""

import decision_pages
import pytest
from chassis.config.constraints import Constraints
from chassis.config.ownership import Ownership
from chassis.config.toml_file import Section
from chassis_tools.governance.signoffs import SignOff
from chassis_tools.readiness.waivers import Waivers
from generated_project import Generate
from reference_pages import PAGES, WRITERS, paths_of

SECTIONS = list(
    dict.fromkeys(one for top in (Constraints, Ownership, SignOff, Waivers) for one in decision_pages.sections_of(top))
)


@pytest.mark.parametrize("page", sorted(WRITERS.keys() - {"paths.md"}))
def test_a_page_follows_from_the_code(page: str) -> None:
    """A page that is out of date is written anew by `make reference`."""
    assert (PAGES / page).read_text(encoding="utf-8") == WRITERS[page]()


def test_the_page_of_paths_follows_from_a_project(generate: Generate) -> None:
    """So does that one, of which others have generated the project already."""
    assert (PAGES / "paths.md").read_text(encoding="utf-8") == paths_of(generate())


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_is_explained(section: type[Section]) -> None:
    """A key without words below its field would be a line that says nothing."""
    said = decision_pages.words(section)
    whole = section in {Constraints, Ownership, Waivers}  # their keys are sections, which explain themselves
    assert set(said) == set(section.model_fields)
    assert whole or all(said.values()), said


def test_a_key_without_words_would_be_seen() -> None:
    """The words are those below a field, not those of its neighbour."""

    class Sample(Section):
        silent: int
        loud: int
        """What it says."""

    assert decision_pages.words(Sample) == {"silent": "", "loud": "What it says."}
