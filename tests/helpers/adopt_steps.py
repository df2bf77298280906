"""Adds the lines that `chassis adopt` prints to the files of a repository, as its reader would."""

import re
from collections.abc import Iterator
from pathlib import Path

from answer_sets import ROOT
from quick_copier import QUICK_COPIER
from template_releases import append_line

PAGE = ROOT / "docs/how-to/adopt.md"
ANSWERS = {"shape": "blank", "service_name": "acme-triage"}
MORE_ENTRIES = "  # more entries of the list"


def commands_of_the_page(source: Path) -> list[str]:
    """Return the commands of the how-to page, with answers to all questions, for a release that is not the newest."""
    answers = " ".join(f"--data {name}={value}" for name, value in ANSWERS.items())
    commands = re.findall(r"^\$ (.*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [
        command.replace("uvx copier copy", f"{QUICK_COPIER} copy --defaults --quiet --vcs-ref 1.0.0 {answers}").replace(
            "<this repository>", str(source)
        )
        for command in commands
    ]


def printed_lines(output: str) -> Iterator[tuple[str, str]]:
    """Yield each file that has to be changed, and the lines that it lacks."""
    body = output.partition("\nThen run this again")[0]
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
            case "setup.cfg" | "tox.ini" | "pytest.ini":
                _add_to_pytest_section(project / file, lines)
            case _:
                (project / file).touch()
                append_line(project / file, lines)
    for keys in re.findall(r"\[tool.poetry\] still has (.*), which \[project\] has now", output):
        _delete_from_poetry(project / "pyproject.toml", keys.split(", "))


def _delete_from_poetry(pyproject: Path, keys: list[str]) -> None:
    text = pyproject.read_text(encoding="utf-8")
    above, header, poetry = text.partition("[tool.poetry]\n")
    table, rest = re.split(r"(?=^\[)", poetry, maxsplit=1, flags=re.MULTILINE)
    for key in keys:
        table = re.sub(rf"^{key} = .*\n", "", table, flags=re.MULTILINE)
    if "dependencies" in keys:
        dependencies = "[tool.poetry.dependencies]\n"
        before, _, after = rest.partition(dependencies)
        kept, _, others = after.partition("\n[")
        kept = "".join(line for line in kept.splitlines(keepends=True) if line.startswith("ai-service-chassis"))
        rest = f"{before}{dependencies}{kept}\n[{others}"
    pyproject.write_text(f"{above}{header}{table}{rest}", encoding="utf-8")


def _add_to_pytest_section(file: Path, lines: str) -> None:
    header, *settings = lines.splitlines()
    text = file.read_text(encoding="utf-8")
    for setting in settings:
        text = re.sub(rf"^{setting.partition(' = ')[0]} =.*\n", "", text, flags=re.MULTILINE)
    file.write_text(text.replace(f"{header}\n", "\n".join((header, *settings, ""))), encoding="utf-8")


def _rename_targets(makefile: Path, lines: str) -> None:
    for names in re.findall("rename your targets (.*), because", lines):
        for name in names.split(", "):
            makefile.write_text(re.sub(rf"^{name}:", f"our-{name}:", makefile.read_text(), flags=re.MULTILINE))


def _merge_table(pyproject: Path, table: str) -> None:
    """Add a table; if it exists, add its keys; if a list exists, add its entries."""
    text = "\n" + pyproject.read_text(encoding="utf-8").lstrip("\n")
    header, *settings = table.splitlines()
    if f"\n{header}\n" not in text:
        pyproject.write_text(f"{text.lstrip()}\n{table.replace(MORE_ENTRIES, '')}\n", encoding="utf-8")
        return
    above, _, below = text.partition(f"\n{header}\n")
    for setting in settings:
        key, _, entries = setting.removesuffix(MORE_ENTRIES).partition(" = ")
        start = re.compile(rf"^{key} = \[", re.MULTILINE)
        if setting.endswith(MORE_ENTRIES) and start.search(below.partition("\n[")[0]):
            below = start.sub(lambda match, more=entries[1:-1]: f"{match[0]}{more}, ", below, count=1)
        else:
            below = f"{key} = {entries}\n{below}"
    pyproject.write_text(f"{above.lstrip()}\n{header}\n{below}".lstrip(), encoding="utf-8")
