"""Adds the lines that `chassis adopt` prints to the files of a repository, as its reader would."""

import re
from collections.abc import Iterator
from pathlib import Path

from template_releases import append_line

MORE_ENTRIES = "  # more entries of the list"


def printed_lines(output: str) -> Iterator[tuple[str, str]]:
    """Yield each file that has to be changed, and the lines that it lacks."""
    body = output.partition("\nThen run: ")[0]
    for file, lines in re.findall(r"^Add to (\S+):\n\n((?:    .*\n|\n)+)", body + "\n", re.MULTILINE):
        yield file, re.sub(r"^    ", "", lines, flags=re.MULTILINE).strip("\n")


def add_printed_lines(project: Path, output: str) -> None:
    """Change every file as the output says."""
    for file, lines in printed_lines(output):
        match file:
            case "ownership.toml":
                (project / ".github/CODEOWNERS").unlink()
            case "Makefile":
                _rename_targets(project / file, lines)
                append_line(project / file, lines)
            case "pyproject.toml":
                for table in lines.split("\n\n"):
                    _merge_table(project / file, table)
            case _:
                append_line(project / file, lines)


def _rename_targets(makefile: Path, lines: str) -> None:
    for names in re.findall("rename your targets (.*), because", lines):
        for name in names.split(", "):
            makefile.write_text(re.sub(rf"^{name}:", f"our-{name}:", makefile.read_text(), flags=re.MULTILINE))


def _merge_table(pyproject: Path, table: str) -> None:
    """Add a table; if it exists, add its keys; if a list exists, add its entries."""
    text = pyproject.read_text(encoding="utf-8")
    header, *settings = table.splitlines()
    if f"\n{header}\n" not in text:
        pyproject.write_text(f"{text}\n{table.replace(MORE_ENTRIES, '')}\n", encoding="utf-8")
        return
    above, _, below = text.partition(f"\n{header}\n")
    for setting in settings:
        key, _, entries = setting.removesuffix(MORE_ENTRIES).partition(" = ")
        start = re.compile(rf"^{key} = \[", re.MULTILINE)
        assert setting.endswith(MORE_ENTRIES), "an existing table gets list entries only"
        if start.search(below.partition("\n[")[0]):
            below = start.sub(lambda match, more=entries[1:-1]: f"{match[0]}{more}, ", below, count=1)
        else:
            below = f"{key} = {entries}\n{below}"
    pyproject.write_text(f"{above}\n{header}\n{below}", encoding="utf-8")
