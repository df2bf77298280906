"""Divides text of any language into the words and trigrams by which it is found."""

import re
import unicodedata
from functools import lru_cache
from importlib import import_module
from itertools import pairwise
from typing import Any, cast

from chassis.errors import ConfigError

snowball: Any = import_module("Stemmer")  # compiled, without types

UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)"
)
"""Scripts without spaces between words: Thai, Lao, Burmese, Khmer, Japanese and Chinese."""


ZERO_WIDTH_SPACE = 0x200B
WITHOUT_MEANING = {0x0307, 0x0640, *range(0xFE00, 0xFE10)}
"""The dot that lower case leaves of the Turkish capital İ, the Arabic letter that only lengthens a word, and the marks
that choose between a black and a colored emoji."""


class _Separators(dict[int, str]):
    r"""Maps each character to itself if it belongs to a word, else to a space; filled as characters are met.

    Characters without width, such as the soft hyphen and the joiners of Persian and Hindi, vanish from their word.

    The categories L, M and N are kept. Without M, the combining marks, a word of Hindi or Tamil would be cut at each of
    its vowel signs, as it is by the pattern `\w+`.
    """

    def __missing__(self, codepoint: int) -> str:
        category = unicodedata.category(chr(codepoint))
        if codepoint in WITHOUT_MEANING or (category == "Cf" and codepoint != ZERO_WIDTH_SPACE):
            self[codepoint] = ""
        else:
            self[codepoint] = chr(codepoint) if category[0] in "LMN" else " "
        return self[codepoint]


_SEPARATORS = _Separators()


def check_language(language: str) -> None:
    """Raise a `ConfigError` if there is no stemmer for a language."""
    if language not in (known := cast("list[str]", snowball.algorithms())):
        raise ConfigError(
            "LANGUAGE", f"{language!r} is not a language with a stemmer", f"Use one of {', '.join(known)}"
        )


def plain_words(text: str) -> list[str]:
    """Return the words of a text without case and punctuation. A run of a script without spaces is one word."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_SEPARATORS).split()


def index_words(text: str, language: str) -> list[str]:
    """Return the stems of a text's words; in scripts without spaces, its characters and pairs of characters.

    Args:
        text: Any text.
        language: The language of the stemmer. Words of other languages lose a wrong ending at worst, and lose the same
            one in a question and in a passage.
    """
    spaced: list[str] = []
    unspaced: list[str] = []
    for word in plain_words(text):
        for part in UNSPACED.split(word):
            if UNSPACED.match(part):
                characters = _characters(part)
                unspaced += characters
                unspaced += map("".join, pairwise(characters))
            elif part:
                spaced.append(part)
    # A stemmer must not be shared by threads; making one takes less than a microsecond.
    return cast("list[str]", snowball.Stemmer(language).stemWords(spaced)) + unspaced


def trigrams(text: str) -> list[str]:
    """Return the runs of three characters of a text's words, which find other forms, compounds and misspellings.

    In scripts without spaces a word has one or two characters, so there they are the pairs of characters.
    """
    return [run for word in plain_words(text) for run in _runs(word)]


def _characters(run: str) -> list[str]:
    """Return the characters of a text, each with the marks that follow it."""
    starts = [0, *(at for at in range(1, len(run)) if unicodedata.category(run[at])[0] != "M")]
    return [run[start:end] for start, end in zip(starts, [*starts[1:], len(run)], strict=True)]


@lru_cache(maxsize=100_000)
def _runs(word: str) -> tuple[str, ...]:
    if UNSPACED.search(word):
        return tuple(map("".join, pairwise(_characters(word))))
    padded = f" {word} "
    return tuple(padded[start : start + 3] for start in range(len(word)))
