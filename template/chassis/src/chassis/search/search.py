"""Finds the passages that answer a question, and estimates how likely they do."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, takewhile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, get_args

from chassis.errors import ConfigError
from chassis.search.passages import Passage
from chassis.search.words import check_language, trigrams
from chassis.telemetry.genai_spans import retrieval_span

if TYPE_CHECKING:
    from chassis.search.ranking import Ranking

INDEXED_LATER = 2_000
"""An index of at most this many passages is built for the first question, in less than a second, not at the start."""
INDEXING = Lock()
"""Held while an index is built, and by no question once there is one."""
COVERAGE_WEIGHT = 0.1
"""How much the share of the question's words that the best passage has counts, beside the root of its lead."""
INTERCEPT, SLOPE = -3.0, 7.0
"""Of the logistic curve from both to confidence, between the fits to public corpora and to the starter's own cases."""
HYBRID_INTERCEPT, HYBRID_SLOPE, CLOSENESS_SLOPE = -0.9, 4.7, 44.0
"""The same for the hybrid search, of which the last is for the lead in closeness of meaning."""
RANK_OFFSET = 60
"""How little the first places exceed the next ones in reciprocal rank fusion: the usual value."""

type Method = Literal["lexical", "hybrid"]


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
    """Passages in memory, with an index. They never change, so threads may share them.

    Args:
        passages: What is searched.
        language: The language of the passages, for the stemmer.
        method: `lexical` finds what shares words or parts of words with the question. `hybrid` finds also what says it
            in other words or in another language; it needs the extra `hybrid`, and 25 ms more for a question.
        embeddings_file: Where the hybrid search keeps the vectors of passages from one start to the next.

    Raises:
        ConfigError: The language has no stemmer, the method is unknown, or the extra is missing.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        *,
        language: str = "english",
        method: Method = "lexical",
        embeddings_file: Path | None = None,
    ) -> None:
        if method not in (known := get_args(Method.__value__)):
            raise ConfigError("METHOD", f"{method!r} is not a search method", f"Use one of {', '.join(known)}")
        check_language(language)
        self.passages, self.language = tuple(passages), language
        self._embeddings = None
        if method == "hybrid":
            from chassis.search.embeddings import Embeddings

            self._embeddings = Embeddings([f"{each.heading}\n{each.text}" for each in passages], embeddings_file)
        if len(passages) > INDEXED_LATER:
            _ = self._ranking

    @cached_property
    def _ranking(self) -> "Ranking":
        from chassis.search.ranking import Ranking  # with numpy, which a start without questions does not need

        with INDEXING:  # otherwise each of the questions that come first together would build an index
            if "_ranking" not in vars(self):
                vars(self)["_ranking"] = Ranking(self.passages, self.language)
        return vars(self)["_ranking"]

    def find(self, question: str, limit: int) -> list[Hit]:
        """Return at most `limit` passages, the best first; none if nothing matches. The search has a span."""
        with retrieval_span("documents", limit):
            scores = self._ranking.best(question)
            closeness = self._embeddings.best(question) if self._embeddings else {}
        rows = fuse(scores, closeness)[:limit]
        if self._embeddings:
            return [Hit(self.passages[row], self._hybrid_confidence(row, scores, closeness)) for row in rows]
        # Of the best passage only, so that no passage has a higher confidence than a better one.
        coverage = self._ranking.coverage(question, rows[0]) if rows else 0.0
        return [Hit(self.passages[row], self._confidence(row, scores, coverage)) for row in rows]

    def excerpt(self, question: str, passage: Passage) -> str:
        """Return two neighboring sentences of a passage.

        The first two if the heading covers most of the question, because the answer then follows it. Otherwise the two
        that cover most of the question beyond the heading; rows of a table come with its first row, which names the
        columns.
        """
        asked = set(trigrams(question))
        rest = asked - set(trigrams(passage.heading))
        if self._ranking.weight(rest) < self._ranking.weight(asked) / 2:
            return "\n".join(passage.sentences[:2])
        pairs = list(pairwise(passage.sentences)) or [passage.sentences]
        covered = [self._ranking.weight(rest.intersection(trigrams(" ".join(pair)))) for pair in pairs]
        start = covered.index(max(covered))
        rows_upwards = list(takewhile(_is_row, reversed(passage.sentences[: start + 1])))
        header = rows_upwards[-1:] if len(rows_upwards) > 1 else []
        return "\n".join([*header, *pairs[start]])

    def _confidence(self, row: int, scores: Mapping[int, float], coverage: float) -> float:
        """Return how likely a passage answers, mostly from how far it is ahead of the best one of another document.

        The score alone is misled by words that many documents share. The root of the lead is closer to a logistic curve
        than the lead. Coverage tells a question that the documents answer from one of which they only have some words.
        """
        lead = self._lead(row, scores)
        evidence = math.copysign(math.sqrt(abs(lead)), lead) + COVERAGE_WEIGHT * coverage
        return 1 / (1 + math.exp(-INTERCEPT - SLOPE * evidence))

    def _hybrid_confidence(self, row: int, scores: Mapping[int, float], closeness: Mapping[int, float]) -> float:
        odds = HYBRID_SLOPE * self._lead(row, scores) + CLOSENESS_SLOPE * self._lead(row, closeness)
        return 1 / (1 + math.exp(-HYBRID_INTERCEPT - odds))

    def _lead(self, row: int, scores: Mapping[int, float]) -> float:
        document = self.passages[row].document
        rivals = (score for other, score in scores.items() if self.passages[other].document != document)
        return scores.get(row, 0.0) - max(rivals, default=0.0)


def _is_row(sentence: str) -> bool:
    return sentence.startswith("|")


def fuse(*rankings: Iterable[int]) -> list[int]:
    """Return the rows of all rankings, the best first, by their places in each.

    Source:
        Cormack, Clarke and Büttcher (2009), Reciprocal Rank Fusion.
    """
    scores: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for place, row in enumerate(ranking, start=1):
            scores[row] += 1 / (RANK_OFFSET + place)
    return sorted(scores, key=lambda row: -scores[row])
