"""The step `Redact`: what a model is sent and what the task gets back, for values in every part of a message."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chassis.contract import Answered, Draft
from chassis.errors import ConfigError, InputNotAllowed
from chassis.guard.model import GuardedModel
from chassis.testing import ScriptedModel, wire_for_tests
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, DocumentUrl, ImageUrl, ModelRetry, NativeOutput, ToolReturn
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo
from pydantic_ai.settings import ModelSettings
from sample_task import TASK, Answer, Question

ADDRESS, CARD = "ada@example.com", "4111 1111 1111 1111"
KINDS = ["email", "phone", "card", "iban", "national_id", "ip", "secret"]
TOOLS = {name: {"destination": "vendor", "side_effects": False} for name in ("look_up", "send", "pay", "scan")}
DESTINATIONS = {"vendor": {"classes": ["internal"], "redact": KINDS}}


def sent_to(model: ScriptedModel) -> str:
    """Return everything that a model was sent, as one text."""
    return "".join(ModelMessagesTypeAdapter.dump_json(messages).decode() for messages in model.requests)


def guarded[T](
    root: Path, model: ScriptedModel, work: Callable[[Model], Awaitable[T]], *, redact: list[str] | None = None
) -> T:
    """Return what `work` returns for a guarded model."""
    destinations = {"vendor": {"classes": ["internal"], "redact": KINDS if redact is None else redact}}

    async def story() -> T:
        async with wire_for_tests(TASK, root, model, destinations=destinations, tools=TOOLS) as wiring:
            assert wiring.service.guard is not None
            return await work(GuardedModel(wiring.service.guard, wiring.service.new_call("alice")))

    return asyncio.run(story())


def test_a_whole_tool_loop_is_redacted(tmp_path: Path) -> None:
    """Prompt, instructions, tools, their arguments and results are sent without values; the tool gets the values."""
    looked_up: list[str] = []
    described: list[str] = []

    async def call_the_tool(_: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        described.extend([str(info.function_tools), str(info.instructions)])
        return ModelResponse([ThinkingPart("It is [EMAIL_1]."), ToolCallPart("look_up", {"address": "[EMAIL_1]"})])

    async def work(model: Model) -> str:
        agent = Agent(model, instructions=f"Copy {ADDRESS} on everything.")

        @agent.tool_plain(description=f"Look somebody up, such as {ADDRESS}.")
        def look_up(address: str) -> dict[str, Any]:
            looked_up.append(address)
            return {"bo@example.com": {"card": 4111111111111111, "password": "Sommer2026!"}}

        return (await agent.run(f"Who is {ADDRESS}?")).output

    model = ScriptedModel(
        call_the_tool,
        "[EMAIL_1] and [EMAIL_2] pay with [CARD_1]; [EMAIL_9] is new.",
    )

    output = guarded(tmp_path, model, work)

    assert looked_up == [ADDRESS]
    assert output == f"{ADDRESS} and bo@example.com pay with 4111111111111111; [EMAIL_9] is new."
    for value in (ADDRESS, "bo@example.com", "4111111111111111", "Sommer2026!"):
        assert value not in sent_to(model) + "".join(described)
    assert "It is [EMAIL_1]." in sent_to(model), "thinking is sent back as the vendor signed it"


@pytest.mark.parametrize("as_text", [False, True], ids=["object", "string"])
def test_arguments_are_restored_in_keys_and_values(tmp_path: Path, as_text: bool) -> None:  # noqa: FBT001 - a parameter
    """Vendors send arguments as an object or as JSON in a string. Quotes and line breaks in a value break neither."""
    address = '"john doe"@example.com'
    key = "-----{} PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----{} PRIVATE KEY-----".format("BEGIN", "END")
    received: list[Any] = []

    async def work(model: Model) -> str:
        agent = Agent(model)

        @agent.tool_plain
        def send(to: list[dict[str, str]]) -> str:
            received.append(to)
            return "sent"

        return (await agent.run(f"Send {key} to {address}.")).output

    arguments = {"to": [{"[EMAIL_1]": "[SECRET_1]"}]}
    model = ScriptedModel(
        ModelResponse([ToolCallPart("send", json.dumps(arguments) if as_text else arguments)]), "Done."
    )

    assert guarded(tmp_path, model, work) == "Done."
    assert received == [[{address: key}]]
    assert "MIIEvQIBADANBgkq" not in sent_to(model)
    assert "john doe" not in sent_to(model)


class Contact(BaseModel):
    """A structured reply."""

    address: str


def test_a_structured_reply_stays_valid_json(tmp_path: Path) -> None:
    """A value with quotes is escaped where the text of a reply is parsed as JSON."""

    async def work(model: Model) -> Contact:
        return (await Agent(model, output_type=NativeOutput(Contact)).run('Who is "john doe"@example.com?')).output

    contact = guarded(tmp_path, ScriptedModel('{"address": "[EMAIL_1]"}'), work)

    assert contact == Contact(address='"john doe"@example.com')


def test_retry_prompts_are_redacted(tmp_path: Path) -> None:
    """The message of a tool that asks for another call is sent with placeholders, and so are invalid arguments."""

    async def work(model: Model) -> str:
        agent = Agent(model, retries=2)

        @agent.tool_plain
        def pay(card: str) -> str:
            if card == CARD:
                raise ModelRetry(f"{card} is declined, try 5500 0000 0000 0004")
            return "paid"

        return (await agent.run(f"Pay with {CARD}.")).output

    model = ScriptedModel(
        ModelResponse([ToolCallPart("pay", {"card": "[CARD_1]", "extra": {"never": "asked"}})]),
        ModelResponse([ToolCallPart("pay", {"card": "[CARD_1]"})]),
        ModelResponse([ToolCallPart("pay", {"card": "[CARD_2]"})]),
        "Paid.",
    )

    assert guarded(tmp_path, model, work) == "Paid."
    for value in (CARD, "5500 0000 0000 0004", "5500"):
        assert value not in sent_to(model)


@pytest.mark.parametrize(
    "attachment",
    [
        BinaryContent(b"ada@example.com", media_type="text/plain"),
        BinaryContent(b"\x89PNG", media_type="image/png"),
        ImageUrl("https://example.com/scan.png?for=ada@example.com"),
        DocumentUrl("https://example.com/contract.pdf"),
    ],
    ids=["text", "picture", "link", "document"],
)
def test_attachments_are_refused(tmp_path: Path, attachment: Any) -> None:
    """They cannot be searched where anything is redacted; elsewhere their cost has no bound."""

    async def work(model: Model) -> str:
        return (await Agent(model).run(["Read this.", attachment])).output

    model = ScriptedModel("Read.")
    with pytest.raises(InputNotAllowed, match=r"An attachment \((binary|image-url|document-url)\) cannot be searched"):
        guarded(tmp_path, model, work)

    with pytest.raises(
        InputNotAllowed, match=r"reading an attachment \((binary|image-url|document-url)\) has no upper bound"
    ):
        guarded(tmp_path, model, work, redact=[])

    assert model.requests == []


def test_an_undeclared_tool_is_an_error(tmp_path: Path) -> None:
    """Until a tool is declared in `constraints.toml` nothing is sent, not even the other tools."""
    model = ScriptedModel("Hello.")

    async def run(question: Question, guarded: Model) -> Draft[Answer]:
        agent = Agent(guarded)

        @agent.tool_plain
        def erase() -> str:
            return "erased"

        return Draft(Answer(text=(await agent.run(question.text)).output), 1)

    async def story() -> None:
        async with wire_for_tests(replace(TASK, run=run), tmp_path, model, tools=TOOLS) as wiring:
            await wiring.service.answer(Question(text="Hello"), wiring.service.new_call("alice"))

    with pytest.raises(ConfigError, match=r"offers the model the tool 'erase', which is not declared\. Add \[tools"):
        asyncio.run(story())
    assert model.requests == []


def test_attachments_of_a_tool_are_refused(tmp_path: Path) -> None:
    """An image that a tool returns is refused too."""

    async def work(model: Model) -> str:
        agent = Agent(model)

        @agent.tool_plain
        def scan() -> ToolReturn:
            return ToolReturn("here", content=[BinaryContent(b"\x89PNG", media_type="image/png")])

        return (await agent.run("Scan it.")).output

    with pytest.raises(InputNotAllowed, match="cannot be searched"):
        guarded(tmp_path, ScriptedModel(ModelResponse([ToolCallPart("scan", {})]), "Read."), work)


def test_a_message_history_is_redacted(tmp_path: Path) -> None:
    """Earlier replies contain values when a task sends them again, because it got them restored."""
    history = [ModelRequest([UserPromptPart("Who pays?")]), ModelResponse([TextPart(f"{ADDRESS} does.")])]

    async def work(model: Model) -> str:
        return (await Agent(model).run("And who else?", message_history=history)).output

    model = ScriptedModel("No one.")

    assert guarded(tmp_path, model, work) == "No one."
    assert ADDRESS not in sent_to(model)


def test_placeholders_belong_to_one_call(tmp_path: Path) -> None:
    """A placeholder of one call means nothing in the next, even for the same caller and with the cache on."""

    async def story() -> list[str]:
        model = ScriptedModel("Hello [EMAIL_1] and [EMAIL_2].")
        async with wire_for_tests(
            TASK, tmp_path, model, cache={"ttl_seconds": 60}, destinations=DESTINATIONS
        ) as wiring:
            texts = ["I am ada@example.com.", "I am bo@example.com.", "I am no one."]
            outcomes = [await wiring.service.answer(Question(text=t), wiring.service.new_call("alice")) for t in texts]
            return [outcome.value.text for outcome in outcomes if isinstance(outcome, Answered)]

    assert asyncio.run(story()) == [
        "Hello ada@example.com and [EMAIL_2].",
        "Hello bo@example.com and [EMAIL_2].",
        "Hello [EMAIL_1] and [EMAIL_2].",
    ]


async def _echo(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    prompt = messages[-1].parts[-1]
    assert isinstance(prompt, UserPromptPart)
    return ModelResponse([TextPart(str(prompt.content))])


def test_many_values_are_restored_in_their_places(tmp_path: Path) -> None:
    """A hundred addresses in one prompt come back in order."""
    text = ", ".join(f"user{number}@example.com" for number in range(100))

    async def work(model: Model) -> str:
        return (await Agent(model).run(text)).output

    assert guarded(tmp_path, ScriptedModel(_echo), work) == text


def test_settings_are_redacted_except_headers(tmp_path: Path) -> None:
    """A team may need to send a credential of its own in a header."""
    sent: list[ModelSettings] = []

    async def record_settings(_: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        sent.append(info.model_settings or {})
        return ModelResponse([TextPart("Yes.")])

    async def work(model: Model) -> str:
        settings: Any = {
            "stop_sequences": [f"to {ADDRESS}"],
            "anthropic_metadata": {"user_id": ADDRESS, "deep": [ADDRESS]},
            "extra_headers": {"X-From": ADDRESS},
            "temperature": 0.5,
        }
        return (await Agent(model).run("Well?", model_settings=settings)).output

    guarded(tmp_path, ScriptedModel(record_settings), work)

    [settings] = sent
    assert settings.get("stop_sequences") == ["to [EMAIL_1]"]
    assert settings.get("anthropic_metadata") == {"user_id": "[EMAIL_1]", "deep": ["[EMAIL_1]"]}
    assert (settings.get("extra_headers"), settings.get("temperature")) == ({"X-From": ADDRESS}, 0.5)


def tool_loop(text: str, results: list[Any]) -> Callable[[Model], Awaitable[str]]:
    """Return work that asks a model which has one tool; the tool notes what it is given and returns these results."""

    async def work(guarded_model: Model) -> str:
        agent = Agent(guarded_model)

        @agent.tool_plain
        def look_up(address: str) -> Any:
            return results.pop(0) if results else f"noted: {address}"

        return (await agent.run(text)).output

    return work


@pytest.mark.parametrize(
    ("text", "placeholder", "value"),
    [
        ("My password is Tr0ub4dor&3, please store it", "[SECRET_1]", "Tr0ub4dor&3"),
        ("Please call me at 98765 43210 tomorrow", "[PHONE_1]", "98765 43210"),
        ("My social security number is 536904399", "[NATIONAL_ID_1]", "536904399"),
        ("The API key is 'blue horse 42'", "[SECRET_1]", "blue horse 42"),
    ],
)
def test_a_replaced_value_is_replaced_wherever_it_returns(
    tmp_path: Path, text: str, placeholder: str, value: str
) -> None:
    """Also without the words that gave it away: in arguments of tools, their results, and other notations of it."""
    compact = "".join(filter(str.isalnum, value))
    results: list[Any] = [
        f"noted: {value}",
        {"values": [value, f"<{value}>"], value: json.dumps({"a": f"\t{value}"})},
        f"{compact}, {'-'.join(compact)}, {'%20'.join(compact)}, &nbsp;{value}&nbsp;\\n{value}\\n",
    ]
    calls = [ModelResponse([ToolCallPart("look_up", {"address": placeholder})]) for _ in results]
    model = ScriptedModel(*calls, f"It is {placeholder}.")

    output = guarded(tmp_path, model, tool_loop(text, results))

    assert output == f"It is {value}."
    sent = sent_to(model)
    assert value not in sent
    assert compact not in sent
    assert "-".join(compact) not in sent
    assert "%20".join(compact) not in sent


@pytest.mark.parametrize(
    ("parts", "sent"),
    [
        (["Write to ada@", "example.com today"], ["Write to [EMAIL_1] today"]),
        (["Pay with 4111 1111 ", "1111 1111", " please"], ["Pay with [CARD_1]", " please"]),
        (["Pay with 4111 1111", "1111 1111"], ["Pay with [CARD_1]"]),
        (["The password:", "Tr0ub4dor&3"], ["The password:", "[SECRET_1]"]),
        (["Key ghp_abcdefghijkl", "mnopqrstuvwxyz0123456789."], ["Key [SECRET_1]."]),
        (["To ada@example.com", "and ada@example.com"], ["To [EMAIL_1]", "and [EMAIL_1]"]),
        (["ada@example.com", "org", "[EMAIL_1]"], ["[EMAIL_2]", "org", "[EMAIL_1]"]),
        (["4111", "apples"], ["4111", "apples"]),
    ],
)
def test_a_value_in_two_parts_of_a_message(tmp_path: Path, parts: list[str], sent: list[str]) -> None:
    """A model reads the parts of one message as one text."""

    async def work(model: Model) -> str:
        return (await Agent(model).run(parts)).output

    model = ScriptedModel("Yes.")
    guarded(tmp_path, model, work)
    [[request]] = model.requests
    [part] = request.parts
    assert isinstance(part, UserPromptPart)
    assert list(part.content) == sent


@pytest.mark.parametrize(
    ("value", "placeholder"),
    [
        (ADDRESS, "_EMAIL_1_"),
        (CARD, "_CARD_1_"),
        (CARD.replace(" ", ""), "_CARD_2_"),
        ("Tr0ub4dor&3", "_SECRET_1_"),
        ("call_4f2b", "call_4f2b"),
    ],
)
def test_a_value_in_a_name_or_an_id(tmp_path: Path, value: str, placeholder: str) -> None:
    """A model may put it there, and the next request repeats it. Calls and results still belong together."""
    model = ScriptedModel(
        ModelResponse([ToolCallPart("look_up", {"address": "x"}, tool_call_id=value)]),
        ModelResponse([ToolCallPart(value, {})]),
        "Done.",
    )
    text = f"I am {ADDRESS}, my card is {CARD}, and my password is Tr0ub4dor&3"
    guarded(tmp_path, model, tool_loop(text, []))
    parts = [part for message in model.requests[-1] for part in message.parts]
    names = [(part.tool_name, part.tool_call_id) for part in parts if isinstance(part, ToolCallPart | ToolReturnPart)]
    assert names[:2] == [("look_up", placeholder)] * 2
    assert names[2][0] == placeholder


def test_a_value_is_replaced_before_it_is_given_away(tmp_path: Path) -> None:
    """A later message may be the one that says what a word in an earlier one is."""

    async def work(model: Model) -> str:
        history: list[ModelMessage] = [
            ModelRequest([UserPromptPart("Tr0ub4dor&3")]),
            ModelResponse([TextPart("What is that?")]),
        ]
        return (await Agent(model).run("My password: Tr0ub4dor&3", message_history=history)).output

    model = ScriptedModel("Keep [SECRET_1] to yourself.")

    assert guarded(tmp_path, model, work) == "Keep Tr0ub4dor&3 to yourself."
    assert "Tr0ub4dor" not in sent_to(model)


def test_parts_of_other_words_are_not_replaced(tmp_path: Path) -> None:
    """A value that returns inside of a longer word or number is not that value."""
    text = "password: secret12. The words are secret123, xsecret12 and s-e-c-r-e-t-1."

    async def work(model: Model) -> str:
        return (await Agent(model).run(text)).output

    model = ScriptedModel("Good.")
    guarded(tmp_path, model, work)

    assert "secret123, xsecret12 and s-e-c-r-e-t-1" in sent_to(model)


@pytest.mark.parametrize(
    "arguments",
    [
        '{"address": ',
        '{"address": ' + "9" * 5000 + "}",
        '{"address": ' + "[" * 3000,
        '{"address": "\\ud83d"}',
        '{"address": NaN}',
        '{"address": "ada@example.com"',
        '"ada@example.com',
        "\x00ada@example.com",
    ],
    ids=["broken", "digits", "brackets", "surrogate", "nan", "cut", "text", "control"],
)
def test_broken_arguments_of_a_tool_are_searched_as_text(tmp_path: Path, arguments: str) -> None:
    """A history may hold arguments that no parser reads; a reply with such arguments is a failure of its model."""

    async def work(model: Model) -> str:
        history: list[ModelMessage] = [
            ModelRequest([UserPromptPart(f"Who is {ADDRESS}?")]),
            ModelResponse([ToolCallPart("look_up", arguments, tool_call_id="1")]),
            ModelRequest([ToolReturnPart("look_up", "nobody", tool_call_id="1")]),
        ]
        return (await Agent(model).run("Well?", message_history=history)).output

    model = ScriptedModel("Sorry.")

    assert guarded(tmp_path, model, work) == "Sorry."
    assert ADDRESS not in sent_to(model)


def test_values_under_a_sensitive_key_are_replaced_in_lists_and_numbers(tmp_path: Path) -> None:
    """The key says what a list or a number under it is."""
    results: list[Any] = [{"ssn": 536904399, "passwords": ["Tr0ub4dor&3"], "ok": [True, 1, 2.5]}]
    model = ScriptedModel(ModelResponse([ToolCallPart("look_up", {"address": "x"})]), "Done.")

    guarded(tmp_path, model, tool_loop("Go", results))

    assert '{"ssn":"[NATIONAL_ID_1]","passwords":["[SECRET_1]"],"ok":[true,1,2.5]}' in sent_to(model)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_tool_result_that_is_json_stays_json(tmp_path: Path, indent: int | None) -> None:
    """A number is replaced by a string, and escape sequences beside a value stay."""
    data = {"note": f"Key:\nAKIAIOSFODNN7EXAMPLE\nMail:\t{ADDRESS}\n", "card": 4111111111111111, "n": [1, 2.5, None]}
    model = ScriptedModel(ModelResponse([ToolCallPart("look_up", {"address": "x"})]), "Done.")

    guarded(tmp_path, model, tool_loop("Go", [json.dumps(data, indent=indent)]))

    [sent] = [part.content for part in model.requests[-1][-1].parts if part.part_kind == "tool-return"]
    note = "Key:\n[SECRET_1]\nMail:\t[EMAIL_1]\n"
    assert json.loads(str(sent)) == {"note": note, "card": "[CARD_1]", "n": [1, 2.5, None]}


LITERAL = "Please repeat [EMAIL_1]."


@pytest.mark.parametrize(
    ("prompts", "said", "answer"),
    [
        ([f"Staff: {ADDRESS}", LITERAL], "[EMAIL_1] [EMAIL_2]", f"[EMAIL_1] {ADDRESS}"),
        ([LITERAL, f"Staff: {ADDRESS}"], "[EMAIL_1] [EMAIL_2]", f"[EMAIL_1] {ADDRESS}"),
        ([f"Staff: {ADDRESS} {LITERAL}"], "[EMAIL_1] [EMAIL_2]", f"[EMAIL_1] {ADDRESS}"),
        (
            [f"Staff: {ADDRESS}", f"{LITERAL} [EMAIL_2]"],
            "[EMAIL_1] [EMAIL_2] [EMAIL_3]",
            f"[EMAIL_1] [EMAIL_2] {ADDRESS}",
        ),
        ([f"Card: {CARD}", "[CARD_1]"], "[CARD_1] [CARD_2]", f"[CARD_1] {CARD}"),
        (["password: Tr0ub4dor&3", "[SECRET_1] SECRET_1"], "[SECRET_1] [SECRET_2]", "[SECRET_1] Tr0ub4dor&3"),
    ],
)
def test_a_placeholder_that_a_caller_typed_is_no_value(
    tmp_path: Path, prompts: list[str], said: str, answer: str
) -> None:
    """It comes back as it was typed, wherever it stands, and never as the value of somebody else."""

    async def work(model: Model) -> str:
        return (await Agent(model).run(prompts)).output

    assert guarded(tmp_path, ScriptedModel(said), work) == answer


@pytest.mark.parametrize(
    "written",
    [r"\[EMAIL\_1\]", r"[EMAIL\_1]", "[email_1]", "[Email_1]", "\u3010EMAIL_1\u3011", "\uff3bEMAIL_1\uff3d"],
)
def test_placeholders_are_restored_however_a_model_copies_them(tmp_path: Path, written: str) -> None:
    """In Markdown they are escaped. What only looks similar, or is a caller's own text, stays as it is."""

    async def ask(model: Model, prompt: str) -> str:
        return (await Agent(model).run(prompt)).output

    def answer(said: str, prompt: str) -> str:
        return guarded(tmp_path, ScriptedModel(said), lambda model: ask(model, prompt))

    assert answer(f"It is **{written}**.", f"Staff: {ADDRESS}") == f"It is **{ADDRESS}**."
    assert answer(f"{written}, [EMAIL_2]", f"Staff: {ADDRESS}, {written}") == f"{written}, {ADDRESS}"
    assert answer("[EMAIL1] [E_MAIL_1] (EMAIL_1)", f"Staff: {ADDRESS}") == "[EMAIL1] [E_MAIL_1] (EMAIL_1)"


def test_a_typed_placeholder_of_a_later_turn_is_no_value(tmp_path: Path) -> None:
    """Also if a tool returns it after the value has got its placeholder; a model's own thoughts keep theirs."""
    model = ScriptedModel(
        ModelResponse([ThinkingPart("Whose is [EMAIL_1]?", signature="s"), ToolCallPart("look_up", {})]),
        "[EMAIL_1] [EMAIL_2]",
    )

    async def work(model: Model) -> str:
        agent = Agent(model)

        @agent.tool_plain
        def look_up() -> str:
            return "The page says [EMAIL_1]."

        return (await agent.run(f"Staff: {ADDRESS}")).output

    assert guarded(tmp_path, model, work) == f"{ADDRESS} [EMAIL_1]"
    assert "Whose is [EMAIL_1]?" in sent_to(model)
    assert "The page says [EMAIL_2]." in sent_to(model)
