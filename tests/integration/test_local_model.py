"""`make local-model` runs a real language model, and the service asks it: no key, no bill, no network."""

import re
from collections.abc import Generator

import pytest
from local_model_server import local_model
from running_service import Reply, Service, serve
from shell import Shell

pytestmark = pytest.mark.slow

QUESTIONS = ("What does status 401 mean?", "How can I add an evaluation case?", "May I edit CODEOWNERS by hand?")
"""More than one, because so small a model may ramble or make things up, and then the baseline answers."""


@pytest.fixture(scope="module")
def asking(project: Shell, no_network: tuple[str, ...]) -> Generator[Service]:
    """Return a service beside its local model without a network; only what installed the model has had one."""
    with local_model(project, no_network) as cut_off, serve(cut_off) as service:
        yield service


@pytest.fixture(scope="module")
def reply(asking: Service) -> Reply:
    """Return what came of the first question that the model had an answer to."""
    return next(reply for reply in map(asking.ask, QUESTIONS) if reply.body["answered_by"] == "local")


def test_the_model_answers(asking: Service, reply: Reply) -> None:
    """The words are the model's, not a quotation; its tokens are counted and cost nothing."""
    *_, line = asking.logged("call.finished")
    body = reply.body
    assert (reply.status, body["fallback_reason"], line["call_id"]) == (200, None, body["call_id"])
    assert body["cost_usd"] == line["cost_usd"] == 0
    assert min(line["input_tokens"], line["output_tokens"]) > 0
    assert line["attempts"] == 1
    assert body["answer"]["text"].strip()
    assert body["answer"]["text"] not in {source["quote"] for source in body["answer"]["sources"]}


def test_a_file_says_where_the_model_listens(asking: Service) -> None:
    """`make local-model` writes its address into a file of its own, so that `make serve` finds the model."""
    settings = (asking.project.folder / "var/local-model.env").read_text(encoding="utf-8")
    assert settings == "CHASSIS_LOCAL_MODEL_URL=http://127.0.0.1:8081/v1\n"
    assert not (asking.project.folder / ".env").exists()


def test_the_walk_is_drawn(asking: Service, reply: Reply) -> None:
    """`chassis trace` shows request, call and model inside each other, with the tokens."""
    drawn = asking.project.with_variables(COLUMNS="200").run(".venv/bin/chassis", "trace", reply.body["call_id"])
    places = [drawn.index(step) for step in ("POST /v1/help", "call help", "chat smollm2-135m-instruct")]
    assert places == sorted(places)
    assert re.search(r"\d+ tokens in, \d+ out · \$0\.00", drawn)
