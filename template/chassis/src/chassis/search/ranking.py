"""Ranks passages by what their words, headings and trigrams share with a question, each by BM25."""

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chassis.search.passages import Passage
from chassis.search.words import index_words, trigrams

K1, B = 1.2, 0.75
"""How soon more occurrences stop to count, and how much long texts are discounted: the usual values."""
HEADING_WEIGHT, AGREEMENT_WEIGHT, TRIGRAM_WEIGHT = 1.0, 0.5, 0.4
"""Relative to the words of the text. Measured on half of the questions of public corpora, see `make bench-search`."""
UNKNOWN_HEADING = 0.75
"""The quantile of the other candidates that a passage without a heading gets for its heading, if its text fits best."""
CANDIDATES = 20
"""Passages whose confidence is computed."""
MIN_SCORE = 0.08
"""Below this, a passage shares a few trigrams with the question by chance, and no model should be paid to read it."""


class BM25:
    """The scores of every term in every text, computed once, so that a question only adds some of them up.

    A term counts the more, the rarer it is and the shorter the text that contains it.

    Nothing changes after construction, so threads may share it without a lock. This is the method of the library bm25s;
    here it is a third of the memory while indexing, because texts are consumed one by one.

    Source:
        Robertson and Zaragoza (2009), The Probabilistic Relevance Framework; with the idf of Lucene, which is never
        negative. Lù (2024), BM25S.
    """

    def __init__(self, texts: Iterable[Iterable[str]]) -> None:
        """Index texts, each given as its terms."""
        self._ids: dict[str, int] = {}
        # One entry for each term of each text: 100,000 passages have 20 million, too many for a list of objects.
        terms, counts, distinct, lengths = array("i"), array("i"), array("i"), array("i")
        for text in texts:
            counted = Counter(text)
            terms.extend(self._ids.setdefault(term, len(self._ids)) for term in counted)
            counts.extend(counted.values())
            distinct.append(len(counted))
            lengths.append(counted.total())
        self._fill(*(np.array(column, dtype=np.int32) for column in (terms, counts, distinct, lengths)))

    def _fill(
        self,
        terms: NDArray[np.int32],
        counts: NDArray[np.int32],
        distinct: NDArray[np.int32],
        lengths: NDArray[np.int32],
    ) -> None:
        self.size = len(lengths)
        rows = np.repeat(np.arange(self.size, dtype=np.int32), distinct)
        frequencies = np.bincount(terms, minlength=len(self._ids))
        self._idf = np.log1p((self.size - frequencies + 0.5) / (frequencies + 0.5)).astype(np.float32)
        discounts = (K1 * (1 - B + B * lengths / max(lengths.sum() / max(self.size, 1), 1))).astype(np.float32)
        scores = self._idf[terms] * counts / (counts + discounts[rows])
        by_term = np.argsort(terms, kind="stable")
        self._rows, self._scores = rows[by_term], scores[by_term].astype(np.float32)
        self._starts = np.concatenate([[0], np.cumsum(frequencies)])

    def scores(self, terms: Iterable[str]) -> NDArray[np.float32]:
        """Return the score of each text, the shape being `(size,)`; 0 if it contains none of the terms."""
        scores = np.zeros(self.size, dtype=np.float32)
        # Sorted, because sums of floats in another order differ, and the order of a set is another in each process.
        for term in sorted(set(terms)):
            entries = self._entries(term)
            scores[self._rows[entries]] += self._scores[entries]
        return scores

    def weight(self, terms: Iterable[str]) -> float:
        """Return the sum of the terms' weights. The fewer texts contain a term, the more it weighs."""
        unknown = float(np.log1p((self.size + 0.5) / 0.5))
        ids = (self._ids.get(term) for term in sorted(set(terms)))
        return sum(unknown if term_id is None else float(self._idf[term_id]) for term_id in ids)

    def contains(self, term: str, row: int) -> bool:
        """Return whether a text contains a term."""
        rows = self._rows[self._entries(term)]  # ascending
        place = int(np.searchsorted(rows, row))
        return place < len(rows) and int(rows[place]) == row

    def _entries(self, term: str) -> slice:
        term_id = self._ids.get(term)
        return slice(0) if term_id is None else slice(int(self._starts[term_id]), int(self._starts[term_id + 1]))


class Ranking:
    """The index of a search. It never changes, so threads may share it.

    Words find what a question says, and trigrams other forms of its words. Headings are searched apart from the text
    below them, because a short heading that fits says more than a long passage in which the same words occur.

    Args:
        passages: What is searched.
        language: The language of the passages, for the stemmer.
    """

    def __init__(self, passages: Sequence[Passage], language: str) -> None:
        self._passages, self._language = passages, language
        self._unheaded = np.array([not passage.headings for passage in passages], dtype=bool)
        self._headings = BM25(index_words(passage.heading, language) for passage in passages)
        self._texts = BM25(index_words(passage.text, language) for passage in passages)
        self._trigrams = BM25(trigrams(f"{each.heading}\n{each.text}") for each in passages)

    def weight(self, runs: Collection[str]) -> float:
        """Return how much trigrams tell: the fewer passages contain one, the more it weighs."""
        return self._trigrams.weight(runs)

    def best(self, question: str) -> dict[int, float]:
        """Return the rows of the best passages with their scores, the best first.

        A score is the share of the best possible BM25, plus half of how much the question and the last heading are the
        same.
        """
        words, runs = index_words(question, self._language), set(trigrams(question))
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

    def coverage(self, question: str, row: int) -> float:
        """Return the share, by weight, of the words of a question that a passage or its headings have, from 0 to 1."""
        asked = set(index_words(question, self._language))
        found = [word for word in asked if self._texts.contains(word, row) or self._headings.contains(word, row)]
        return self._texts.weight(found) / self._texts.weight(asked)

    def _agreement(self, asked: set[str], row: int) -> float:
        """Return the share, by weight, of the trigrams of a question and a heading that both have, from 0 to 1."""
        heading = set(trigrams(" ".join(self._passages[row].headings[-1:])))
        return self._trigrams.weight(asked & heading) / self._trigrams.weight(asked | heading)


def _unknown(known: Collection[float]) -> float:
    """Return what stands for an unknown value among these; 0 if there is none."""
    return float(np.quantile(list(known), UNKNOWN_HEADING)) if known else 0.0


def best_rows(scores: NDArray[np.floating[Any]], limit: int) -> list[int]:
    """Return the rows with the highest scores above 0, the best first, and of equal ones the first first."""
    best = np.argpartition(-scores, limit)[:limit] if limit < len(scores) else range(len(scores))
    ranked = sorted((int(row) for row in best), key=lambda row: (-float(scores[row]), row))
    return [row for row in ranked if scores[row] > 0]
