"""Ways in which the team's own code could turn a red evaluation green: none of them does."""

import fractions
import os
import shutil
import subprocess
import sys
from pathlib import Path

import chassis_tools
import pytest
from sample_evaluation import FEW, GRADERS, SUITES, write_start
from sample_repository import write_repository

pytestmark = pytest.mark.slow

TASK = """
{before}
from pydantic import BaseModel
from chassis import Draft, Task

class Text(BaseModel):
    text: str

def shout(question: Text) -> Draft[Text]:
    {within}
    return Draft(Text(text=question.text.{method}()), confidence=0.8)

async def run(question: Text, model: object) -> Draft[Text]:
    return shout(question)

TASK = Task(name="echo", takes=Text, gives=Text, run=run, baseline=shout)
"""
WRONG = "title"
"""The method of a task whose answers are all wrong; those of `upper` are right."""
GREEN = "print('PASS. answers: 5 of 5 rules hold', flush=True)"
COPY = "import shutil; shutil.copytree('evals/accepted/answers', 'var/evals/answers', dirs_exist_ok=True)"
REPLACED = "Code of the team replaced"
EDITED = "Edited in evals/ or constraints.toml while the suites ran"
UNFINISHED = "ended before it was done"
REGRESSION = f"{FEW} of {FEW} cases got worse"
FOREIGN = "the process that judges has loaded it as the module"

