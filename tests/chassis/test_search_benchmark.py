"""`chassis evals search` measures what it says, on a folder small enough to count by hand."""

import json
from pathlib import Path

import pytest
from chassis.errors import ConfigError
from chassis.search import Passage
from chassis_tools.cli.analysis import CALIBRATION_COLUMNS, measure_searches
from chassis_tools.evals.search_benchmark import (
    SearchQuestion,
    compare_searches,
    fitted_errors,
    halves,
    load_search_questions,
    measure_search,
    searches,
    smooth_calibration_error,
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
    for name, find in searches([A, B, C], "english", tmp_path / "vectors.npz"):
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
        ("{\udcff", r"questions\.jsonl, line 1: Invalid JSON"),
        ('{"question": "Why?"}', r"line 1: Field required\. Write lines such as"),
        ('{"question": "Why?", "documents": ["z.md"]}', r"line 1: no text was read from z\.md"),
        ('{"question": "Why?", "documents": []}', "no question names a document"),
    ],
)
def test_an_invalid_file_of_questions(tmp_path: Path, line: str, problem: str) -> None:
    """The error names the line, the mistake and the remedy."""
    (tmp_path / "questions.jsonl").write_bytes(f"{line}\n".encode(errors="surrogateescape"))

    with pytest.raises(ConfigError, match=problem):
        load_search_questions(tmp_path / "questions.jsonl", {"a.md"})


@pytest.mark.slow
def test_the_error_that_chance_alone_leaves() -> None:
    """A confidence that is exactly right still differs from the share of few answers, and less from that of many."""
    answers = [(0.2 + place / 1000, place % 5 == 0) for place in range(100)] + [
        (0.8, place % 5 > 0) for place in range(100)
    ]

    few, many = (fitted_errors(answers, answers * times).by_chance for times in (1, 10))

    assert 0.02 < few < 0.12
    assert many < few / 2


def test_the_error_that_few_fitted_answers_leave() -> None:
    """A fit of the right kind to 100 answers misses the true curve, however many answers are held out."""
    answers = [(share / 10, place < share) for share in range(1, 10) for place in range(10)] * 20

    errors = fitted_errors(answers, answers)

    assert errors.by_chance < 0.03 < errors.ideal < 0.1
    assert errors.binned < 0.1


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        ([(0.0, False), (1.0, True)], 0.0),
        ([(0.6, True), (0.6, True), (0.6, False), (0.6, False), (0.6, False)], 0.2),
        ([(0.2, True)] * 2 + [(0.2, False)] * 3 + [(0.8, True)] * 3 + [(0.8, False)] * 2, 0.18),
        # Opposite gaps at a distance of 0.02, which bins of this width measure as 0.5: 0.255 * 0.02 * 0.8 / x = x.
        ([(0.49, True), (0.51, False)] * 50, 0.064),
    ],
)
def test_the_smooth_calibration_error(pairs: list[tuple[float, bool]], error: float) -> None:
    """It is the distance between confidence and share, without bins that part what is close."""
    assert smooth_calibration_error(pairs) == pytest.approx(error, abs=0.005)


def test_searches_are_compared_question_by_question() -> None:
    """Two searches of the same share may find other pages."""
    questions = [
        SearchQuestion(question=f"{fruit} {number}", documents=["b.md"])
        for fruit in ("pears", "pear")
        for number in range(9)
    ]

    rows = compare_searches([A, B, C], questions, "english", None)

    assert {(row["search"], row["half"]) for row in rows} >= {
        (name, half) for name in ("lexical", "SQLite FTS5") for half in ("tuning", "held out")
    }
    assert all((row["won"], row["lost"], row["hit@1"]) == (0, 0, 1.0) for row in rows)
    assert [row["half"] for row in rows if row["fitted"] is not None] == ["held out"]
    [half] = {row["half"] for row in compare_searches([A, B, C], questions[:1], "english", None)}
    assert half in {"tuning", "held out"}


def test_the_output_is_json_though_a_document_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Log lines go to standard error."""
    folder, questions = tmp_path / "documents", tmp_path / "questions.jsonl"
    folder.mkdir()
    (folder / "a.md").write_text("Apples are red.", encoding="utf-8")
    (folder / "empty.md").write_text("", encoding="utf-8")
    questions.write_text('{"question": "apples?", "documents": ["a.md"]}\n', encoding="utf-8")

    measure_searches(folder, questions, as_json=True)

    output = capsys.readouterr()
    assert json.loads(output.out)["documents"] == 1
    assert "document.skipped" in output.err


def test_each_column_is_explained_under_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A title of one word, such as `ideal`, says little to a person who sees it for the first time."""
    folder, questions = tmp_path / "documents", tmp_path / "questions.jsonl"
    folder.mkdir()
    (folder / "a.md").write_text("Apples are red.", encoding="utf-8")
    questions.write_text(
        "".join(f'{{"question": "apples {n}?", "documents": ["a.md"]}}\n' for n in range(400)), encoding="utf-8"
    )

    measure_searches(folder, questions)

    said = " ".join(capsys.readouterr().out.split())
    assert "half: believe the one held out; won, lost: right first in this search only, or in the lexical" in said
    for column in CALIBRATION_COLUMNS:
        assert f"{column}: " in said
