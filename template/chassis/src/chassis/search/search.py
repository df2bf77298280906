"""Finds the passages that answer a question, and estimates how likely they do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from chassis.search.passages import Passage
from chassis.search.words import check_language, trigrams
from chassis.telemetry.genai_spans import retrieval_span

if TYPE_CHECKING:
    from chassis.search.ranking import Ranking

INDEXED_LATER = 2_000
"""An index of at most this many passages is built for the first question, in less than a second, not at the start."""
INTERCEPT, SLOPE = -1.6, 11.6
"""Of the logistic curve from lead to confidence, fitted on the same questions and on the starter's own cases."""


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
    """

    def __init__(self, passages: Sequence[Passage], *, language: str = "english") -> None:
        check_language(language)
        self.passages, self.language = tuple(passages), language
        if len(passages) > INDEXED_LATER:
            _ = self._ranking

    @cached_property
    def _ranking(self) -> "Ranking":
        from chassis.search.ranking import Ranking  # with numpy, which a start without questions does not need

        return Ranking(self.passages, self.language)

    def find(self, question: str, limit: int) -> list[Hit]:
        """Return at most `limit` passages, the best first; none if nothing matches. The search has a span."""
        with retrieval_span("documents", limit):
            scores = self._ranking.best(question)
        return [Hit(self.passages[row], self._confidence(scores, row)) for row in list(scores)[:limit]]

    def excerpt(self, question: str, passage: Passage) -> str:
        """Return two neighboring sentences of a passage.

        The first two if the heading covers most of the question, because the answer then follows it. Otherwise the two
        that cover most of the question beyond the heading.
        """
        asked = set(trigrams(question))
        rest = asked - set(trigrams(passage.heading))
        starts = range(max(1, len(passage.sentences) - 1))
        pairs = [passage.sentences[start : start + 2] for start in starts]
        if self._ranking.weight(rest) < self._ranking.weight(asked) / 2:
            return "\n".join(pairs[0])
        return "\n".join(max(pairs, key=lambda pair: self._ranking.weight(rest.intersection(trigrams(" ".join(pair))))))

    def _confidence(self, scores: dict[int, float], row: int) -> float:
        """Return how likely a passage answers, from the distance between its score and the best of another document.

        The score alone is misled by words that many documents share. On eight corpora, half of whose questions had no
        answer, no combination with other figures told right from wrong better than the distance does.
        """
        document = self.passages[row].document
        rivals = (score for other, score in scores.items() if self.passages[other].document != document)
        lead = scores[row] - max(rivals, default=0.0)
        return 1 / (1 + math.exp(-INTERCEPT - SLOPE * lead))
