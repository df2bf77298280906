"""Divides Markdown into passages. Each passage keeps its document and the headings above it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PASSAGE_LENGTH = 600
"""In characters. Three passages of this length fit into the context of a small model."""

FENCE = re.compile(r"\s*(```+|~~~+)\s*\{?(\w*)")
HEADING = re.compile(r"(#{1,6})\s+(.+?)[\s#]*$")
UNDERLINE = re.compile(r"(=|-)\1{2,}\s*$")
RULE = re.compile(r"\s*([-*_])(\s*\1){2,}\s*$|\s*\|(\s*:?-+:?\s*\|)+\s*$")
"""A line between paragraphs, or below the first row of a table."""
LIST_ITEM = re.compile(r"\s*([-*+>|]|\d+[.)])\s")
SENTENCE_END = re.compile(r"(?<=[^\d\s][.!?])\s+(?![a-z])|(?<=[\u3002\uff01\uff1f])(?=.)")

FRONT_MATTER = re.compile(r"\A(---|\+\+\+)\n.*?\n\1\s*\n", re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
DIAGRAMS = {"mermaid", "plantuml", "puml", "dot", "graphviz", "d2", "include", "toctree"}
"""Blocks of code that are drawn, or replaced by other files, before a reader sees the page."""
MARKUP = (
    # a line that includes another file: MkDocs, PyMdown, Hugo, Jekyll, MDX
    (re.compile(r"^\s*(\{[*!%].*[*!%]\}|-+8<-+.*|\{\{[<%].*[>%]\}\}|import\s.+\sfrom\s.+|export\s.+)\s*$"), ""),
    # the border of a note: MkDocs, PyMdown, Docusaurus
    (
        re.compile(
            r"^\s*(?:/{3,}|:{3,}|!{3}|\?{3}\+?)\s*(?:(?:details|note|tip|info|warning|danger)\b)?\s*[|\"]?(.*?)\"?\s*$"
        ),
        r"\1",
    ),
    # an anchor: of a heading, of a paragraph, empty
    (re.compile(r"\s*\{\s*[:#.][^}\n]*\}|\[\]\(\)"), ""),
    (re.compile(r"!\[([^\]]*)\]\([^)]*\)"), r"\1"),  # an image
    (re.compile(r"\[([^\]]+)\]\((?!https?://)[^)\s]*(?:\s+\"[^\"]*\")?\)"), r"\1"),  # a link to another page
    (re.compile(r"</?[A-Za-z][^<>]*>"), ""),  # a tag; its content stays
)
MAYBE_MARKUP = re.compile(r"[{\[<]|^\s*(?:[/:!?]{3}|import\s|export\s)")
"""What every pattern of `MARKUP` needs. Most lines have none of it, which makes a start faster."""
CODE = re.compile(r"(`[^`]*`)")


@dataclass(frozen=True, slots=True)
class Passage:
    """A few sentences under one heading.

    Args:
        document: The file with its folder, such as `documents/returns.md` or `handbook/budgets.md`.
        headings: The headings above the passage, outermost first.
        sentences: The text. A list item and a block of code each count as one sentence.
    """

    document: str
    headings: tuple[str, ...]
    sentences: tuple[str, ...]

    @property
    def heading(self) -> str:
        """All headings in one line."""
        return " > ".join(self.headings)

    @property
    def text(self) -> str:
        """The sentences, one per line."""
        return "\n".join(self.sentences)


def split(document: str, text: str) -> list[Passage]:
    """Return the passages of a Markdown text, without front matter, comments, includes, anchors, diagrams and tags."""
    lines = list(_clean(FRONT_MATTER.sub("", COMMENT.sub("", text))))
    return [
        Passage(document, headings, sentences)
        for headings, section in _sections(lines)
        for sentences in _chunks(section)
    ]


def _clean(text: str) -> Iterator[str]:
    """Yield the lines that a reader of the page would see. Code is not changed."""
    fence = kind = ""
    for line in text.splitlines():
        found = FENCE.match(line)
        if fence:
            closes = found is not None and found[1].startswith(fence)
            if kind not in DIAGRAMS:
                yield line
            fence = "" if closes else fence
        elif found:
            fence, kind = found[1], found[2].lower()
            if kind not in DIAGRAMS:
                yield line
        else:
            yield "".join(part if part.startswith("`") else _plain(part) for part in CODE.split(line))


def _plain(line: str) -> str:
    if not MAYBE_MARKUP.search(line):
        return line
    for pattern, replacement in MARKUP:
        line = pattern.sub(replacement, line)
    return line


def _sections(lines: list[str]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Yield each section: the headings above it and its lines."""
    headings: tuple[str, ...] = ()
    section: list[str] = []
    in_code = False
    for line in lines:
        in_code ^= FENCE.match(line) is not None
        level, title = (0, "") if in_code else _heading(line, section)
        if level:
            yield headings, section
            # A heading of level n replaces the one of its level and all below it.
            headings, section = (*headings[: level - 1], title), []
        else:
            section.append(line)
    yield headings, section


def _heading(line: str, section: list[str]) -> tuple[int, str]:
    """Return the level and text of a heading, or 0; one that is underlined is taken from the end of the section."""
    if found := HEADING.match(line):
        return len(found[1]), found[2]
    # Below a line of text, === and --- make it a heading; elsewhere --- is a rule.
    if UNDERLINE.match(line) and section and section[-1].strip() and not LIST_ITEM.match(section[-1]):
        return 1 if line.startswith("=") else 2, section.pop().strip()
    return 0, ""


def _chunks(lines: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield the sentences of a section, as many at a time as fit into one passage."""
    chunk: list[str] = []
    for sentence in _sentences(lines):
        if chunk and len("\n".join([*chunk, sentence])) > MAX_PASSAGE_LENGTH:
            yield tuple(chunk)
            chunk = []
        chunk.append(sentence)
    if chunk:
        yield tuple(chunk)


def _sentences(lines: list[str]) -> Iterator[str]:
    for block in _blocks(lines):
        for sentence in [block] if FENCE.match(block) else SENTENCE_END.split(block):
            starts = range(0, len(sentence), MAX_PASSAGE_LENGTH)
            yield from (sentence[start : start + MAX_PASSAGE_LENGTH] for start in starts)


def _blocks(lines: list[str]) -> Iterator[str]:
    """Yield paragraphs, list items and blocks of code. Wrapped lines of a paragraph are joined."""
    blocks = [""]
    in_code = False
    for line in lines:
        is_fence = FENCE.match(line) is not None
        if in_code:
            blocks[-1] += f"\n{line}"
        elif RULE.match(line):
            blocks.append("")
        elif is_fence or not line.strip() or LIST_ITEM.match(line):
            blocks.append(line.strip())
        else:
            blocks[-1] = f"{blocks[-1]} {line.strip()}".lstrip()
        if is_fence and in_code:
            blocks.append("")
        in_code ^= is_fence
    return filter(None, blocks)
