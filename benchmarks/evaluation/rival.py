"""pydantic-evals as a contestant, in an environment of its own, because it needs its own version of pydantic-ai."""

from dataclasses import dataclass

from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Evaluator, EvaluatorContext

from benchmarks.evaluation.contest import AT_ONCE, answer, compete, loud, questions, same, short

type Context = EvaluatorContext[str, str, None]


@dataclass
class Same(Evaluator[str, str, None]):
    """Whether it is the expected answer."""

    def evaluate(self, ctx: Context) -> bool:
        """Return it."""
        return same(ctx.output, ctx.expected_output or "")


@dataclass
class Short(Evaluator[str, str, None]):
    """Whether it is not too long."""

    def evaluate(self, ctx: Context) -> bool:
        """Return it."""
        return short(ctx.output)


@dataclass
class Loud(Evaluator[str, str, None]):
    """Whether it is in capitals."""

    def evaluate(self, ctx: Context) -> bool:
        """Return it."""
        return loud(ctx.output)


async def evaluate() -> list[float]:
    """Ask and score every case."""
    cases = [Case[str, str, None](name=text, inputs=text, expected_output=text.upper()) for text in questions()]
    dataset = Dataset[str, str, None](name="bench", cases=cases, evaluators=[Same(), Short(), Loud()])
    report = await dataset.evaluate(answer, max_concurrency=AT_ONCE, progress=False)
    assert all(score.value for case in report.cases for score in case.assertions.values())
    return [case.task_duration for case in report.cases]


if __name__ == "__main__":
    compete(evaluate)
