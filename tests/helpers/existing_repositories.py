"""Existing repositories that adopt the chassis, as they are found in practice."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from generated_project import commit, git

APP = """
import os
from openai import OpenAI

PROMPT="Is this message urgent? Say urgent or normal."

def classify(text, client = None):
    client = client or OpenAI(api_key=os.environ['OPENAI_API_KEY'])
    reply = client.chat.completions.create(model='gpt-5.4-mini', messages=[{'role':'user','content':PROMPT+text}])
    return reply.choices[0].message.content

def looks_urgent(text):
    return 'outage' in text.lower()
"""
PAGE = """
import streamlit as st
from app import classify
st.title('Triage')
if text := st.text_input('Message'): st.write(classify(text))
"""
TEST = """
from {} import looks_urgent

def test_an_outage_is_urgent():
    assert looks_urgent('Outage in Berlin')
"""
PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "triage"
version = "3.1"
requires-python = ">=3.12"
dependencies = [
  "requests",
]

[tool.hatch.build.targets.wheel]
only-include = ["app.py"]
"""
SETUPTOOLS = """
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "triage"
dynamic = ["version"]
requires-python = ">=3.10"
dependencies = ["tenacity"]

[tool.setuptools.packages.find]
where = ["src"]

[tool.setuptools.dynamic]
version = {attr = "triage.__version__"}

[tool.ruff]
line-length = 79
extend-exclude = ["notebooks"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["src"]
"""
MAKEFILE = """
PY ?= python

test:
\t$(PY) -m pytest -q

lint:
\tblack --check src

check: lint test
"""
HOOKS = """
repos:
  - repo: local
    hooks:
      - id: ours
        name: ours
        language: system
        entry: sh -c 'for file; do case $file in chassis/*) exit 1 ;; esac; done' sh
"""
"""A hook that fails on files of the chassis, as a formatter with other rules would."""
WORKFLOW = "name: {}\non: push\njobs: {{}}\n"


def _proof_of_concept(root: Path) -> None:
    """Write a script that calls a vendor's SDK, a demo page, and one test."""
    write_file(root, "app.py", APP)
    write_file(root, "page.py", PAGE)
    write_file(root, "tests/test_app.py", TEST.format("app"))
    write_file(root, "requirements.txt", "openai\nstreamlit\n")
    write_file(root, "README.md", "# Triage\n")


def _from_cookiecutter(root: Path) -> None:
    """Write the same in a repository that cruft updates, with files of another generator."""
    _proof_of_concept(root)
    write_file(root, ".cruft.json", '{"template": "https://git.example/cookiecutter-data", "commit": "0f1e2d"}\n')
    write_file(root, "Makefile", "train:\n\techo train\n")
    write_file(root, ".gitignore", "*.pyc\n/data/\n")
    write_file(root, "setup.cfg", "[flake8]\nmax-line-length = 88\n")
    write_file(root, "notebooks/first.ipynb", "{}\n")


def _with_workflows(root: Path) -> None:
    """Write a repository with its own pyproject.toml, workflows, hooks and image, some at paths of chassis files."""
    _proof_of_concept(root)
    write_file(root, "pyproject.toml", PYPROJECT)
    write_file(root, ".github/workflows/check.yml", WORKFLOW.format("our check"))
    write_file(root, ".github/workflows/deploy.yml", WORKFLOW.format("deploy"))
    write_file(root, ".github/CODEOWNERS", "* @acme/triage\n")
    write_file(root, ".pre-commit-config.yaml", "repos: []\n")
    write_file(root, "Dockerfile", "FROM scratch\n")
    write_file(root, ".gitignore", ".env\n.venv/\nvar/\n")


def _with_everything(root: Path) -> None:
    """Write a package with rules, targets and hooks that conflict with the chassis, and a README in Latin-1."""
    write_file(root, "src/triage/__init__.py", "__version__ = '0.3'\n")
    write_file(root, "src/triage/core/__init__.py", "")
    write_file(root, "src/triage/core/classify.py", APP)
    write_file(root, "scripts/run.py", "print( 'hi' )\n")
    write_file(root, "tests/test_app.py", TEST.format("triage.core.classify"))
    write_file(root, "pyproject.toml", SETUPTOOLS)
    write_file(root, "Makefile", MAKEFILE)
    write_file(root, ".pre-commit-config.yaml", HOOKS)
    write_file(root, ".github/workflows/ci.yml", WORKFLOW.format("ci"))
    (root / "README.md").write_bytes("# Triage für München\n".encode("latin-1"))


@dataclass(frozen=True, slots=True)
class ExistingRepository:
    """One repository, and what its adoption has to say.

    Args:
        write: Writes its files.
        says: Parts of what `chassis adopt` prints the first time.
        branch: Its branch.
    """

    write: Callable[[Path], None]
    says: tuple[str, ...] = ()
    branch: str = "main"


KINDS = {
    "proof-of-concept": ExistingRepository(_proof_of_concept),
    "cookiecutter": ExistingRepository(_from_cookiecutter),
    "workflows": ExistingRepository(_with_workflows),
    "everything": ExistingRepository(_with_everything),
}


def write_repository(repository: ExistingRepository, root: Path) -> Path:
    """Write a repository, commit it, and return it."""
    root.mkdir()
    repository.write(root)
    git(root, "init", "--quiet", "--initial-branch", repository.branch)
    git(root, "config", "user.name", "Test")
    git(root, "config", "user.email", "test@example.com")
    commit(root, "As it was")
    return root


def write_file(root: Path, path: str, text: str) -> None:
    """Write a file and the folders above it."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text.lstrip("\n"), encoding="utf-8")
