"""Erasure: what is planted about a person is found byte by byte before, and nowhere after `chassis forget`."""

import io
import json
import sqlite3
import unicodedata
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from chassis.config.constraints import load_constraints
from chassis.contract import FallbackReason
from chassis.errors import ConfigError
from chassis.money.accounts import accounts_for
from chassis.store.credentials import ApiKeys
from chassis.store.database import Database
from chassis.store.deletion import DataSubject, erase, find_personal_rows
from chassis.store.opening import open_database
from chassis.store.outbox import Outbox
from chassis.store.reply_cache import ReplyCache
from chassis.store.review_queue import ReviewQueue
from chassis.store.reviews import Assessment, Reviews
from chassis.telemetry.local_traces import ContentLog
from cli_runner import run as chassis
from database_story import run_with_database
from sample_evaluation import GRADERS, run_and_accept, write_evaluation

NAME = "Jürgen Möller"
WRITTEN = [
    "Jürgen Möller",
    "JÜRGEN  MÖLLER",
    unicodedata.normalize("NFD", NAME),
    "jürgen.möller@example.org",
    "JürgenMöller",
]
RESERVATION = '["caller-day:alice:2026-11-27", "day:2026-11-27"]'
OTHERS = ["Jürgen Müller", "Jürgen Möllermann", "Jürgen asked Möller"]


async def refer(database: Database, caller: str, text: str) -> str:
    """Refer a question and answer it, with a note."""
    question = json.dumps({"text": text})
    queue = ReviewQueue(database, 24)
    ticket = (
        await queue.refer("echo", caller, f"c_{token_hex(4)}", FallbackReason.NO_MODEL, question, None)
    ).referral_id
    await Outbox(database).add_missing(["webhook"])
    await Reviews(database).answer(ticket, json.dumps({"text": "Yes."}), "ann", Assessment(note="ok"))
    return ticket


async def tickets(database: Database) -> list[str]:
    """Return the referrals that are left."""
    return [referral.id for referral in await ReviewQueue(database, 24).answered_referrals("echo")]


def test_a_caller_is_removed_from_every_table(store_url: str, project: Path) -> None:
    """With keys, budgets and all that belongs to the referrals; another caller keeps everything."""

    async def story(database: Database) -> None:
        keys = ApiKeys(database)
        for caller in ("alice", "alice2"):
            await keys.create(caller)
            for account in accounts_for(caller, load_constraints(project)):
                await database.execute("INSERT INTO accounts VALUES ($1, 0, 1) ON CONFLICT DO NOTHING", account.key)
        await keys.create("alice", "reviewer")
        await database.execute("INSERT INTO reservations VALUES ('v1', $1, 1, '')", RESERVATION)
        await ReplyCache(database, ttl_seconds=60).store("k", "gpt", "a reply")
        mine, other = await refer(database, "alice", "one"), await refer(database, "alice2", "two")

        subject = DataSubject("alice")
        await erase(database, await find_personal_rows(database, subject), subject)

        assert await tickets(database) == [other]
        assert [(key.caller, key.role) for key in await keys.list_keys()] == [
            ("alice2", "caller"),
            ("alice", "reviewer"),
        ]
        accounts = [row["key"] for row in await database.fetch("SELECT key FROM accounts")]
        assert [key.split(":")[:2] for key in accounts if key.startswith("caller")] == [["caller-day", "alice2"]]
        assert len(accounts) == 3
        assert [row["keys"] for row in await database.fetch("SELECT keys FROM reservations")] == ['["day:2026-11-27"]']
        assert await database.fetch("SELECT * FROM replies") == []
        assert [row["subject_id"] for row in await database.fetch("SELECT * FROM notifications")] == [other]
        [answered] = await Reviews(database).events(mine)
        assert (answered.action, answered.details) == ("answered", {})
        assert (await Reviews(database).events(other))[0].details != {}

    run_with_database(store_url, story)


