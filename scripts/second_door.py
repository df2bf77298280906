"""Write what cookiecutter needs to ask the questions of `copier.yml`: its own list, and a page for the answers."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment

ROOT = Path(__file__).parents[1]
FOLDER = "{{cookiecutter.__folder}}"
HEADER = """\
# What was answered to cookiecutter. If you can read this, it was told to run no hooks, so nothing was generated.
# This does it, from the folder above:
#
#     copier copy --data-file {{ cookiecutter.__folder }}/cookiecutter-answers.yml {{ cookiecutter._template }} service
#
"""
"""It is read only after `--accept-hooks no`; otherwise a hook takes the file away."""

type Question = dict[str, Any]


def pages(questionnaire: dict[str, Any]) -> dict[str, str]:
    """Return the text of each file, by its path from the root of the repository.

    Raises:
        ValueError: A question of a form that cookiecutter has no counterpart for.
    """
    asked = {
        name: question
        for name, question in questionnaire.items()
        if not name.startswith("_") and False not in (question.get("when"), question.get("ask"))
    }
    asks = {name: _default(question, set(asked)) for name, question in asked.items()}
    # A name that is refused must not become a path that leads elsewhere before anybody refuses it.
    folder = {"__folder": "{{ cookiecutter.service_name | slugify or 'service' }}"}
    prompts = {"__prompts__": {name: _prompt(question) for name, question in asked.items()}}
    answers = (_answer(name, question, set(asked)) for name, question in asked.items())
    return {
        "cookiecutter.json": json.dumps(asks | folder | prompts, indent=2, ensure_ascii=False) + "\n",
        f"{FOLDER}/cookiecutter-answers.yml": HEADER + "".join(answers),
    }


def translated(source: str, names: set[str]) -> str:
    """Return a Jinja text of `copier.yml` with its variables where cookiecutter keeps them."""
    text, before = "", ""
    for _, kind, value in Environment(autoescape=True).lex(source):
        text += f"cookiecutter.{value}" if kind == "name" and value in names and before not in {".", "|"} else value
        before = before if kind == "whitespace" else value
    return text


def _values(question: Question) -> dict[str, str]:
    """Return the values that can be chosen and what they are called, the default first, as cookiecutter wants it."""
    choices: dict[str, str] | list[str] = question["choices"]
    labels = (
        {value: label for label, value in choices.items()}
        if isinstance(choices, dict)
        else {choice: choice for choice in choices}
    )
    if question["default"] not in labels:
        raise ValueError(
            f"The default {question['default']!r} is none of the choices as they stand; cookiecutter needs one"
        )
    return {question["default"]: labels[question["default"]]} | labels


def _default(question: Question, names: set[str]) -> Any:
    if "choices" in question:
        return list(_values(question))
    default = question["default"]
    return translated(default, names) if isinstance(default, str) else default


def _prompt(question: Question) -> str | dict[str, str]:
    prompt = question["help"].replace("[", "\\[")
    if "when" in question:
        prompt += f" (only if {_condition(question)}; otherwise just press Enter)"
    return {"__prompt__": prompt, **_values(question)} if "choices" in question else prompt


def _answer(name: str, question: Question, names: set[str]) -> str:
    line = f"{name}: {{{{ cookiecutter.{name} | jsonify }}}}\n"
    if "when" not in question:
        return line
    condition = translated(f"{{% if {_condition(question)} %}}", names)
    return f"{condition}\n{line}{{% endif %}}\n"


def _condition(question: Question) -> str:
    found = re.fullmatch(r"\s*{{(.*)}}\s*", question["when"])
    if found is None or "{{" in found[1]:
        raise ValueError(f"when: {question['when']!r} must be one expression between braces, for cookiecutter")
    return found[1].strip()


def main() -> None:
    """Write the files."""
    questionnaire = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    for path, text in pages(questionnaire).items():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
