"""Deletes what has been kept for long enough, and finds and removes what the database has about one person.

A person is a caller, found by the name of their API key, or one whom callers wrote about. The latter can be found by a
text alone, such as a name, an email address or a customer number.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from importlib.resources import files

import structlog

from chassis.clock import now, to_timestamp
from chassis.config.constraints import RetentionRules
from chassis.errors import ConfigError
from chassis.privacy.normalized_text import normalize
from chassis.store.credentials import CALLER_NAME
from chassis.store.database import Connection, Database, Row
from chassis.telemetry import names
from chassis.telemetry.instruments import Instruments

EXPIRED: Mapping[str, str] = {
    # Until it was due, a caller may still expect the answer; after it was given, the caller needs time to fetch it.
    "referrals": "due_at <= $1 AND (answered_at IS NULL OR answered_at <= $1)",
    "notifications": "NOT EXISTS (SELECT 1 FROM referrals WHERE referrals.id = subject_id)"
    " AND NOT EXISTS (SELECT 1 FROM drift_alarms WHERE drift_alarms.id = subject_id)",
    "review_events": "at <= $1",
    "accounts": "key LIKE 'caller-day:%' AND substr(key, length(key) - 9) <= $1",
    "calls": "answered_at <= $1",
    "feedback": "received_at <= $1",
    "replies": "expires_at <= $1",
    "review_sessions": "expires_at <= $1",
    "daily_counts": "day <= $1",
    "drift_alarms": "closed_at <= $1",
}
"""By table, which rows have been kept for long enough at the time `$1`. Notifications follow what they are about."""
CALLER_ACCOUNTS_DAYS = 365
"""How long it is known what a caller has spent on a day. No budget needs it after that day."""
DAILY_COUNTS_DAYS = 1095
"""How long the daily counts are kept. They are about no person; the limit bounds the size of the table."""
log = structlog.get_logger()


class Retention:
    """What is kept for how long.

    Args:
        database: What is swept.
        rules: How long.
        instruments: Count what is deleted.
    """

    def __init__(self, database: Database, rules: RetentionRules, instruments: Instruments) -> None:
        self._database, self._rules, self._instruments = database, rules, instruments

    async def sweep(self) -> dict[str, int]:
        """Delete what is due, and return the number of deleted rows of each table.

        Raises:
            DatabaseUnavailable: Some of it is left; the next sweep deletes it.
        """
        days = {
            "referrals": self._rules.referrals_days,
            "review_events": self._rules.audit_days,
            "daily_counts": DAILY_COUNTS_DAYS,
            "accounts": CALLER_ACCOUNTS_DAYS,
            "calls": self._rules.calls_days,
            "feedback": self._rules.feedback_days,
            "drift_alarms": DAILY_COUNTS_DAYS,
        }
        deleted: dict[str, int] = {}
        for table, condition in EXPIRED.items():
            # Tables without a number of days have a time of their own in the row, such as `expires_at`.
            before = to_timestamp(now() - timedelta(days=days.get(table, 0)))
            values = (before,) if "$1" in condition else ()
            deleted[table] = await self._database.execute(f"DELETE FROM {table} WHERE {condition}", *values)  # noqa: S608
            self._instruments.retention_deleted.add(deleted[table], {names.TABLE: table})
        if any(deleted.values()):
            log.info("retention.swept", **deleted)
        return deleted


MIN_CHARACTERS = 4
"""Letters and digits of a text to search for. A shorter one would find other people too."""
PAGE = 500
ACCENT = re.compile("[\u0300-\u036f]")
TABLE = re.compile(r"CREATE TABLE (\w+) \(\s+(\w+) TEXT PRIMARY KEY")
NAMES_OF_PEOPLE = frozenset({"caller", "answered_by", "first_reviewer", "leased_by", "reviewer", "off_by"})
"""Columns that are compared as a whole. A text does not find them, because another person may have that name."""
BLANKED: Mapping[str, str] = {"review_events": "details = '{}'", "switches": "reason = NULL"}
"""By table, what is emptied where the row itself has to stay."""


@dataclass(frozen=True, slots=True)
class PersonalRows:
    """What the database has about a person.

    Args:
        keys: The primary keys of the rows, by table.
        ids: The calls and referrals among them, whose traces and cases are about the person too.
    """

    keys: Mapping[str, Sequence[str]]
    ids: frozenset[str]


@dataclass(frozen=True)
class DataSubject:
    """A person to forget.

    Args:
        caller: The name of their API keys, if they are a caller.
        texts: What texts about them contain.

    Raises:
        ConfigError: A text is too short, the caller has no possible name, or there is nothing to search for.
    """

    caller: str | None = None
    texts: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.caller is None and not self.texts:
            raise ConfigError("chassis forget", "no person is named", "Give --caller NAME or --text VALUE")
        if self.caller is not None and not CALLER_NAME.fullmatch(self.caller):
            problem = f"{self.caller!r} cannot be the name of a caller"
            raise ConfigError("--caller", problem, "`uv run chassis keys list` shows the names")
        for text in self.texts:
            if len(_characters(text)) < MIN_CHARACTERS:
                problem = f"{text!r} has fewer than {MIN_CHARACTERS} letters and digits, and would find other people"
                raise ConfigError("--text", problem, "Give a longer one, such as the full name")

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        # Signs may stand between any two characters: a number is written with spaces, dashes or none.
        bodies = (r"[\W_]*".join(map(re.escape, _characters(text))) for text in self.texts)
        return [re.compile(rf"(?<![^\W_]){body}(?![^\W_])") for body in bodies]

    def is_in(self, text: str) -> bool:
        """Return whether a text names the person, however it is written, spaced or escaped."""
        readable = _folded(text)
        return any(pattern.search(readable) for pattern in self._patterns)

    def is_in_row(self, table: str, row: Row) -> bool:
        """Return whether a row is the caller's own, or names the person."""
        if self.caller is not None:
            is_own = row.get("caller") == self.caller and row.get("role", "caller") == "caller"
            # Cached replies name no caller. They are worth less than the certainty that none is left.
            if is_own or table == "replies" or self._is_account(row):
                return True
        texts = (value for name, value in row.items() if name not in NAMES_OF_PEOPLE and isinstance(value, str))
        return any(map(self.is_in, texts))

    def _is_account(self, row: Row) -> bool:
        return "spent" in row and str(row["key"]).startswith(f"caller-day:{self.caller}:")