def test_a_text_takes_no_caller_out_of_a_reservation(store_url: str) -> None:
    """Not even the one whose name is that of no caller in Python."""

    async def story(database: Database) -> None:
        keys = RESERVATION.replace("alice", "None")
        await database.execute("INSERT INTO reservations VALUES ('v1', $1, 1, '')", keys)

        subject = DataSubject(texts=(NAME,))
        await erase(database, await find_personal_rows(database, subject), subject)

        assert [row["keys"] for row in await database.fetch("SELECT keys FROM reservations")] == [keys]

    run_with_database(store_url, story)


def test_answers_and_feedback_are_removed_too(store_url: str) -> None:
    """What the person said about an answer, and the answer that someone else's feedback names the person in."""

    async def story(database: Database) -> None:
        for call, caller, comment in (("c_1", "alice", ""), ("c_2", "bob", f"Ask {NAME}"), ("c_3", "bob", "Good")):
            await database.execute(
                "INSERT INTO calls VALUES ($1, 'echo', $2, NULL, 'gpt', 1, '{}', '{}', '2026')", call, caller
            )
            await database.execute(
                "INSERT INTO feedback VALUES ($1, $2, 'negative', $3, NULL, NULL, '2026')", call, caller, comment
            )

        subject = DataSubject("alice", (NAME,))
        await erase(database, await find_personal_rows(database, subject), subject)

        assert [row["call_id"] for row in await database.fetch("SELECT * FROM feedback")] == ["c_3"]
        assert [row["id"] for row in await database.fetch("SELECT * FROM calls ORDER BY id")] == ["c_2", "c_3"]

    run_with_database(store_url, story)


def test_a_person_is_found_however_a_text_spells_them(store_url: str) -> None:
    """In any column and any form; a longer or another name is another person."""

    async def story(database: Database) -> None:
        about = [await refer(database, "alice", f"Is {text} ill?") for text in WRITTEN]
        others = [await refer(database, "alice", f"Is {text} ill?") for text in OTHERS]
        noted = await refer(database, "alice", "Who is it?")
        await database.execute("UPDATE referrals SET note = $1 WHERE id = $2", f"It is {NAME}.", noted)

        subject = DataSubject(texts=(NAME,))
        found = await find_personal_rows(database, subject)
        await erase(database, found, subject)

        assert set(found.keys["referrals"]) == {*about, noted}
        assert await tickets(database) == others

    run_with_database(store_url, story)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("+49 30 901820", "call +4930901820"),
        ("+4930901820", "call +49 (30) 90-18-20 now"),
        ("DE89370400440532013000", "IBAN DE89 3704 0044 0532 0130 00"),
        ("K-1234/5", "customer k 1234 5."),
        ("jo@example.org", "mailto:jo%40example.org"),
        ("佐藤太郎", "担当は 佐藤 太郎 です"),
    ],
)
def test_numbers_and_addresses_are_found_with_other_signs(value: str, text: str) -> None:
    """Spaces, dashes and encodings do not hide them."""
    assert DataSubject(texts=(value,)).is_in(text)
    assert not DataSubject(texts=(value,)).is_in(
        text.replace("0", "7").replace("1234", "12345").replace("o", "i")[::-1]
    )


@pytest.mark.parametrize("text", ["", "Jo", "a.b", "---", " 12 3"])
def test_a_value_that_would_find_others_is_refused(text: str) -> None:
    """It needs four letters or digits."""
    with pytest.raises(ConfigError, match="would find other people"):
        DataSubject(texts=(text,))


