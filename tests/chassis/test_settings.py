"""Bad settings are refused at the start: one sentence with the file or variable, and exit code 2."""

import copy
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from chassis.config.constraints import CONSTRAINTS_FILE, Constraints
from chassis.config.project import load_settings
from chassis.config.toml_file import config_error_from
from chassis.errors import ConfigError
from chassis.guard.egress import Endpoint, create_client
from chassis.testing import CONSTRAINTS, constraints_for_tests
from cli_runner import run
from pydantic import SecretStr, ValidationError
from test_cli import environment

KEYS = {
    "typographic dash": "sk-abc\u2013123456",
    "byte order mark": "\ufeffsk-abc123456",
    "quotes": '"sk-abc123456"',
    "line feed inside": "sk-abc\n123456",
    "space inside": "Bearer sk-abc123456",
    "zero-width space": "sk-abc\u200b123456",
}
CLIENT_VARIABLES = {
    "ALL_PROXY": ["socks://127.0.0.1:7891/", "socks5://ada:tiger@127.0.0.1:7891/", "http://", "http://host:port"],
    "https_proxy": ["socks5h://127.0.0.1:1", "ftp://proxy:1", "http://[::1"],
    "SSL_CERT_FILE": ["/nonexistent/ca.pem", "/", "x" * 5000],
    "SSL_CERT_DIR": ["/nonexistent", "x" * 5000],
}
VARIABLES = {
    "REQUESTS_CA_BUNDLE": ["/nonexistent/ca.pem"],
    "OTEL_PROPAGATORS": ["nonsense", "tracecontext,b4"],
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": ["abc", "-1", "1.5", "9" * 5000, "\u0663"],
    "OTEL_BSP_MAX_QUEUE_SIZE": ["9" * 20, "9" * 5000, "\u00b2"],
    "OTEL_SPAN_EVENT_COUNT_LIMIT": ["many"],
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": ["100000", "0"],
    "OTEL_BSP_SCHEDULE_DELAY": ["soon"],
    "OTEL_METRIC_EXPORT_INTERVAL": ["0", "inf"],
    "OTEL_EXPORTER_OTLP_TIMEOUT": ["10s"],
    "OTEL_EXPORTER_OTLP_COMPRESSION": ["zip"],
    "OTEL_EXPORTER_OTLP_CERTIFICATE": ["/nonexistent/ca.pem", "x" * 5000, "/"],
    "OTEL_METRICS_EXEMPLAR_FILTER": ["some"],
    "OTEL_TRACES_SAMPLER": ["half"],
    "OTEL_PYTHON_TRACER_PROVIDER": ["nonsense"],
    "CHASSIS_DATABASE_URL": [
        *("sqlite:///:memory:", "sqlite:///var/x.db?timeout=30", "sqlite:///file:x.db", "sqlite:///"),
        *("mysql://db/acme", "sqlite:///var/\x07.db"),
    ],
    "CHASSIS_LOCAL_MODEL_URL": ["localhost:8080", "ftp://localhost/v1", "http://local host/v1", "http://[::1/v1"],
    "CHASSIS_ENV": ["prod"],
    "CHASSIS_MODELS_OFF": ["perhaps"],
}


