"""Finds questions that are nearly the same, because such cases count twice and leak from one split into another."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping

from pydantic import JsonValue

MIN_SIMILARITY = 0.75
"""The share of runs of three characters that two questions have in common, of those that either has (Jaccard)."""


def near_duplicates[K: Hashable](questions: Mapping[K, JsonValue]) -> list[tuple[K, K]]:
    """Return the keys of questions that are nearly the same, in pairs.

    Two sets that alike share one of the rarest members of each, so only questions that do are compared: prefix
    filtering, Chaudhuri et al., A primitive operator for similarity joins (2006).
    """
    shingles = {case: _shingles(" ".join(_strings(question))) for case, question in questions.items()}
    frequency = Counter(shingle for members in shingles.values() for shingle in members)
    seen: defaultdict[str, list[K]] = defaultdict(list)
    pairs: list[tuple[K, K]] = []
    for case, members in shingles.items():
        rarest = sorted(members, key=lambda shingle: (frequency[shingle], shingle))
        prefix = rarest[: len(members) - math.ceil(MIN_SIMILARITY * len(members)) + 1]
        candidates = dict.fromkeys(other for shingle in prefix for other in seen[shingle])
        pairs += [(other, case) for other in candidates if _similarity(shingles[other], members) >= MIN_SIMILARITY]
        for shingle in prefix:
            seen[shingle].append(case)
    return pairs


def _shingles(text: str) -> frozenset[str]:
    words = " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))
    padded = f" {words} "
    return frozenset(padded[start : start + 3] for start in range(len(padded) - 2))


def _similarity(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)


def _strings(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _strings(item)
        case list():
            for item in value:
                yield from _strings(item)
        case _:
            yield str(value)
