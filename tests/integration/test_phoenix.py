"""Phoenix, where people look at traces, understands what the service sends; large, so only `make phoenix` runs this."""

import secrets
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from answer_sets import ROOT
from mock_vendor import vendor, write_constraints
from running_service import serve
from shell import Shell, free_port, isolated_command, require_program

pytestmark = [pytest.mark.slow, pytest.mark.phoenix]

PHOENIX = "arize-phoenix==20.26.1"
PICTURE = ROOT / "build/phoenix.png"
TRACE_ID, PARENT_ID = secrets.token_hex(16), secrets.token_hex(8)
BROWSER = (
    "chromium",
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--window-size=1500,950",
    "--virtual-time-budget=30000",
)


@dataclass(frozen=True, slots=True)
class Phoenix:
    """A running Phoenix."""

    address: str

    def spans(self, count: int) -> dict[str, Any]:
        """Wait until so many spans are there, and return them by name."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            spans = httpx2.get(f"{self.address}/v1/projects/default/spans").json()["data"]
            if len(spans) == count:
                return {span["name"]: span for span in spans}
            time.sleep(0.2)
        raise AssertionError(f"Phoenix does not show {count} spans")


@pytest.fixture(scope="module")
def phoenix(project: Shell, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Phoenix]:
    """Return a Phoenix that has seen one call with a model."""
    require_program("curl")
    scratch, port = tmp_path_factory.mktemp("phoenix"), free_port()
    variables = {"PHOENIX_WORKING_DIR": str(scratch), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(port)}
    quiet = {"PHOENIX_GRPC_PORT": str(free_port()), "PHOENIX_TELEMETRY_ENABLED": "false"}
    with (
        project.with_variables(**variables, **quiet).start(*isolated_command(PHOENIX, "phoenix", "serve")) as program,
        vendor(project) as v,
    ):
        program.wait_for("Uvicorn running", within=300)
        running = Phoenix(f"http://127.0.0.1:{port}")
        write_constraints(project.folder, template, scratch / "other", v.address, deadline_seconds=20)
        sending = project.with_variables(OPENAI_COMPATIBLE_API_KEY="none", OTEL_EXPORTER_OTLP_ENDPOINT=running.address)
        with serve(sending) as service:
            parent = f"traceparent: 00-{TRACE_ID}-{PARENT_ID}-01"
            assert service.ask("When does a day or a month begin?", "--header", parent).status == 200
        yield running


def test_it_understands(phoenix: Phoenix) -> None:
    """The walk is one tree under the caller's span, and the request to the model counts as one, with its tokens."""
    spans = phoenix.spans(3)
    request, call, chat = (spans[name] for name in ("POST /v1/help", "call help", "chat Qwen/Qwen3-8B"))
    assert {span["context"]["trace_id"] for span in spans.values()} == {TRACE_ID}
    assert request["parent_id"] == PARENT_ID
    assert call["parent_id"] == request["context"]["span_id"]
    assert chat["parent_id"] == call["context"]["span_id"]
    assert chat["span_kind"] == "LLM"
    assert chat["attributes"]["llm.model_name"] == "Qwen/Qwen3-8B"
    assert chat["attributes"]["llm.token_count.total"] == (
        chat["attributes"]["gen_ai.usage.input_tokens"] + chat["attributes"]["gen_ai.usage.output_tokens"]
    )


def test_a_person_sees_it(phoenix: Phoenix, project: Shell) -> None:
    """A picture of the trace, as a browser shows it, is left in `build/phoenix.png` for a person to look at."""
    require_program(BROWSER[0])
    phoenix.spans(3)
    [default] = httpx2.get(f"{phoenix.address}/v1/projects").json()["data"]
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.unlink(missing_ok=True)
    page = f"{phoenix.address}/projects/{default['id']}/traces/{TRACE_ID}"
    project.run(*BROWSER, f"--screenshot={PICTURE}", page)
    assert PICTURE.stat().st_size > 20_000
