"""Existing repositories that adopt the chassis, as they are found in practice."""

from collections.abc import Callable
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
    _write(root, "app.py", APP)
    _write(root, "page.py", PAGE)
    _write(root, "tests/test_app.py", TEST.format("app"))
    _write(root, "requirements.txt", "openai\nstreamlit\n")
    _write(root, "README.md", "# Triage\n")


def _from_cookiecutter(root: Path) -> None:
    """Write the same in a repository that cruft updates, with files of another generator."""
    _proof_of_concept(root)
    _write(root, ".cruft.json", '{"template": "https://git.example/cookiecutter-data", "commit": "0f1e2d"}\n')
    _write(root, "Makefile", "train:\n\techo train\n")
    _write(root, ".gitignore", "*.pyc\n/data/\n")
    _write(root, "setup.cfg", "[flake8]\nmax-line-length = 88\n")
    _write(root, "notebooks/first.ipynb", "{}\n")


def _with_workflows(root: Path) -> None:
    """Write a repository with its own pyproject.toml, workflows, hooks and image, some at paths of chassis files."""
    _proof_of_concept(root)
    _write(root, "pyproject.toml", PYPROJECT)
    _write(root, ".github/workflows/check.yml", WORKFLOW.format("our check"))
    _write(root, ".github/workflows/deploy.yml", WORKFLOW.format("deploy"))
    _write(root, ".github/CODEOWNERS", "* @acme/triage\n")
    _write(root, ".pre-commit-config.yaml", "repos: []\n")
    _write(root, "Dockerfile", "FROM scratch\n")
    _write(root, ".gitignore", ".env\n.venv/\nvar/\n")


def _with_everything(root: Path) -> None:
    """Write a package with rules, targets and hooks that conflict with the chassis, and a README in Latin-1."""
    _write(root, "src/triage/__init__.py", "__version__ = '0.3'\n")
    _write(root, "src/triage/core/__init__.py", "")
    _write(root, "src/triage/core/classify.py", APP)
    _write(root, "scripts/run.py", "print( 'hi' )\n")
    _write(root, "tests/test_app.py", TEST.format("triage.core.classify"))
    _write(root, "pyproject.toml", SETUPTOOLS)
    _write(root, "Makefile", MAKEFILE)
    _write(root, ".pre-commit-config.yaml", HOOKS)
    _write(root, ".github/workflows/ci.yml", WORKFLOW.format("ci"))
    (root / "README.md").write_bytes("# Triage für München\n".encode("latin-1"))


KINDS: dict[str, Callable[[Path], None]] = {
    "proof-of-concept": _proof_of_concept,
    "cookiecutter": _from_cookiecutter,
    "workflows": _with_workflows,
    "everything": _with_everything,
}


def existing_repository(kind: str, root: Path) -> Path:
    """Write a repository of one kind and commit it."""
    root.mkdir()
    KINDS[kind](root)
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "config", "user.name", "Test")
    git(root, "config", "user.email", "test@example.com")
    commit(root, "As it was")
    return root


def _write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text.lstrip("\n"), encoding="utf-8")
