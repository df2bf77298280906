"""Models and prompts are compared by cost and quality, offline from recordings."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from chassis.config.project import find_project
from chassis.testing import ScriptedModel
from chassis_tools.evals.confidence_floors import SILENT
from chassis_tools.evals.evaluation import load
from chassis_tools.evals.matrix import Matrix, mark_best
from chassis_tools.evals.report.output import to_html
from chassis_tools.evals.report.report import MatrixCell
from chassis_tools.evals.statistics import Interval
from cli_runner import run as chassis
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from pydantic_ai.usage import RequestUsage
from sample_evaluation import add_models, ask, case, edit, judge, question_in, write_cases, write_evaluation

PACKAGE = {
    "__init__.py": "",
    "prompts.py": "INSTRUCTIONS = 'Answer in capitals.'\n",
    "task.py": """
from pydantic_ai import Agent
from sample_task import Answer, Question, shout

from chassis import Draft, Task
from .prompts import INSTRUCTIONS


async def say(question, model):
    reply = await Agent(model, instructions=INSTRUCTIONS).run(question.text)
    return Draft(Answer(text=reply.output), confidence=0.9)


TASK = Task(name="echo", takes=Question, gives=Answer, run=say, baseline=shout)
""",
}


async def obey(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    """Answer in capitals if the instructions want it, at a cost."""
    text, asked = question_in(messages), getattr(messages[-1], "instructions", "") or ""
    reply = text.upper() if "capitals" in asked else text
    return ModelResponse([TextPart(reply)], usage=RequestUsage(input_tokens=9, output_tokens=5), finish_reason="stop")


@pytest.fixture
def team(project: Path) -> Path:
    """Write a project whose task reads its prompts from a module."""
    write_cases(write_evaluation(project), *(case(f"c{number}", f"case {number}") for number in range(4)))
    folder = project / "src/prompted"
    folder.mkdir(parents=True)
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    (project / "evals/polite.py").write_text("INSTRUCTIONS = 'Be polite.'\n")
    edit(project / "pyproject.toml", "sample_task:TASK", "prompted.task:TASK")
    add_models(project)
    return project


def test_models_and_prompts_are_compared(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recorded once, then measured offline; the report has the plot, and the suite's own run stays as it was."""
    [plan] = load(find_project(team), ["answers"])
    prompts = [None, team / "evals/polite.py"]
    how: dict[str, Any] = {"plan": plan, "evaluator": "right", "prompts": prompts, "module": "prompted.prompts"}
    matrix = Matrix(**how, models=["first", "baseline"], record=True, doubles={"first": ScriptedModel(obey)})
    cells = asyncio.run(matrix.measure(SILENT))

    seen = {(cell.model, cell.prompt): (cell.right and cell.right.value, cell.is_best) for cell in cells}
    assert seen == {
        ("first", "current"): (1, False),
        ("first", "polite.py"): (0, False),
        ("baseline", "current"): (1, True),
        ("baseline", "polite.py"): (1, True),
    }
    assert not (team / "var/evals/answers/records.jsonl").exists()
    capsys.readouterr()
    assert chassis("evals", "matrix", "answers", "--prompts", "evals/polite.py") == 0
    said = capsys.readouterr().out
    assert said.count("100.0%") >= 3
    assert "best: no other is both cheaper and better" in said
    ask(team, mode="record", models={"first": ScriptedModel(obey)})
    page = to_html(judge(team))
    assert 'aria-label="Share of right answers by mean cost"' in page
    assert "first, polite.py: 0.0 % right" in page


@pytest.mark.usefixtures("team")
def test_a_model_without_recordings_has_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """The baseline behind it must not pass for it."""
    assert chassis("evals", "matrix", "answers") == 0
    assert "4 cases without a reply; use --record" in " ".join(capsys.readouterr().out.split())
    for wrong in (("--model", "second"), ("--prompts", "no.py"), ("--prompts", "evals/polite.py", "--module", "words")):
        assert chassis("evals", "matrix", "answers", *wrong) == 2
        assert "there is no" in capsys.readouterr().err
    assert chassis("evals", "matrix", "answers", "--module", "words") == 2
    assert "--module words: no prompts are given for it" in capsys.readouterr().err


def test_the_front_is_what_no_other_beats() -> None:
    """Cheaper and as good, or as cheap and better, beats; an incomplete one is on no front."""

    def cell(right: float, usd: float, missing: int = 0) -> MatrixCell:
        return MatrixCell(model="m", prompt="p", cases=9, missing=missing, right=Interval(0, right, 1), usd=usd)

    cells = [cell(0.9, 3), cell(0.9, 2), cell(0.5, 1), cell(0.4, 1), cell(0.3, 0), cell(1, 0, missing=1)]

    assert [each.is_best for each in mark_best(cells)] == [False, True, True, False, True, False]


@pytest.mark.usefixtures("team")
def test_a_model_or_prompt_that_is_named_twice_is_measured_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Its second row would say nothing more."""
    twice = ["--model", "baseline", "--prompts", "evals/polite.py"] * 2
    capsys.readouterr()
    assert chassis("evals", "matrix", "answers", *twice, "--json") == 0

    cells = json.loads(capsys.readouterr().out)["cells"]

    assert [(cell["model"], cell["prompt"]) for cell in cells] == [("baseline", "current"), ("baseline", "polite.py")]
