"""Cases from reality: promoted from the review queue, imported from exports, and refused with one clear sentence."""

import asyncio
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sample_task
from chassis import Draft
from chassis.contract import FallbackReason
from chassis.search.folder import read_folder
from chassis.store.opening import open_database
from chassis.store.review_queue import ReviewQueue
from chassis.store.reviews import Assessment, Reviews, ReviewVerdict
from chassis.testing import ScriptedModel
from chassis.wiring import Wiring
from chassis_tools.evals.drafted_cases import as_cases, ask_for_questions, first_passages
from chassis_tools.evals.new_cases import split_of
from cli_runner import run as chassis
from sample_evaluation import GRADERS, run_and_accept, write_cases, write_evaluation
from scenario import run_scenario

BY_A_PERSON = GRADERS.replace("said(outcome) == case.expected", "said(outcome) == as_text(case.expected)") + (
    "\n\ndef as_text(expected):\n    return expected if isinstance(expected, str) else expected['text']\n"
)
"""The graders of the sample, which also understand the answers of people."""
COLUMNS = ("--question", "question", "--answer", "answer", "--to", "start")


@pytest.fixture
def evaluated(project: Path) -> Path:
    """Write a project with cases and suites."""
    write_evaluation(project)
    (project / "evals/graders.py").write_text(BY_A_PERSON)
    return project


def review(
    root: Path, *pairs: tuple[str, str], verdict: ReviewVerdict = "fail", tags: tuple[str, ...] = ()
) -> list[str]:
    """Refer questions of alice, let ann answer them, and return the tickets."""

    async def work() -> list[str]:
        database = await open_database(f"sqlite:///{root}/var/service.db", root)
        try:
            return [await refer_and_answer(ReviewQueue(database, 24), Reviews(database), *pair) for pair in pairs]
        finally:
            await database.close()

    async def refer_and_answer(queue: ReviewQueue, reviews: Reviews, question: str, answer: str) -> str:
        text, draft = json.dumps({"text": question}), Draft(sample_task.Answer(text=question.upper()), 0.1)
        ticket = (await queue.refer("echo", "alice", "c_1", FallbackReason.LOW_CONFIDENCE, text, draft)).referral_id
        await reviews.answer(ticket, json.dumps({"text": answer}), "ann", Assessment(verdict=verdict, tags=tags))
        return ticket

    return asyncio.run(work())


def cases_in(root: Path, dataset: str = "start") -> dict[str, dict[str, Any]]:
    """Return the cases of a data set by their ids."""
    lines = (root / f"evals/cases/{dataset}.jsonl").read_text().split("\n")
    return {case["id"]: case for case in map(json.loads, filter(None, lines))}


def in_split(split: str, start: str = "why") -> str:
    """Return a question that belongs to a split."""
    texts = (f"{start} {number}?" for number in range(1000))
    return next(
        text for text in texts if split_of(json.dumps({"text": text}, separators=(",", ":")).replace(" ", "")) == split
    )