def places_of(root: Path, *texts: str) -> set[str]:
    """Return the files below a folder that contain one of the texts, byte by byte."""
    forms = {
        form.encode()
        for text in texts
        for form in (text, json.dumps(text)[1:-1], json.dumps(text.upper())[1:-1], text.upper())
    }
    files = [file for file in root.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    return {file.relative_to(root).as_posix() for file in files if any(form in file.read_bytes() for form in forms)}


@pytest.fixture
def planted(project: Path) -> str:
    """Let a person be in the queue, the data sets with an accepted run, the traces and the content log."""
    write_evaluation(project)
    (project / "evals/graders.py").write_text(GRADERS)
    question = f"why is {NAME} away?"
    for text in (question, "why one"):
        assert chassis("ask", text) == 0
    for ticket, asked in _referrals(project):
        assert chassis("review", "answer", ticket, f"Ask {NAME}." if NAME in asked else "One.") == 0
    assert chassis("cases", "promote", "--to", "start") == 0
    run_and_accept(project, "answers")
    assert chassis("evals", "run", "answers") == 1
    trace = (
        sqlite3.connect(project / "var/traces.db").execute("SELECT trace_id FROM spans ORDER BY rowid").fetchone()[0]
    )
    exchanges: list[dict[str, Any]] = [
        {"trace_id": trace, "sent": [{"part": "user", "text": question}]},
        {"trace_id": "0", "sent": []},
    ]
    (project / "var/content.jsonl").write_text("".join(json.dumps(each) + "\n" for each in exchanges))
    return question


def _referrals(root: Path) -> list[tuple[str, str]]:
    database = sqlite3.connect(root / "var/service.db")
    rows = database.execute("SELECT id, question FROM referrals").fetchall()
    database.close()
    return rows


@pytest.mark.usefixtures("planted")
def test_nothing_is_left_of_a_person_in_any_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Database, data sets, accepted run, report, traces and content log are searched."""
    before = places_of(project, NAME)
    assert {
        "var/service.db",
        "var/content.jsonl",
        "var/evals/report.html",
        "evals/cases/start.jsonl",
    } <= before | {name.removesuffix("-wal") for name in before}

    [ticket] = [ticket for ticket, question in _referrals(project) if NAME in question]
    assert "evals/accepted/answers/trials.jsonl" in places_of(project, ticket)

    assert chassis("forget", "--text", NAME, "--yes") == 0

    assert places_of(project, NAME) == set()
    assert not any("evals" in place for place in places_of(project, ticket))
    printed = capsys.readouterr().out
    for sentence in (
        "referrals: 1 deleted",
        "review_events: 1 emptied",
        "traces in var/traces.db: 1 removed",
        "var/content.jsonl: 1 removed",
        "evals/cases/start.jsonl: 1 removed",
        "- backups and copies of the database",
        "- former commits of evals/",
    ):
        assert sentence in printed
    assert [question for _, question in _referrals(project)] == ['{"text":"why one"}']


@pytest.mark.usefixtures("planted")
def test_nothing_is_left_of_a_caller(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their cases are found even after the referrals have been deleted."""
    sqlite3.connect(project / "var/service.db", isolation_level=None).execute("DELETE FROM referrals")

    assert chassis("forget", "--caller", "cli", "--yes") == 0

    assert places_of(project, NAME, "why one", '"chassis.caller": "cli"', "caller-day:cli") == set()
    assert "evals/cases/start.jsonl: 2 removed" in capsys.readouterr().out
    assert chassis("evals", "run", "answers") == 0


def contents(root: Path) -> dict[str, bytes]:
    """Return every file of a project that a person may be in, but not the files that SQLite keeps beside a database."""
    files = [file for folder in ("var", "evals") for file in (root / folder).rglob("*") if file.is_file()]
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files if "-" not in file.suffix}


