"""What models were sent and replied is kept in development only, and says why a model failed."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import chassis
import pytest
from chassis import Draft
from chassis.cli.main import app
from chassis.config.constraints import ModelConfig
from chassis.config.project import Project, Settings
from chassis.guard.diagnosis import diagnose
from chassis.guard.failures import EmptyReply, TimedOut
from chassis.search import Passage, Search
from chassis.telemetry import names
from chassis.telemetry.genai_spans import retrieval_span
from chassis.telemetry.local_traces import CONTENT_FILE, ContentLog, former_file, load_exchanges
from chassis.testing import OWNER, ScriptedModel, constraints_for_tests
from chassis.wiring import wire
from opentelemetry import trace
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model
from sample_task import TASK, Answer, Question
from telemetry_sinks import Lines, started, stored
from typer.testing import CliRunner

ADDRESS = "ada.lovelace@acme.io"
REDACTING = {"vendor": {"classes": ["internal"], "redact": ["email", "secret", "card"]}}
GPT = ModelConfig(name="gpt", provider="openai", model="gpt-5.4", destination="vendor", max_output_tokens=10)


async def ask(root: Path, *models: Model, environment: str = "development", run: Any = None, **changes: Any) -> object:
    """Ask one question of a service in an environment."""
    settings = Settings.model_validate({"database_url": "sqlite:///service.db", "env": environment})
    task = replace(TASK, run=run) if run else TASK
    async with wire(
        Project(root, "sample", "1.0.0", "sample.task:TASK"),
        task=task,
        constraints=constraints_for_tests(destinations=REDACTING, **changes),
        settings=settings,
        models=dict(zip(("first", "second"), models, strict=False)),
        owner=OWNER,
    ) as wiring:
        service = wiring.service
        return await service.answer(Question(text=f"Who is {ADDRESS}?"), service.new_call("alice"))


def exchanges(root: Path) -> list[dict[str, Any]]:
    """Return what is in the content log."""
    return [json.loads(line) for line in (root / "var" / CONTENT_FILE).read_text(encoding="utf-8").splitlines()]


def test_what_was_sent_and_replied_is_kept_redacted(tmp_path: Path) -> None:
    """With placeholders, as it left the process, in a file that only its owner can read."""
    asyncio.run(ask(tmp_path, ScriptedModel("[EMAIL_1] wrote the first program")))
    [exchange] = exchanges(tmp_path)
    assert exchange["model"] == "first"
    assert "[EMAIL_1]" in str(exchange["sent"])
    assert exchange["reply"] == [{"part": "text", "text": "[EMAIL_1] wrote the first program"}]
    assert ADDRESS not in (tmp_path / "var" / CONTENT_FILE).read_text(encoding="utf-8")
    assert (tmp_path / "var" / CONTENT_FILE).stat().st_mode & 0o077 == 0
    [span] = [span for span in stored(tmp_path / "var") if span.name.startswith("chat")]
    assert (exchange["trace_id"], exchange["span_id"]) == (span.trace_id, span.span_id)


@pytest.mark.parametrize("reply", ["fine", ModelHTTPError(401, "gpt", {"message": "you said: a question"})])
def test_nothing_is_kept_in_production(tmp_path: Path, lines: Lines, reply: Any) -> None:
    """There is no content log to write to, and no sentence of a vendor in the log."""
    asyncio.run(ask(tmp_path, ScriptedModel(reply), environment="production"))
    assert not (tmp_path / "var" / CONTENT_FILE).exists()
    assert "you said" not in lines.getvalue()


def test_one_place_creates_the_content_log() -> None:
    """Whatever else uses it gets it from there, so production cannot have one."""
    source = Path(chassis.__file__).parent
    places = {
        (file.relative_to(source).as_posix(), line.strip())
        for file in source.rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r"\bContentLog\(", line)
    }
    condition = 'content = ContentLog(var / CONTENT_FILE) if identity.environment == "development" else None'
    assert places == {("telemetry/setup.py", condition)}


def test_the_content_log_is_bounded(tmp_path: Path) -> None:
    """There are never more than two files, each little larger than its bound; unreadable lines are left out."""
    log = ContentLog(tmp_path / CONTENT_FILE, max_bytes=1000)
    for number in range(50):
        log.record("first", [], ModelResponse([TextPart(f"{number} \ud800 {'x' * 30_000}")]), None)
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == [CONTENT_FILE, former_file(Path(CONTENT_FILE)).name]
    assert all(file.stat().st_size < 30_000 for file in tmp_path.iterdir())
    with (tmp_path / CONTENT_FILE).open("a", encoding="utf-8") as file:
        file.write("[1]\nhalf a li")
    assert len(load_exchanges(tmp_path / CONTENT_FILE, "0" * 32)) == 2


def test_a_content_log_that_cannot_be_written_costs_no_call(tmp_path: Path, lines: Lines) -> None:
    """The line is lost, and a warning says so."""
    (tmp_path / "var" / CONTENT_FILE).mkdir(parents=True)
    outcome = asyncio.run(ask(tmp_path, ScriptedModel("fine")))
    assert getattr(outcome, "answered_by", None) == "first"
    assert len(lines.named("content.not_stored")) == 1


def test_the_command_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the tree: what was sent, what came back, and why it could not be used."""
    asyncio.run(ask(tmp_path, ScriptedModel(ModelResponse([])), ScriptedModel("by the [second]")))
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.chassis]\ntask = "x:TASK"\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    plain = CliRunner().invoke(app, ["trace"])
    shown = CliRunner().invoke(app, ["trace", "--content"])
    assert "by the [second]" not in plain.output
    for text in (
        "user-prompt",
        "[EMAIL_1]",
        "error",
        "EmptyReply: first returned neither",
        "reply: text",
        "by the [second]",
    ):
        assert text in shown.output
    (tmp_path / "var" / CONTENT_FILE).unlink()
    missing = CliRunner().invoke(app, ["trace", "--content"])
    assert (missing.exit_code, "in development only" in missing.output) == (1, True)


