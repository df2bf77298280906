"""The questions of `copier.yml`, and few sets of answers in which every two choices of two questions meet."""

from functools import cache
from itertools import combinations, product
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))

QUESTIONS = {
    name: question
    for name, question in CONFIG.items()
    if not name.startswith("_") and False not in (question.get("when"), question.get("ask"))
}
"""Those that are asked; computed values have `when: false`."""
QUICK = 5
"""How many sets `make check` generates: the first ones have every choice in them, all together every two."""

type Answers = dict[str, str]
type Pair = tuple[tuple[str, str], tuple[str, str]]


def choices(question: dict[str, Any]) -> list[str]:
    """Return the answers that a question with choices allows, its default first."""
    offered: dict[str, str] | list[str] = question["choices"]
    every = list(offered.values()) if isinstance(offered, dict) else offered
    return sorted(every, key=lambda choice: choice != question["default"])


def worth_saying(answers: dict[str, Any]) -> dict[str, Any]:
    """Return the answers that differ from their defaults: who gives the same ones gets the same project."""
    return {name: answer for name, answer in answers.items() if answer != QUESTIONS.get(name, {}).get("default")}


def pairs(answers: Answers) -> set[Pair]:
    """Return every two answers that meet in a set of answers."""
    return set(combinations(sorted(answers.items()), 2))


@cache
def pairwise() -> list[Answers]:
    """Return sets of answers that cover all pairs: each time the set that covers most of those still missing."""
    offered = {name: choices(question) for name, question in QUESTIONS.items() if "choices" in question}
    every = [dict(zip(offered, row, strict=True)) for row in product(*offered.values())]
    missing = set[Pair]().union(*map(pairs, every))
    chosen: list[Answers] = []
    while missing:
        best = max(every, key=lambda answers: len(pairs(answers) & missing))
        chosen.append(best)
        missing -= pairs(best)
    return chosen


def one_with(**wanted: str) -> Answers:
    """Return the first set with these answers, whose project other tests need anyway."""
    return next(answers for answers in pairwise() if wanted.items() <= answers.items())
