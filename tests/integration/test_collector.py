"""A real collector receives all that the service has to tell, and as parts of the caller's own trace."""

import secrets
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
from mock_vendor import vendor, write_constraints
from otlp_collector import Collector, collector
from running_service import Reply, serve
from shell import Shell, require_program

pytestmark = pytest.mark.slow

QUESTION = "When does a day or a month begin?"
TRACE_ID, PARENT_ID = secrets.token_hex(16), secrets.token_hex(8)

type Told = tuple[Reply, Collector]


@pytest.fixture(scope="module")
def told(project: Shell, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Told]:
    """Return one answer of a service that is told to go right after it, and a collector that has seen all of this."""
    require_program("curl")
    scratch = tmp_path_factory.mktemp("collector")
    with collector(replace(project, folder=scratch)) as rotel:
        with vendor(project) as models_vendor:
            write_constraints(project.folder, template, scratch / "other", models_vendor.address, deadline_seconds=20)
            sending = project.with_variables(
                OPENAI_COMPATIBLE_API_KEY="none", OTEL_EXPORTER_OTLP_ENDPOINT=rotel.endpoint
            )
            with serve(sending) as service:
                reply = service.ask(QUESTION, "--header", f"traceparent: 00-{TRACE_ID}-{PARENT_ID}-01")
                assert service.program.stop() == 0
        rotel.program.stop()
        yield reply, rotel


def test_the_whole_walk(told: Told) -> None:
    """Three spans, each inside the one before, the outermost inside the caller's; nothing is lost at the end."""
    reply, rotel = told
    spans = rotel.spans()
    walk = [spans["POST /v1/help"], spans["call help"], spans["chat Qwen/Qwen3-8B"]]
    assert reply.body["trace_id"] == TRACE_ID
    assert [span.facts["Trace ID"] for span in walk] == [TRACE_ID] * 3
    assert [span.facts["Parent ID"] for span in walk] == [PARENT_ID, walk[0].facts["ID"], walk[1].facts["ID"]]
    assert [span.facts["Kind"] for span in walk] == ["SPAN_KIND_SERVER", "SPAN_KIND_INTERNAL", "SPAN_KIND_CLIENT"]


def test_the_model_request(told: Told) -> None:
    """It is described in the words of the GenAI conventions, with the tokens and the cost that were really used."""
    reply, rotel = told
    chat = rotel.spans()["chat Qwen/Qwen3-8B"].attributes
    assert chat["gen_ai.operation.name"] == "chat"
    assert chat["gen_ai.provider.name"] == "openai-compatible"
    assert chat["gen_ai.request.model"] == chat["gen_ai.response.model"] == "Qwen/Qwen3-8B"
    assert chat["gen_ai.request.max_tokens"] == "800"
    assert int(chat["gen_ai.usage.input_tokens"]) > 0
    assert int(chat["gen_ai.usage.output_tokens"]) > 0
    assert float(chat["chassis.cost.usd"]) == pytest.approx(reply.body["cost_usd"])


def test_metrics(told: Told) -> None:
    """Metrics of the conventions, of the web server and of the chassis arrive too."""
    _, rotel = told
    assert rotel.metrics() >= {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "http.server.request.duration",
        "chassis.call.duration",
        "chassis.calls",
        "chassis.model.attempts",
        "chassis.cost.usd",
    }


def test_who_sends(told: Told) -> None:
    """Everything carries the name, the version and the environment of the service."""
    _, rotel = told
    [service] = rotel.services()
    who = (service["service.name"], service["service.version"], service["deployment.environment.name"])
    assert who == ("acme-help", "0.1.0", "production")


def test_no_words(told: Told) -> None:
    """Neither the question nor the answer leaves the process."""
    reply, rotel = told
    printed = rotel.program.output()
    assert QUESTION not in printed
    assert reply.body["answer"]["text"] not in printed