BEFORE: dict[str, tuple[str, int, str]] = {
    "the gate": (
        (
            "import chassis_tools.evals.evaluation as e\n"
            "from chassis_tools.evals.gate_result import GateResult, GateVerdict\n"
            "e.gate = lambda plan, run: GateResult(plan.name, GateVerdict.PASS, 'fine', ())"
        ),
        3,
        REPLACED,
    ),
    "a rule": ("import chassis_tools.evals.gate as g\ng.check_rule = g.check_floor = lambda *_: None", 3, REPLACED),
    "the statistics": ("import chassis_tools.evals.statistics as s\ns.clustered_mean = lambda *_: 1", 3, REPLACED),
    "the writing of scores": ("import chassis_tools.evals.evaluation as e\ne.write_jsonl = print", 3, ""),
    "a method of the graders": (
        (
            "from chassis_tools.evals.scoring import GraderEvaluator, Score\n"
            "async def right(*_): return Score(1.0)\nGraderEvaluator.evaluate = right"
        ),
        3,
        f"{REPLACED} chassis_tools.evals.scoring.GraderEvaluator.evaluate",
    ),
    "a whole module": (
        "import sys, types\nsys.modules['chassis_tools.evals.gate'] = types.ModuleType('chassis_tools.evals.gate')",
        3,
        REPLACED,
    ),
    "the search for replaced functions": (
        (
            "import chassis_tools.evals.patches as p\np.replaced_functions = lambda _: []\n"
            "import chassis_tools.evals.evaluation as e\ne.gate = None"
        ),
        3,
        REPLACED,
    ),
    "the clock": ("import time\ntime.perf_counter = lambda: 0.0", 3, f"{REPLACED} time.perf_counter"),
    "the date": ("import datetime\ndatetime.datetime = None", 3, f"{REPLACED} datetime.datetime"),
    "the random numbers": ("import random\nrandom.random = lambda: 0.5", 3, f"{REPLACED} random.random"),
    "the seed": ("import random\nrandom.seed(7)", 1, REGRESSION),
    "JSON": ("import json\njson.dumps = lambda *_, **__: '{}'", 3, ""),
    "paths": ("import pathlib\npathlib.Path.rename = lambda *_: None", 3, f"{REPLACED} pathlib.Path.rename"),
    "a builtin": ("import builtins\nbuiltins.input = None", 3, f"{REPLACED} builtins.input"),
    "the environment": ("import os\nos.environ.update(CHASSIS_ENV='production', PYTHONPATH='/')", 1, REGRESSION),
    "the exit": ("import sys\nsys.exit(0)", 3, ""),
    "a word on the pipe": (
        (
            "import os, stat\n"
            "fds = [fd for fd in range(3, 30) if os.path.exists(f'/dev/fd/{fd}')]\n"
            "pipes = [fd for fd in fds if stat.S_ISFIFO(os.fstat(fd).st_mode)]\n"
            "assert [os.write(fd, b'[') for fd in pipes]"
        ),
        3,
        UNFINISHED,
    ),
    "the exit after a green verdict": (f"import os\n{GREEN}\nos._exit(0)", 3, UNFINISHED),
    "the end of the process": (f"import atexit\natexit.register(lambda: exec({COPY!r}))", 1, REGRESSION),
    "a thread that outlives the run": (
        f"import threading, time\ndef later():\n    time.sleep(60)\n    {COPY}\nthreading.Thread(target=later).start()",
        1,
        REGRESSION,
    ),
    "the working directory": ("import os\nos.chdir('/')", 1, REGRESSION),
    "the parent process": ("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)", -9, ""),
    "its own process": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", 3, "exit code -9"),
    "its exit code": ("import sys\nsys.exit = lambda _=0: None\nimport os\nos._exit = lambda _: None", 3, REPLACED),
    "an error": ("raise SystemError('PASS')", 3, "exit code 1"),
    "the accepted run": ("import shutil\nshutil.rmtree('evals/accepted', ignore_errors=True)", 3, EDITED),
    "the suites": (
        (
            "from pathlib import Path\np = Path('evals/suites.toml')\n"
            "p.write_text(p.read_text().replace('regression', 'never', 1))"
        ),
        3,
        EDITED,
    ),
    "the cases": (
        "from pathlib import Path\np = Path('evals/cases/start.jsonl')\np.write_text(p.read_text()[:99])",
        3,
        EDITED,
    ),
    "the graders": (
        "from pathlib import Path\np = Path('evals/graders.py')\np.write_text('def right(*_): return True\\n')",
        3,
        EDITED,
    ),
    "the constraints": (
        (
            "from pathlib import Path\np = Path('constraints.toml')\n"
            "p.write_text(p.read_text().replace('accuracy_floor = 0.5', 'accuracy_floor = 0.0'))"
        ),
        3,
        EDITED,
    ),
    "its rules in memory": (
        (
            "import gc\nfrom chassis_tools.evals.suites import Suite\n"
            "[object.__setattr__(each, 'rules', ()) for each in gc.get_objects() if isinstance(each, Suite)]"
        ),
        1,
        REGRESSION,
    ),
}
"""What the task does when it is imported, the exit code of `chassis evals run`, and what it says."""
WITHIN: dict[str, tuple[str, int, str]] = {
    "an exit in an answer": ("import os; os._exit(0)", 3, UNFINISHED),
    "the accepted run in place of the answers": (f"{COPY}; import os; os._exit(0)", 3, UNFINISHED),
    "an exception that ends the program": ("raise SystemExit(0)", 1, REGRESSION),
    "Ctrl-C": ("raise KeyboardInterrupt", 1, REGRESSION),
    "a function replaced in an answer": ("import time; time.monotonic = time.time", 3, REPLACED),
    "accepted runs edited in an answer": (
        "import shutil; shutil.rmtree('evals/accepted', ignore_errors=True)",
        3,
        EDITED,
    ),
}
"""The same while it answers."""
GRADING: dict[str, tuple[str, int, str]] = {
    "no score for a wrong answer": (
        "return True if said(outcome) == case.expected else None",
        3,
        "No evaluator scores an answer",
    ),
    "an exit while grading": ("import os; os._exit(0)", 3, UNFINISHED),
    "a function replaced while grading": ("import chassis_tools.evals.gate as g; g.check_rule = None", 3, REPLACED),
}
"""The same in a grader."""


