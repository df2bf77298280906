"""Scores the patterns on the corpus: what is found, what is missed, what is called sensitive and is not."""

from collections.abc import Iterable
from dataclasses import dataclass

from chassis.contract import SensitiveKind
from chassis.privacy.finder import Finder
from sensitive.corpus import Sentence, load

MEASURED: tuple[SensitiveKind, ...] = ("email", "phone", "card", "iban", "national_id", "ip", "secret")


@dataclass(slots=True)
class Score:
    """How well one kind is found; a finding is right only if kind, first and last character are.

    Args:
        labelled: How many values there are.
        right: How many findings are exactly one of them.
        found: How many findings there are.
        leaked: How many values are not wholly covered, whatever the findings call them.
    """

    labelled: int = 0
    right: int = 0
    found: int = 0
    leaked: int = 0

    @property
    def recall(self) -> float:
        """Return the share of the values that are found."""
        return self.right / self.labelled

    @property
    def precision(self) -> float:
        """Return the share of the findings that are right."""
        return self.right / self.found if self.found else 0.0


def measure(sentences: Iterable[Sentence]) -> dict[SensitiveKind, Score]:
    """Look for every kind in every sentence."""
    scores: dict[SensitiveKind, Score] = {kind: Score() for kind in MEASURED}
    finder = Finder(MEASURED)
    for sentence in sentences:
        found: set[tuple[int, int, SensitiveKind]] = {
            (item.start, item.end, item.kind) for item in finder.find(sentence.text)
        }
        covered = {place for start, end, _ in found for place in range(start, end)}
        for _, _, kind in found:
            scores[kind].found += 1
        for label in sentence.labels:
            score = scores[label.kind]
            score.labelled += 1
            score.right += (label.start, label.end, label.kind) in found
            score.leaked += not covered.issuperset(range(label.start, label.end))
    return scores


def rows() -> list[tuple[str, ...]]:
    """Return one row a kind for the reference page: the plain sentences seen by the patterns' author, the others."""
    plain = [sentence for sentence in load() if sentence.form == "plain"]
    seen, unseen = (measure(s for s in plain if s.unseen is which) for which in (False, True))
    return [(f"`{kind}`", *_cells(seen[kind]), *_cells(unseen[kind])) for kind in MEASURED]


def form_rows() -> list[tuple[str, ...]]:
    """Return one row a form for the reference page: all kinds together, the sentences seen, then the others."""
    sentences = load()
    return [
        (form, *(cell for which in (False, True) for cell in _cells(total(_in_form(sentences, form, unseen=which)))))
        for form in dict.fromkeys(sentence.form for sentence in sentences)
    ]


def total(sentences: Iterable[Sentence]) -> Score:
    """Return the scores of all kinds added up."""
    scores = measure(sentences).values()
    return Score(*(sum(getattr(score, name) for score in scores) for name in ("labelled", "right", "found", "leaked")))


def _in_form(sentences: Iterable[Sentence], form: str, *, unseen: bool) -> list[Sentence]:
    return [sentence for sentence in sentences if sentence.form == form and sentence.unseen is unseen]


def _cells(score: Score) -> tuple[str, ...]:
    return str(score.labelled), f"{score.recall:.3f}", f"{score.precision:.3f}", str(score.leaked)
