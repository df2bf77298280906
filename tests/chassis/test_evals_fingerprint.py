"""The fingerprint of a grader: every change of its behavior changes it, and nothing else does."""

import re
import sys
from pathlib import Path

import pytest
from chassis_tools.evals.fingerprint import Fingerprints
from chassis_tools.evals.scoring import Graders

GRADERS = '''\
"""What a good answer is."""

import re

from chassis import Answered
from chassis_tools.evals import Case

from team import limits
from team.checks import says
from team.task import Answer, Question

LONGEST = 100
WORD = re.compile("[a-z]+")
BANNED = "banned.txt"


def right(case: Case[Question], outcome: Answer) -> bool:
    """Return whether the answer is right."""
    return isinstance(outcome, Answered) and says(outcome, case) and short(outcome) and outcome.is_polite()


def short(outcome):
    return len(WORD.findall(str(outcome))) < min(LONGEST, limits.MOST) and str(outcome) not in open(BANNED).read()


def other(case, outcome):
    return True
'''
CHECKS = """\
from .words import STOP


def says(outcome, case):
    return case.expected in outcome.value.text and not STOP.search(outcome.value.text)


def unused():
    return 1
"""
TASK = """\
from pydantic import BaseModel


class Question(BaseModel):
    text: str


class Answer(BaseModel):
    text: str

    def is_polite(self) -> bool:
        return "stupid" not in self.text

    def headline(self) -> str:
        return self.text[:10]


async def answer(question, model):
    return "One prompt"
"""
FILES = {
    "evals/graders.py": GRADERS,
    "evals/banned.txt": "bad\n",
    "evals/data/odd.txt": "strict",
    "src/team/__init__.py": "",
    "evals/cases/start.jsonl": "",
    "documents/page.md": "",
    "src/team/checks.py": CHECKS,
    "src/team/words.py": 'import re\n\nSTOP = re.compile("never")\n',
    "src/team/limits.py": "MOST = 50\n",
    "src/team/task.py": TASK,
}
G, C, W, L, T = (
    f"src/team/{name}.py" if name != "graders" else "evals/graders.py"
    for name in ("graders", "checks", "words", "limits", "task")
)

WEAKENED = {
    "body": (G, "return isinstance(outcome, Answered) and says", "return says"),
    "replaced by an import at the end": (G, "    return True\n", "    return True\n\n\nfrom team.easy import right\n"),
    "replaced by an import at the top": (G, "from team.checks import says", "from team.easy import says"),
    "import of another name": (G, "import says", "import unused as says"),
    "constant": (G, "LONGEST = 100", "LONGEST = 10_000"),
    "constant of a module": (L, "MOST = 50", "MOST = 5_000"),
    "compiled pattern": (G, '"[a-z]+"', '"x"'),
    "helper of graders.py": (G, "< min(", "<= 9 + min("),
    "helper of a module": (C, "case.expected in", "'' in"),
    "module behind a module": (W, '"never"', '"nevermore"'),
    "method of a class that a hint names": (T, '"stupid" not in self.text', "True"),
    "file that it reads": ("evals/banned.txt", "bad\n", "\n"),
    "redefined later": (G, "def other(case", "def says(outcome, case):\n    return True\n\n\ndef other(case"),
    "changed at import": (G, "def other(case", "if True:\n    says = lambda outcome, case: True\n\n\ndef other(case"),
    "changed by a call at import": (C, "def unused", "globals()['says'] = lambda *_: True\n\n\ndef unused"),
    "changed from another module": (
        T,
        "async def answer",
        "from team import checks\n\nchecks.says = lambda *_: True\n\n\nasync def answer",
    ),
    "changed in the package": ("src/team/__init__.py", "", "from team import checks\n\nchecks.says = None\n"),
    "decorated": (G, "def short", "@staticmethod\ndef short"),
    "default argument": (G, "def short(outcome)", "def short(outcome, most=9)"),
    "other library": (G, "import re\n", "import regex as re\n"),
    "dynamic import": (G, "and short(outcome)", "and __import__('team.easy').right"),
    "file with a computed name": ("evals/data/odd.txt", "strict", "lenient"),
    "star import": (G, "from team.checks import says", "from team.easy import *"),
}
HARMLESS = {
    "a case": ("evals/cases/start.jsonl", "", "{}\n"),
    "a document": ("documents/page.md", "", "New\n"),
    "docstring": (
        G,
        '"""Return whether the answer is right."""',
        '"""Say whether it is right.\n\n    At length.\n    """',
    ),
    "docstring of the module": (G, '"""What a good answer is."""', '"""What is good."""'),
    "no docstring": (G, '    """Return whether the answer is right."""\n', ""),
    "comment": (G, "LONGEST = 100", "LONGEST = 100  # in words"),
    "trailing comma": (G, "limits.MOST)", "limits.MOST,)"),
    "line breaks": (G, "says(outcome, case)", "says(\n        outcome,\n        case,\n    )"),
    "parentheses": (G, "return isinstance(outcome, Answered) and", "return (isinstance(outcome, Answered)) and"),
    "quotes": (G, '"banned.txt"', "'banned.txt'"),
    "blank lines": (G, "\n\n\ndef short", "\n\n\n\n\ndef short"),
    "unused import": (G, "import re\n", "import os\nimport re\n"),
    "order of imports": (
        G,
        "from team import limits\nfrom team.checks import says\n",
        "from team.checks import says\nfrom team import limits\n",
    ),
    "type hint": (G, "-> bool:", "-> object:"),
    "hint of an argument": (G, "def short(outcome)", "def short(outcome: Answer)"),
    "other grader": (G, "def other(case, outcome):\n    return True", "def other(case, outcome):\n    return False"),
    "new grader": (G, "def other(case", "def third(case, outcome):\n    return 1\n\n\ndef other(case"),
    "unused helper of a module": (C, "return 1", "return 2"),
    "prompt of the service": (T, '"One prompt"', '"Another prompt"'),
    "method that is not called": (T, "[:10]", "[:20]"),
    "new field of the answer": (
        T,
        "class Answer(BaseModel):\n    text: str",
        "class Answer(BaseModel):\n    text: str\n    sources: list[str] = []",
    ),
    "number written otherwise": (G, "LONGEST = 100", "LONGEST = 1_00"),
}
"""For each change: a file, a text in it, and what replaces it."""


