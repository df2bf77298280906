"""Find the passages that answer a question, and say how sure that is, with SQLite's full-text search.

Question and passages are compared by every three characters in a row, their pieces. That needs no list of words, so
`budgets` finds `budget`, and languages that put no spaces between words work too.
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
"""How many passages SQLite proposes; the most convincing of them come first."""
NOISE = 0.1
"""A passage less convincing than this shares letters with the question by chance; no right one was ever seen below."""
BEST_BM25 = 2.2
"""What BM25 can give at most per unit of weight: 1 + k1, where SQLite's k1 is 1.2."""
SHARPNESS = 1.5
"""How much more the rare pieces of a heading count, because "How do I" does not make two questions alike."""

FIND = "SELECT rowid, rank FROM passages WHERE passages MATCH ? ORDER BY rank LIMIT ?"
UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])")
"""Chinese and Japanese characters, each of which counts as a word."""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that may answer a question.

    Args:
        passage: What was found.
        confidence: How sure it is that the answer is there, from 0 to 1.
    """

    passage: Passage
    confidence: float


class Search:
    """An index of passages, in memory; threads may share it."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = tuple(passages)
        self._lock = Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.executescript("""
            CREATE VIRTUAL TABLE passages USING fts5(words, content='', tokenize='trigram');
            CREATE VIRTUAL TABLE pieces USING fts5vocab(passages, row);
        """)
        self._words = [plain_words(f"{passage.heading} {passage.text}") for passage in self.passages]
        self._database.executemany("INSERT INTO passages(rowid, words) VALUES (?, ?)", enumerate(self._words))
        most = len(self.passages) + 1
        passages_with = self._database.execute("SELECT term, doc FROM pieces")
        self._weights = {piece: math.log(most / (passages + 0.5)) for piece, passages in passages_with}
        self._weight_of_unknown = math.log(most / 0.5)

    def find(self, question: str, limit: int) -> list[Found]:
        """Return at most `limit` passages, the most convincing first; none if nothing fits at all."""
        asked = pieces(question)
        if not asked:
            return []
        any_piece = " OR ".join(f'"{piece}"' for piece in asked)
        with self._lock:
            rows: list[tuple[int, float]] = self._database.execute(FIND, (any_piece, CANDIDATES)).fetchall()
        found = [Found(self.passages[row], self._confidence(asked, row, -rank)) for row, rank in rows]
        convincing = [each for each in found if each.confidence >= NOISE]
        return sorted(convincing, key=lambda each: each.confidence, reverse=True)[:limit]

    def excerpt(self, question: str, passage: Passage) -> str:
        """Return the two neighbouring sentences that say most of what the question asks and the heading does not."""
        asked = pieces(question) - pieces(passage.heading)
        pairs = [passage.sentences[at : at + 2] for at in range(max(1, len(passage.sentences) - 1))]
        return "\n".join(max(pairs, key=lambda pair: self._weight(asked & pieces(" ".join(pair)))))

    def support(self, answer: str, passages: Sequence[Passage]) -> float:
        """Return how much of what an answer says stands in the passages, by weight, from 0 to 1."""
        said = pieces(answer)
        given = pieces(" ".join(f"{passage.heading} {passage.text}" for passage in passages))
        return self._weight(said & given) / self._weight(said) if said else 0.0

    def _confidence(self, asked: set[str], row: int, bm25: float) -> float:
        """Return how likely a passage answers: because its text fits the question, or because its heading asks it too.

        The fit is the geometric mean of two shares: of the best score possible, and of the weight covered. The score
        alone is fooled by one rare word that happens to match, the coverage alone by a long passage.
        """
        weight = self._weight(asked)
        score = min(1.0, bm25 / (BEST_BM25 * weight))
        coverage = self._weight(piece for piece in asked if piece in self._words[row]) / weight
        fit = math.sqrt(score * coverage)
        title = pieces(" ".join(self.passages[row].headings[-1:]))
        agreement = self._weight(asked & title, SHARPNESS) / self._weight(asked | title, SHARPNESS)
        return 1 - (1 - fit) * (1 - agreement)

    def _weight(self, wanted: Iterable[str], power: float = 1) -> float:
        """Return what the pieces weigh together: one that few passages have weighs more, an unknown one most."""
        return sum(self._weights.get(piece, self._weight_of_unknown) ** power for piece in wanted)


def plain_words(text: str) -> str:
    """Return the words of a text without case and punctuation, with a space on both sides of each."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return f" {' '.join(re.findall(r'\w+', UNSPACED.sub(r' \1 ', folded)))} "


def pieces(text: str) -> set[str]:
    """Return every three characters in a row; those that join two words only where words are not spaced."""
    words = plain_words(text)
    every = {words[at : at + 3] for at in range(len(words) - 2)}
    return {piece for piece in every if piece[1] != " " or UNSPACED.match(piece)}
