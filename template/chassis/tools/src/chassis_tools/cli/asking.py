"""Asks the suites in a process of its own: the team's code runs there, and never in the process that judges."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from chassis.cli.terminal import protected_streams
from chassis.errors import ConfigError
from chassis_tools.evals.gate_result import join_names
from chassis_tools.evals.plan import RUNS

if TYPE_CHECKING:
    from chassis_tools.evals.environment import Mode
    from chassis_tools.evals.jsonl import Progress
    from chassis_tools.evals.plan import Plan
    from chassis_tools.evals.records import SuiteRun

NO_EVIDENCE = 3
INTERRUPTED = 130
"""The exit code by which shells know a program that was stopped with Ctrl-C."""
EXPLAINED = frozenset({2, NO_EVIDENCE, INTERRUPTED})
"""The exit codes of a process that has said why it ended."""
CODE = "from chassis_tools.cli.asking import run_process; run_process()"


@dataclass(frozen=True, slots=True)
class Asking:
    """What the process is to do.

    Args:
        suites: The suites that it asks.
        record: Whether it records the replies of models.
        resume: Whether it continues a run that was stopped.
        more_repeats: Whether it adds to a finished run, up to the most repeats that the suite allows.
    """

    suites: Sequence[str]
    record: bool = False
    resume: bool = False
    more_repeats: bool = False


def ask_suites(plans: "Sequence[Plan]", asking: Asking) -> None:
    """Ask and score suites in another process, and wait for it.

    Raises:
        ConfigError: Code of the team has come into this process, where it could change the verdict.
        Exit: The other process failed, with its exit code if it said why; or what its answers are judged by is no
            longer as it was.
    """
    from chassis_tools.evals.evaluation import remove_scores

    root = plans[0].project.root
    require_no_foreign_code(root)
    # All that judges and reports, before code of the team could edit its files.
    for module in ("output", "text"):
        import_module(f"chassis_tools.evals.report.{module}")
    code, hashes = start_process(root, asking)
    problem = None if code in EXPLAINED else _why_no_evidence(plans, code, hashes)
    if problem:
        print(f"NO EVIDENCE. {problem}", file=sys.stderr)
    if code or problem:
        for plan in plans:
            remove_scores(plan)
        raise typer.Exit(code if code in EXPLAINED else NO_EVIDENCE)


def _why_no_evidence(plans: "Sequence[Plan]", code: int, hashes: Mapping[str, str]) -> str | None:
    """Return why the other process shows nothing, or None if its answers to all suites are what it has written.

    Args:
        plans: The plans of the suites, as they were before.
        code: Its exit code.
        hashes: The hash of the answers and scores of each suite that it has finished.
    """
    from chassis_tools.evals.evaluation import load
    from chassis_tools.evals.records import results_hash

    names = [plan.name for plan in plans]
    if code:
        return f"The process that asked {join_names(names)} ended with exit code {code}"
    if unfinished := [name for name in names if name not in hashes]:
        return f"The process that asked {join_names(unfinished)} ended before it was done"
    if rewritten := [plan.name for plan in plans if results_hash(plan.folder) != hashes[plan.name]]:
        return f"Other answers or scores than those of the run were written to {RUNS} for {join_names(rewritten)}"
    # The plans of before are those that count, but an edit is no accident that may pass.
    pairs = list(zip(plans, load(plans[0].project, names, plans[0].base), strict=True))
    edited = [
        each.name.replace("_", " ")
        for each in fields(plans[0])
        if any(getattr(before, each.name) != getattr(after, each.name) for before, after in pairs)
    ]
    return f"Edited in evals/ or constraints.toml while the suites ran: {join_names(edited)}" if edited else None


def start_process(root: Path, asking: Asking) -> tuple[int, Mapping[str, str]]:
    """Run the other process, and return its exit code and the hash of what it wrote for each suite."""
    command = [sys.executable, "-P", "-c", CODE, json.dumps(asdict(asking))]
    # In a group of its own, Ctrl-C reaches it once: through this one.
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, process_group=0) as process:  # noqa: S603
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in handlers:
            signal.signal(number, lambda received, _: process.send_signal(received))
        try:
            output, _ = process.communicate()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return process.returncode, _hashes(output)


def _hashes(output: bytes) -> Mapping[str, str]:
    """Return the hashes in what the process wrote; none if code of the team wrote something else there."""
    try:
        return TypeAdapter(dict[str, str]).validate_json(output)
    except ValidationError:
        return {}


def require_no_foreign_code(root: Path) -> None:
    """Refuse to judge in a process that has loaded a file of the team, such as a `sitecustomize.py`.

    Raises:
        ConfigError: There is such a module.
    """
    own = (root / "chassis", Path(sys.prefix))
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "")
        if file.is_relative_to(root) and not any(file.is_relative_to(folder) for folder in own):
            where = file.relative_to(root).as_posix()
            problem = f"the process that judges has loaded it as the module {name!r}, so its verdict proves nothing"
            raise ConfigError(where, problem, "Rename or remove the file, and unset PYTHONPATH")


def run_process() -> None:
    """Run the process that asks: `sys.argv` has an `Asking` as JSON, and standard output gets the hashes."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as output:
        # What the team's code prints must not be taken for a hash or a verdict.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        with protected_streams():
            code, hashes = ask_and_score(Asking(**json.loads(sys.argv[1])))
        json.dump(hashes, output)
    # Without what the team's code has registered for the end, and without its threads.
    os._exit(code)


