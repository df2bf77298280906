"""The two files on the page about standardizing many teams work as they are printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from answer_sets import QUESTIONS, ROOT

PAGE = ROOT / "docs/how-to/standardize-many-teams.md"


@pytest.mark.slow
def test_the_files_of_the_page(template: Path, tmp_path: Path) -> None:
    """The company's answers are used, its defaults replace those of the template, and every name is a question."""
    for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text, encoding="utf-8")
    answers, settings = tmp_path / "acme.yml", tmp_path / "settings.yml"
    service = tmp_path / "billing-answers"
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "--quiet", "--data-file", str(answers)]
    environment = os.environ | {"COPIER_SETTINGS_PATH": str(settings)}
    subprocess.run([*command, str(template), str(service)], env=environment, check=True)

    expected = yaml.safe_load(answers.read_text(encoding="utf-8"))
    expected |= yaml.safe_load(settings.read_text(encoding="utf-8"))["defaults"]
    recorded = yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert expected.keys() <= QUESTIONS.keys()
    assert {name: recorded[name] for name in expected} == expected
