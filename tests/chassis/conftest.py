"""What every test may ask for."""

from collections.abc import Generator, Mapping
from pathlib import Path

import pytest
from chassis_tools.cli import asking
from postgres_server import NoServer, Server, any_server
from pydantic_ai import models
from sample_repository import CONSTRAINTS, write_repository
from telemetry_sinks import Lines, production_lines


@pytest.fixture(autouse=True)
def _no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send no test's telemetry to a collector that this machine happens to use."""
    for name in ("ENDPOINT", "TRACES_ENDPOINT", "METRICS_ENDPOINT", "PROTOCOL"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)


@pytest.fixture(autouse=True)
def _no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust no server of the web: none is asked, and to read whom this machine trusts takes a client 30 ms."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask suites in the process of the test, which may have replaced the model or the task of the sample."""

    def in_this_process(_: Path, request: asking.Asking) -> tuple[int, Mapping[str, str]]:
        return asking.ask_and_score(request)

    monkeypatch.setattr(asking, "start_process", in_this_process)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a repository around the sample and go there, with a wide terminal and none of this machine's settings."""
    write_repository(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "sample"\n[tool.chassis]\ntask = "sample_task:TASK"\n')
    (tmp_path / "constraints.toml").write_text(CONSTRAINTS.replace("refuse = []", 'refuse = ["card"]'))
    for name in ("CHASSIS_ENV", "CHASSIS_DATABASE_URL", "CHASSIS_LOCAL_MODEL_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def postgres() -> Generator[Server]:
    """Give the session one PostgreSQL server, and each test that wants one a database of its own on it."""
    try:
        with any_server() as server:
            yield server
    except NoServer as reason:
        pytest.skip(str(reason))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Run the test twice: on a new file, and on a new database of a real server."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    server: Server = request.getfixturevalue("postgres")
    return server.fresh()


@pytest.fixture
def real_requests() -> Generator[None]:
    """Let models of this test send: what they reach are servers of its own."""
    with models.override_allow_model_requests(allow_model_requests=True):
        yield


@pytest.fixture
def lines() -> Generator[Lines]:
    """Log as in production, into a stream that the test can read."""
    with production_lines() as stream:
        yield stream
