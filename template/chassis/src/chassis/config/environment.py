"""Checks the environment variables that libraries read themselves: a wrong one is a sentence, and no traceback."""

import os
import re
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from urllib.parse import urlsplit

from chassis.config.toml_file import shown_value
from chassis.errors import ConfigError

PROXIES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY")
OTLP = ("OTEL_EXPORTER_OTLP", "OTEL_EXPORTER_OTLP_TRACES", "OTEL_EXPORTER_OTLP_METRICS")
FILES = (
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *(f"{prefix}_{kind}" for prefix in OTLP for kind in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")),
)
BATCH_SIZE, QUEUE_SIZE = ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512), ("OTEL_BSP_MAX_QUEUE_SIZE", 2048)
"""With their defaults in the SDK."""
COUNTS = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
)
POSITIVE_COUNTS = (BATCH_SIZE[0], QUEUE_SIZE[0], "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_SCHEDULE_DELAY")
DURATIONS = (
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRIC_EXPORT_TIMEOUT",
    *(f"{prefix}_TIMEOUT" for prefix in OTLP),
)
CHOICES = {
    "OTEL_TRACES_SAMPLER": {
        *("always_on", "always_off", "traceidratio"),
        *("parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"),
    },
    "OTEL_METRICS_EXEMPLAR_FILTER": {"trace_based", "always_on", "always_off"},
    "OTEL_SDK_DISABLED": {"true", "false"},
    **{f"{prefix}_COMPRESSION": {"none", "gzip", "deflate"} for prefix in OTLP},
}
OWN_PROVIDERS = (
    *("OTEL_PYTHON_CONTEXT", "OTEL_PYTHON_ID_GENERATOR", "OTEL_PYTHON_METER_PROVIDER", "OTEL_PYTHON_TRACER_PROVIDER"),
    *(f"OTEL_PYTHON_EXPORTER_OTLP_HTTP_{signal}CREDENTIAL_PROVIDER" for signal in ("", "TRACES_", "METRICS_")),
)
PROPAGATORS = "OTEL_PROPAGATORS"
PASSWORD = re.compile("//[^@/]*@")

SDK_VARIABLES = {
    "openai": ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "OPENAI_CUSTOM_HEADERS"),
    "anthropic": ("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_OPEN_TELEMETRY"),
    "google": (
        *("GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL", "GOOGLE_GENAI_USE_VERTEXAI"),
        *("GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_CLIENT_MODE", "GOOGLE_GENAI_HTTP_CLIENT"),
    ),
}
"""By SDK, the variables that would change where requests go, what they contain, or who pays for them."""


def check_client_variables(environment: Mapping[str, str]) -> None:
    """Check the proxies and certificates that HTTP clients read. An empty variable counts as not set.

    Raises:
        ConfigError: A client would not accept one.
    """
    given = _given(environment)
    for name in (*PROXIES, *map(str.lower, PROXIES)):
        _check(given, name, _is_http_proxy, "Write http://host:port; other proxies, such as SOCKS, are not supported")
    _check(given, "SSL_CERT_FILE", _is_file, "Name a file that exists, or remove the variable")
    _check(given, "SSL_CERT_DIR", _has_folder, "Name a folder that exists, or remove the variable")


def check_telemetry_variables(environment: Mapping[str, str]) -> None:
    """Check the variables of OpenTelemetry, some of which it reads while it is imported.

    Raises:
        ConfigError: OpenTelemetry would not accept one.
    """
    given = _given(environment)
    for name in COUNTS:
        _check(given, name, _is_count, "Write a whole number up to 999999999")
    for name in POSITIVE_COUNTS:
        _check(
            given, name, lambda value: _is_count(value) and int(value) > 0, "Write a whole number from 1 to 999999999"
        )
    for name in DURATIONS:
        _check(given, name, _is_duration, "Write a number above 0")
    for name, choices in CHOICES.items():
        _check(given, name, lambda value, known=choices: value.strip().lower() in known, f"Write {_one_of(choices)}")
    for name in FILES:
        _check(given, name, _is_file, "Name a file that exists, or remove the variable")
    for name in OWN_PROVIDERS:
        _check(given, name, lambda _: False, "Remove it; the chassis configures OpenTelemetry itself")
    _check_sizes(given)
    if PROPAGATORS not in given:
        return
    known = {"none", *(entry.name for entry in entry_points(group="opentelemetry_propagator"))}
    remedy = f"Write {_one_of(known)}, or several with commas between them"
    _check(given, PROPAGATORS, lambda value: {name.strip() for name in value.split(",")} <= known, remedy)


def check_sdk_variables(sdk: str, environment: Mapping[str, str]) -> None:
    """Check that no variable changes what an SDK sends, or where.

    Args:
        sdk: `openai`, `anthropic` or `google`.
        environment: The environment.

    Raises:
        ConfigError: One does.
    """
    for name in SDK_VARIABLES[sdk]:
        if environment.get(name, "").strip():
            raise ConfigError(
                name,
                f"the SDK of {sdk} would read this variable, past constraints.toml",
                "Remove it; the endpoint of a model is its base_url in constraints.toml, and its key belongs to one "
                "organization",
            )


def _given(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if value.strip()}


def _check_sizes(given: Mapping[str, str]) -> None:
    batch, queue = (int(given.get(name, default)) for name, default in (BATCH_SIZE, QUEUE_SIZE))
    if batch > queue:
        problem = f"the value is {batch}, and {QUEUE_SIZE[0]} is {queue}"
        raise ConfigError(BATCH_SIZE[0], problem, "Write a number up to that")


def _check(given: Mapping[str, str], name: str, fits: Callable[[str], bool], remedy: str) -> None:
    if name in given and not fits(given[name]):
        raise ConfigError(name, f"the value is {shown_value(PASSWORD.sub('//…@', given[name]))}", remedy)


def _is_http_proxy(value: str) -> bool:
    return is_http_url(value if "://" in value else f"http://{value}")


def is_http_url(value: str) -> bool:
    """Return whether an HTTP client can use this URL."""
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, or a bracket is missing
        return False


def _is_count(value: str) -> bool:
    return re.fullmatch("[0-9]{1,9}", value.strip()) is not None


def _is_file(value: str) -> bool:
    return os.path.isfile(value)  # noqa: PTH113 - pathlib raises if a name is too long


def _has_folder(value: str) -> bool:
    return any(map(os.path.isdir, value.split(os.pathsep)))


def _is_duration(value: str) -> bool:
    try:
        return 0 < float(value) < float("inf")
    except ValueError:
        return False


def _one_of(choices: set[str]) -> str:
    *others, last = sorted(choices)
    return f"{', '.join(others)} or {last}"
