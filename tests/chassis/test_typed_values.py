"""Types with aliases, computed and excluded fields work wherever a value is stored, sent and read, or are refused."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx2
import pytest
from chassis.config.typed_values import read_typed, show_typed
from chassis.contract import Answered, Draft, Task
from chassis.errors import InputNotAllowed
from chassis.privacy.policy import check_question
from chassis.store.reviews import Reviews
from chassis.testing import ScriptedModel, constraints_for_tests, wire_for_tests
from chassis.web.app import build_app
from chassis_tools.evals.records import outcome_from_json, outcome_to_json
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel, computed_field
from pydantic.alias_generators import to_camel
from sample_task import Question
from telemetry_sinks import Lines


class Camel(BaseModel):
    """A type whose fields have other names in JSON, and that accepts no unknown ones."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class Item(Camel):
    """A part of an answer."""

    kind: Literal["item"] = "item"
    unit_price: float

    @computed_field
    @property
    def with_tax(self) -> float:
        """Return the price with tax."""
        return self.unit_price * 1.25


class Note(Camel):
    """Another part of an answer."""

    kind: Literal["note"] = "note"
    note_text: str = ""


class Order(Camel):
    """An answer with everything that JSON may hide or add."""

    order_id: int
    parts: list[Annotated[Item | Note, Field(discriminator="kind")]] = []
    internal_score: float = Field(default=0, exclude=True)

    @computed_field
    @property
    def is_even(self) -> bool:
        """Return whether the number is even."""
        return self.order_id % 2 == 0


class Renamed(BaseModel):
    """An answer whose field is read under two names."""

    order_id: int = Field(validation_alias=AliasChoices("orderId", "id"), serialization_alias="orderId")


ORDER = {"orderId": 8, "parts": [{"kind": "item", "unitPrice": 2.0, "withTax": 2.5}], "isEven": True}
PARTS = [{"kind": "item", "unitPrice": 2}, {"kind": "note"}]


async def never(question: Question, model: object) -> Draft[Any]:
    """Never answer."""
    raise NotImplementedError


def task(gives: type[BaseModel], value: Callable[[], BaseModel]) -> Task[Question, Any]:
    """Return a task whose baseline is never sure."""
    return Task(name="order", takes=Question, gives=gives, run=never, baseline=lambda _: Draft(value(), 0.1))


@pytest.mark.parametrize(
    ("gives", "drafted", "answer", "expected"),
    [
        (
            Order,
            lambda: Order.model_validate({"orderId": 7}),
            '{"orderId": 8, "parts": [{"kind": "item", "unitPrice": 2}]}',
            ORDER,
        ),
        (Order, lambda: Order.model_validate({"orderId": 8, "parts": PARTS[:1]}), json.dumps(ORDER), ORDER),
        (Renamed, lambda: Renamed.model_validate({"id": 7}), '{"id": 8}', {"orderId": 8}),
    ],
)
def test_a_person_answers_in_the_form_of_the_api(
    tmp_path: Path, gives: type[BaseModel], drafted: Callable[[], BaseModel], answer: str, expected: dict[str, Any]
) -> None:
    """What a reviewer reads, writes and sends has the names that /openapi.json promises; drafts can be sent."""

    async def story() -> tuple[Any, Any, set[str]]:
        async with wire_for_tests(task(gives, drafted), tmp_path) as wiring:
            headers = {"Authorization": "Bearer " + await wiring.api_keys.create("shop")}
            transport = httpx2.ASGITransport(app=build_app(wiring))
            async with httpx2.AsyncClient(transport=transport, base_url="http://t", headers=headers) as client:
                referred = (await client.post("/v1/order", json={"text": "x"})).json()
                referral = await wiring.review_queue.find(referred["referral_id"])
                assert referral is not None
                typed = read_typed(gives, answer, "the answer")
                written = typed.model_dump_json(by_alias=True)
                await Reviews(wiring.database).answer(referral.id, written, "ada")
                fetched = (await client.get(referred["location"])).json()["answer"]
                schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
                # A type that computes fields has two schemas, because feedback brings an answer without them.
                promised = schemas.get(f"{gives.__name__}-Output") or schemas[gives.__name__]
                return referral.draft, fetched, set(promised["properties"])

    draft, fetched, promised = asyncio.run(story())
    assert fetched == expected
    assert set(draft) == set(fetched) == promised
    assert read_typed(gives, json.dumps(draft), "the draft") == drafted()


