"""`chassis evals search`: measures the search on a folder of documents and a file of questions."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from chassis.cli.terminal import plain_console


def measure_searches(
    folder: Annotated[Path, typer.Argument(help="A folder of documents", exists=True, file_okay=False)],
    questions: Annotated[Path, typer.Argument(help="A JSONL file of questions", exists=True, dir_okay=False)],
    language: Annotated[str, typer.Option(help="The language of the documents")] = "english",
) -> None:
    """Measure how often the search finds the right document first, beside SQLite FTS5.

    A line of the questions is such as {"question": "May I return it?", "documents": ["returns.md"]}; without documents
    it is one that cannot be answered. The figures to believe are those of the half with which nothing was tuned.
    """
    from chassis.search import read_folder
    from chassis_tools.evals.search_benchmark import halves, load_search_questions, measure_search, searches

    passages = read_folder(folder)
    known = {passage.document.partition("/")[2] for passage in passages}
    parts = halves(load_search_questions(questions, known))
    table = Table("search", "half", "hit@1", "hit@5", "MRR", "AUROC", "ECE", "CPU ms")
    for name, find in searches(passages, language).items():
        for half, part in zip(("tuning", "held out"), parts, strict=True):
            if any(question.documents for question in part):
                result = measure_search(find, part, calibrated=name == "chassis.search")
                shares = (result.first, result.first_five, result.reciprocal_rank)
                others = (result.abstention, result.calibration_error)
                cells = [f"{share:.3f}" if share is not None else "-" for share in (*shares, *others)]
                table.add_row(name, half, *cells, f"{result.milliseconds:.2f}")
    print(f"{len(passages)} passages of {len(known)} documents; {len(parts[0])} + {len(parts[1])} questions")
    plain_console().print(table)