def error_of(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """Run a command that a setting must stop, and return its error."""
    assert run(*command) == 2
    [error] = capsys.readouterr().err.splitlines()
    return error


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_that_cannot_be_sent(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The variable is named, but the key is not repeated."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    error = error_of(capsys, "keys", "list")
    assert error.startswith("OPENAI_API_KEY: the key contains ")
    assert "123456" not in error


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("variable", "value"), [(variable, value) for variable, values in VARIABLES.items() for value in values]
)
def test_a_variable_that_its_library_would_stumble_over(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours and those that OpenTelemetry reads itself."""
    monkeypatch.setenv(variable, value)
    error = error_of(capsys, "keys", "list")
    assert error.startswith(f"{variable}: ")


@pytest.mark.parametrize(
    ("variable", "value"), [(variable, value) for variable, values in CLIENT_VARIABLES.items() for value in values]
)
def test_a_variable_that_no_client_can_use(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops the start of a service that sends over the internet. A model on this machine needs none of them."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=f"^{variable}: the value is ") as caught:
        create_client(Endpoint.from_url("https://vendor.example/v1", "public"), 1)
    assert "tiger" not in str(caught.value)
    create_client(Endpoint.from_url("http://127.0.0.1:8080/v1", "public"), 1)
    create_client(Endpoint.from_url("http://models:8080/v1", "own"), 1)


def test_variables_of_imports_are_checked_first(project: Path) -> None:
    """OpenTelemetry raises while it is imported, so a process of its own is needed."""
    code = "from chassis.cli.main import main; main(['ask', 'why?'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=environment() | {"OTEL_PROPAGATORS": "nonsense"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("OTEL_PROPAGATORS: the value is 'nonsense'. Write ")


def test_white_space_around_a_value_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file or a secret store adds it. A value of white space alone is not set."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", " sk-abc\r\n")
    monkeypatch.setenv("OPENAI_API_KEY", "\n")
    monkeypatch.setenv("CHASSIS_ENV", "production\n")
    settings = load_settings(tmp_path)
    assert settings.anthropic_api_key == SecretStr("sk-abc")
    assert (settings.openai_api_key, settings.production) == (None, True)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("OPENAI_API_KEY sk-abc\n", [1]),
        ("# a key\n\nexport OPENAI_API_KEY\n", [3]),
        ("A=1\nB='two\nlines'\n\n\n  sk-abc  \nOPENAI_API_KEY: sk-abc\n", [6, 7]),
        ("A=1\n\n# sk-abc\nexport B=\nC=\n", []),
    ],
)
def test_a_line_of_the_environment_file_that_sets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, content: str, lines: list[int]
) -> None:
    """Its number is named, never its content, which may be a key."""
    monkeypatch.setattr("os.environ", dict(os.environ))
    (tmp_path / ".env").write_text(content, encoding="utf-8")
    load_settings(tmp_path)
    numbers = [int(number) for number in re.findall(r"line (\d+)", caplog.text)]
    assert (numbers, "sk-abc" in caplog.text) == (lines, False)


AMOUNTS: dict[str, list[Any]] = {
    "cost.mean_usd": [math.inf, math.nan, 1e10, -1],
    "cost.per_request_usd": [math.inf],
    "cost.per_caller_day_usd": [math.nan],
    "cost.per_day_usd": [1e10, True, False, "5", "inf", "x" * 10**5],
    "cost.per_month_usd": [math.inf, 9.3e9],
    "success.target": [math.inf, math.nan],
    "latency.deadline_seconds": [math.inf, 1e9, 0],
    "latency.p95_seconds": [math.nan],
    "quality.confidence_floor": [math.nan, 1.5],
    "reliability.availability": [math.nan],
    "limits.max_body_bytes": [10**15, 0, True],
    "limits.calls_per_minute": [10**9, "60"],
    "limits.concurrent_calls": [10**30],
    "limits.queued_requests_per_model": [10**9],
    "cache.ttl_seconds": [10**15, -1],
    "review.due_hours": [math.inf, 1e8, math.nan, 0],
    "models.0.max_output_tokens": [10**12],
    "models.0.input_usd_per_million": [math.inf, 1e6],
    "models.0.output_usd_per_million": [math.nan],
    "destinations.vendor.retention_days": [10**9],
    "models.0.private_network": [1, "yes"],
    "models.0.model": ["", " ", "m\n", "m\0", "\u202em"],
    "models.0.name": ["m" * 101, "baseline", "task", "referred", "failed"],
}
URLS = [
    *("", " ", "llm.example/v1", "ftp://llm.example/v1", "file:///etc/passwd", "https://", "https:///v1"),
    *("http://llm.example:port/v1", "http://llm.example:99999/v1", "http://[::1/v1", "http://llm example/v1"),
    *("https://ada:tiger@llm.example/v1", "https://llm.example/v1?key=1", "https://llm.example/v1#x"),
    *("https://llm.example/v1\n", "https://llm\u2024example/v1"),
]


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in AMOUNTS.items() for value in values])
def test_an_amount_that_makes_no_sense(key: str, value: float) -> None:
    """Endless, not a number, or more than a service can need or a database can hold; the key is named."""
    changed: dict[str, Any] = copy.deepcopy(CONSTRAINTS)
    *path, last = key.split(".")
    place: Any = changed
    for step in path:
        place = place[int(step)] if step.isdecimal() else place[step]
    place[last] = value
    with pytest.raises(ValidationError) as caught:
        Constraints.model_validate(changed)
    where = re.sub(r"\.(\d)", r"[\1]", key)
    error = str(config_error_from(CONSTRAINTS_FILE, caught.value))
    assert error.startswith(f"{CONSTRAINTS_FILE}: {where}: the value is")
    assert len(error) < 600


FILES = {
    "a number of 5,000 digits": b"a = " + b"9" * 5000,
    "5,000 nested lists": b"a = " + b"[" * 5000 + b"]" * 5000,
    "2,000 nested tables": b"a = " + b"{a = " * 2000,
    "UTF-16": "a = 1".encode("utf-16"),
    "Latin-1": b"# \xe9",
    "a day that no calendar has": b"a = 2026-02-30",
}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("file", ["constraints.toml", "ownership.toml", "pyproject.toml"])
@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_file_that_is_not_toml(project: Path, file: str, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """It is one sentence that names the file, and never a traceback."""
    (project / file).write_bytes(content)
    assert error_of(capsys, "ask", "why?").startswith(f"{file}: not valid TOML (")


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("tool = 1", "tool.chassis"),
        ("[tool]\nchassis = ['echo']", "tool.chassis"),
        ("project = 1\n[tool.chassis]\ntask = 'echo:TASK'", "project"),
        ("[project]\nurls = 'x'\n[tool.chassis]\ntask = 'echo:TASK'", "project.urls"),
        ("[tool.chassis]\ntask = 1", "tool.chassis.task"),
    ],
)
def test_a_project_file_of_another_form(
    project: Path, content: str, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What should be a table is something else."""
    (project / "pyproject.toml").write_text(content)
    assert error_of(capsys, "ask", "why?").startswith(f"pyproject.toml: {where}: ")


@pytest.mark.parametrize("file", ["constraints.toml", "ownership.toml", "pyproject.toml"])
def test_a_byte_order_mark_is_skipped(project: Path, file: str) -> None:
    """Some editors write one."""
    (project / file).write_text((project / file).read_text(), encoding="utf-8-sig")
    assert run("ask", "why?") == 0


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("WEBHOOK_SECRET", value) for value in ("whsec_", "whsec_tiger!", "whsec_tiger", "whsec_t\u00edger")),
        *(("SMTP_URL", value) for value in ("mail.tiger.example", "http://tiger", "smtp://", "smtps://a:tiger@")),
        *(
            ("SMTP_URL", value)
            for value in ("smtp://tiger:port", "smtp://tiger:0", "smtp://tiger:99999", "smtp://[tiger")
        ),
    ],
)
def test_notifications_that_could_never_be_sent(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service does not start, and the secret is not repeated."""
    monkeypatch.setenv(f"CHASSIS_{variable}", value)
    error = error_of(capsys, "keys", "list")
    assert error.startswith(f"CHASSIS_{variable}: ")
    assert "tiger" not in error


@pytest.mark.parametrize("endpoint", ["http://[::1", "http://x:port", "http://:4318", "http://x:0"])
def test_an_endpoint_that_no_exporter_can_use(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise all traces and metrics would be lost without an error at the start."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    assert project.is_dir()
    assert error_of(capsys, "ask", "why?").startswith("OTEL_EXPORTER_OTLP_ENDPOINT: the value is ")


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_is_none(url: str) -> None:
    """An empty one would let the SDK choose, and a user in it would be a secret in a committed file."""
    model = {**CONSTRAINTS["models"][0], "provider": "openai-compatible", "base_url": url}
    with pytest.raises(ValidationError) as caught:
        constraints_for_tests(models=[model])
    error = str(config_error_from(CONSTRAINTS_FILE, caught.value))
    assert error.startswith(f"{CONSTRAINTS_FILE}: models[0].base_url: ")
    assert error.endswith(("Write a URL such as https://models.example.com/v1", "without them"))
    assert "tiger" not in error


@pytest.mark.usefixtures("project")
def test_state_is_private(project: Path) -> None:
    """The database has questions in it. What an earlier release left open to other users is closed."""
    assert run("ask", "why?") == 0
    (project / "var/service.db").chmod(0o644)
    (project / "var/traces.db").chmod(0o666)
    run("ask", "why?")
    assert (project / "var").stat().st_mode & 0o777 == 0o700
    assert {file.name: file.stat().st_mode & 0o077 for file in (project / "var").iterdir()} == {
        file.name: 0 for file in (project / "var").iterdir()
    }


@pytest.mark.parametrize("mode", [0o644, 0o664, 0o606])
def test_keys_are_closed_in_production(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: int
) -> None:
    """If that is not possible, the service does not start. A developer's machine has no other users."""
    file = project / ".env"
    file.write_text("OPENAI_API_KEY=sk-abc\n")
    file.chmod(mode)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abc")
    assert run("keys", "list") == 0
    assert file.stat().st_mode & 0o777 == mode
    monkeypatch.setenv("CHASSIS_ENV", "production")
    assert run("keys", "list") == 0
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(mode)
    capsys.readouterr()

    def refuse(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "chmod", refuse)
        assert run("keys", "list") == 2
    assert capsys.readouterr().err.startswith(f".env: every user of this machine can read it (mode {mode:o}). Run")
