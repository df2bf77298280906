"""Finds the passages that answer a question, and estimates how likely they do."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chassis.search.bm25 import BM25
from chassis.search.passages import Passage
from chassis.search.words import check_language, index_words, trigrams
from chassis.telemetry.genai_spans import retrieval_span

HEADING_WEIGHT, AGREEMENT_WEIGHT, TRIGRAM_WEIGHT = 1.0, 0.5, 0.4
"""Relative to the words of the text. Measured on half of the questions of public corpora, see `make bench-search`."""
UNKNOWN_HEADING = 0.75
"""The quantile of the other candidates that a passage without a heading gets for its heading, if its text fits best."""
CANDIDATES = 20
"""Passages whose confidence is computed."""
MIN_SCORE = 0.08
"""Below this, a passage shares a few trigrams with the question by chance, and no model should be paid to read it."""
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
    """An index of passages in memory. It never changes, so threads may share it.

    Words find what a question says, and trigrams other forms of its words. Headings are searched apart from the text
    below them, because a short heading that fits says more than a long passage in which the same words occur.

    Args:
        passages: What is searched.
        language: The language of the passages, for the stemmer.
    """

    def __init__(self, passages: Sequence[Passage], *, language: str = "english") -> None:
        check_language(language)
        self.passages, self.language = tuple(passages), language
        self._unheaded = np.array([not passage.headings for passage in self.passages], dtype=bool)
        self._headings = BM25(index_words(passage.heading, language) for passage in self.passages)
        self._texts = BM25(index_words(passage.text, language) for passage in self.passages)
        self._trigrams = BM25(trigrams(f"{each.heading}\n{each.text}") for each in self.passages)

    def find(self, question: str, limit: int) -> list[Hit]:
        """Return at most `limit` passages, the best first; none if nothing matches. The search has a span."""
        with retrieval_span("documents", limit):
            scores = self._rank(question)
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
        if self._trigrams.weight(rest) < self._trigrams.weight(asked) / 2:
            return "\n".join(pairs[0])
        return "\n".join(
            max(pairs, key=lambda pair: self._trigrams.weight(rest.intersection(trigrams(" ".join(pair)))))
        )

    def _rank(self, question: str) -> dict[int, float]:
        """Return the rows of the best passages with their scores, the best first.

        A score is the share of the best possible BM25, plus half of how much the question and the last heading are the
        same.
        """
        words, runs = index_words(question, self.language), set(trigrams(question))
        matches = self._texts.scores(words) + TRIGRAM_WEIGHT * self._trigrams.scores(runs)
        headings = HEADING_WEIGHT * self._headings.scores(words)
        rivals = [float(headings[row]) for row in best_rows(matches + headings, CANDIDATES) if not self._unheaded[row]]
        # Without this, a page that has no headings would lose to every page whose headings resemble the question.
        closeness = matches / max(float(matches.max(initial=0)), MIN_SCORE)
        matches += np.where(self._unheaded, _unknown(rivals) * closeness, headings)
        best = self._texts.weight(words) + TRIGRAM_WEIGHT * self._trigrams.weight(runs)
        rows = best_rows(matches, CANDIDATES)
        agreements = {row: self._agreement(runs, row) for row in rows if not self._unheaded[row]}
        unknown = _unknown(agreements.values())
        scores = {
            row: float(matches[row]) / best + AGREEMENT_WEIGHT * agreements.get(row, unknown * float(closeness[row]))
            for row in rows
        }
        likely = ((row, score) for row, score in scores.items() if score >= MIN_SCORE)
        return dict(sorted(likely, key=lambda item: item[1], reverse=True))

    def _agreement(self, asked: set[str], row: int) -> float:
        """Return the share, by weight, of the trigrams of a question and a heading that both have, from 0 to 1."""
        heading = set(trigrams(" ".join(self.passages[row].headings[-1:])))
        return self._trigrams.weight(asked & heading) / self._trigrams.weight(asked | heading)

    def _confidence(self, scores: dict[int, float], row: int) -> float:
        """Return how likely a passage answers, from the distance between its score and the best of another document.

        The score alone is misled by words that many documents share. On eight corpora, half of whose questions had no
        answer, no combination with other figures told right from wrong better than the distance does.
        """
        document = self.passages[row].document
        rivals = (score for other, score in scores.items() if self.passages[other].document != document)
        lead = scores[row] - max(rivals, default=0.0)
        return 1 / (1 + math.exp(-INTERCEPT - SLOPE * lead))


def _unknown(known: Collection[float]) -> float:
    """Return what stands for an unknown value among these; 0 if there is none."""
    return float(np.quantile(list(known), UNKNOWN_HEADING)) if known else 0.0


def best_rows(scores: NDArray[np.floating[Any]], limit: int) -> list[int]:
    """Return the rows with the highest scores above 0, the best first, and of equal ones the first first."""
    best = np.argpartition(-scores, limit)[:limit] if limit < len(scores) else range(len(scores))
    ranked = sorted((int(row) for row in best), key=lambda row: (-float(scores[row]), row))
    return [row for row in ranked if scores[row] > 0]