@pytest.mark.parametrize(
    "value",
    [
        Order.model_validate({"orderId": 7, "parts": PARTS}),
        Renamed.model_validate({"orderId": 7}),
        Item.model_validate({"unitPrice": 2}),
        Note.model_validate({"noteText": "why"}),
    ],
)
def test_an_evaluation_reads_its_own_outcomes(value: BaseModel) -> None:
    """The answer comes back equal, apart from what is left out of JSON."""
    outcome = Answered(value, "baseline", 0.9, degraded=False, fallback_reason=None)
    assert outcome_from_json(json.loads(json.dumps(outcome_to_json(outcome))), type(value)) == outcome
    assert read_typed(type(value), show_typed(value), "the value") == value


class Secretive(BaseModel):
    """A type with a field that cannot be read back."""

    note: str = Field(exclude=True)


class OneWay(BaseModel):
    """A type whose alias is only written."""

    order_id: int = Field(serialization_alias="orderId")


class Deep(BaseModel):
    """A type whose field is read from another place."""

    order_id: int = Field(validation_alias=AliasPath("order", "id"))


class Nested(BaseModel):
    """A type that contains another one."""

    orders: dict[str, list[OneWay | None]]


@pytest.mark.parametrize("gives", [Secretive, OneWay, Deep, Nested, RootModel[str], RootModel[list[Order]], dict, str])
def test_a_type_that_cannot_be_read_again_is_refused(gives: Any) -> None:
    """When the task is made: afterwards it would show in the middle of a review or of an evaluation."""
    with pytest.raises((TypeError, ValueError), match=r"^gives(: \w+\.\w+)? is .*; "):
        Task(name="order", takes=Question, gives=gives, run=never, baseline=lambda _: Draft(Note(), 1))


class Contact(BaseModel):
    """A question with values outside of JSON."""

    text: str = ""
    hidden: str = Field(default="", exclude=True)
    nested: dict[str, Any] = {}


@pytest.mark.parametrize(
    "question",
    [
        Contact(text="ada@example.org"),
        Contact(hidden="ada@example.org"),
        Contact(nested={"deep": [{"ada@example.org": 1}]}),
        Contact(nested={"deep": Contact(hidden="ada@example.org")}),
        Contact(nested={"pair": ("x", frozenset({"ada@example.org"}))}),
    ],
)
def test_every_field_of_a_question_is_checked(question: Contact) -> None:
    """Also those that are left out of JSON: the task may send them to a model."""
    with pytest.raises(InputNotAllowed, match=r"an? email"):
        check_question(question, constraints_for_tests(data={"refuse": ["email"]}).data)


def exhausted() -> object:
    """Raise what `next` raises on nothing."""
    return next(iter([]))


def raised(error: BaseException) -> Callable[[], object]:
    """Return a function that raises an error."""

    def raise_it() -> object:
        raise error

    return raise_it


MISTAKES: dict[str, Callable[[], object]] = {
    "StopIteration": exhausted,
    "StopAsyncIteration": raised(StopAsyncIteration()),
    "GeneratorExit": raised(GeneratorExit()),
    "SystemExit": lambda: sys.exit(1),
    "KeyboardInterrupt": raised(KeyboardInterrupt()),
    "CancelledError": raised(asyncio.CancelledError()),
    "BaseExceptionGroup": raised(BaseExceptionGroup("two", [SystemExit(1), ValueError()])),
    "ExceptionGroup": raised(ExceptionGroup("two", [KeyError(), ValueError()])),
    "RecursionError": raised(RecursionError()),
    "TimeoutError": raised(TimeoutError()),
    "no draft": lambda: None,
    "a tuple": lambda: ("answer", 0.9),
}


@pytest.mark.parametrize("where", ["baseline", "run"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_whatever_the_team_raises_is_heard_of_at_once(tmp_path: Path, lines: Lines, mistake: str, where: str) -> None:
    """It ends its call, not the process, and `call.finished` names it."""

    def fail(*_: object) -> Any:
        return MISTAKES[mistake]()

    async def fail_async(*_: object) -> Any:
        return fail()

    made = Task(name="order", takes=Question, gives=Note, run=never, baseline=fail)
    models = []
    if where == "run":
        made, models = (
            Task(name="order", takes=Question, gives=Note, run=fail_async, baseline=fail),
            [ScriptedModel("x")],
        )

    async def story() -> None:
        async with wire_for_tests(made, tmp_path, *models, latency={"deadline_seconds": 60}) as wiring:
            await wiring.service.answer(Question(text="2 + 2?"), wiring.service.new_call("alice"))

    with pytest.raises(Exception, match=r".*") as caught:
        asyncio.run(asyncio.wait_for(story(), 30))
    finished = lines.named("call.finished")
    assert len(finished) == 1, repr(caught.value)
    [line] = finished
    assert (line["outcome"], line["error"]) == ("failed", type(caught.value).__name__)
    assert line["seconds"] < 30
    chain = json.dumps(line["exception"])
    assert mistake in chain or "not a Draft" in str(caught.value)
