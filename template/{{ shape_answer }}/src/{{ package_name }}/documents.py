"""Reads Markdown and text files into passages. Each passage keeps its file and the headings above it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ConfigError

SEARCH_HANDBOOK = True
"""Whether `chassis/handbook/` is searched too, so that the service answers questions about itself.

Set it to False when only the files in `documents/` may answer.
"""
DOCUMENTS = "documents"
HANDBOOK = "chassis/handbook"
ROOT = Path(__file__).parents[2]

FORMATS = {".md", ".txt"}
MAX_PASSAGE_LENGTH = 600
"""In characters. Three passages of this length fit into the context of a small model."""

FENCE = re.compile(r"\s*(```|~~~)")
HEADING = re.compile(r"(#{1,6})\s+(.+?)[\s#]*$")
LIST_ITEM = re.compile(r"\s*([-*+>|]|\d+[.)])\s")
SENTENCE_END = re.compile(r"(?<=[^\d\s][.!?])\s+(?![a-z])|(?<=[\u3002\uff01\uff1f])(?=.)")


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


def load_passages(root: Path = ROOT, *, search_handbook: bool = SEARCH_HANDBOOK) -> list[Passage]:
    """Return the passages that the service searches.

    Args:
        root: The repository.
        search_handbook: Whether to include the handbook.

    Raises:
        ConfigError: A file cannot be read, or there is no text at all.
    """
    passages = read_folder(root / DOCUMENTS)
    if search_handbook:
        passages += read_folder(root / HANDBOOK)
    if not passages:
        problem = "the folder has no .md or .txt file with text in it, and SEARCH_HANDBOOK is False"
        raise ConfigError(f"{DOCUMENTS}/", problem, "Add your documents, or set SEARCH_HANDBOOK = True in documents.py")
    return passages


def read_folder(folder: Path) -> list[Passage]:
    """Return the passages of every file in `folder` and its sub-folders; none if there is no such folder.

    `README.md` at the top of the folder is about the folder itself and is left out.

    Raises:
        ConfigError: A file cannot be read. Leaving it out would lead to wrong answers.
    """
    passages: list[Passage] = []
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in FORMATS and not file.is_dir() and file != folder / "README.md":
            document = f"{folder.name}/{file.relative_to(folder).as_posix()}"
            for headings, lines in _sections(_read(file, document)):
                passages += [Passage(document, headings, sentences) for sentences in _chunks(lines)]
    return passages


def _read(file: Path, document: str) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(document, f"byte {error.start} is not UTF-8", "Save the file as UTF-8 or remove it") from None
    except OSError as error:
        problem = f"the file cannot be read ({error.strerror})"
        raise ConfigError(document, problem, "Make it readable or remove it") from None


def _sections(text: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Yield each section: the headings above it and its lines."""
    headings: tuple[str, ...] = ()
    lines: list[str] = []
    in_code = False
    for line in text.splitlines():
        in_code ^= FENCE.match(line) is not None
        if not in_code and (heading := HEADING.match(line)):
            yield headings, lines
            # A heading of level n replaces the one of its level and all below it.
            headings, lines = (*headings[: len(heading[1]) - 1], heading[2]), []
        else:
            lines.append(line)
    yield headings, lines


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
        elif is_fence or not line.strip() or LIST_ITEM.match(line):
            blocks.append(line.strip())
        else:
            blocks[-1] = f"{blocks[-1]} {line.strip()}".lstrip()
        if is_fence and in_code:
            blocks.append("")
        in_code ^= is_fence
    return filter(None, blocks)
