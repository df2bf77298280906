"""Writes the pages that are derived from code: those of `docs/reference/` and of the handbook."""

import json
import tempfile
import textwrap
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import decision_pages
import yaml
from answer_sets import ROOT
from bad_requests import BAD_REQUESTS
from bad_starts import BAD_STARTS
from chassis.config.project import find_project
from chassis_tools.governance.derived_files import write_derived_files
from chassis_tools.governance.file_contents import load_decisions
from chassis_tools.readiness.check import Family
from chassis_tools.readiness.launch_review import CHECKS
from chassis_tools.readiness.placeholders import STARTER_CASES_FILE, question_hash
from copier import run_copy
from json_schemas import SCHEMAS, schema_text
from path_ownership import owner_of
from sensitive.corpus import load
from sensitive.measure import form_rows, rows

PAGES = ROOT / "docs/reference"
SOURCE_FOLDERS = ("chassis/src/", "chassis/tools/src/")
"""Folders that the page of paths names as a whole."""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(head), ["---"] * len(head), *cells]) + "\n"


def questions() -> str:
    """Return the page about Copier's questions."""
    content = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    asked = {
        name: about
        for name, about in content.items()
        if not name.startswith("_") and False not in (about.get("when"), about.get("ask"))
    }
    rows = [(f"`{name}`", about["help"], _choices(about), _default(about)) for name, about in asked.items()]
    return (
        "# Questions\n\nThe questions of `copier copy`, in order. Each has a default, and each can be answered with "
        "`--data name=value`.\n\n" + table(("name", "question", "choices", "default"), rows)
    )


def _choices(about: dict[str, Any]) -> str:
    choices: list[str] | dict[str, str] = about.get("choices", [])
    values = choices if isinstance(choices, list) else choices.values()
    return ", ".join(f"`{choice}`" for choice in values)


def _default(about: dict[str, Any]) -> str:
    default = str(about["default"])
    if "_copier_conf" in default:
        return "the name of the folder, otherwise `acme-help`"
    return "depends on earlier answers" if "{{" in default else f"`{default}`"


def paths() -> str:
    """Return the page about the owner of each file of a generated repository."""
    with tempfile.TemporaryDirectory() as folder:
        run_copy(str(ROOT), folder, defaults=True, quiet=True, vcs_ref="HEAD")
        return paths_of(Path(folder))


def paths_of(project: Path) -> str:
    """Return that page for a repository with the default answers; its derived files are written first."""
    write_derived_files(load_decisions(find_project(project)))
    files = sorted(str(path.relative_to(project)) for path in project.rglob("*") if path.is_file())
    kinds = {
        kind: [file for file in files if owner_of(file) == kind] for kind in ("yours", "derived", "chassis", "record")
    }
    rows = [
        (f"`{file}`", kind) for kind, owned in kinds.items() for file in owned if not file.startswith(SOURCE_FOLDERS)
    ]
    return (
        "# Paths\n\nThe files of a repository that was generated with the default answers and set up, and the owner of "
        "each, from `chassis/paths.txt`. The kinds are explained in "
        "[path ownership](../explanation/path-ownership.md).\n\n"
        + table(("path", "kind"), [*rows, *((f"`{folder}`", "chassis") for folder in SOURCE_FOLDERS)])
    )


def errors() -> str:
    """Return the page about bad input."""
    requests = [(bad.what, bad.status, f"`/problems/{bad.slug}`", bad.detail) for bad in BAD_REQUESTS]
    starts = [(bad.what, bad.exit_code, f"`{' '.join(('chassis', *bad.command))}`", bad.says) for bad in BAD_STARTS]
    return (
        "# Errors\n\nBoth tables are test cases: a test sends each input and compares the response.\n\n"
        "## Over HTTP\n\n"
        + table(("what is wrong", "status", "type", "detail"), requests)
        + "\n## On the command line\n\n"
        "Exit code 1 means that the command failed, 2 that a file, a variable or an argument is wrong.\n\n"
        + table(("what is wrong", "exit code", "command", "output"), starts)
    )


