"""The reference pages say what the code says."""

import pytest
from reference import PAGES, WRITERS


@pytest.mark.parametrize("page", WRITERS)
def test_a_page_follows_from_the_code(page: str) -> None:
    """A page that is out of date is written anew by `make reference`."""
    assert (PAGES / page).read_text(encoding="utf-8") == WRITERS[page]()