class Shape(BaseModel):
    """What the model should reply with."""

    number: int


def test_a_reply_that_breaks_the_schema_is_shown(tmp_path: Path, lines: Lines) -> None:
    """In the log line, with the field that is wrong; in production only the field."""

    async def run(_: Question, model: Model) -> Draft[Answer]:
        await Agent(model, output_type=Shape, retries=0).run("A number, please")
        return Draft(Answer(text="never"), 1)

    wrong = ModelResponse([ToolCallPart("final_result", {"number": "seven"})])
    for environment in ("development", "production"):
        asyncio.run(ask(tmp_path / environment, ScriptedModel(wrong), run=run, environment=environment))
    in_development, in_production = lines.named("model.failed")
    assert in_development["problems"] == in_production["problems"] == ["number: int_parsing"]
    assert 'final_result: {"number": "seven"}' in in_development["reply"]
    assert "seven" not in json.dumps(in_production)


OPENAI_401 = {
    "message": "Incorrect API key provided. Find yours at x.",
    "type": "invalid_request_error",
    "code": "invalid_api_key",
}
ANTHROPIC_404 = {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-9"}}
GOOGLE_429 = [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded for quota metric"}}]


@pytest.mark.parametrize(
    ("error", "provider", "expected"),
    [
        (
            ModelHTTPError(401, "gpt", OPENAI_401),
            "openai",
            {"status": 401, "code": "invalid_api_key", "reason": OPENAI_401["message"], "check": "OPENAI_API_KEY"},
        ),
        (
            ModelHTTPError(404, "gpt", ANTHROPIC_404),
            "anthropic",
            {
                "status": 404,
                "code": "not_found_error",
                "reason": "model: claude-9",
                "check": "constraints.toml: models.gpt.model = 'gpt-5.4'",
            },
        ),
        (
            ModelHTTPError(429, "gpt", GOOGLE_429),
            "google",
            {
                "status": 429,
                "code": "RESOURCE_EXHAUSTED",
                "reason": "Quota exceeded for quota metric",
                "check": "the rate limit of the account that GEMINI_API_KEY belongs to",
            },
        ),
        (
            ModelHTTPError(429, "gpt", {"code": "insufficient_quota", "message": "You exceeded your current quota"}),
            "openai",
            {
                "status": 429,
                "code": "insufficient_quota",
                "reason": "You exceeded your current quota",
                "check": "the plan of the account that OPENAI_API_KEY belongs to",
            },
        ),
        (ModelHTTPError(500, "gpt", "<html>\n bad </html>"), "openai", {"status": 500, "reason": "<html> bad </html>"}),
        (
            ModelConnectionError("gpt", "Connection error.", phase="connect"),
            "local",
            {"reason": "Connection error.", "check": "CHASSIS_LOCAL_MODEL_URL"},
        ),
        (
            TimedOut("gpt", "gpt did not answer within 1.00 s"),
            "openai",
            {"reason": "gpt did not answer within 1.00 s", "check": "constraints.toml: latency.deadline_seconds"},
        ),
        (EmptyReply("gpt", "gpt returned nothing"), "openai", {"reason": "gpt returned nothing"}),
    ],
)
def test_why_a_model_failed(error: Exception, provider: str, expected: dict[str, Any]) -> None:
    """The vendor's own sentence and code, and what to check; in production no sentence of a vendor."""
    config = GPT.model_copy(update={"provider": provider})
    assert diagnose(error, config, with_content=True) == expected
    vendors_own = isinstance(error, ModelHTTPError | ModelConnectionError)
    kept = {key: value for key, value in expected.items() if key != "reason" or not vendors_own}
    assert diagnose(error, config, with_content=False) == kept


@pytest.mark.parametrize(
    "body", [None, [], [None], {"error": None}, {"error": "x y"}, {"code": "a sentence, with spaces"}, 7]
)
def test_any_body_can_be_diagnosed(body: Any) -> None:
    """What a vendor sends is not trusted: a code with spaces is a sentence, which may quote the question."""
    assert diagnose(ModelHTTPError(400, "gpt", body), GPT, with_content=False) == {"status": 400}


def test_calls_of_tools_have_spans(tmp_path: Path) -> None:
    """By the names of the conventions, below the call, without arguments, results or messages of errors."""

    async def run(question: Question, model: Model) -> Draft[Answer]:
        agent = Agent(model)

        @agent.tool_plain
        def look_up(name: str) -> str:
            return f"secret of {name}"

        result = await agent.run(question.text)
        return Draft(Answer(text=result.output), 1)

    call = ModelResponse([ToolCallPart("look_up", {"name": "a question"}, tool_call_id="t1")])
    tools = {"look_up": {"destination": "vendor", "side_effects": False}}
    asyncio.run(ask(tmp_path, ScriptedModel(call, "done"), run=run, tools=tools))
    spans = {span.name: span for span in stored(tmp_path / "var")}
    assert set(spans) == {"call echo", "chat first", "execute_tool look_up"}
    assert {span.parent_id for span in spans.values()} == {None, spans["call echo"].span_id}
    assert spans["execute_tool look_up"].attributes == {
        names.OPERATION_NAME: "execute_tool",
        names.TOOL_NAME: "look_up",
        names.TOOL_TYPE: "function",
        "gen_ai.tool.call.id": "t1",
    }
    assert "secret of" not in str(spans)


def test_the_search_of_the_chassis_has_a_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`chassis trace` shows that documents were searched, and how many passages were wanted."""
    search = Search([Passage("refunds.md", ("Refunds",), ("A refund takes five days.",))])
    telemetry = started(tmp_path)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", telemetry.tracers)
    with telemetry.instruments.span("call"):
        search.find("How long does a refund take?", limit=2)
    telemetry.shutdown()
    call, retrieval = stored(tmp_path)
    assert (retrieval.name, retrieval.parent_id) == ("retrieval documents", call.span_id)
    assert "refund" not in str(retrieval.attributes)


def test_a_search_has_a_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that fails, and without the message of its error."""
    telemetry = started(tmp_path)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", telemetry.tracers)
    with pytest.raises(LookupError), telemetry.instruments.span("call"), retrieval_span("documents", limit=3):
        raise LookupError("no page about a question")
    telemetry.shutdown()
    call, search = stored(tmp_path)
    assert (search.name, search.parent_id, search.failed) == ("retrieval documents", call.span_id, True)
    assert search.attributes == {
        names.OPERATION_NAME: "retrieval",
        names.DATA_SOURCE_ID: "documents",
        names.REQUEST_TOP_K: 3,
    }
