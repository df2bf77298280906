"""The text that people read uses the field's words: none of the private vocabulary that this project once had."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from answer_sets import ROOT

PRIVATE_WORDS = (
    # Metaphors, for which there is a standard term.
    *("afforded", "bench seat", "blame", "desks?", "docket", "drawer", "flights", "journal", "landed", "law of paths"),
    *("misfits?", "noise", "notebook", "resting", "setbacks?", "sharers", "sheets?", "stakes", "standing"),
    *("the walk", "tills?", "walks"),
    # Keys and values that were renamed.
    *("recognisers?", "store_down", "when_wrong"),
    # Phrases that read as if translated.
    *("at last", "at the latest", "be meant", "cheaply", "dearest", "does it live", "is told", "looked at", "mend"),
    *("mended", "one way out", "reckon", "so many", "stands? in the way", "whoever's", "whole or not at all"),
)
"""Regular expressions of whole words."""
PATTERN = re.compile(rf"\b(?:{'|'.join(PRIVATE_WORDS).replace(' ', r'\s+')})\b", re.IGNORECASE)

PAGES = ("README.md", "CHANGELOG.md", "copier.yml", "Makefile", "docs/**/*.md")
TEMPLATE = (
    ".env.example",
    "chassis/uv",
    "chassis/ci/*",
    "**/*.jinja",
    "**/*.json",
    "**/*.md",
    "**/*.mk",
    "**/*.toml",
    "**/*.y*ml",
    "Dockerfile",
)
CODE = ("template/chassis/src", "template/chassis/tools/src", "fleet", "hooks", "scripts")
PROSE = {tokenize.STRING, tokenize.FSTRING_MIDDLE, tokenize.COMMENT}


def pages() -> Iterator[Path]:
    """Yield the pages of the template, and every text that it puts into a project."""
    yield from (file for pattern in PAGES for file in ROOT.glob(pattern))
    for file in (file for pattern in TEMPLATE for file in (ROOT / "template").glob(pattern)):
        if ".uv" not in file.parts:
            yield file


def prose_of(code: Path) -> Iterator[tuple[int, str]]:
    """Yield the strings and comments of a Python file with their lines: what its users and readers see of it."""
    source = io.StringIO(code.read_text(encoding="utf-8"))
    for token in tokenize.generate_tokens(source.readline):
        if token.type in PROSE:
            yield token.start[0], token.string


def private_words(text: str, first_line: int = 1) -> Iterator[tuple[int, str]]:
    """Yield each private word of a text, with the line that it stands on."""
    for match in PATTERN.finditer(text):
        yield first_line + text.count("\n", 0, match.start()), match[0]


def test_pages_use_the_words_of_the_field() -> None:
    """README, docs, handbook, questionnaire, configuration with its comments, alerts and dashboards."""
    files = set(pages())
    assert len(files) > 100
    found = [
        f"{file.relative_to(ROOT)}:{line}: {word}"
        for file in sorted(files)
        for line, word in private_words(file.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("folder", CODE)
def test_code_uses_the_words_of_the_field(folder: str) -> None:
    """Docstrings, comments, error messages, log events, `--help` and the descriptions of the HTTP interface."""
    found = [
        f"{file.relative_to(ROOT)}:{line}: {word}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for start, text in prose_of(file)
        for line, word in private_words(text, start)
    ]
    assert found == []


def test_private_words_are_found(tmp_path: Path) -> None:
    """Across lines, in any case, in docstrings and comments; but not in names and not within other words."""
    code = '"""Says hello.\n\nAt\nlast."""\n\nstanding = f"The {1} Tills"  # outstanding noise\n'
    (tmp_path / "code.py").write_text(code, encoding="utf-8")
    found = [hit for start, text in prose_of(tmp_path / "code.py") for hit in private_words(text, start)]
    assert found == [(3, "At\nlast"), (6, "Tills"), (6, "noise")]
