"""Ranks texts by BM25: a term counts the more, the rarer it is and the shorter the text that contains it."""

from array import array
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

K1, B = 1.2, 0.75
"""How soon more occurrences stop to count, and how much long texts are discounted: the usual values."""


class BM25:
    """The scores of every term in every text, computed once, so that a question only adds some of them up.

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

    def _entries(self, term: str) -> slice:
        term_id = self._ids.get(term)
        return slice(0) if term_id is None else slice(int(self._starts[term_id]), int(self._starts[term_id + 1]))
