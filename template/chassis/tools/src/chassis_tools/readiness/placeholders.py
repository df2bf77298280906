"""What a generated repository contains only as an example: the launch review counts it as open until it is replaced."""

import hashlib
import re
from functools import cache
from importlib.resources import files

EXAMPLE_DOMAIN = re.compile(r"(?:.*[@.])?(?:example|test|invalid|localhost|example\.(?:com|net|org))", re.IGNORECASE)
"""Domains that can belong to no one (RFC 2606 and RFC 6761)."""
EXAMPLE_ORGANIZATION = re.compile(r"@?acme(?:/.*)?", re.IGNORECASE)
DESCRIPTIONS = frozenset(
    {
        "Answers questions from our documents and names its sources.",
        "Decides whether a message needs an immediate answer.",
    }
)
STOP_WHEN = "One confirmed leak"
ACCURACY_FLOOR, CONFIDENCE_FLOOR = 0.69, 0.40
STARTER_CASES_FILE = "starter_cases.txt"
"""Lists the questions of the starters' cases by their hashes; written by `make reference` in the template."""


def is_example_handle(handle: str) -> bool:
    """Return whether a team's handle is that of the template's example."""
    return bool(EXAMPLE_ORGANIZATION.fullmatch(handle))


def is_example_address(address: str) -> bool:
    """Return whether an email address has a domain that is reserved for examples."""
    return bool(EXAMPLE_DOMAIN.fullmatch(address))


def question_hash(question: object) -> str:
    """Return a short hash of the input of a case."""
    return hashlib.sha256(repr(question).encode()).hexdigest()[:8]


@cache
def starter_questions() -> frozenset[str]:
    """Return the hashes of the questions that the template's own cases ask."""
    text = files("chassis_tools.readiness").joinpath(STARTER_CASES_FILE).read_text(encoding="utf-8")
    return frozenset(text.split())
