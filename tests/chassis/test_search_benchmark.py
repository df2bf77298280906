"""`chassis evals search` measures what it says, on a folder small enough to count by hand."""

from pathlib import Path

import pytest
from chassis.errors import ConfigError
from chassis.search import Passage
from chassis_tools.evals.search_benchmark import (
    SearchQuestion,
    fitted_errors,
    halves,
    load_search_questions,
    measure_search,
    searches,
)

A, B, C = (
    Passage(f"documents/{name}.md", (), (text,)) for name, text in (("a", "apples"), ("b", "pears"), ("c", "figs"))
)
FOUND = {
    "first": [(A, 0.9), (B, 0.4)],
    "second": [(B, 0.6), (B, 0.5), (A, 0.4)],
    "nowhere": [(C, 0.2)],
    "unanswerable": [(C, 0.3)],
}
QUESTIONS = [SearchQuestion(question=name, documents=["a.md"] * (name != "unanswerable")) for name in FOUND]


def test_what_is_measured() -> None:
    """Two passages of one document count as one place, and a question that cannot be answered is never right."""
    result = measure_search(FOUND.__getitem__, QUESTIONS)

    assert result.first == pytest.approx(1 / 3)
    assert result.first_five == pytest.approx(2 / 3)
    assert result.reciprocal_rank == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert result.abstention == pytest.approx(2 / 3)  # 0.9 and 0.6 are above 0.3, 0.2 is not
    assert result.answers == [(0.9, True), (0.6, False), (0.2, False), (0.3, False)]
    assert measure_search(FOUND.__getitem__, QUESTIONS[:3]).abstention is None


def test_every_search_finds_what_is_there(tmp_path: Path) -> None:
    """The rivals are real ones, so that the comparison says something."""
    for name, find in searches([A, B, C], "english", tmp_path / "vectors.npz").items():
        assert [passage for passage, _ in find("pear?")] == [B], name
        assert list(find("...")) == [], name


def test_the_halves_are_the_same_in_every_run() -> None:
    """And together they are all questions."""
    questions = [SearchQuestion(question=str(number), documents=[]) for number in range(100)]

    tuning, held_out = halves(questions)

    assert sorted(each.question for each in tuning + held_out) == sorted(each.question for each in questions)
    assert 35 < len(tuning) < 65
    assert halves(questions[::-1]) == (tuning[::-1], held_out[::-1])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", r"questions\.jsonl, line 1: Invalid JSON"),
        ('{"question": "Why?"}', r"line 1: Field required\. Write lines such as"),
        ('{"question": "Why?", "documents": ["z.md"]}', r"line 1: no text was read from z\.md"),
        ('{"question": "Why?", "documents": []}', "no question names a document"),
    ],
)
def test_an_invalid_file_of_questions(tmp_path: Path, line: str, problem: str) -> None:
    """The error names the line, the mistake and the remedy."""
    (tmp_path / "questions.jsonl").write_text(line + "\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=problem):
        load_search_questions(tmp_path / "questions.jsonl", {"a.md"})


def test_the_error_that_chance_alone_leaves() -> None:
    """A confidence that is exactly right still differs from the share of few answers, and less from that of many."""
    answers = [(0.2 + place / 1000, place % 5 == 0) for place in range(100)] + [
        (0.8, place % 5 > 0) for place in range(100)
    ]

    few, many = (fitted_errors(answers, answers * times)[1] for times in (1, 20))

    assert 0.02 < few < 0.12
    assert many < few / 2