async def find_personal_rows(database: Database, subject: DataSubject) -> PersonalRows:
    """Return the rows about a person, and those that belong to such rows, as a notification does to its referral."""
    found: dict[str, list[str]] = {}
    ids: set[str] = set()
    for table, key in _tables():
        async for row in _rows(database, table, key):
            # The tables come in the order of the schema, so what a row belongs to has been seen before the row itself.
            links = {row[key], row.get("referral_id"), row.get("subject_id"), row.get("call_id")}
            if subject.is_in_row(table, row) or links & ids:
                found.setdefault(table, []).append(row[key])
                # A row that stays, such as an audit event, would otherwise drag all others of its referral along.
                if table not in BLANKED:
                    ids |= {str(link) for link in links if link}
    if reservations := await _without_caller(database, subject):
        found["reservations"] = list(reservations)
    return PersonalRows(found, frozenset(ids))


async def erase(database: Database, found: PersonalRows, subject: DataSubject) -> None:
    """Delete or blank rows, and make sure that no file of the database still contains what they said.

    Raises:
        DatabaseUnavailable: Another process uses the database all the time; the rows may be gone already.
    """
    async with database.transaction() as tx:
        for table, key in _tables():
            action = f"UPDATE {table} SET {BLANKED[table]}" if table in BLANKED else f"DELETE FROM {table}"  # noqa: S608
            for each in found.keys.get(table, ()):
                await tx.execute(f"{action} WHERE {key} = $1", each)
        for each, keys in (await _without_caller(tx, subject)).items():
            await tx.execute("UPDATE reservations SET keys = $2 WHERE id = $1", each, keys)
    # A deleted row stays readable in the file until its page is used again.
    await database.overwrite_deleted({*found.keys, "reservations"})


def caller_hash(caller: str) -> str:
    """Return the hash by which cases name their caller."""
    return hashlib.sha256(f"caller:{caller}".encode()).hexdigest()[:12]


async def _without_caller(connection: Connection, subject: DataSubject) -> dict[str, str]:
    """Return the caller's open reservations, with the accounts of others, which need them to be released."""
    found: dict[str, str] = {}
    for row in await connection.fetch("SELECT id, keys FROM reservations"):
        keys: list[str] = json.loads(row["keys"])
        others = [key for key in keys if not key.startswith(f"caller-day:{subject.caller}:")]
        if subject.caller is not None and others != keys:
            found[row["id"]] = json.dumps(others)
    return found


def _tables() -> list[tuple[str, str]]:
    """Return our tables with one text as their key, in the order of the schema: those that others refer to come first.

    The others hold counts.
    """
    scripts = sorted(files("chassis.store").joinpath("migrations").iterdir(), key=lambda file: file.name)
    tables = [table for script in scripts for table in TABLE.findall(script.read_text(encoding="utf-8"))]
    return [table for table in tables if table[0] != "reservations"]


async def _rows(database: Database, table: str, key: str) -> AsyncGenerator[Row]:
    # By key and in pages: the answers of a year need not fit into memory, and rows added meanwhile move nothing.
    query = f"SELECT * FROM {table} WHERE {key} > $1 ORDER BY {key} LIMIT {PAGE}"  # noqa: S608 - our own names
    last = ""
    while rows := await database.fetch(query, last):
        for row in rows:
            yield row
        last = rows[-1][key]


def _characters(text: str) -> str:
    return re.sub(r"[\W_]", "", _folded(text))


def _folded(text: str) -> str:
    """Return a text without escapes, case and accents: Unicode has two ways to write an accented letter."""
    return ACCENT.sub("", unicodedata.normalize("NFKD", normalize(text).without_invisible().text)).casefold()