def ask_and_score(asking: Asking) -> tuple[int, Mapping[str, str]]:
    """Ask and score suites in this process; return its exit code and the hash of the answers and scores of each."""
    from chassis.config.project import find_project
    from chassis_tools.evals.evaluation import last_run, load
    from chassis_tools.evals.patches import replaced_functions, watched_functions
    from chassis_tools.evals.records import SuiteRun

    import_module("chassis_tools.evals.environment")  # with all that it uses, before the code of the team
    before, hashes = watched_functions(), dict[str, str]()
    try:
        for plan in load(find_project(), asking.suites):
            # What was scored before it was stopped is scored again, because graders may have changed.
            earlier = last_run(plan) if asking.resume or asking.more_repeats else SuiteRun()
            earlier = earlier if asking.more_repeats else replace(earlier, records=())
            repeats = plan.suite.most_repeats if asking.more_repeats else plan.suite.repeats
            run = run_suite(plan, "record" if asking.record else plan.suite.kind, repeats, earlier)
            hashes[plan.name] = run.hash
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2, hashes
    except typer.Exit as stopped:
        return stopped.exit_code, hashes
    if replaced := replaced_functions(before):
        problem = f"Code of the team replaced {join_names(replaced)} while the suites ran"
        print(f"NO EVIDENCE. {problem}", file=sys.stderr)
        return NO_EVIDENCE, {}
    return 0, hashes


def run_suite(plan: "Plan", mode: "Mode", repeats: int, earlier: "SuiteRun") -> "SuiteRun":
    """Run one suite with a progress bar; Ctrl-C saves the answers so far."""
    from chassis_tools.evals.evaluation import run_and_score

    finished: dict[str, int] = {}
    try:
        with _progress_bars(plan.name, finished) as progress:
            return asyncio.run(run_and_score(plan, mode, repeats=repeats, earlier=earlier, progress=progress))
    except KeyboardInterrupt:
        if plan.purpose:
            raise typer.Exit(INTERRUPTED) from None
        saved = " and ".join(f"{count} {step}" for step, count in finished.items()) or "No answers"
        command = f"record {plan.name}" if mode == "record" else f"run {plan.name} --resume"
        print(f"Stopped. {saved} are saved; `chassis evals {command}` continues", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _progress_bars(suite: str, finished: dict[str, int]) -> "Generator[Progress]":
    """Show a bar for each step of a run, and count in `finished` what each step has done."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from chassis_tools.evals.jsonl import Progress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, transient=True, console=Console(stderr=True)) as bars:

        def start(step: str, total: int) -> None:
            if total:
                finished[step] = 0
                bars.add_task(f"{suite}: {step}", total=total)

        def advance() -> None:
            finished[list(finished)[-1]] += 1
            bars.advance(bars.task_ids[-1])

        yield Progress(start, advance)
