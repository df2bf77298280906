"""Reads a folder of documents into passages, and names the files that it cannot read."""

from pathlib import Path

import structlog

from chassis.errors import ConfigError
from chassis.search.formats import CONVERTERS, PLAIN_TEXT, MissingConverter
from chassis.search.passages import Passage, split

log = structlog.get_logger()


def read_folder(folder: Path) -> list[Passage]:
    """Return the passages of every document in `folder` and its subfolders; none if there is no such folder.

    `README.md` at the top of the folder is about the folder itself and is left out. Each file in a format that cannot
    be read is named in a warning, `document.skipped`.

    Raises:
        ConfigError: A file cannot be read although its format can. Leaving it out would lead to wrong answers.
    """
    passages: list[Passage] = []
    for file in sorted(path for path in folder.rglob("*") if not path.is_dir()):
        document = f"{folder.name}/{file.relative_to(folder).as_posix()}"
        if file == folder / "README.md" or file.name.startswith("."):
            continue
        if file.suffix.lower() not in PLAIN_TEXT | CONVERTERS.keys():
            log.warning(
                "document.skipped", document=document, problem=f"{file.suffix or 'a file without ending'} is not read"
            )
            continue
        try:
            passages += split(document, _read(file, document))
        except MissingConverter as missing:
            log.warning("document.skipped", document=document, problem=str(missing))
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
