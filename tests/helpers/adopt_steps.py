"""Do what `chassis adopt` says, as somebody does who reads it."""

import re
from collections.abc import Iterator
from pathlib import Path

from template_releases import append

MORE = "  # more entries of the list"


def told_to_write(told: str) -> Iterator[tuple[str, str]]:
    """Yield each file that is to be changed, and the lines that it lacks."""
    body = told.partition("\nThen: ")[0]
    for file, lines in re.findall(r"^(\S+) is yours to change. Add:\n\n((?:    .*\n|\n)+)", body + "\n", re.MULTILINE):
        yield file, re.sub(r"^    ", "", lines, flags=re.MULTILINE).strip("\n")


def follow(project: Path, told: str) -> None:
    """Write it all."""
    for file, lines in told_to_write(told):
        match file:
            case "ownership.toml":
                (project / ".github/CODEOWNERS").unlink()
            case "Makefile":
                _rename_targets(project / file, lines)
                append(project / file, lines)
            case "pyproject.toml":
                for table in lines.split("\n\n"):
                    _merge(project / file, table)
            case _:
                append(project / file, lines)


def _rename_targets(makefile: Path, lines: str) -> None:
    for names in re.findall("give your own (.*) other names", lines):
        for name in names.split(", "):
            makefile.write_text(re.sub(rf"^{name}:", f"our-{name}:", makefile.read_text(), flags=re.MULTILINE))


def _merge(pyproject: Path, table: str) -> None:
    """Add a table; if it is there, its lines; if a list is there, its entries."""
    text = pyproject.read_text(encoding="utf-8")
    header, *settings = table.splitlines()
    if f"\n{header}\n" not in text:
        pyproject.write_text(f"{text}\n{table.replace(MORE, '')}\n", encoding="utf-8")
        return
    above, _, below = text.partition(f"\n{header}\n")
    for setting in settings:
        key, _, entries = setting.removesuffix(MORE).partition(" = ")
        begin = re.compile(rf"^{key} = \[", re.MULTILINE)
        assert setting.endswith(MORE), "this may only be said of a list"
        if begin.search(below.partition("\n[")[0]):
            below = begin.sub(lambda found, more=entries[1:-1]: f"{found[0]}{more}, ", below, count=1)
        else:
            below = f"{key} = {entries}\n{below}"
    pyproject.write_text(f"{above}\n{header}\n{below}", encoding="utf-8")