def fingerprint(root: Path, change: tuple[str, str, str] | None = None) -> str:
    """Return the fingerprint of `right` after a change of one file."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "src/team/easy.py").write_text("def right(*_):\n    return True\n\n\nsays = right\n")
    if change:
        file, old, new = change
        assert old in FILES[file]
        (root / file).write_text(FILES[file].replace(old, new))
    return Fingerprints(root, (root / "evals/graders.py").read_text()).of("right")


def test_with_a_dynamic_import_all_modules_count(tmp_path: Path) -> None:
    """Wherever in the repository they are, but not those of its environment."""
    source = "def right(case, outcome):\n    return __import__('.'.join(NAMES)).right(case, outcome)\n"
    for path in ("tools/more.py", ".venv/lib/other.py"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("STRICT = True\n")
    before = Fingerprints(tmp_path, source).of("right")

    (tmp_path / ".venv/lib/other.py").write_text("STRICT = False\n")
    assert Fingerprints(tmp_path, source).of("right") == before
    (tmp_path / "tools/more.py").write_text("STRICT = False\n")
    assert Fingerprints(tmp_path, source).of("right") != before


def test_a_module_that_graders_put_on_the_path_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is none of the folders in which modules usually are."""
    source = "import sys\nsys.path.insert(0, 'evals/lib')\nfrom own_rules import ok\n\n\n"
    source += "def right(case, outcome):\n    return ok(outcome)\n"
    (tmp_path / "evals/lib").mkdir(parents=True)
    module = tmp_path / "evals/lib/own_rules.py"
    module.write_text("def ok(outcome):\n    return outcome == 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path.copy())
    before = Graders.execute(source, tmp_path).evaluator("right").hash
    module.write_text("def ok(outcome):\n    return True\n")

    assert Graders.execute(source, tmp_path).evaluator("right").hash != before
    del sys.modules["own_rules"]


@pytest.mark.parametrize("name", WEAKENED)
def test_a_weakened_grader_has_another_fingerprint(tmp_path: Path, name: str) -> None:
    """Whatever way its behavior changes: in its file, in what it imports, or in what it reads."""
    assert fingerprint(tmp_path / "after", WEAKENED[name]) != fingerprint(tmp_path / "before")


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_change_leaves_the_fingerprint_alone(tmp_path: Path, name: str) -> None:
    """Or every run would have to be accepted again after reformatting."""
    assert fingerprint(tmp_path / "after", HARMLESS[name]) == fingerprint(tmp_path / "before")


def test_the_fingerprint_is_the_same_in_every_version_of_python(tmp_path: Path) -> None:
    """A value that is written down, because the syntax tree of each version has other empty fields."""
    assert fingerprint(tmp_path) == "bf5d707f74f1"


@pytest.mark.parametrize("package", ["acme_bills", "t", "answer"])
def test_the_name_of_the_package_does_not_count(tmp_path: Path, package: str) -> None:
    """Each service has its own; with a second package in `src`, it does, as a grader may use either."""
    before, after = tmp_path / "before", tmp_path / "after"
    for root in (before, after):
        fingerprint(root)
        (root / "src/team/__init__.py").touch()
    same = Fingerprints(before, (before / "evals/graders.py").read_text()).of("right")
    (after / "src/team").rename(after / "src" / package)
    for file in after.rglob("*.py"):
        file.write_text(re.sub(r"from team\b", f"from {package}", file.read_text()))
    source = (after / "evals/graders.py").read_text()

    assert Fingerprints(after, source).of("right") == same
    (after / "src/another").mkdir()
    (after / "src/another/__init__.py").touch()
    assert Fingerprints(after, source).of("right") != same
