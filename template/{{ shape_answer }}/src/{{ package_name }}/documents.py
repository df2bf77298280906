"""Read a folder of Markdown and text into passages; each knows its file and the headings it stands under."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ConfigError

READABLE = {".md", ".txt"}
LONGEST_PASSAGE = 600
"""Characters; three passages of this size fit into the context of a small model."""

FENCE = re.compile(r"\s*(```|~~~)")
HEADING = re.compile(r"(#{1,6})\s+(.+?)[\s#]*$")
LIST_ITEM = re.compile(r"\s*([-*+>|]|\d+[.)])\s")
SENTENCE_END = re.compile(r"(?<=[^\d\s][.!?])\s+(?![a-z])|(?<=[\u3002\uff01\uff1f])(?=.)")


@dataclass(frozen=True, slots=True)
class Passage:
    """A few sentences that stand under one heading.

    Args:
        document: The file, relative to the folder, such as `how-to/budgets.md`.
        headings: The headings above it, the outermost first.
        sentences: What it says. A list item and a block of code count as one sentence.
    """

    document: str
    headings: tuple[str, ...]
    sentences: tuple[str, ...]

    @property
    def heading(self) -> str:
        """Return all headings in one line."""
        return " > ".join(self.headings)

    @property
    def text(self) -> str:
        """Return the sentences, one a line."""
        return "\n".join(self.sentences)


def read_folder(folder: Path) -> list[Passage]:
    """Return the passages of every `.md` and `.txt` file in `folder` and below.

    Raises:
        ConfigError: A file cannot be read, or there is nothing to read. Going on without it would mean wrong answers.
    """
    passages: list[Passage] = []
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in READABLE and not file.is_dir():
            document = file.relative_to(folder).as_posix()
            for headings, lines in _sections(_read(file, f"{folder.name}/{document}")):
                passages += [Passage(document, headings, sentences) for sentences in _portions(lines)]
    if not passages:
        raise ConfigError(f"{folder.name}/", "there is no .md or .txt file with text in it", "Put your documents there")
    return passages


def _read(file: Path, where: str) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(where, f"byte {error.start} is not UTF-8", "Save the file as UTF-8 or remove it") from None
    except OSError as error:
        raise ConfigError(where, f"it cannot be read ({error.strerror})", "Mend the file or remove it") from None


def _sections(text: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Yield for each heading the headings down to it, and the lines below it."""
    headings: tuple[str, ...] = ()
    lines: list[str] = []
    in_code = False
    for line in text.splitlines():
        in_code ^= FENCE.match(line) is not None
        if not in_code and (heading := HEADING.match(line)):
            yield headings, lines
            headings, lines = (*headings[: len(heading[1]) - 1], heading[2]), []
        else:
            lines.append(line)
    yield headings, lines


def _portions(lines: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield the sentences of a section, as many at a time as a passage may hold."""
    portion: list[str] = []
    for sentence in _sentences(lines):
        if portion and len("\n".join([*portion, sentence])) > LONGEST_PASSAGE:
            yield tuple(portion)
            portion = []
        portion.append(sentence)
    if portion:
        yield tuple(portion)


def _sentences(lines: list[str]) -> Iterator[str]:
    for block in _blocks(lines):
        for sentence in [block] if FENCE.match(block) else SENTENCE_END.split(block):
            yield from (sentence[at : at + LONGEST_PASSAGE] for at in range(0, len(sentence), LONGEST_PASSAGE))


def _blocks(lines: list[str]) -> Iterator[str]:
    """Yield paragraphs, list items and blocks of code; lines that were only wrapped are joined."""
    blocks = [""]
    in_code = False
    for line in lines:
        is_fence = FENCE.match(line) is not None
        if in_code:
            blocks[-1] += f"\n{line}"
        elif is_fence or not line.strip() or LIST_ITEM.match(line):
            blocks.append(line.strip())
        else:
            blocks[-1] = f"{blocks[-1]} {line.strip()}".lstrip()
        if is_fence and in_code:
            blocks.append("")
        in_code ^= is_fence
    return filter(None, blocks)