@pytest.mark.parametrize("person", [("--text", NAME), ("--caller", "cli")])
@pytest.mark.usefixtures("planted")
def test_a_dry_run_announces_exactly_what_is_removed(
    project: Path, person: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """In the database and in files; it removes nothing itself, and asks nothing."""
    capsys.readouterr()
    before = contents(project)
    assert chassis("forget", *person, "--dry-run") == 0
    announced = capsys.readouterr().out
    assert contents(project) == before
    assert places_of(project, NAME)

    assert chassis("forget", *person, "--yes") == 0
    removed = capsys.readouterr().out

    assert "referrals: " in announced
    assert "evals/cases/start.jsonl: " in announced
    lines = [line.replace("would be ", "") for line in announced.splitlines()]
    assert lines == [line for line in removed.splitlines() if "free pages" not in line]

    assert chassis("forget", *person, "--dry-run") == 0
    assert "There is nothing here about this person." in capsys.readouterr().out


@pytest.mark.parametrize("referrals", [0, 1])
@pytest.mark.parametrize("reservations", [0, 1])
def test_an_open_reservation_is_announced(
    project: Path,
    reservations: int,
    referrals: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Like all else that is removed; with nothing to remove the command says so, and asks nothing."""
    url = f"sqlite:///{project}/var/service.db"

    async def plant(database: Database) -> None:
        rows = (("mine", RESERVATION), ("other", RESERVATION.replace("alice", "bob")))
        for name, keys in rows[1 - reservations :]:
            await database.execute("INSERT INTO reservations VALUES ($1, $2, 1, '')", name, keys)
        for _ in range(referrals):
            await refer(database, "alice", "one")

    run_with_database(url, plant)
    lines = [
        *["referrals: 1 would be deleted"] * referrals,
        *["reservations: 1 would be kept without the caller"] * reservations,
    ]
    for options in (("--dry-run",), ()):
        monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
        assert chassis("forget", "--caller", "alice", *options) == 0
        printed = capsys.readouterr().out.replace("[y/N]: ", "\n")  # nobody pressed the Enter key
        listed = [line for line in printed.splitlines() if line.startswith(("referrals:", "reservations:"))]
        assert [line for line in listed if "would be" in line] == lines
        assert ("There is nothing here about this person." in printed) == (not lines)
        assert ("Remove all of this?" in printed) == (bool(lines) and not options)
    assert listed == [*lines, *(line.replace("would be ", "") for line in lines)]
    assert places_of(project, "caller-day:alice") == set()

    assert chassis("forget", "--caller", "alice") == 0
    assert capsys.readouterr().out.startswith("There is nothing here about this person.\n\nThis cannot be reached")


@pytest.mark.usefixtures("planted")
def test_nothing_is_removed_without_a_yes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command asks first, and names the options if no person is named."""
    before = places_of(project, NAME)
    for reply in ("", "n\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(reply))
        assert chassis("forget", "--text", NAME) == 1
    assert chassis("forget") == 2

    assert places_of(project, NAME) == before


def test_a_service_may_run_meanwhile(project: Path) -> None:
    """Another connection is open; the file is written anew all the same."""

    async def story(database: Database) -> None:
        await refer(database, "alice", f"Is {NAME} ill?")
        running = await open_database(f"sqlite:///{project}/var/service.db", project)
        try:
            assert await ReviewQueue(running, 24).count_open() == (0, 0)
            subject = DataSubject(texts=(NAME,))
            await erase(database, await find_personal_rows(database, subject), subject)
            assert places_of(project, NAME) == set()
            assert await ReviewQueue(running, 24).count_open() == (0, 0)
        finally:
            await running.close()

    run_with_database(f"sqlite:///{project}/var/service.db", story)


def test_the_former_content_log_is_searched_too(project: Path) -> None:
    """The log keeps two files."""
    log = ContentLog(project / "var/content.jsonl", max_bytes=10)
    for _ in range(3):
        log.record("gpt", [], None, ValueError(NAME))
    assert places_of(project, NAME) == {"var/content.jsonl", "var/content.jsonl.1"}

    assert chassis("forget", "--text", NAME, "--yes") == 0

    assert places_of(project, NAME) == set()


@pytest.mark.parametrize("name", ["", " ", "%", "web shop", "web\nshop", "x" * 65])
def test_a_name_that_no_caller_can_have_is_refused(name: str) -> None:
    """An empty variable of the shell must not read as a person about whom nothing is kept."""
    with pytest.raises(ConfigError, match=r"--caller: .* cannot be the name of a caller"):
        DataSubject(caller=name)
