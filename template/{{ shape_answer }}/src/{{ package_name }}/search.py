"""Finds the passages that answer a question and estimates how likely they do, with SQLite's full-text search.

Questions and passages are compared by trigrams, all runs of three characters. This needs no word lists: `budgets`
matches `budget`, and languages without spaces between words work too.
"""

import math
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock

from .documents import Passage

CANDIDATES = 20
"""How many passages SQLite proposes; the ones with the highest confidence are returned."""
MIN_CONFIDENCE = 0.1
"""Below this, a passage shares trigrams with the question by chance. No right answer has been measured below it."""
MAX_BM25 = 2.2
"""The highest BM25 score per unit of weight: 1 + k1, where SQLite's k1 is 1.2."""
HEADING_POWER = 1.5
"""Rare trigrams count more in headings, because "How do I" alone does not make two questions alike."""

QUERY = "SELECT rowid, rank FROM passages WHERE passages MATCH ? ORDER BY rank LIMIT ?"
UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])")
"""Chinese and Japanese characters; each counts as a word."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that may answer a question.

    Args:
        passage: The passage.
        confidence: How likely it contains the answer, from 0 to 1.
    """

    passage: Passage
    confidence: float


class Search:
    """An index of passages in memory. It may be shared by threads."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = tuple(passages)
        self._lock = Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.executescript("""
            CREATE VIRTUAL TABLE passages USING fts5(words, content='', tokenize='trigram');
            CREATE VIRTUAL TABLE frequencies USING fts5vocab(passages, row);
        """)
        self._words = [normalize(f"{passage.heading} {passage.text}") for passage in self.passages]
        self._database.executemany("INSERT INTO passages(rowid, words) VALUES (?, ?)", enumerate(self._words))
        total = len(self.passages) + 1
        frequencies = self._database.execute("SELECT term, doc FROM frequencies")
        self._weights = {trigram: math.log(total / (count + 0.5)) for trigram, count in frequencies}
        self._weight_of_unknown = math.log(total / 0.5)

    def find(self, question: str, limit: int) -> list[Hit]:
        """Return at most `limit` passages, the most likely first; none if nothing matches."""
        asked = trigrams(question)
        if not asked:
            return []
        query = " OR ".join(f'"{trigram}"' for trigram in asked)
        with self._lock:
            rows: list[tuple[int, float]] = self._database.execute(QUERY, (query, CANDIDATES)).fetchall()
        hits = [Hit(self.passages[row], self._confidence(asked, row, -rank)) for row, rank in rows]
        likely = [hit for hit in hits if hit.confidence >= MIN_CONFIDENCE]
        return sorted(likely, key=lambda hit: hit.confidence, reverse=True)[:limit]

    def excerpt(self, question: str, passage: Passage) -> str:
        """Return two neighboring sentences of a passage.

        The first two if the heading covers most of the question, because the answer then follows it. Otherwise the two
        that cover most of the question beyond the heading.
        """
        asked = trigrams(question)
        rest = asked - trigrams(passage.heading)
        starts = range(max(1, len(passage.sentences) - 1))
        pairs = [passage.sentences[start : start + 2] for start in starts]
        if self._weight(rest) < self._weight(asked) / 2:
            return "\n".join(pairs[0])
        return "\n".join(max(pairs, key=lambda pair: self._weight(rest & trigrams(" ".join(pair)))))

    def support(self, answer: str, passages: Sequence[Passage]) -> float:
        """Return the share of an answer that also appears in the passages, by weight, from 0 to 1."""
        said = trigrams(answer)
        given = trigrams(" ".join(f"{passage.heading} {passage.text}" for passage in passages))
        return self._weight(said & given) / self._weight(said) if said else 0.0

    def _confidence(self, asked: set[str], row: int, bm25: float) -> float:
        """Return how likely a passage answers: because its text fits the question, or because its heading asks it too.

        The fit is the geometric mean of two shares: of the highest possible score, and of the weight covered. The
        score alone is misled by one rare word that happens to match, the coverage alone by a long passage.
        """
        weight = self._weight(asked)
        score = min(1.0, bm25 / (MAX_BM25 * weight))
        coverage = self._weight(trigram for trigram in asked if trigram in self._words[row]) / weight
        fit = math.sqrt(score * coverage)
        title = trigrams(" ".join(self.passages[row].headings[-1:]))
        agreement = self._weight(asked & title, HEADING_POWER) / self._weight(asked | title, HEADING_POWER)
        return 1 - (1 - fit) * (1 - agreement)

    def _weight(self, of: Iterable[str], power: float = 1) -> float:
        """Return the sum of the trigrams' weights. The fewer passages contain a trigram, the more it weighs."""
        return sum(self._weights.get(trigram, self._weight_of_unknown) ** power for trigram in of)


def normalize(text: str) -> str:
    """Return the words of a text without case and punctuation, with a space on both sides of each."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return f" {' '.join(re.findall(r'\w+', UNSPACED.sub(r' \1 ', folded)))} "


def trigrams(text: str) -> set[str]:
    """Return all runs of three characters, except those across two words of a language with spaces."""
    words = normalize(text)
    runs = {words[start : start + 3] for start in range(len(words) - 2)}
    return {run for run in runs if run[1] != " " or UNSPACED.match(run)}
