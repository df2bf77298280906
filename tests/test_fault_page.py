"""The page on faults says what the tests of the faults say."""

from fault_page import PAGE, page, without_seconds


def test_the_page_says_what_is_tested() -> None:
    """`make faults` writes it anew; how long each call took is the only thing that may differ."""
    assert without_seconds(PAGE.read_text(encoding="utf-8")) == without_seconds(page({}))