def redaction() -> str:
    """Return the page about how well sensitive values are found."""
    sentences = [sentence for sentence in load() if sentence.form == "plain"]
    harmless = sum(not sentence.labels for sentence in sentences)
    head = ("kind", "values", "recall", "precision", "leaks", "values, unseen", "recall", "precision", "leaks")
    return (
        "# Redaction\n\n"
        f"How well sensitive values are found in {len(sentences):,} invented sentences in English, German, French, "
        f"Chinese and Japanese; {harmless} of them contain nothing sensitive but look as if they did. The sentences "
        "were written and labeled before they were compared with the patterns, and the patterns were improved on two "
        "thirds of them only. The right half of the table is the other third. [How the corpus was "
        "made](../../tests/chassis/sensitive/README.md).\n\n"
        + table(head, rows())
        + "\n## Other forms\n\nThe same kinds in other forms: touched by markup, behind an escape sequence, encoded, "
        "with other white space or separators, with invisible characters, with the digits of other scripts, and "
        "secrets known only by name.\n\n"
        + table(("form", *head[1:]), form_rows())
        + "\nA match is correct only if its kind, start and end are. A leak is a value of which any character is left "
        "when every kind is redacted. `make check` fails if a figure drops.\n\n"
        "Patterns run on a decoded copy of the text: escapes of JSON and of programming languages, percent-encoding, "
        "HTML entities and terminal colors are read up to four levels deep, invisible characters are left out, and "
        "digits and full-width letters become ASCII. Each character of the copy knows its place in the original, where "
        "the placeholder goes. A value that a call has replaced once is replaced wherever it comes back in that call, "
        "also without the words that gave it away. The same detectors serve `data.refuse`, and those for secrets the "
        "log.\n\n"
        "## What is missed\n\n"
        "Read the figures as an upper bound, because one author wrote both sides. Known to be missed:\n\n"
        + MISSED
        + "\nLoopback, multicast and unspecified addresses are not redacted, because they identify no one.\n"
    )


MISSED = r"""- names and postal addresses (add [a recognizer](../how-to/recognize-names.md))
- addresses spelled out (`ada at example dot com`) and numbers in words
- a value in base64, quoted-printable or another encoding than those above, in an attachment, or split over two messages
- a number that touches other letters or digits, such as `x4111111111111111`
- US social security numbers in one piece or with other separators than a hyphen or a space, without the word
- phone numbers in formats other than US, UK, DE, FR, CN and JP, without `+` or a word such as `call`; likewise
  those with tabs, line breaks or several spaces inside
- passwords that are shorter than six characters, have neither a digit nor a symbol, contain spaces without quotes, or
  look like an expression (`settings.key1`, `f(x1)`)
- unnamed keys of unknown vendors, and a secret whose name is the head of its column in a table
- an address or a key that a line break divides
- one letter where a backslash looks like the start of an escape: of `CORP\nathan@example.com`, `\n` stays
"""
"""What the detectors are known not to find."""


def launch_review() -> str:
    """Return the page on the launch review: how to pass it, then every check of `chassis ready`."""
    return decision_pages.handbook_page("launch.md", "## Every check", "".join(_family(family) for family in Family))


def _family(family: Family) -> str:
    sections = (
        f"\n#### {check.id}\n\n**{check.title}.** {check.explanation}\n\n"
        f"Required from tier `{check.level}`. If it does not pass: {check.remedy}.\n"
        for check in CHECKS
        if check.family is family
    )
    return f"\n### {family}\n" + "".join(sections)


def starter_cases() -> str:
    """Return the hashes of the questions in the starters' cases, which are not a team's own."""
    files = (ROOT / "template").glob("{{*/evals/cases/*.jsonl")
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    hashes = {question_hash(json.loads(line)["input"]) for line in lines}
    return textwrap.fill(" ".join(sorted(hashes)), 116) + "\n"


WRITERS = {
    "questions.md": questions,
    "paths.md": paths,
    "errors.md": errors,
    "redaction.md": redaction,
    "../../template/chassis/handbook/launch.md": launch_review,
    f"../../template/chassis/tools/src/chassis_tools/readiness/{STARTER_CASES_FILE}": starter_cases,
    "../../template/chassis/handbook/constraints.md": decision_pages.constraints,
    "../../template/chassis/handbook/ownership.md": decision_pages.ownership,
    **{f"../../template/chassis/schemas/{name}.json": partial(schema_text, name) for name in SCHEMAS},
}
"""The function that writes each page."""


def write() -> None:
    """Write all pages."""
    for page, text in WRITERS.items():
        (PAGES / page).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    write()
