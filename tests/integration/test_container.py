"""The Dockerfile is built as it is, and the image answers a question with nothing but what production gives it."""

import json
import re
from collections.abc import Generator

import pytest
from command_list import RUNTIME_COMMANDS, WIDE, listed_commands
from container_run import Container, container
from image_build import images
from shell import Shell

pytestmark = pytest.mark.slow

IMAGE = "localhost/acme-help"
ASK = """
import json, sys, urllib.request as web
body = json.dumps({"text": "How do I change the budget?"}).encode()
headers = {"Authorization": f"Bearer {sys.argv[1]}", "Content-Type": "application/json"}
print(web.urlopen(web.Request("http://127.0.0.1:8000/v1/help", body, headers)).read().decode())
"""
DEVELOPMENT_ONLY = re.compile(
    r"chassis_tools|chassis/(ci|schemas|tools|tests|\.uv)(/|$)|^app/(\.env|\.git|\.github|ops|tests)(/|$)"
    r"|^app/evals/(?!accepted/\w+/history\.jsonl$)"
    r"|/site-packages/(_?pytest|pre_commit|prek|hypothesis|yaml)|/bin/(pytest|ruff|ty|zizmor|pre-commit|prek)$"
)
INSTALLED = "import importlib.metadata as all; print(*sorted(one.name for one in all.distributions()))"


@pytest.fixture(scope="module")
def running(set_up_project: Shell, tmp_path_factory: pytest.TempPathFactory) -> Generator[Container]:
    """Return a container of the project's own image."""
    with images(set_up_project, tmp_path_factory.mktemp("images")) as store:
        store.build(set_up_project.folder, IMAGE)
        with container(store, IMAGE) as running:
            running.program.wait_for('"event": "service.started"')
            yield running


def test_it_answers(running: Container) -> None:
    """Its own command serves, its own health check agrees, and a key made inside opens the door."""
    health = running.images.config(IMAGE)["Healthcheck"]["Test"]
    assert health[0] == "CMD"
    running.executes(*health[1:])

    key = running.executes("chassis", "keys", "create", "tester").strip()
    reply = json.loads(running.executes("python", "-c", ASK, key))

    assert reply["outcome"] == "answered"
    assert "per_month_usd" in reply["answer"]["text"]


def test_it_is_nobody_and_can_write_nowhere(running: Container) -> None:
    """A hole in the service opens neither the code nor the system: only `var` and `/tmp` take anything."""
    assert running.executes("id", "-u").strip() == "10001"
    for path in ("/app/src/x", "/app/x", "/opt/python/x", "/usr/bin/x"):
        assert "Read-only file system" in running.refuses("touch", path)
    running.executes("touch", "/app/var/x", "/tmp/x")  # noqa: S108 - the container's own


def test_it_contains_only_what_serving_needs(running: Container) -> None:
    """No secret, no cases, no tools of the chassis; but the driver for PostgreSQL, and the rates of accepted runs."""
    files = running.images.files(IMAGE)
    assert {"app/constraints.toml", "app/chassis/src/chassis/service.py", "app/src/acme_help/task.py"} <= files
    assert "app/evals/accepted/answers/history.jsonl" in files
    assert [file for file in sorted(files) if DEVELOPMENT_ONLY.search(file)] == []
    installed = set(running.executes("python", "-c", INSTALLED).split())
    assert {"acme-help", "ai-service-chassis", "asyncpg", "fastapi"} <= installed
    assert {"ai-service-chassis-tools", "pytest", "ruff", "ty", "pre-commit", "prek", "pyyaml"}.isdisjoint(installed)


def test_its_command_lists_the_runtime_only(running: Container) -> None:
    """A person in the container is offered what works there, and nothing that was left out."""
    assert listed_commands(running.executes(*WIDE, "chassis", "--help")) == RUNTIME_COMMANDS


def test_it_ends_when_it_is_told_to(running: Container) -> None:
    """The first process is the service itself, so SIGTERM reaches it; last, because nothing answers afterwards."""
    running.images.shell.run("runc", "kill", running.name, "TERM")

    running.program.wait_for('"event": "service.stopped"')
    assert running.program.process.wait(30) == 0
