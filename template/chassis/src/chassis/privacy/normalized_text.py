"""The text that detectors search: without escapes, encodings, invisible characters and the digits of other scripts.

Each of its characters knows where it comes from, so that a match can be replaced in the original text.
"""

import html
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from chassis.contract import SensitiveMatch

BLANK = "\0"
"""Stands for a character that is not searched."""
INVISIBLE = "\u200b"
"""Stands for a character without width, such as a soft hyphen or a mark of the writing direction."""
CONTROL = "\x1b"
"""Stands for a control sequence of a terminal, such as a color."""
MAX_LEVELS = 8
"""How often a text is decoded. JSON in a string of JSON in a URL is encoded three times."""

SPACES = r"\x85\xA0\xB7\u1680\u2000-\u200A\u2022\u2027\u2028\u2029\u202F\u205F\u2219\u22C5\u3000"
DASHES = r"\u2010-\u2013\u2212\uFE63"
LONG_DASHES = r"\u2014\u2015\uFE58"
CONTROLS = r"\x00-\x08\x0E-\x1A\x1C-\x1F\x7F"
NO_WIDTH = (
    rf"{CONTROLS}\x80-\x84\x86-\x9F\xAD\u0300-\u036F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E"
    r"\u2060-\u206F\u20E3\u2800\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF9-\uFFFB\U00013430-\U0001343F"
    r"\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF"
)
VARIANTS = (
    r"\u2024\uFE50-\uFE57\uFE59-\uFE62\uFE64-\uFE6B"
    r"\uFF02-\uFF07\uFF0A\uFF0B\uFF0D-\uFF19\uFF1C-\uFF1E\uFF20-\uFF5E\U0001D400-\U0001D7FF"
)
"""Full-width, small and mathematical forms of ASCII, except the punctuation that detectors know in this form."""
OTHER_DIGITS = (
    r"\xB2\xB3\xB9\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247C\u2488-\u2490\u24EA\u24F5-\u24FD\u24FF"
    r"\u2776-\u277E\u2780-\u2788\u278A-\u2792"
)
"""Raised, lowered, circled and bracketed digits. One after an ordinary digit is the number of a footnote."""
SPECIAL_ASCII = re.compile(rf"[\\%&\x1B{CONTROLS}]")
SPECIAL = re.compile(rf"[\d\\%&\x1B{SPACES}{DASHES}{LONG_DASHES}{NO_WIDTH}{VARIANTS}{OTHER_DIGITS}](?<![0-9])")
"""A text without any of these is searched as it is."""

HEX, BYTE = "[0-9A-Fa-f]", "%[89ABab][0-9A-Fa-f]"
ENCODED = re.compile(
    # A password in a URL stays encoded, because what it contains could look like its end.
    r"(?P<password>://[^\s/:@\"'<>]{0,64}:[^\s/@\"'<>]{3,200}@"
    r"|[?&][\w.-]{0,40}(?:pass|pw|secret|token|key)[\w.-]{0,40}=[^\s&\"'<>]{1,200})"
    rf"|(?P<code>\\[ux]\{{{HEX}{{1,6}}\}}|\\u{HEX}{{4}}|\\U{HEX}{{8}}|\\x{HEX}{{2}}|%u{HEX}{{4}})"
    r"|(?P<escape>\\(?:[befnrtv]|033|[ -/:-@\[-`{-~]))"
    rf"|(?P<bytes>%[0-7]{HEX}|%[CDcd]{HEX}{BYTE}|%[Ee]{HEX}(?:{BYTE}){{2}}|%[Ff][0-7](?:{BYTE}){{3}})"
    rf"|(?P<entity>&(?:#\d{{1,20}};?|#[Xx]{HEX}{{1,20}};?|[A-Za-z][A-Za-z0-9]{{1,31}};))"
    r"|(?P<control>\x1B(?:\[[0-?]{0,32}[ -/]{0,4}[@-~])?)"
    rf"|(?P<no_width>[{NO_WIDTH}])|(?P<space>[{SPACES}])|(?P<dash>[{DASHES}])|(?P<long_dash>[{LONG_DASHES}])|(?P<variant>[{VARIANTS}])"
    rf"|(?P<digit>\d(?<![0-9])|[{OTHER_DIGITS}](?<![0-9].))"
)
"""What stands for something else, in a group that is named after the way."""
ESCAPES = {r"\n": "\n", r"\r": "\r", r"\t": "\t", r"\b": " ", r"\f": " ", r"\v": " ", r"\e": CONTROL, r"\033": CONTROL}
DECODERS: dict[str, Callable[[str], str]] = {
    "password": str,
    "code": lambda token: chr(min(int(token.strip(r"\%uUx{}"), 16), 0x10FFFF)),
    "escape": lambda token: ESCAPES.get(token, token[1]),
    "bytes": unquote,
    "entity": html.unescape,
    "control": lambda _: CONTROL,
    "no_width": lambda _: INVISIBLE,
    "space": lambda _: " ",
    "dash": lambda _: "-",
    "long_dash": lambda _: " - ",
    "variant": lambda char: unicodedata.normalize("NFKC", char),
    "digit": lambda char: str(unicodedata.digit(char)),
}

