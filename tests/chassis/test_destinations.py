"""The data policy: what is refused, which data may go where, and the recognizers of a task."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chassis.config.constraints import Constraints, Data
from chassis.contract import Answered, SensitiveMatch, Task
from chassis.errors import ConfigError, InputNotAllowed
from chassis.privacy.policy import check_question
from chassis.testing import CONSTRAINTS, ScriptedModel, constraints_for_tests, wire_for_tests
from pydantic import BaseModel
from sample_task import TASK, Question

TWO_DESTINATIONS = [{**CONSTRAINTS["models"][0]}, {**CONSTRAINTS["models"][1], "destination": "elsewhere"}]
ELSEWHERE = {"classes": ["public", "internal"], "redact": ["email"]}


@pytest.mark.parametrize("classes", [["public"], []])
def test_every_model_must_be_allowed_to_receive_the_data(classes: list[str]) -> None:
    """It is not enough that the first model of the chain may receive it."""
    elsewhere = {"classes": classes, "redact": []}

    with pytest.raises(ValueError, match="the model 'second' may not receive 'internal' data"):
        constraints_for_tests(models=TWO_DESTINATIONS, destinations={"elsewhere": elsewhere})


def test_an_unknown_destination_is_an_error() -> None:
    """A model whose destination has no section is not asked without rules; the file is rejected."""
    with pytest.raises(ValueError, match="the model 'second' has the unknown destination 'elsewhere'"):
        constraints_for_tests(models=TWO_DESTINATIONS)


@pytest.mark.parametrize("data_class", ["secret", "", "Internal", None])
def test_an_unknown_class_is_an_error(data_class: Any) -> None:
    """The data and the destinations can only have the four known classes."""
    with pytest.raises(ValueError, match=r"data\.class"):
        constraints_for_tests(data={"class": data_class})
    with pytest.raises(ValueError, match=r"destinations\.vendor\.classes"):
        constraints_for_tests(destinations={"vendor": {"classes": [data_class], "redact": []}})


def unchecked(data_class: str, destinations: dict[str, Any]) -> Constraints:
    """Return constraints that were not validated."""
    valid = constraints_for_tests(models=TWO_DESTINATIONS, destinations={"elsewhere": ELSEWHERE})
    data = Data.model_construct(data_class=data_class, refuse=frozenset())
    return valid.model_copy(update={"data": data, "destinations": destinations})


@pytest.mark.parametrize(
    ("data_class", "changes", "sentence"),
    [
        ("confidential", {}, "the model 'first': it may not receive 'confidential' data"),
        ("made up", {}, "data.class: the class 'made up' is unknown"),
        ("internal", {"elsewhere": None}, "the model 'second': the destination 'elsewhere' is unknown"),
        ("internal", {"elsewhere": frozenset({"public"})}, "the model 'second': it may not receive 'internal' data"),
        ("made up", {"vendor": frozenset({"made up"})}, "data.class: the class 'made up' is unknown"),
    ],
)
def test_a_guard_checks_destinations_again(
    tmp_path: Path, data_class: str, changes: dict[str, Any], sentence: str
) -> None:
    """Constraints that were not validated cannot make a chain that sends data where it may not go."""

    async def story() -> None:
        async with wire_for_tests(
            TASK,
            tmp_path,
            ScriptedModel("yes"),
            ScriptedModel("yes"),
            models=TWO_DESTINATIONS,
            destinations={"elsewhere": ELSEWHERE},
        ) as wiring:
            guard = wiring.service.guard
            assert guard is not None
            destinations = dict(wiring.constraints.destinations)
            for name, classes in changes.items():
                destination = destinations.pop(name)
                if classes is not None:
                    destinations[name] = destination.model_copy(update={"classes": classes})
            replace(guard, constraints=unchecked(data_class, destinations))

    with pytest.raises(ConfigError) as refusal:
        asyncio.run(story())
    assert sentence in str(refusal.value)


def find_ada(text: str) -> list[SensitiveMatch]:
    """Find the one name that this recognizer knows."""
    at = text.find("Ada Byron")
    return [SensitiveMatch("name", at, at + len("Ada Byron"))] if at >= 0 else []


TASK_WITH_RECOGNIZER = Task(
    name="echo", takes=TASK.takes, gives=TASK.gives, run=TASK.run, baseline=TASK.baseline, recognizers=(find_ada,)
)
REDACT_NAMES = {"vendor": {"classes": ["internal"], "redact": ["name"]}}


def test_a_recognizer_is_used_for_redaction(tmp_path: Path) -> None:
    """The model gets a placeholder for the name, and the caller the name."""
    model = ScriptedModel("Hello [NAME_1].")

    async def story() -> str:
        async with wire_for_tests(TASK_WITH_RECOGNIZER, tmp_path, model, destinations=REDACT_NAMES) as wiring:
            outcome = await wiring.service.answer(Question(text="I am Ada Byron."), wiring.service.new_call("alice"))
            assert isinstance(outcome, Answered)
            return outcome.value.text

    assert asyncio.run(story()) == "Hello Ada Byron."
    assert "Ada" not in str(model.requests)


def test_a_recognizer_is_used_for_refusal(tmp_path: Path) -> None:
    """A question with a name is refused if `data.refuse` lists names."""

    async def story() -> None:
        async with wire_for_tests(TASK_WITH_RECOGNIZER, tmp_path, data={"refuse": ["name"]}) as wiring:
            await wiring.service.answer(Question(text="I am Ada Byron."), wiring.service.new_call("alice"))

    with pytest.raises(InputNotAllowed, match=r"seems to contain a name, which the rule data\.refuse forbids"):
        asyncio.run(story())


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"destinations": REDACT_NAMES}, r"destinations\.vendor\.redact"),
        ({"data": {"refuse": ["name"]}}, r"data\.refuse"),
    ],
)
def test_names_without_a_recognizer_are_a_configuration_error(
    tmp_path: Path, changes: dict[str, Any], key: str
) -> None:
    """Names cannot be refused or redacted if nothing finds them."""

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path, **changes):
            raise AssertionError

    with pytest.raises(ConfigError, match=rf"{key}: no recognizer finds a 'name'"):
        asyncio.run(story())


@pytest.mark.parametrize(
    "text",
    [
        "Pay with 4111 1111 1111 1111",
        "Zahle\nmit\t4111111111111111.",
        "カード：４１１１１１１１１１１１１１１１",
        "4111-1111-1111-1111",
        "4111.1111 1111/1111",
        "4111\u200b1111\u00ad1111\u20601111",
        "٤١١١١١١١١١١١١١١١",
        r"{\"text\": \"\\n4111111111111111\\n\"}",
        "card%3D4111%201111%201111%201111",
        "<b>4111</b> 1111&nbsp;1111<br>1111",
        "&#52;111 1111 1111 1111",
    ],
)
def test_a_question_is_refused_in_every_notation(tmp_path: Path, text: str) -> None:
    """White space, other digits, encodings and markup do not hide a value, and the message does not repeat it."""

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path) as wiring:
            await wiring.service.answer(Question(text=text), wiring.service.new_call("alice"))

    with pytest.raises(InputNotAllowed, match="a card") as refusal:
        asyncio.run(story())
    assert "1111" not in str(refusal.value)


class Nested(BaseModel):
    """A question with values in places other than a text."""

    data: dict[str, Any]


@pytest.mark.parametrize(
    "data",
    [
        {"4111111111111111": None},
        {"4111111111111111": {"amount": 1.5}},
        {"cards": [4111111111111111.0]},
        {"a": [{"b": ["4111 1111 1111 1111"]}]},
    ],
)
def test_a_question_is_searched_in_keys_and_numbers(data: dict[str, Any]) -> None:
    """A value is found wherever it stands in a question."""
    with pytest.raises(InputNotAllowed, match="a card"):
        check_question(Nested(data=data), Data.model_validate({"class": "internal", "refuse": ["card"]}))
