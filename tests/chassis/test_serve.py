"""`chassis serve` as a process: start, shutdown and development keys."""

import asyncio
import gc
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from chassis.config.project import Settings
from chassis.errors import ConfigError
from chassis.store.credentials import DEVELOPMENT_CALLER, ApiKeys
from chassis.store.opening import open_database
from chassis.telemetry.local_traces import TRACES_FILE, SpanStore
from chassis.web.server import listen, spare_garbage_collector
from sample_repository import write_repository
from serve_process import first_match, process


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])  # noqa: S104 - only for a moment
def test_responses_are_sent_without_delay(host: str) -> None:
    """Nagle's algorithm is off, or a body would wait 40 ms for the client to confirm the headers."""
    with listen(host, 0) as listener, socket.create_connection(listener.getsockname()[:2]):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_garbage_collector_spares_what_is_there_at_the_start() -> None:
    """It reads neither modules nor types again, and runs less often for what calls leave behind."""
    thresholds = gc.get_threshold()
    gc.unfreeze()  # what our conftest.py has frozen
    gc.set_threshold(700)
    gc.disable()  # as `chassis serve` does while it starts
    try:
        spare_garbage_collector()
        enabled, frozen, (raised, *_) = gc.isenabled(), gc.get_freeze_count(), gc.get_threshold()
    finally:
        gc.enable()
        gc.set_threshold(*thresholds)
    assert enabled
    assert frozen > len(sys.modules)
    assert raised > 700


@pytest.mark.slow
def test_sigterm_drains_the_service(tmp_path: Path) -> None:
    """After SIGTERM, /readyz answers 503, the running call is answered, its trace is stored, and the exit code is 0."""
    with process(write_repository(tmp_path), "--port", "0") as service, ThreadPoolExecutor() as pool:
        assert service.stdout
        assert service.stderr
        address = first_match(service.stdout, r"listens on (http://[\d.:]+)")
        headers = {"Authorization": f"Bearer {first_match(service.stdout, r'(ck_\S+)')}"}
        slow = pool.submit(httpx2.post, f"{address}/v1/wait", json={"text": "3"}, headers=headers, timeout=30)
        while "http_server_active_requests{" not in httpx2.get(f"{address}/metrics").text:
            pass
        ready = httpx2.get(f"{address}/readyz").status_code
        service.terminate()
        first_match(service.stderr, r"(service\.draining)")
        draining = httpx2.get(f"{address}/readyz").status_code
        answered = slow.result()
        log, code = service.stderr.read(), service.wait()

    assert (ready, draining, answered.status_code, code) == (200, 503, 200, 0)
    assert "service.stopped" in log
    assert SpanStore(tmp_path / "var" / TRACES_FILE).find(answered.json()["trace_id"])


@pytest.mark.slow
def test_a_port_in_use_is_explained(tmp_path: Path) -> None:
    """The error names the address and what to do, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process(write_repository(tmp_path), "--port", str(port)) as service:
            _, errors = service.communicate()

    assert service.returncode == 2
    assert errors.splitlines()[-1] == (
        f"--host 127.0.0.1 --port {port}: another program uses this port. Stop it, or choose another port"
    )
    assert "Traceback" not in errors


@pytest.mark.slow
def test_production_creates_no_key(tmp_path: Path) -> None:
    """In production the log says how to create a key, and before that, whose confidence is not calibrated."""
    with process(write_repository(tmp_path), "--port", "0", CHASSIS_ENV="production") as service:
        assert service.stderr
        fit = first_match(service.stderr, r'"event": "confidence.uncalibrated".*"remedy": "([^"]+)"')
        remedy = first_match(service.stderr, r'"event": "api_key.missing".*"remedy": "([^"]+)"')
        service.terminate()
        output, _ = service.communicate()

    assert fit == "run `uv run chassis evals calibrate-confidence SUITE`"
    assert remedy == "create one with `uv run chassis keys create CALLER`"
    assert "ck_" not in output


@pytest.mark.slow
def test_no_key_is_created_if_others_can_reach_the_service(tmp_path: Path) -> None:
    """The development key is only created on a loopback address."""
    with process(write_repository(tmp_path), "--port", "0", "--host", "0.0.0.0") as service:  # noqa: S104 - that is the point
        assert service.stderr
        first_match(service.stderr, r"(key\.missing)")
        service.terminate()
        output, _ = service.communicate()

    assert "listens on" in output
    assert "ck_" not in output


def test_production_rejects_development_keys(store_url: str) -> None:
    """A development key in the database is not accepted, and none can be created."""

    async def story() -> list[str | None]:
        database = await open_database(store_url, Path())
        try:
            developing, production = ApiKeys(database), ApiKeys(database, production=True)
            key, other = await developing.create(DEVELOPMENT_CALLER), await production.create("billing")
            with pytest.raises(ConfigError, match="keys of 'developer' are rejected in production"):
                await production.create(DEVELOPMENT_CALLER)
            return [await keys.find_caller(each) for keys in (developing, production) for each in (key, other)]
        finally:
            await database.close()

    assert asyncio.run(story()) == [DEVELOPMENT_CALLER, "billing", None, "billing"]


@pytest.mark.slow
def test_metrics_can_have_a_port_of_their_own(tmp_path: Path) -> None:
    """Then the port of the service does not serve them; a port in use is one sentence."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
        with process(write_repository(tmp_path), "--port", "0", CHASSIS_METRICS_PORT=port) as service:
            _, errors = service.communicate()
    assert (service.returncode, errors.splitlines()[-1]) == (
        2,
        f"CHASSIS_METRICS_PORT={port}: cannot listen on this port (Address already in use). Choose another port",
    )
    with process(tmp_path, "--port", "0", CHASSIS_METRICS_PORT=port) as service:
        assert service.stdout
        address = first_match(service.stdout, r"listens on (http://[\d.:]+)")
        httpx2.get(f"{address}/readyz").raise_for_status()
        assert httpx2.get(f"{address}/metrics").status_code == 404
        assert "target_info" in httpx2.get(f"http://127.0.0.1:{port}/metrics").text
        service.terminate()
        assert service.wait() == 0


def test_secrets_may_be_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file has the name of a variable, in either case; its line end does not count; the environment overrides it."""
    monkeypatch.setattr(Settings, "model_config", Settings.model_config | {"secrets_dir": str(tmp_path)})
    for name, text in {"CHASSIS_DATABASE_URL": "postgresql://a/b\n", "openai_api_key": "sk-file", "other": "x"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    settings = Settings()
    assert settings.database_url == "postgresql://a/b"
    assert settings.openai_api_key
    assert settings.openai_api_key.get_secret_value() == "sk-file"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    key = Settings().openai_api_key
    assert key
    assert key.get_secret_value() == "sk-environment"
