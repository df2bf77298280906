"""The questions of `copier.yml`, and sets of answers that cover every pair of choices (pairwise testing)."""

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
"""The questions that are asked; computed values have `when: false`."""
QUICK_SETS = 5
"""How many sets `make check` generates. The first five contain every choice."""

type Answers = dict[str, str]
type Pair = tuple[tuple[str, str], tuple[str, str]]


def choices(question: dict[str, Any]) -> list[str]:
    """Return the choices of a question, with the default first."""
    offered: dict[str, str] | list[str] = question["choices"]
    every = list(offered.values()) if isinstance(offered, dict) else offered
    return sorted(every, key=lambda choice: choice != question["default"])


def without_defaults(answers: dict[str, Any]) -> dict[str, Any]:
    """Return the answers that differ from their defaults; if these are equal, so are the projects."""
    return {name: answer for name, answer in answers.items() if answer != QUESTIONS.get(name, {}).get("default")}


def pairs(answers: Answers) -> set[Pair]:
    """Return every pair of answers in a set of answers."""
    return set(combinations(sorted(answers.items()), 2))


@cache
def pairwise() -> list[Answers]:
    """Return sets of answers that cover all pairs, chosen greedily: each covers as many missing pairs as possible."""
    offered_choices = {name: choices(question) for name, question in QUESTIONS.items() if "choices" in question}
    every = [dict(zip(offered_choices, row, strict=True)) for row in product(*offered_choices.values())]
    missing = set[Pair]().union(*map(pairs, every))
    chosen: list[Answers] = []
    while missing:
        best = max(every, key=lambda answers: len(pairs(answers) & missing))
        chosen.append(best)
        missing -= pairs(best)
    return chosen


def answer_set_with(**answers: str) -> Answers:
    """Return the first set that contains these answers. Its project is generated for other tests anyway."""
    return next(answer_set for answer_set in pairwise() if answers.items() <= answer_set.items())
