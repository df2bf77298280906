"""Reads a folder of documents into passages, and names the files that it cannot read.

HTML, reStructuredText, Word and PDF become Markdown first, with the extra `documents`.
"""

import io
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import structlog

from chassis.errors import ConfigError
from chassis.search.passages import Passage, split

PLAIN_TEXT = {".md", ".markdown", ".mdx", ".txt"}
EXTRA = "ai-service-chassis[documents]"
HIDDEN_TAGS = ["script", "style", "nav", "header", "footer", "aside", "form", "svg", "noscript", "template"]
"""What surrounds the content of a web page."""
DIRECTIVE = re.compile(r"^[ \t]*\.\. ([\w:.+-]+)::", re.MULTILINE)
ROLE = re.compile(r":[\w:.+-]+:`(?:~|!)?(?:([^`<]+?)\s*<[^`>]+>|([^`]+))`")
DRAWN = re.compile(
    r"toctree|auto\w+|graphviz|mermaid|uml|digraph|include|literalinclude|raw|image|figure|only|index|currentmodule"
)
"""Directives whose content is no text."""


class MissingConverter(Exception):
    """The library that reads a format is not installed."""


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise MissingConverter(f"the library for this format is missing; run: uv add '{EXTRA}'") from None


def html_to_markdown(content: bytes | str) -> str:
    """Return the main content of a web page."""
    page = _library("bs4").BeautifulSoup(content, "html.parser")
    main = page.find("main") or page.find("article") or page.find(attrs={"role": "main"}) or page.body or page
    for tag in main.find_all(HIDDEN_TAGS):
        tag.decompose()
    for anchor in main.select("a.headerlink, a.anchor"):
        anchor.decompose()
    return _library("markdownify").MarkdownConverter(heading_style="atx", bullets="-").convert_soup(main)


def rst_to_markdown(content: bytes) -> str:
    """Return a page of reStructuredText. Of roles the text is kept, of unknown directives the paragraphs."""
    core = _library("docutils.core")
    text = ROLE.sub(lambda role: role[1] or role[2], content.decode("utf-8-sig"))
    _register(set(DIRECTIVE.findall(text)))
    settings = {
        "doctitle_xform": False,
        "embed_stylesheet": False,
        "file_insertion_enabled": False,
        "halt_level": 6,
        "initial_header_level": 1,
        "raw_enabled": False,
        "report_level": 5,
        "syntax_highlight": "none",
    }
    parts = core.publish_parts(text, writer="html4", settings_overrides=settings)
    body = parts["body"].replace("<tt ", "<code ").replace("</tt>", "</code>")
    return html_to_markdown(f"<main>{body}</main>")


def _register(names: set[str]) -> None:
    """Let docutils read the directives of Sphinx and its extensions that it does not know."""
    rst = _library("docutils.parsers.rst")
    nodes = _library("docutils.nodes")

    class Content(rst.Directive):  # the content of the directive, without what it would do
        has_content = True

        def run(self) -> list[Any]:
            box = nodes.container()
            if not DRAWN.fullmatch(self.name):
                self.state.nested_parse(self.content, self.content_offset, box)
            return box.children

    known = _library("docutils.parsers.rst.directives")
    for name in names:
        if DRAWN.fullmatch(name) or name not in known._directive_registry:  # noqa: SLF001
            known.register_directive(name, Content)


def docx_to_markdown(content: bytes) -> str:
    """Return a Word document."""
    return html_to_markdown(_library("mammoth").convert_to_html(io.BytesIO(content)).value)


def pdf_to_markdown(content: bytes) -> str:
    """Return the text of a PDF, page by page. Scanned pages have none."""
    reader = _library("pypdf").PdfReader(io.BytesIO(content))
    return "\n\n".join(page.extract_text() for page in reader.pages)


CONVERTERS: dict[str, Callable[[bytes], str]] = {
    ".html": html_to_markdown,
    ".htm": html_to_markdown,
    ".rst": rst_to_markdown,
    ".docx": docx_to_markdown,
    ".pdf": pdf_to_markdown,
}


log = structlog.get_logger()


def read_folder(folder: Path) -> list[Passage]:
    """Return the passages of every document in `folder` and its subfolders; none if there is no such folder.

    `README.md` at the top of the folder is about the folder itself and is left out. Each file in a format that cannot
    be read, or without text, such as a scanned PDF, is named in a warning, `document.skipped`. So is what is no regular
    file: reading a named pipe or a device would never end, and links to folders are not followed.

    Raises:
        ConfigError: A file cannot be read although its format can. Leaving it out would lead to wrong answers.
    """
    passages: list[Passage] = []
    for file in sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()):
        document = f"{folder.name}/{file.relative_to(folder).as_posix()}"
        if file == folder / "README.md" or file.name.startswith("."):
            continue
        if file.exists() and not file.is_file():
            log.warning("document.skipped", document=document, problem="not a regular file")
            continue
        if file.suffix.lower() not in PLAIN_TEXT | CONVERTERS.keys():
            log.warning(
                "document.skipped", document=document, problem=f"{file.suffix or 'a file without ending'} is not read"
            )
            continue
        try:
            # PostgreSQL keeps no text with the character 0, and an answer may quote any passage.
            found = split(document, _read(file, document).replace("\0", ""))
        except MissingConverter as missing:
            log.warning("document.skipped", document=document, problem=str(missing))
            continue
        if not found:
            log.warning("document.skipped", document=document, problem="no text was found in it")
        passages += found
    return passages


def _read(file: Path, document: str) -> str:
    """Return the text of a file as Markdown."""
    try:
        content = file.read_bytes()
    except OSError as error:
        problem = f"the file cannot be read ({error.strerror})"
        raise ConfigError(document, problem, "Make it readable or remove it") from None
    if convert := CONVERTERS.get(file.suffix.lower()):
        try:
            return convert(content)
        except MissingConverter:
            raise
        except Exception as error:  # noqa: BLE001 - converters raise anything for a damaged file
            problem = f"the file cannot be converted ({type(error).__name__}: {error})"
            raise ConfigError(document, problem, "Repair it, save it in another format or remove it") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(document, f"byte {error.start} is not UTF-8", "Save the file as UTF-8 or remove it") from None