def test_the_gate_is_red_on_the_code_that_a_reviewer_corrected(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The case fails until the service gives the person's answer; then the gate is green again."""
    run_and_accept(evaluated, "answers", "attacks")
    question = in_split("gate")
    [ticket] = review(evaluated, (question, "Because."), tags=("tone",))
    assert chassis("evals", "run", "answers") == 0

    assert chassis("cases", "promote", "--to", "start") == 0

    printed = capsys.readouterr().out
    assert f"- `{ticket}`: gate, must pass" in printed
    assert "Add 1 case from reviews and feedback" in printed
    case = cases_in(evaluated)[ticket]
    assert (case["input"], case["expected"]) == ({"text": question}, {"text": "Because."})
    assert (case["tags"], case["must_pass"]) == (["reviewed", "tone"], True)
    assert case["source"].keys() == {"referral", "verdict", "reviewed_on", "caller_hash"}
    assert not {"alice", "ann"} & set(map(str, case["source"].values()))
    assert chassis("evals", "run", "answers") == 1
    assert "must-pass right" in capsys.readouterr().out

    def corrected(asked: sample_task.Question) -> Draft[sample_task.Answer]:
        text = "Because." if asked.text == question else asked.text.upper()
        return Draft(sample_task.Answer(text=text), confidence=0.8)

    monkeypatch.setattr(sample_task, "TASK", replace(sample_task.TASK, baseline=corrected))
    assert chassis("evals", "run", "answers") == 0


def test_a_question_becomes_a_case_once(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Promoted twice, asked twice, spaced otherwise or nearly the same: one case is left, and the output names it."""
    pairs = [(text, "Ten.") for text in ("why ten days", "Why  TEN days", "why ten days?", "CASE 7", "why nine weeks")]
    tickets = review(evaluated, *pairs)

    assert chassis("cases", "promote", "--to", "start") == 0

    printed = capsys.readouterr().out
    assert [ticket for ticket in tickets if ticket in cases_in(evaluated)] == [tickets[0], tickets[4]]
    assert f"{tickets[1]}: left out, because it asks nearly the same as {tickets[0]}" in printed
    assert f"{tickets[3]}: left out, because it asks nearly the same as c7" in printed
    before = (evaluated / "evals/cases/start.jsonl").read_bytes()
    assert chassis("cases", "promote", "--to", "start") == 0
    assert "There is nothing to add." in capsys.readouterr().out
    assert (evaluated / "evals/cases/start.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("why not write to jo.doe@example.org?", "jo.doe@example.org"),
        ("why does 4111 1111 1111 1111 not work?", "4111 1111 1111 1111"),
        ("why is DE89 3704 0044 0532 0130 00 refused?", "DE89 3704 0044 0532 0130 00"),
        ("why does my password: hunter2-and-more fail?", "hunter2-and-more"),
        ("why can I not reach 203.0.113.77?", "203.0.113.77"),
        ("why did nobody call me at +49 30 901820?", "+49 30 901820"),
    ],
)
def test_no_sensitive_value_gets_into_a_data_set(evaluated: Path, text: str, hidden: str) -> None:
    """Question and answer have the same placeholder for it."""
    [ticket] = review(evaluated, (text, f"Answer to: {text}"))

    assert chassis("cases", "promote", "--to", "start") == 0

    case = cases_in(evaluated)[ticket]
    assert hidden not in (evaluated / "evals/cases/start.jsonl").read_text()
    assert case["expected"]["text"] == f"Answer to: {case['input']['text']}"
    assert case["source"]["redacted"] == 1


def test_what_no_placeholder_can_replace_is_refused(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tag of the reviewer with an address is not edited: the command says so and writes the others."""
    [refused] = review(evaluated, ("why one", "One."), tags=("ask jo.doe@example.org",))
    [added] = review(evaluated, ("why two entirely other things", "Two."))

    assert chassis("cases", "promote", "--to", "start") == 1

    assert f"{refused}: refused, because it contains a value of the kind 'email'" in capsys.readouterr().out
    assert refused not in cases_in(evaluated)
    assert added in cases_in(evaluated)


def test_the_split_depends_on_the_question_only(evaluated: Path) -> None:
    """About a fifth of the questions is held out, and these never have to pass."""
    review(evaluated, *[(f"why {number:x} {number * 7919:x} {number * 104729:x}", "So.") for number in range(1, 61)])

    assert chassis("cases", "promote", "--to", "start") == 0

    promoted = [case for name, case in cases_in(evaluated).items() if name.startswith("r_")]
    held_out = [case for case in promoted if case.get("split") == "holdout"]
    assert (len(promoted), len(held_out)) == (60, 6)  # by the hashes of these questions
    assert all(case.get("must_pass", False) == (case not in held_out) for case in promoted)


def test_a_passed_draft_need_not_pass_for_ever(evaluated: Path) -> None:
    """Only a wrong answer is an incident."""
    [ticket] = review(evaluated, (in_split("gate"), "WHY"), verdict="pass")

    assert chassis("cases", "promote", "--to", "start", ticket) == 0

    assert "must_pass" not in cases_in(evaluated)[ticket]


def test_without_a_right_answer_there_is_no_case(evaluated: Path) -> None:
    """A reviewer may only say that an answer was wrong; one that was right is its own expected answer."""
    rejected, passed = review(evaluated, ("why one", "1"), ("why two entirely other things", "2"))
    database = sqlite3.connect(evaluated / "var/service.db", isolation_level=None)
    database.execute("UPDATE referrals SET answer = NULL")
    database.execute("UPDATE referrals SET verdict = 'pass' WHERE id = ?", (passed,))

    assert chassis("cases", "promote", "--to", "start") == 0

    assert rejected not in cases_in(evaluated)
    assert cases_in(evaluated)[passed]["expected"] == {"text": "WHY TWO ENTIRELY OTHER THINGS"}


def test_corrections_of_callers_become_cases(evaluated: Path) -> None:
    """Not if a referral was opened for them, whose reviewer decides, and none has to pass."""
    question = in_split("gate")

    async def give_feedback() -> None:
        database = await open_database(f"sqlite:///{evaluated}/var/service.db", evaluated)
        asked = json.dumps({"text": question})
        for call, correction, ticket in (("c_1", "Five.", None), ("c_2", "Six.", "r_1"), ("c_3", None, None)):
            await database.execute(
                "INSERT INTO calls VALUES ($1, 'echo', 'alice', NULL, 'gpt', 1, $2, '{}', '2026')", call, asked
            )
            answer = json.dumps({"text": correction}) if correction else None
            await database.execute(
                "INSERT INTO feedback VALUES ($1, 'alice', 'negative', '', $2, $3, '2026-01-01T00:00:00+00:00')",
                call,
                answer,
                ticket,
            )
        await database.close()

    asyncio.run(give_feedback())

    assert chassis("cases", "promote", "--to", "start") == 0

    case = cases_in(evaluated).pop("c_1")
    assert (case["input"], case["expected"]) == ({"text": question}, {"text": "Five."})
    assert (case["tags"], "must_pass" in case) == (["feedback"], False)
    assert not {"c_2", "c_3"} & cases_in(evaluated).keys()


@pytest.mark.usefixtures("evaluated")
def test_only_answered_referrals_and_used_data_sets_count(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong ticket and a data set that no suite asks are named."""
    assert chassis("cases", "promote", "--to", "start", "r_0") == 1
    assert "There is no answered referral 'r_0'" in capsys.readouterr().err
    assert chassis("cases", "promote", "--to", "other") == 2
    assert "no suite uses a data set 'other'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        b"question,answer,team\nwhy red,Red.,a\n,,\n".replace(b",,\n", b""),
        b"\xef\xbb\xbfquestion,answer\nwhy red,Red.\n",
        b"question,answer\r\nwhy red,Red.\r\n\r\n",
        b"team;answer;question\na;Red.;why red\n",
        b'"question"\t"answer"\n"why red"\t"Red."',
        b'question,answer\n"{""text"": ""why red""}",Red.\n',
        b"\xef\xbb\xbfsep=;\r\nquestion;answer\r\nwhy red;Red.\r\n",
        b'"sep=|"\nquestion|answer\nwhy red|Red.\n',
        b"SEP=\t\nquestion\tanswer\nwhy red\tRed.\n",
        b"question,answer,\nwhy red,Red.,\n,,\n , ,\n",
        b"\r\n\n,\nquestion,answer\nwhy red,Red.\n",
    ],
    ids=["columns", "bom", "crlf", "semicolons", "tabs", "json", "hint", "quoted hint", "hint of tabs", "empty", "top"],
)
def test_tables_are_imported(evaluated: Path, content: bytes) -> None:
    """Whatever a spreadsheet writes becomes the same case."""
    (evaluated / "tickets.csv").write_bytes(content)

    assert chassis("cases", "import", "tickets.csv", *COLUMNS) == 0

    [case] = [case for name, case in cases_in(evaluated).items() if name.startswith("tickets-")]
    assert (case["input"], case["expected"]) == ({"text": "why red"}, {"text": "Red."})
    assert (case["tags"], case["source"]) == (["imported"], {"file": "tickets.csv"})


@pytest.mark.parametrize("ends", ["\n", "\r\n", ""])
def test_json_lines_are_imported(evaluated: Path, ends: str) -> None:
    """Of each object the two columns are read, and JSON in them is JSON."""
    rows = ['{"question": "why\\u2028red", "answer": {"text": "Red."}, "team": null}', ""]
    (evaluated / "log.jsonl").write_bytes(b"\xef\xbb\xbf" + ends.join(rows).encode())

    assert chassis("cases", "import", "log.jsonl", *COLUMNS) == 0

    [case] = [case for name, case in cases_in(evaluated).items() if name.startswith("log-")]
    assert (case["input"], case["expected"]) == ({"text": "why\u2028red"}, {"text": "Red."})


BAD: dict[str, tuple[str, bytes, str]] = {
    "too many rows": ("a.csv", b"question,answer\n" + b"x,y\n" * 5001, "the file has more than 5,000 rows"),
    "too many objects": ("a.jsonl", b'{"question": "x", "answer": "y"}\n' * 5001, "the file has more than 5,000 rows"),
    "100 MB": ("a.csv", b"question,answer\nx," + b"y" * 100_000_000, "the file has 100 MB, more than 50"),
    "below a hint": ("a.csv", b"sep=;\nquestion;answer\nx;y;z\n", "line 3: the row has 3 values"),
    "only empty rows": ("a.csv", b"question,answer\n,\n,\n", "the file has no rows"),
    "no column": ("a.csv", b"q,a\nx,y\n", "there is no column 'question'. Name one of them with --question: q, a"),
    "no answer column": ("a.csv", b"question,a\nx,y\n", "there is no column 'answer'"),
    "a column twice": ("a.csv", b"question,answer,question\nx,y,z\n", "the column 'question' stands there twice"),
    "empty": ("a.csv", b"", "the file is empty"),
    "only a mark": ("a.csv", b"\xef\xbb\xbf\r\n", "the file is empty"),
    "only a header": ("a.csv", b"question,answer\n", "the file has no rows"),
    "latin-1": ("a.csv", "question,answer\nfür,x\n".encode("latin-1"), "byte 17 is not UTF-8"),
    "utf-16": ("a.csv", "question,answer\nx,y\n".encode("utf-16"), "byte 0 is not UTF-8"),
    "utf-16 without a mark": ("a.csv", "question,answer\n".encode("utf-16-le"), "it contains a NUL"),
    "nul": ("a.csv", b"question,answer\nx,y\0\n", "line 2: it contains a NUL character"),
    "a value too many": ("a.csv", b"question,answer\nx,y,z\n", "line 2: the row has 3 values, the header 2"),
    "a value too few": ("a.csv", b"question,answer\nx\n", "line 2: the row has 1 values, the header 2"),
    "an open quote": ("a.csv", b'question,answer\n"x,y\nz,z\n', "not valid CSV"),
    "a huge value": ("a.csv", b"question,answer\nx," + b"y" * 150_000, "has 150,000 characters, more than 100,000"),
    "a huger value": ("a.csv", b"question,answer\nx," + b"y" * 300_000, "not valid CSV (field larger"),
    "an empty value": ("a.csv", b"question,answer\n ,y\n", "line 2: question: the value is empty"),
    "too long for the task": ("a.csv", b"question,answer\n" + b"x" * 501 + b",y\n", "line 2: question: text"),
    "half a line": ("a.jsonl", b'{"question": "x", "answer": "y"}\n{"question": "x", "ans', "line 2: not valid JSON"),
    "no object": ("a.jsonl", b"[1]\n", "line 1: not a JSON object"),
    "a key twice": ("a.jsonl", b'{"question": "x", "question": "z", "answer": "y"}', "'question' twice"),
    "half a character": ("a.jsonl", b'{"question": "\\ud800", "answer": "y"}', "line 1: not valid JSON"),
    "deep": ("a.jsonl", b'{"question": ' + b"[" * 99_999 + b"}", "line 1: not valid JSON"),
    "a null": ("a.jsonl", b'{"question": null, "answer": "y"}', "line 1: question: the value is empty"),
    "an escaped nul": ("a.jsonl", b'{"question": "x\\u0000", "answer": "y"}', "line 1: question: it contains a NUL"),
    "another format": ("a.xlsx", b"PK", "Name a .csv or .jsonl file"),
}


@pytest.mark.parametrize(("name", "content", "sentence"), BAD.values(), ids=BAD)
def test_a_bad_export_changes_nothing(
    evaluated: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, sentence: str
) -> None:
    """One sentence names file and line, and the exit code is 2."""
    (evaluated / name).write_bytes(content)
    before = (evaluated / "evals/cases/start.jsonl").read_bytes()

    assert chassis("cases", "import", name, *COLUMNS) == 2

    error = capsys.readouterr().err
    assert sentence in error
    assert name in error
    assert len(error.splitlines()) == 1
    assert (evaluated / "evals/cases/start.jsonl").read_bytes() == before


def test_imported_rows_are_redacted_and_unique(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As are those of the review queue; a data set without a last line break stays readable."""
    write_cases(evaluated, {"id": "old", "input": {"text": "why ten"}, "expected": "Ten."}, file="start")
    path = evaluated / "evals/cases/start.jsonl"
    path.write_bytes(path.read_bytes().rstrip())
    (evaluated / "a.csv").write_text("question,answer\nwhy jo@example.org,No.\nWHY  TEN,Eleven.\n")

    assert chassis("cases", "import", "a.csv", *COLUMNS) == 0

    assert "because it asks nearly the same as old" in capsys.readouterr().out
    assert [case["input"]["text"] for case in cases_in(evaluated).values()] == ["why ten", "why [EMAIL_1]"]


DOCUMENTS = {
    "returns.md": "# Returns\n\nAnything can be returned.\n"
    "\n## How long may I wait?\n\nThirty days.\n\n## Costs\n\nNone.\n",
    "faq/contact.md": "Not below a heading.\n\n# Contact\n\nWrite to jo.doe@example.org.\n",
}


@pytest.fixture
def documented(evaluated: Path) -> Path:
    """Add documents."""
    for name, text in DOCUMENTS.items():
        (evaluated / "documents" / name).parent.mkdir(parents=True, exist_ok=True)
        (evaluated / "documents" / name).write_text(text)
    return evaluated


def test_documents_become_drafts(documented: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case for each heading: marked as synthetic, with its document, redacted, and never must-pass."""
    assert chassis("cases", "draft", "--to", "new") == 0

    cases = cases_in(documented, "new").values()
    assert {case["input"]["text"]: case["expected"]["text"] for case in cases} == {
        "Returns": "Anything can be returned.",
        "How long may I wait?": "Thirty days.",
        "Returns: Costs": "None.",
        "Contact": "Write to [EMAIL_1].",
    }
    assert {case["group"] for case in cases} == {"documents/returns.md", "documents/faq/contact.md"}
    assert all(case["tags"] == ["synthetic"] and "must_pass" not in case for case in cases)
    assert all(case["source"]["synthetic"] == "headings" for case in cases)
    assert "has 4 drafts" in capsys.readouterr().out
    assert chassis("evals", "run", "answers") in {0, 3}  # no suite asks them yet


def test_a_draft_is_never_overwritten(documented: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person may have begun to edit it."""
    file = documented / "evals/cases/new.jsonl"
    assert chassis("cases", "draft", "--to", "new", "--limit", "2") == 0
    before = file.read_bytes()
    assert before.count(b"\n") == 2
    assert chassis("cases", "draft", "--to", "new") == 2
    assert "evals/cases/new.jsonl exists" in capsys.readouterr().err
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["start", "../new", "a/b", "", ".hidden", "new jsonl", "-x", "link"])
def test_a_draft_needs_a_new_name(documented: Path, name: str) -> None:
    """That of a file, in the folder of cases, which does not exist; a broken link would be written through."""
    (documented / "evals/cases/link.jsonl").symlink_to(documented / "elsewhere")
    before = sorted(documented.rglob("*.jsonl"))
    assert chassis("cases", "draft", f"--to={name}") == 2
    assert sorted(documented.rglob("*.jsonl")) == before
    assert not (documented / "elsewhere").exists()


@pytest.mark.parametrize(
    ("folder", "problem"), [("missing", "no such folder"), ("empty", "no text below"), ("evals", "no text below")]
)
def test_without_text_below_a_heading_nothing_is_drafted(
    documented: Path, capsys: pytest.CaptureFixture[str], folder: str, problem: str
) -> None:
    """The folder is named, and no file is written."""
    (documented / "empty").mkdir()
    assert chassis("cases", "draft", folder, "--to", "new") == 2
    assert f"{folder}: there is {problem}" in capsys.readouterr().err
    assert not (documented / "evals/cases/new.jsonl").exists()


def test_what_is_asked_already_is_not_drafted(documented: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor what another heading asks."""
    write_cases(documented, {"id": "old", "input": {"text": "how long may i wait"}, "expected": "30"}, file="start")
    assert chassis("cases", "draft", "--to", "new") == 0
    assert "left out, because it asks nearly the same as old" in capsys.readouterr().out
    assert len(cases_in(documented, "new")) == 3


def test_models_write_questions_from_the_budget(documented: Path) -> None:
    """Through the guard, as a caller of their own; a reply that no question may be is refused with its document."""
    passages = first_passages(read_folder(documented / "documents"), 2)

    async def ask(wiring: Wiring) -> tuple[list[str], set[str]]:
        questions = await ask_for_questions(wiring, passages)
        return questions, {balance.key for balance in await wiring.ledger.balances() if balance.spent > 0}

    replies = ScriptedModel("Whom do I write to?", " May I send\nit back? ")
    questions, charged = run_scenario(documented, [replies], ask)

    assert questions == ["Whom do I write to?", "May I send it back?"]
    assert any("cases-draft" in key for key in charged)
    cases, refused = as_cases(passages, [questions[0], " "], "model", sample_task.TASK)
    assert [case.source["synthetic"] for case in cases] == ["model"]
    assert list(refused) == ["documents/returns.md: Returns"]


def test_without_a_model_none_writes_questions(documented: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says what to set, and writes nothing."""
    assert chassis("cases", "draft", "--to", "new", "--model") == 2
    assert "no model can be asked here" in capsys.readouterr().err
    assert not (documented / "evals/cases/new.jsonl").exists()


@pytest.mark.parametrize(
    "mark",
    [
        {"source": {"synthetic": "headings"}},
        {"source": {"synthetic": "model", "document": "a.md"}},
        {"source": {"synthetic": True}},
        {"tags": ["easy", "synthetic"]},
    ],
)
def test_a_synthetic_case_cannot_be_must_pass(
    evaluated: Path, capsys: pytest.CaptureFixture[str], mark: dict[str, Any]
) -> None:
    """Whoever wrote that into the file: the run refuses it, and names the line."""
    case = {"id": "made-up", "input": {"text": "made up"}, "expected": "MADE UP", **mark}
    write_cases(evaluated, case, file="made_up")
    assert chassis("evals", "run", "answers") in {0, 3}
    write_cases(evaluated, {**case, "must_pass": True}, file="made_up")
    assert chassis("evals", "run", "answers") == 2
    assert "made_up.jsonl line 1: a synthetic case cannot be must_pass" in capsys.readouterr().err


def test_a_case_that_is_not_synthetic_may_be_must_pass(evaluated: Path) -> None:
    """Also if its source says so."""
    case = {"id": "real", "input": {"text": "real"}, "expected": "REAL", "must_pass": True}
    write_cases(evaluated, {**case, "source": {"synthetic": False}}, file="made_up")
    assert chassis("evals", "run", "answers") in {0, 3}