INLINE_TAG = r"</?(?:a|b|code|em|font|i|kbd|mark|s|small|span|strong|sub|sup|tt|u|wbr)(?:\s[^<>]{0,200})?>"
SPREAD = re.compile(
    rf"(?P<space>\s*[\n\r][\s>]*|\s+|<br\s{{0,4}}/?>|\+(?<=\w\+)(?=\w))"
    rf"|(?P<nothing>{CONTROL}|{INLINE_TAG}|<!--.{{0,80}}?-->)"
)
"""What may stand between the groups of a number, or inside of any value."""
GROUP = r"[ \t-\r>]{0,40}(?:[(+]?\d|[A-Za-z](?![A-Za-z]))"
FIRST_FOUR = r"[A-Za-z]{2}\d\d"  # of an IBAN
SPREAD_SIGNS = (
    re.compile(
        rf"[\t-\r\x1B<+](?:(?<=[\w\s)][\t-\r]){GROUP}|(?<={FIRST_FOUR}[\t-\r])|(?<=\x1B)|(?<=<)[!/a-z]|(?<=\w\+)\w)"
    ),
    re.compile(rf"  (?:(?<=[\w)]  ){GROUP}|(?<={FIRST_FOUR}  ))"),
)
"""A text without any of these has no spread values."""

WORD_PAIR = re.compile("[A-Za-z0-9]{2}")


@dataclass(slots=True)
class NormalizedText:
    """A text to search.

    Args:
        text: Its characters.
        starts: The position in the original text where that which a character stands for starts, for each of them.
        ends: The position where it ends.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def in_original(self, match: SensitiveMatch) -> SensitiveMatch:
        """Return a match in this text as a match in the original text."""
        return SensitiveMatch(match.kind, self.starts[match.start], self.ends[match.end - 1])

    def blanked(self, matches: Iterable[SensitiveMatch]) -> "NormalizedText":
        """Return the text with blanks in place of these matches in the original text, which are in order."""
        pieces: list[str] = []
        position = 0
        for match in matches:
            # The positions never fall, so they can be searched by halves.
            start = max(position, bisect_left(self.starts, match.start))
            end = max(start, bisect_right(self.ends, match.end))
            pieces += self.text[position:start], BLANK * (end - start)
            position = end
        return replace(self, text="".join(pieces) + self.text[position:])

    def substituted(self, pattern: re.Pattern[str], replacement: Callable[[re.Match[str]], str]) -> "NormalizedText":
        """Return the text with a replacement for each match of a pattern."""
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        position = 0
        for match in pattern.finditer(self.text):
            new, (start, end) = replacement(match), match.span()
            # What stays the same is copied with its neighbors in one slice, which keeps long texts cheap.
            if new != match[0]:
                pieces += self.text[position:start], new
                # Every new character points at the whole of what it stands for, so no half of an escape is left behind.
                starts += *self.starts[position:start], *[self.starts[start]] * len(new)
                ends += *self.ends[position:start], *[self.ends[end - 1]] * len(new)
                position = end
        if not position:
            return self
        text = "".join(pieces) + self.text[position:]
        return NormalizedText(text, [*starts, *self.starts[position:]], [*ends, *self.ends[position:]])

    def is_inside_word(self, position: int) -> bool:
        """Return whether the characters before and at a position are letters or digits that touch in the original."""
        pair = self.text[max(0, position - 1) : position + 1]
        return WORD_PAIR.fullmatch(pair) is not None and self.ends[position - 1] == self.starts[position]

    def without_invisible(self, replacement: str = "") -> "NormalizedText":
        """Return the text with a replacement for each character that has no width."""
        if INVISIBLE not in self.text:
            return self
        return self.substituted(re.compile(INVISIBLE), lambda _: replacement)

    def is_spread(self) -> bool:
        """Return whether a value in the text may have parts that are far apart."""
        return any(sign.search(self.text) for sign in SPREAD_SIGNS)

    def gathered(self) -> "NormalizedText":
        """Return the text with one space where there is any white space, and without colors and inline tags."""
        return self.substituted(SPREAD, lambda match: " " if match["space"] else "")


def normalize(text: str) -> NormalizedText:
    """Return the text decoded, with ASCII in place of its variants and `INVISIBLE` for what has no width."""
    normalized = NormalizedText(text, range(len(text)), range(1, len(text) + 1))
    # Bounded: a text that decodes to something new each time must not keep a call busy.
    for _ in range(MAX_LEVELS):
        # Most texts are ASCII without escapes, and leave here after one fast search.
        special = SPECIAL_ASCII if normalized.text.isascii() else SPECIAL
        if not special.search(normalized.text):
            break
        normalized = normalized.substituted(ENCODED, _decoded)
    return normalized


def _decoded(match: re.Match[str]) -> str:
    return DECODERS[str(match.lastgroup)](match[0])
