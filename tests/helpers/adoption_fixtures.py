"""Eight repositories in the shapes in which proofs of concept are found, for the page on adoption."""

from pathlib import Path

from existing_repositories import APP, MAKEFILE, PAGE, TEST, WORKFLOW, ExistingRepository, write_file

RAG = """
import json, pathlib

INDEX = pathlib.Path('index.json')

def search(question):
    return [text for text in json.loads(INDEX.read_text()) if question.lower() in text.lower()]
"""
SETTINGS = """
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    api_url: str = "http://127.0.0.1"
    database_url: str = ""
    openai_api_key: str = ""
    model_config = SettingsConfigDict(env_file=".env")
"""
SETTINGS_TEST = """
from app.settings import Settings

def test_the_settings_are_read():
    assert Settings().api_url.startswith('http')
"""
SETUP = """
from setuptools import find_packages, setup

setup(name='src', packages=find_packages(), version='0.1.0', install_requires=['click'])
"""
DATA_MAKEFILE = """
.PHONY: clean data lint requirements
PYTHON_INTERPRETER = python3

requirements:
\t$(PYTHON_INTERPRETER) -m pip install -r requirements.txt

data: requirements
\t$(PYTHON_INTERPRETER) src/data/make_dataset.py data/raw data/processed

.DEFAULT_GOAL := help

help:
\t@echo targets: clean data lint requirements
"""
HATCH = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "triage"
version = "2.0"
requires-python = "{}"
dependencies = ["httpx>=0.27"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""
POETRY = """
[tool.poetry]
name = "triage"
version = "0.3.0"
description = "Triage"
authors = ["Someone <someone@example.com>"]
packages = [{include = "triage"}]

[tool.poetry.dependencies]
python = "^3.12"
idna = "^3.7"
common = { path = "libs/common", develop = true }

[tool.poetry.group.dev.dependencies]
pytest = "*"

[build-system]
requires = ["poetry-core>=2"]
build-backend = "poetry.core.masonry.api"
"""
COMMON = """
[tool.poetry]
name = "common"
version = "0.1.0"
description = "What the services of the monorepo share"
authors = ["Someone <someone@example.com>"]

[tool.poetry.dependencies]
python = ">=3.9"

[build-system]
requires = ["poetry-core>=2"]
build-backend = "poetry.core.masonry.api"
"""
STEPS = """
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
"""


def _streamlit(root: Path) -> None:
    write_file(root, "app.py", APP)
    write_file(root, "page.py", PAGE)
    write_file(root, "requirements.txt", "openai\nstreamlit\n")


def _flat_rag(root: Path) -> None:
    write_file(root, "rag.py", RAG)
    write_file(root, "test_rag.py", "import rag\n\ndef test_index():\n    assert rag.INDEX.name == 'index.json'\n")
    write_file(root, "requirements.txt", "chromadb>=0.5\nrich<99\n")
    write_file(root, "docker-compose.yml", "services: {chroma: {image: chroma}}\n")


def _fastapi(root: Path) -> None:
    write_file(root, "app/__init__.py", "")
    write_file(root, "app/settings.py", SETTINGS)
    write_file(root, "tests/test_settings.py", SETTINGS_TEST)
    write_file(root, "requirements.txt", "fastapi\npydantic-settings\n")
    write_file(root, "Dockerfile", "FROM python:3.12\nCOPY . /app\n")
    write_file(root, ".gitignore", ".env\n")
    write_file(root, ".env", "API_URL=http://backend\nOPENAI_API_KEY=sk-test\nDATABASE_URL=mysql://db\n")


def _data_science(root: Path) -> None:
    write_file(root, "setup.py", SETUP)
    write_file(root, "requirements.txt", "# local package\n-e .\n\n# external requirements\nclick\nSphinx\n")
    write_file(root, "Makefile", DATA_MAKEFILE)
    write_file(root, "tox.ini", "[flake8]\nmax-line-length = 79\n")
    write_file(root, "test_environment.py", "def main():\n    pass\n")
    write_file(root, "src/__init__.py", "")
    write_file(root, "src/data/make_dataset.py", "def main( ):\n    pass\n")
    write_file(root, "notebooks/1.0-first.ipynb", "{}\n")


def _workflows(root: Path) -> None:
    write_file(root, "pyproject.toml", HATCH.format(">=3.10"))
    write_file(root, "src/triage/__init__.py", "")
    write_file(root, "src/triage/classify.py", APP)
    write_file(root, "tests/test_app.py", TEST.format("triage.classify"))
    write_file(root, ".github/workflows/ci.yml", "name: ci\non: {push: {branches: [stable]}}" + STEPS)
    write_file(root, ".github/workflows/publish.yml", "name: publish\non:\n  push:\n    tags: ['v*']" + STEPS)
    write_file(root, "CODEOWNERS", "* @acme/triage\n")


def _poetry(root: Path) -> None:
    write_file(root, "pyproject.toml", POETRY)
    write_file(root, "triage/__init__.py", "")
    write_file(root, "libs/common/pyproject.toml", COMMON)
    write_file(root, "libs/common/common/__init__.py", "")


def _makefile(root: Path) -> None:
    write_file(
        root,
        "pyproject.toml",
        HATCH.format(">=3.12") + "\n[tool.hatch.build.targets.wheel]\nonly-include = ['app.py']\n",
    )
    write_file(root, "app.py", APP)
    write_file(root, "tests/test_app.py", TEST.format("app"))
    write_file(root, "Makefile", "RUN := docker run triage\nUV = uvicorn\n\n" + MAKEFILE)
    write_file(root, ".github/workflows/build.yml", WORKFLOW.format("build"))


def _python_311(root: Path) -> None:
    write_file(root, "pyproject.toml", HATCH.format(">=3.11,<3.12"))
    write_file(root, "app.py", APP)


FIXTURES = {
    "streamlit": ExistingRepository(_streamlit, ("pyproject.toml does not list what it does, such as openai",)),
    "flat-rag": ExistingRepository(
        _flat_rag, ("docker-compose.yml: `docker compose` reads the new compose.yaml instead", "such as chromadb")
    ),
    "fastapi-settings": ExistingRepository(
        _fastapi,
        (".env: the service reads it too, and uses OPENAI_API_KEY", "Dockerfile: the new .dockerignore hides tests"),
    ),
    "data-science": ExistingRepository(
        _data_science, ("setup.py: the new pyproject.toml says how the project is built", "rename your targets help")
    ),
    "own-workflows": ExistingRepository(
        _workflows,
        (
            "branch stable: after a merge, the workflows run on main",
            "unpinned-uses: {ignore: [ci.yml, publish.yml]}",
            "publish.yml: it runs for a release",
            "CODEOWNERS: GitHub reads .github/CODEOWNERS instead",
        ),
        branch="stable",
    ),
    "poetry-monorepo": ExistingRepository(
        _poetry, ('dependencies = ["idna>=3.7,<4", "common", "ai-service-chassis"]', 'common = { path = "libs/common"')
    ),
    "own-makefile": ExistingRepository(_makefile, ("rename your targets check, test",)),
    "python-3.11": ExistingRepository(
        _python_311,
        ("pyproject.toml: project.requires-python: '>=3.11,<3.12' allows no Python that the chassis supports",),
    ),
}
