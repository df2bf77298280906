"""Generates `cookiecutter.json` and the file for its answers from the questions in `copier.yml`."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

ROOT = Path(__file__).parents[1]
FOLDER = "{{cookiecutter.__folder}}"
FILTERS = "jinja2_ansible_filters.AnsibleCoreFiltersExtension"
"""The filters that Copier has."""
HEADER = """\
# The answers given to cookiecutter. This file remains only if cookiecutter ran without hooks (--accept-hooks no). The
# service was not generated then. To generate it, run in the folder above:
#
#     copier copy --data-file {{ cookiecutter.__folder }}/cookiecutter-answers.yml {{ cookiecutter._template }} service
#
"""

type Question = dict[str, Any]


def cookiecutter_files(questionnaire: dict[str, Any]) -> dict[str, str]:
    """Return the text of each file, by its path from the root of the repository.

    Args:
        questionnaire: The content of `copier.yml`.

    Raises:
        ValueError: Cookiecutter has no equivalent for a question.
    """
    asked = {
        name: question
        for name, question in questionnaire.items()
        if not name.startswith("_") and False not in (question.get("when"), question.get("ask"))
    }
    defaults = {name: _default(question, set(asked)) for name, question in asked.items()}
    # Cookiecutter creates the folder before Copier validates the name, so a name such as `../x` must not become a path.
    folder = {"__folder": "{{ cookiecutter.service_name | slugify or 'service' }}"}
    prompts = {"__prompts__": {name: _prompt(question) for name, question in asked.items()}}
    answers = (_answer(name, question, set(asked)) for name, question in asked.items())
    return {
        "cookiecutter.json": json.dumps(defaults | folder | prompts, indent=2, ensure_ascii=False) + "\n",
        f"{FOLDER}/cookiecutter-answers.yml": HEADER + "".join(answers),
    }


def qualify(source: str, names: set[str]) -> str:
    """Return a Jinja text in which each name of a question has the prefix `cookiecutter.`."""
    text, previous = "", ""
    for _, kind, token in Environment(autoescape=True).lex(source):
        # After a dot or a pipe the same word is an attribute or a filter.
        is_variable = kind == "name" and token in names and previous not in {".", "|"}
        text += f"cookiecutter.{token}" if is_variable else token
        previous = previous if kind == "whitespace" else token
    return text


def _default(question: Question, names: set[str]) -> Any:
    if "choices" in question:
        return list(_labels(question))
    default = question["default"]
    if "_copier_conf" in str(default):
        # It depends on Copier's target folder. Cookiecutter creates the folder after the questions, so there is none.
        filters = Environment(autoescape=True, undefined=StrictUndefined, extensions=[FILTERS])
        return filters.from_string(default).render(_copier_conf={"dst_path": "/"})
    return qualify(default, names) if isinstance(default, str) else default


def _labels(question: Question) -> dict[str, str]:
    """Return the label of each choice by its value, with the default first, as cookiecutter expects it."""
    choices: dict[str, str] | list[str] = question["choices"]
    labels = (
        {value: label for label, value in choices.items()}
        if isinstance(choices, dict)
        else {choice: choice for choice in choices}
    )
    if question["default"] not in labels:
        raise ValueError(f"The default {question['default']!r} must be one of the choices, for cookiecutter")
    return {question["default"]: labels[question["default"]]} | labels


def _prompt(question: Question) -> str | dict[str, str]:
    # Rich, which cookiecutter prints with, reads square brackets as markup.
    prompt = question["help"].replace("[", "\\[")
    if "when" in question:
        prompt += f" (only if {_condition(question)}; otherwise press Enter)"
    return {"__prompt__": prompt, **_labels(question)} if "choices" in question else prompt


def _answer(name: str, question: Question, names: set[str]) -> str:
    line = f"{name}: {{{{ cookiecutter.{name} | jsonify }}}}\n"
    if "when" not in question:
        return line
    condition = qualify(f"{{% if {_condition(question)} %}}", names)
    return f"{condition}\n{line}{{% endif %}}\n"


def _condition(question: Question) -> str:
    expression = re.fullmatch(r"\s*{{(.*)}}\s*", question["when"])
    if expression is None or "{{" in expression[1]:
        raise ValueError(f"when: {question['when']!r} must be a single expression in double braces, for cookiecutter")
    return expression[1].strip()


def main() -> None:
    """Write the files."""
    questionnaire = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    for path, text in cookiecutter_files(questionnaire).items():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
