"""Former releases of the template, made from the working tree by undoing what each later release changed.

| release | difference to the next one |
|---|---|
| 0.7.0 | the question `budget_usd`, later renamed to `monthly_budget_usd`; no questions `forge` and `kept_paths` |
| 0.8.0 | the workflow `lint.yml`, later retired |
| 0.9.0 | other pins, hooks, dependencies, rules and texts; a module that is removed later; other starter files |
| 1.0.0 | the working tree |

As the template does, every release after a question was renamed reads its former answer, and every release after a path
was retired keeps it from being deleted, so that updating to each release in turn loses nothing either.
"""

import re
from pathlib import Path

from template_releases import append_line, tag_release, template_repository

FORMER_RELEASES = ("0.7.0", "0.8.0", "0.9.0")
CURRENT = "1.0.0"
RETIRED_WORKFLOW = ".github/workflows/lint.yml"
RENAMED_QUESTIONS = {"budget_usd": "monthly_budget_usd"}
READ_FORMER_BUDGET = '  default: "{{ budget_usd | default(300) }}"\n'
BUDGET = 120
"""An answer that is not a default, so that losing it would be noticed."""


def template_with_releases(folder: Path, *, subpackages: bool = True) -> Path:
    """Return a repository of the template with four releases, and with or without the subpackages of the chassis."""
    source = template_repository(folder, subpackages=subpackages)
    files = {path: path.read_bytes() for path in (source / "template").rglob("*") if path.is_file()}
    questions = (source / "copier.yml").read_bytes()
    undo = {FORMER_RELEASES[0]: _undo_questions, FORMER_RELEASES[1]: _undo_workflow, FORMER_RELEASES[2]: _undo_content}
    for version, undo_changes in undo.items():
        _restore(source, files, questions)
        undo_changes(source)
        tag_release(source, version)
    _restore(source, files, questions)
    _support_former_releases(source)
    tag_release(source, CURRENT)
    return source


def substitute(file: Path, pattern: str, replacement: str) -> None:
    """Replace what a pattern matches in a file; it must match."""
    text, count = re.subn(pattern, lambda _: replacement, file.read_text(encoding="utf-8"))
    assert count, f"{file.name} does not contain {pattern!r}; adapt tests/helpers/former_releases.py"
    file.write_text(text, encoding="utf-8")


def _restore(source: Path, files: dict[Path, bytes], questions: bytes) -> None:
    for path in (source / "template").rglob("*"):
        if path.is_file() and path not in files:
            path.unlink()
    for path, content in files.items():
        path.write_bytes(content)
    (source / "copier.yml").write_bytes(questions)


def _undo_questions(source: Path) -> None:
    """Make 0.7.0: one question has another name, and two are not asked."""
    _undo_workflow(source)
    substitute(source / "copier.yml", re.escape(READ_FORMER_BUDGET), "  default: 300\n")
    for path in (source / "copier.yml", *(source / "template").glob("*.jinja")):
        path.write_text(path.read_text(encoding="utf-8").replace("monthly_budget_usd", "budget_usd"), encoding="utf-8")
    substitute(source / "copier.yml", r"\nforge:\n", "\nforge:\n  when: false\n")
    substitute(source / "copier.yml", r"\nkept_paths:\n", "\nkept_paths:\n  when: false\n")


def _undo_workflow(source: Path) -> None:
    """Make 0.8.0: the chassis has one more workflow."""
    _change_content(source)
    _read_former_budget(source)
    (source / "template" / RETIRED_WORKFLOW).write_text("name: lint\non: push\njobs: {}\n", encoding="utf-8")
    substitute(source / "template/chassis/paths.txt", r"\nyours ", f"\nchassis {RETIRED_WORKFLOW}\nyours ")


def _undo_content(source: Path) -> None:
    """Make 0.9.0: the same paths except for one module, with different content."""
    _change_content(source)
    _support_former_releases(source)


def _change_content(source: Path) -> None:
    template = source / "template"
    for workflow in (template / ".github/workflows").glob("*.yml"):
        text = workflow.read_text(encoding="utf-8")
        workflow.write_text(re.sub(r"@[0-9a-f]{40} # v.*", f"@{'0' * 40} # v0", text), encoding="utf-8")
    substitute(template / ".pre-commit-config.yaml", "--maxkb 1000", "--maxkb 500")
    substitute(template / "chassis/pyproject.toml", r'    "rich>=13",\n', "")
    substitute(template / "chassis/pyproject.toml", "structlog>=25.4", "structlog>=25")
    substitute(template / "chassis/ruff.toml", r'    "TC003",.*\n', "")
    (template / "chassis/src/chassis/former.py").write_text('"""A module that is removed later."""\n', encoding="utf-8")
    append_line(template / "chassis/README.md", "\nThe former end of this page.")
    substitute(template / "constraints.toml.jinja", "due_hours = 8 .*", "due_hours = 9")
    append_line(template / "README.md.jinja", "\nA former last line.")
    append_line(template / "Makefile", "# a former last line")
    for path in ("documents/returns.md", "src/{{ package_name }}/task.py", "tests/test_task.py.jinja"):
        append_line(template / "{{ shape_answer }}" / path, "\n\n# A former last line.")


def _read_former_budget(source: Path) -> None:
    """Let the renamed question read its former answer."""
    substitute(source / "copier.yml", r"  default: 300\n", READ_FORMER_BUDGET)


def _support_former_releases(source: Path) -> None:
    """Read the former answer, and keep the retired path from being deleted by an update."""
    _read_former_budget(source)
    substitute(source / "copier.yml", r"\n  - \.git\n", f"\n  - /{RETIRED_WORKFLOW}\n  - .git\n")
    substitute(source / "template/chassis/paths.txt", r"\nyours ", f"\nretired {RETIRED_WORKFLOW}\nyours ")
