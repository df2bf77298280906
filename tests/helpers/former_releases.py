"""Releases that came before this working tree, made from it backwards: what each later one changed is taken back.

| release | beside what the next one has |
|---|---|
| 0.7.0 | the question `budget_usd`, later called `monthly_budget_usd`; no question `forge` |
| 0.8.0 | the workflow `lint.yml`, later retired |
| 0.9.0 | other pins, hooks, dependencies, rules and words; a module that is gone; other team files at first |
| 1.0.0 | this working tree, with the two lines that a renamed question and a retired path need |
"""

import re
from pathlib import Path

from template_releases import append, begin, release

FORMER = ("0.7.0", "0.8.0", "0.9.0")
NOW = "1.0.0"
LINT = ".github/workflows/lint.yml"
RENAMED = {"budget_usd": "monthly_budget_usd"}
"""What questions were called before."""
SPENT = 120
"""A budget that no default gives, so that it can be seen to survive its question's new name."""


def releases(folder: Path) -> Path:
    """Return a repository of the template with four releases."""
    source = begin(folder)
    today = {path: path.read_bytes() for path in (source / "template").rglob("*") if path.is_file()}
    questions = (source / "copier.yml").read_bytes()
    for version, take_back in ((FORMER[0], _questions), (FORMER[1], _workflow), (FORMER[2], _content)):
        _restore(source, today, questions)
        take_back(source)
        release(source, version)
    _restore(source, today, questions)
    _mention_the_past(source)
    release(source, NOW)
    return source


def _restore(source: Path, today: dict[Path, bytes], questions: bytes) -> None:
    for path in (source / "template").rglob("*"):
        if path.is_file() and path not in today:
            path.unlink()
    for path, content in today.items():
        path.write_bytes(content)
    (source / "copier.yml").write_bytes(questions)


def _questions(source: Path) -> None:
    """0.7.0: a question had another name, and another was not asked; what was not asked is like GitHub."""
    _workflow(source)
    for path in (source / "copier.yml", *(source / "template").glob("*.jinja")):
        path.write_text(path.read_text(encoding="utf-8").replace("monthly_budget_usd", "budget_usd"), encoding="utf-8")
    swap(source / "copier.yml", r"\nforge:\n", "\nforge:\n  when: false\n")
    swap(source / "copier.yml", r"\nkept_paths:\n", "\nkept_paths:\n  when: false\n")


def _workflow(source: Path) -> None:
    """0.8.0: the chassis had one more workflow."""
    _content(source)
    (source / "template" / LINT).write_text("name: lint\non: push\njobs: {}\n", encoding="utf-8")
    swap(source / "template/chassis/paths.txt", r"\nyours ", f"\nchassis {LINT}\nyours ")


def _content(source: Path) -> None:
    """0.9.0: the same paths but one, with other words in them."""
    template = source / "template"
    for workflow in (template / ".github/workflows").glob("*.yml"):
        text = workflow.read_text(encoding="utf-8")
        workflow.write_text(re.sub(r"@[0-9a-f]{40} # v.*", f"@{'0' * 40} # v0", text), encoding="utf-8")
    swap(template / ".pre-commit-config.yaml", "--maxkb 1000", "--maxkb 500")
    swap(template / "chassis/pyproject.toml", r'    "rich>=15",\n', "")
    swap(template / "chassis/pyproject.toml", "structlog>=26.1", "structlog>=26")
    swap(template / "chassis/ruff.toml", r'    "TC003",.*\n', "")
    (template / "chassis/src/chassis/former.py").write_text('"""A module that is gone later."""\n', encoding="utf-8")
    append(template / "chassis/README.md", "\nThe former end of this page.")
    swap(template / "constraints.toml.jinja", "due_hours = 8 .*", "due_hours = 9")
    append(template / "README.md.jinja", "\nA former last line.")
    append(template / "Makefile", "# a former last line")
    for deep in ("documents/service.md", "src/{{ package_name }}/task.py", "tests/test_task.py.jinja"):
        append(template / "{{ shape_answer }}" / deep, "\n\n# A former last line.")


def _mention_the_past(source: Path) -> None:
    """1.0.0: a renamed question reads its old answer, and a retired path is never taken away."""
    swap(source / "copier.yml", r"  default: 300\n", '  default: "{{ budget_usd | default(300) }}"\n')
    swap(source / "copier.yml", r"\n  - \.git\n", f"\n  - /{LINT}\n  - .git\n")
    swap(source / "template/chassis/paths.txt", r"\nyours ", f"\nretired {LINT}\nyours ")


def swap(file: Path, old: str, new: str) -> None:
    """Replace what a pattern finds in a file, which must have it."""
    text, found = re.subn(old, lambda _: new, file.read_text(encoding="utf-8"))
    assert found, f"{file.name} has no {old!r} any more; mend tests/former.py"
    file.write_text(text, encoding="utf-8")
