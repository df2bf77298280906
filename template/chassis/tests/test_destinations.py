"""Which data may go where: decided where the chain is made, and closed to everything that nobody has allowed."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sample_task import TASK, Question

from chassis.config.constraints import Constraints, Data
from chassis.contract import Answered, SensitiveMatch, Task
from chassis.errors import ConfigError, InputNotAllowed
from chassis.testing import CONSTRAINTS, ScriptedModel, constraints_for_tests, wire_for_tests

TWO = [{**CONSTRAINTS["models"][0]}, {**CONSTRAINTS["models"][1], "destination": "elsewhere"}]
HERE = {"classes": ["public", "internal"], "redact": ["email"]}


@pytest.mark.parametrize("classes", [["public"], []])
def test_a_fallback_must_be_allowed_for_the_same_data(classes: list[str]) -> None:
    """That the first model may have the data is no reason that the second may."""
    elsewhere = {"classes": classes, "redact": []}

    with pytest.raises(ValueError, match="the model 'second' may not receive 'internal' data"):
        constraints_for_tests(models=TWO, destinations={"elsewhere": elsewhere})


def test_an_unknown_destination_is_no_destination() -> None:
    """A model whose destination is not described is not asked without rules; the file is refused."""
    with pytest.raises(ValueError, match="the model 'second' has the unknown destination 'elsewhere'"):
        constraints_for_tests(models=TWO)


@pytest.mark.parametrize("data_class", ["secret", "", "Internal", None])
def test_an_unknown_class_is_no_class(data_class: Any) -> None:
    """Neither the data nor a destination can have a class that is not one of the four."""
    with pytest.raises(ValueError, match=r"data\.class"):
        constraints_for_tests(data={"class": data_class})
    with pytest.raises(ValueError, match=r"destinations\.vendor\.classes"):
        constraints_for_tests(destinations={"vendor": {"classes": [data_class], "redact": []}})


def unchecked(data_class: str, destinations: dict[str, Any]) -> Constraints:
    """Return constraints that no file and no validator has seen."""
    sound = constraints_for_tests(models=TWO, destinations={"elsewhere": HERE})
    data = Data.model_construct(data_class=data_class, refuse=frozenset())
    return sound.model_copy(update={"data": data, "destinations": destinations})


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
def test_a_guard_that_is_made_by_hand_checks_again(
    tmp_path: Path, data_class: str, changes: dict[str, Any], sentence: str
) -> None:
    """Constraints that went past the file cannot make a chain that sends data where it may not go."""

    async def story() -> None:
        async with wire_for_tests(
            TASK, tmp_path, ScriptedModel("yes"), ScriptedModel("yes"), models=TWO, destinations={"elsewhere": HERE}
        ) as wiring:
            sound = wiring.service.guard
            assert sound is not None
            places = dict(wiring.constraints.destinations)
            for name, classes in changes.items():
                place = places.pop(name)
                if classes is not None:
                    places[name] = place.model_copy(update={"classes": classes})
            replace(sound, constraints=unchecked(data_class, places))

    with pytest.raises(ConfigError) as refusal:
        asyncio.run(story())
    assert sentence in str(refusal.value)


def find_ada(text: str) -> list[SensitiveMatch]:
    """Find the one person whom this recognizer knows."""
    at = text.find("Ada Byron")
    return [SensitiveMatch("name", at, at + len("Ada Byron"))] if at >= 0 else []


NAMING = Task(
    name="echo", takes=TASK.takes, gives=TASK.gives, run=TASK.run, baseline=TASK.baseline, recognizers=(find_ada,)
)
NAMES = {"vendor": {"classes": ["internal"], "redact": ["name"]}}


def test_a_recogniser_of_the_task_is_used_before_anything_leaves(tmp_path: Path) -> None:
    """The model is sent a placeholder for the name; the caller gets the name."""
    model = ScriptedModel("Hello [NAME_1].")

    async def story() -> str:
        async with wire_for_tests(NAMING, tmp_path, model, destinations=NAMES) as wiring:
            outcome = await wiring.service.answer(Question(text="I am Ada Byron."), wiring.service.new_call("alice"))
            assert isinstance(outcome, Answered)
            return outcome.value.text

    assert asyncio.run(story()) == "Hello Ada Byron."
    assert "Ada" not in str(model.requests)


def test_a_recogniser_of_the_task_is_used_where_input_is_refused(tmp_path: Path) -> None:
    """The same finding stops a question where `data.refuse` names the kind."""

    async def story() -> None:
        async with wire_for_tests(NAMING, tmp_path, data={"refuse": ["name"]}) as wiring:
            await wiring.service.answer(Question(text="I am Ada Byron."), wiring.service.new_call("alice"))

    with pytest.raises(InputNotAllowed, match=r"seems to contain a name, which the rule data\.refuse forbids"):
        asyncio.run(story())


@pytest.mark.parametrize(
    ("changes", "key"),
    [({"destinations": NAMES}, r"destinations\.vendor\.redact"), ({"data": {"refuse": ["name"]}}, r"data\.refuse")],
)
def test_names_without_a_recogniser_are_a_mistake_at_start(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    """Nobody believes that names are redacted where nothing can find them."""

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
    ],
)
def test_what_is_refused_is_refused_however_it_is_written(tmp_path: Path, text: str) -> None:
    """Line ends, tabs and wide digits are no way past the rule, and the refusal does not repeat the value."""

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path) as wiring:
            await wiring.service.answer(Question(text=text), wiring.service.new_call("alice"))

    with pytest.raises(InputNotAllowed, match="a card") as refusal:
        asyncio.run(story())
    assert "1111" not in str(refusal.value)
