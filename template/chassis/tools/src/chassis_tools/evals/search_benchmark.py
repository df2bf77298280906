"""Measures how well a search finds the documents that answer questions, beside plain SQLite FTS5 and bm25s."""

import hashlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from chassis.config.confidence import ConfidenceCurve
from chassis.errors import ConfigError
from chassis.search import Passage, Search
from chassis_tools.evals.confidence_fit import Pairs, calibration_error, fit_curve

OURS = ("lexical", "hybrid")
"""The methods of `chassis.search`."""
PLACES = 20
"""How many passages are read for the first five documents."""

FITTED_ON, DRAWS = 100, 20
"""Answers of one fit of the confidence, and fits to different ones."""
SMOOTHING_GRID = 200
"""Steps from 0 to 1 to which `smooth_calibration_error` rounds confidences."""

HALVES = ("tuning", "held out")
FITTED = ("fitted", "smooth", "chance", "ideal")
"""The titles of `FittedErrors`."""

type Find = Callable[[str], Sequence[tuple[Passage, float]]]
"""From a question to passages with their confidence or score, the best first."""


class SearchQuestion(BaseModel):
    """One line of a file of questions.

    Args:
        question: What a person asked.
        documents: The files of the folder that answer it; none if it cannot be answered.
    """

    model_config = ConfigDict(extra="forbid")

    question: str
    documents: list[str]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What one search achieved, all shares being from 0 to 1.

    Args:
        first: The share of answerable questions for which a right document comes first.
        first_five: The same for the first five documents.
        reciprocal_rank: The mean of 1 / place of the first right document.
        abstention: How often an answerable question has a higher confidence than another; None if all can be answered.
        answers: For each question the confidence or score of the first passage, and whether its document is right.
        milliseconds: CPU time of a question.
    """

    first: float
    first_five: float
    reciprocal_rank: float
    abstention: float | None
    answers: Pairs
    milliseconds: float


def load_search_questions(file: Path, known: set[str]) -> list[SearchQuestion]:
    """Return the questions of a JSONL file.

    Args:
        file: Lines such as `{"question": "May I return it?", "documents": ["returns.md"]}`.
        known: The names of the documents.

    Raises:
        ConfigError: A line is invalid, or names a document that has no passage.
    """
    questions: list[SearchQuestion] = []
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            questions.append(SearchQuestion.model_validate_json(line))
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            remedy = 'Write lines such as {"question": "May I return it?", "documents": ["returns.md"]}'
            raise ConfigError(f"{file}, line {number}", problem, remedy) from None
        if missing := sorted(set(questions[-1].documents) - known):
            raise ConfigError(f"{file}, line {number}", f"no text was read from {missing[0]}", "Correct its name")
    if not any(question.documents for question in questions):
        raise ConfigError(str(file), "no question names a document", "Add questions that the documents answer")
    return questions


def halves(questions: Sequence[SearchQuestion]) -> tuple[list[SearchQuestion], list[SearchQuestion]]:
    """Return the questions to tune with and the held-out ones; the same ones in every run."""
    parts: tuple[list[SearchQuestion], list[SearchQuestion]] = ([], [])
    for question in questions:
        parts[hashlib.sha256(question.question.encode()).digest()[-1] % 2].append(question)
    return parts


def measure_search(find: Find, questions: Sequence[SearchQuestion]) -> SearchResult:
    """Ask every question once.

    Args:
        find: The search.
        questions: At least one that can be answered.
    """
    find(questions[0].question)  # what is loaded by the first question is not part of its cost
    started = time.thread_time()
    found = [find(question.question) for question in questions]
    milliseconds = 1000 * (time.thread_time() - started) / len(questions)
    places = [_place(question, hits) for question, hits in zip(questions, found, strict=True)]
    confidences = [hits[0][1] if hits else 0.0 for hits in found]
    answerable = [place for place, question in zip(places, questions, strict=True) if question.documents]
    known = [confidence for confidence, question in zip(confidences, questions, strict=True) if question.documents]
    unknown = [
        confidence for confidence, question in zip(confidences, questions, strict=True) if not question.documents
    ]
    return SearchResult(
        first=fmean(place == 1 for place in answerable),
        first_five=fmean(place <= 5 for place in answerable),  # noqa: PLR2004
        reciprocal_rank=fmean(1 / place for place in answerable),
        abstention=_auroc(known, unknown) if unknown else None,
        answers=[(confidence, place == 1) for confidence, place in zip(confidences, places, strict=True)],
        milliseconds=milliseconds,
    )


type BenchmarkRow = dict[str, str | float | None]
"""What `chassis evals search` shows of one search and one half of the questions, and explains."""


def compare_searches(
    passages: Sequence[Passage], questions: Sequence[SearchQuestion], language: str, embeddings_file: Path | None
) -> list[BenchmarkRow]:
    """Return a row for each search and half of the questions; none for a half that has no answerable question."""
    named = zip(HALVES, halves(questions), strict=True)
    parts = {half: part for half, part in named if any(question.documents for question in part)}
    rows: list[BenchmarkRow] = []
    lexical: list[SearchResult] = []
    started = time.process_time()
    for name, find in searches(passages, language, embeddings_file):
        find("")  # builds the index if that was put off
        seconds = time.process_time() - started
        results = [measure_search(find, part) for part in parts.values()]
        lexical = lexical or results
        for half, result, reference in zip(parts, results, lexical, strict=True):
            fitted = name in OURS and result is not results[0] and fitted_errors(results[0].answers, result.answers)
            cells = {"search": name, "half": half} | _ranking_cells(result, reference) | {"index s": seconds}
            error = calibration_error(result.answers) if name in OURS else None
            rows.append(cells | {"ECE": error} | dict(zip(FITTED, fitted or [None] * len(FITTED), strict=True)))
        started = time.process_time()
    return rows


def _ranking_cells(result: SearchResult, lexical: SearchResult) -> BenchmarkRow:
    pairs = zip(result.answers, lexical.answers, strict=True)
    first = [(here, there) for (_, here), (_, there) in pairs]
    return {
        "hit@1": result.first,
        "hit@5": result.first_five,
        "MRR": result.reciprocal_rank,
        "won": first.count((True, False)),
        "lost": first.count((False, True)),
        "AUROC": result.abstention,
        "CPU ms": result.milliseconds,
    }


class FittedErrors(NamedTuple):
    """What is left of the calibration error of held-out answers after a fit, and how much of that is chance.

    Args:
        binned: The expected calibration error, the mean over `DRAWS` fits.
        smooth: The same without bins, which few answers distort less.
        by_chance: What `binned` would be if the fitted confidences were exactly right: few answers differ from them.
        ideal: What it would be if the true curve were of the fitted kind, so that only the number of answers limits it.
    """

    binned: float
    smooth: float
    by_chance: float
    ideal: float


def fitted_errors(tuning: Pairs, held_out: Pairs) -> FittedErrors:
    """Return the errors on held-out answers after fits, each to `FITTED_ON` answers of the other half."""
    errors: list[FittedErrors] = []
    truth = fit_curve(tuning)
    for seed in range(DRAWS):
        random = Random(seed)  # noqa: S311  no secret
        sample = random.sample(tuning, min(FITTED_ON, len(tuning)))
        fitted = _calibrated(held_out, fit_curve(sample))
        exact = [(share, random.random() < share) for share, _ in fitted]
        few, many = _drawn(sample, truth, random), _drawn(held_out, truth, random)
        ideal = _calibrated(many, fit_curve(few))
        binned, by_chance, at_best = map(calibration_error, (fitted, exact, ideal))
        errors.append(FittedErrors(binned, smooth_calibration_error(fitted), by_chance, at_best))
    return FittedErrors(*map(fmean, zip(*errors, strict=True)))


def _calibrated(answers: Pairs, curve: ConfidenceCurve) -> Pairs:
    return [(curve.share_right(confidence), is_right) for confidence, is_right in answers]


def _drawn(answers: Pairs, curve: ConfidenceCurve, random: Random) -> Pairs:
    """Return the answers as if each were right as often as the curve says."""
    return [(confidence, random.random() < curve.share_right(confidence)) for confidence, _ in answers]


def smooth_calibration_error(pairs: Pairs) -> float:
    """Return the calibration error with a Gaussian kernel in place of bins, as wide as the error itself.

    Source: Błasiok and Nakkiran (2023), Smooth ECE.
    """
    points = np.arange(SMOOTHING_GRID + 1) / SMOOTHING_GRID
    places = [round(confidence * SMOOTHING_GRID) for confidence, _ in pairs]
    gaps = np.bincount(places, [is_right - confidence for confidence, is_right in pairs], len(points)) / len(pairs)
    # Reflected at 0 and 1, so that no gap leaves the interval.
    distances = np.array([points[:, None] - image for image in (points, -points, 2 - points)])
    narrow, wide = 0.0, 1.0
    while wide - narrow > 1 / SMOOTHING_GRID**2:
        width = (narrow + wide) / 2
        kernel = np.exp(-((distances / width) ** 2) / 2).sum(axis=0)
        error = float(np.abs(kernel / kernel.sum(axis=0) @ gaps).sum())
        narrow, wide = (width, wide) if error > width else (narrow, width)
    return wide


def _place(question: SearchQuestion, hits: Sequence[tuple[Passage, float]]) -> float:
    """Return the place of the first right document, counted from 1, or infinity."""
    documents = dict.fromkeys(passage.document.partition("/")[2] for passage, _ in hits)
    right = (place for place, document in enumerate(documents, start=1) if document in question.documents)
    return next(right, float("inf"))


def _auroc(higher: Sequence[float], lower: Sequence[float]) -> float:
    wins = sum((one > other) + (one == other) / 2 for one, other in product(higher, lower))
    return wins / (len(higher) * len(lower))


def searches(
    passages: Sequence[Passage], language: str, embeddings_file: Path | None = None
) -> Iterator[tuple[str, Find]]:
    """Yield the methods of the chassis, plain FTS5 and, if it is installed, bm25s, both of them with stems.

    Args:
        passages: What is searched.
        language: Their language.
        embeddings_file: Where the hybrid search keeps its vectors; None to leave that search out.
    """
    yield "lexical", _found_by(Search(passages, language=language))
    if embeddings_file:
        hybrid = Search(passages, language=language, method="hybrid", embeddings_file=embeddings_file)
        yield "hybrid", _found_by(hybrid)
    yield "SQLite FTS5", _fts5(passages)
    with suppress(ModuleNotFoundError):  # a development dependency of the template only
        yield "bm25s", _bm25s(passages, language)


def _found_by(search: Search) -> Find:
    return lambda question: [(hit.passage, hit.confidence) for hit in search.find(question, PLACES)]


def _fts5(passages: Sequence[Passage]) -> Find:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE passages USING fts5(words, tokenize='porter unicode61')")
    rows = enumerate(f"{passage.heading}\n{passage.text}" for passage in passages)
    database.executemany("INSERT INTO passages(rowid, words) VALUES (?, ?)", rows)

    def find(question: str) -> list[tuple[Passage, float]]:
        query = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", question))
        select = "SELECT rowid, -rank FROM passages WHERE passages MATCH ? ORDER BY rank LIMIT ?"
        return [(passages[row], score) for row, score in database.execute(select, (query, PLACES))] if query else []

    return find


def _bm25s(passages: Sequence[Passage], language: str) -> Find:
    bm25s: Any = import_module("bm25s")
    stemmer: Any = import_module("Stemmer").Stemmer(language)
    options = {"stopwords": None, "stemmer": stemmer, "show_progress": False}
    index = bm25s.BM25()
    index.index(bm25s.tokenize([f"{each.heading}\n{each.text}" for each in passages], **options), show_progress=False)

    def find(question: str) -> list[tuple[Passage, float]]:
        terms = bm25s.tokenize([question], **options)
        rows, scores = index.retrieve(terms, k=min(PLACES, len(passages)), show_progress=False)
        return [(passages[row], float(score)) for row, score in zip(rows[0], scores[0], strict=True) if score > 0]

    return find
