"""Measures sentence by sentence whether an answer says what its sources say, and leaves out what they do not contain.

A model that obeys an instruction in a document or a question writes sentences, links or markup that no source has.
"""

import re
import unicodedata
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

SUPPORTED, UNSUPPORTED = 0.6, 0.35
"""Shares of a sentence's words that its sources have too. Between them a sentence may be a paraphrase."""
SAME_LANGUAGE = 0.3
"""In another language than the documents', fewer words of a text are also in them: names, mostly."""
MIN_WORDS = 6
"""A shorter text says too little about its language."""
MIN_LETTERS, STEM_LETTERS = 4, 5
"""Shorter words are in every text. Longer ones are compared by their beginning, so that endings do not matter."""

TERMINAL_SEQUENCE = re.compile("\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\|$)|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]")
LINK = re.compile(
    r"[a-z][a-z0-9+.-]*:/*[^\s/]\S*|//\S+|\S+@\S+|[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}(?:[/:?#]\S*)?|\d+(?:\.\d+){3}\S*",
    re.IGNORECASE,
)
"""Addresses with and without a scheme, hosts, file names, mail and IP addresses."""
MARKUP = re.compile(r"</?[a-z!][^>]*>?|&(?:#\w+|[a-z]+);|!?\[[^\]]*\](?:\([^)]*\)?|\[[^\]]*\]?|:\s*\S+)", re.IGNORECASE)
"""HTML, and links and images of Markdown."""
CODE = re.compile(r"```.*?(?:```|$)|`[^`]+`?", re.DOTALL)
NUMBER = re.compile(r"\d[\d.,:\u2019' ]*\d|\d")
LIST_NUMBER = re.compile(r"^\s*(?:\d+[.)]|[-*+])\s+", re.MULTILINE)
SENTENCE_END = re.compile(r"(?<=[^\d\s][.!?])[\"')\]*_]*\s+|(?<=[\u3002\uff01\uff1f])|\n+")
UNSPACED = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
"""Scripts without spaces between words."""


@dataclass(frozen=True, slots=True)
class Support:
    """What may be shown of an answer.

    Args:
        text: The answer without the sentences that its sources do not support; empty if nothing is left.
        share: How much of the answer its sources support, from 0 to 1, or None if that cannot be told: it is a
            paraphrase, or in another language than they are.
    """

    text: str
    share: float | None


def check_support(answer: str, sources: Sequence[str], vocabulary: Container[str] = (), question: str = "") -> Support:
    """Compare an answer with the texts that it is based on.

    Args:
        answer: What the model wrote.
        sources: The texts.
        vocabulary: The `words_of` all documents, by which an answer in another language is recognized.
        question: What was asked. An answer may repeat its numbers, but nothing else of it counts as known.
    """
    readable = visible(answer)
    given = "\n".join(map(visible, sources))
    units, numbers = set(_units(given)), {*map(_digits, NUMBER.findall(f"{given} | {question}"))}
    other_language = _is_other_language(readable, given, vocabulary)
    kept: list[str] = []
    shares: list[float | None] = []
    lost = 0
    for sentence in _sentences(readable):
        share = None if other_language else _share(sentence, units)
        if share == 0 or not _has_only_known_parts(sentence, given, numbers):
            lost += len(sentence)
        else:
            kept.append(sentence)
            shares.append(share)
    if not kept:
        return Support("", 0.0)
    text = readable.strip() if not lost else "\n".join(kept)
    measured = [share for share in shares if share is not None]
    if len(measured) < len(shares):
        return Support(text, None)
    return Support(text, min(measured) * (1 - lost / len(readable)))


def visible(text: str) -> str:
    """Return a text without what a reader does not see: sequences for terminals, and control and format characters."""
    plain = unicodedata.normalize("NFC", TERMINAL_SEQUENCE.sub("", text))
    return "".join(letter for letter in plain if letter in "\n\t" or unicodedata.category(letter) not in {"Cc", "Cf"})


def _sentences(text: str) -> Iterable[str]:
    """Yield the sentences of a text; a block of code counts as one."""
    start = 0
    for block in re.finditer("```.*?(?:```|$)", text, re.DOTALL):
        yield from _split(text[start : block.start()])
        yield block[0]
        start = block.end()
    yield from _split(text[start:])


def _split(text: str) -> Iterable[str]:
    sentences = (sentence.strip() for sentence in SENTENCE_END.split(text))
    return (sentence for sentence in sentences if any(map(str.isalnum, sentence)))


def _share(sentence: str, units: set[str]) -> float | None:
    """Return the share of a sentence's words that the sources have, 0 if it is not to be shown, None if unclear."""
    said = _units(sentence)
    if not said:
        return 1.0
    share = sum(unit in units for unit in said) / len(said)
    if share < UNSUPPORTED:
        return 0.0
    return share if share >= SUPPORTED else None


def _has_only_known_parts(sentence: str, given: str, numbers: set[str]) -> bool:
    """Return whether the sources have every link, markup, code and number of a sentence.

    These are what can harm, and what neither a paraphrase nor a translation changes.
    """
    known = _compact(given)
    parts = (match[0].strip("`'\".,;:!?()*_ \n") for form in (LINK, MARKUP, CODE) for match in form.finditer(sentence))
    if not all(_compact(part) in known for part in parts):
        return False
    return all(_digits(number) in numbers for number in NUMBER.findall(LIST_NUMBER.sub("", sentence)))


def _is_other_language(answer: str, given: str, vocabulary: Container[str]) -> bool:
    words = words_of(CODE.sub(" ", LINK.sub(" ", answer)))
    if UNSPACED.search(answer) and not UNSPACED.search(given):
        return True
    near = set(words_of(given))
    known = sum(word in near or word in vocabulary for word in words)
    return len(words) >= MIN_WORDS and known < SAME_LANGUAGE * len(words)


def _units(text: str) -> list[str]:
    """Return what is compared: the beginnings of longer words, and pairs of characters where no spaces part words."""
    units = [word[:STEM_LETTERS] for word in words_of(UNSPACED.sub(" ", text)) if len(word) >= MIN_LETTERS]
    for run in UNSPACED.findall(text):
        units += map("".join, pairwise(run))
    return units


def words_of(text: str) -> list[str]:
    """Return the words of a text without case, punctuation and numbers."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.findall(r"[^\W\d_]+", folded)


def _compact(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number)