def evaluate(root: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run `chassis evals` as a program, and return its exit code and what it prints."""
    program = "import sys; sys.path.append('src'); from chassis.cli.main import main; main()"
    command = [sys.executable, "-P", "-c", program, "evals", *arguments]
    done = subprocess.run(command, cwd=root, env=os.environ | variables, capture_output=True, text=True, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def write_task(root: Path, before: str = "", within: str = "pass", method: str = WRONG) -> None:
    """Write the code of the task."""
    (root / "src").mkdir(exist_ok=True)
    (root / "src/fooling.py").write_text(TASK.format(before=before, within=within, method=method))


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a project whose good run is accepted."""
    root = write_start(write_repository(tmp_path_factory.mktemp("accepted")), FEW)
    (root / "pyproject.toml").write_text('[project]\nname = "sample"\n[tool.chassis]\ntask = "fooling:TASK"\n')
    (root / "evals/suites.toml").write_text(SUITES.partition("[suites.attacks]")[0])
    (root / "evals/graders.py").write_text(GRADERS)
    write_task(root, method="upper")
    evaluate(root, "run")
    evaluate(root, "accept")
    code, output = evaluate(root, "run")
    assert (code, "PASS. answers" in output) == (0, True), output
    return root


@pytest.fixture
def evaluated(accepted: Path, tmp_path: Path) -> Path:
    """Copy it, and make every answer wrong."""
    root = tmp_path / "project"
    shutil.copytree(accepted, root)
    write_task(root)
    return root


def test_a_wrong_answer_alone_is_red(evaluated: Path) -> None:
    """The tests below would prove nothing otherwise."""
    code, output = evaluate(evaluated, "run")
    assert (code, REGRESSION in output) == (1, True), output


@pytest.mark.parametrize("way", BEFORE)
def test_code_that_is_imported_cannot_change_the_verdict(evaluated: Path, way: str) -> None:
    """It runs in another process than the one that judges; that it tried is named where it can be seen."""
    before, expected, sentence = BEFORE[way]
    write_task(evaluated, before)
    code, output = evaluate(evaluated, "run")
    assert (code, sentence in output) == (expected, True), output


@pytest.mark.parametrize("way", WITHIN)
def test_an_answer_cannot_change_the_verdict(evaluated: Path, way: str) -> None:
    """The same while a question is answered."""
    within, expected, sentence = WITHIN[way]
    write_task(evaluated, within=within)
    code, output = evaluate(evaluated, "run")
    assert (code, sentence in output) == (expected, True), output


@pytest.mark.parametrize("way", GRADING)
def test_a_grader_cannot_change_the_verdict_of_others(evaluated: Path, way: str) -> None:
    """A grader decides what is right; everything else is not its business."""
    body, expected, sentence = GRADING[way]
    graders = evaluated / "evals/graders.py"
    graders.write_text(GRADERS.replace("return said(outcome) == case.expected", body))
    code, output = evaluate(evaluated, "run")
    assert (code, sentence in output) == (expected, True), output


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("sitecustomize.py", ""),
        ("chassis_tools/__init__.py", f"__path__ = {chassis_tools.__path__}"),
        ("fractions.py", Path(fractions.__file__).read_text(encoding="utf-8")),
    ],
)
def test_no_module_of_the_team_is_in_the_process_that_judges(evaluated: Path, file: str, text: str) -> None:
    """However it got there, such as through `PYTHONPATH`, which `make` unsets."""
    (evaluated / "tools" / file).parent.mkdir(parents=True)
    (evaluated / "tools" / file).write_text(text)
    code, output = evaluate(evaluated, "run", PYTHONPATH=str(evaluated / "tools"))
    assert (code, FOREIGN in output) == (2, True), output


def test_a_suite_that_the_report_does_not_have_is_named(evaluated: Path) -> None:
    """Rather than the case, which it has."""
    code, output = evaluate(evaluated, "show", "c1", "--suite", "nope")
    assert (code, "--suite nope: the last report has no suite 'nope'. Name one of answers" in output) == (2, True)


def test_scores_of_a_run_that_proves_nothing_are_removed(evaluated: Path) -> None:
    """`gate` and `accept` would take them for those of a good run."""
    write_task(evaluated, "import random\nrandom.random = lambda: 0.5", method="upper")

    assert evaluate(evaluated, "run")[0] == 3

    assert evaluate(evaluated, "gate")[0] == 3
    assert evaluate(evaluated, "accept")[0] == 2


@pytest.mark.parametrize("removed", [slice(1, None), slice(0, -1), slice(0, 0)])
def test_an_incomplete_run_is_no_evidence(evaluated: Path, removed: slice) -> None:
    """Answers that are missing were asked, and are not for the better."""
    write_task(evaluated, method="upper")
    assert evaluate(evaluated, "run")[0] == 0
    for name in ("trials.jsonl", "records.jsonl"):
        file = evaluated / "var/evals/answers" / name
        file.write_text("".join(file.read_text().splitlines(keepends=True)[removed]))

    assert evaluate(evaluated, "gate")[0] == 3
