"""Egress control on real sockets: requests reach the address of the model and nothing else."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx2
import pytest
from chassis.config.constraints import VENDOR_URLS, ModelConfig, Provider
from chassis.config.environment import SDK_VARIABLES
from chassis.config.project import Project, Settings
from chassis.contract import Answered
from chassis.errors import ConfigError
from chassis.guard.egress import Endpoint, ForbiddenAddress, Network, VendorModel, create_client, trusted_certificates
from chassis.guard.failures import EgressRefused
from chassis.guard.vendors import connect
from chassis.testing import OWNER, constraints_for_tests, wire_for_tests
from chassis.wiring import wire
from pydantic import SecretStr
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models import Model, ModelRequestParameters
from recording_vendor import recording, saying
from sample_task import TASK, Question
from telemetry_sinks import Lines

PROVIDERS: tuple[Provider, ...] = ("openai", "anthropic", "google", "openai-compatible", "local")


def vendor_at(provider: Provider, url: str, monkeypatch: pytest.MonkeyPatch, *, private: bool = False) -> Model:
    """Connect a model whose vendor is at this address."""
    is_self_hosted = provider == "openai-compatible"
    config = ModelConfig(
        name="first",
        provider=provider,
        model="gpt-5.4-mini-2026-03-17",
        destination="vendor",
        max_output_tokens=10,
        base_url=f"{url}/v1" if is_self_hosted else None,
        private_network=private and is_self_hosted,
    )
    key = SecretStr("key")
    settings = Settings(
        openai_api_key=key,
        anthropic_api_key=key,
        gemini_api_key=key,
        openai_compatible_api_key=key,
        local_model_url=f"{url}/v1",
    )
    if provider in VENDOR_URLS:
        monkeypatch.setitem(VENDOR_URLS, provider, url)
    model = connect(config, settings, timeout=5)
    assert model is not None
    return model


async def ask(model: Model) -> None:
    """Send one request."""
    await model.request([ModelRequest([UserPromptPart("a secret")])], {"max_tokens": 10}, ModelRequestParameters())


@pytest.mark.usefixtures("real_requests")
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(provider: Provider, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By no SDK, whatever its own HTTP client would follow; the error says where the redirect leads."""
    with recording(saying(200)) as elsewhere, recording(saying(status, Location=f"{elsewhere.url}/v1?q=1")) as upstream:
        with pytest.raises(EgressRefused, match=r"^http://127\.0\.0\.1:\d+ redirects to http://127\.0\.0\.1:\d+$"):
            asyncio.run(ask(vendor_at(provider, upstream.url, monkeypatch)))

        assert (len(upstream.received), elsewhere.received) == (1, [])


@pytest.mark.usefixtures("real_requests")
@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "openai-compatible"])
def test_a_name_that_resolves_to_a_private_address_is_refused(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of the open connection is checked before a byte is sent, whatever the name server answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        resolve_to_this_machine(monkeypatch)
        model = vendor_at(provider, f"http://vendor.example:{server.getsockname()[1]}", monkeypatch)

        with pytest.raises(EgressRefused, match=r"vendor\.example is at 127\.0\.0\.1, a private address"):
            asyncio.run(ask(model))

        connection, _ = server.accept()
        with connection:
            connection.settimeout(2)
            assert connection.recv(1) == b"", "the connection is closed, and nothing was sent"


@pytest.mark.usefixtures("real_requests")
def test_a_private_address_can_be_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `private_network = true` the request is sent, and an error of the vendor is an ordinary failure."""
    with recording(saying(500)) as upstream:
        resolve_to_this_machine(monkeypatch)
        model = vendor_at(
            "openai-compatible", f"http://vendor.example:{httpx2.URL(upstream.url).port}", monkeypatch, private=True
        )

        with pytest.raises(ModelHTTPError, match="500"):
            asyncio.run(ask(model))

        assert len(upstream.received) == 1


def resolve_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve `vendor.example` to this machine, as a hijacked name server might."""
    real = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return real("127.0.0.1" if name == "vendor.example" else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{}/", "https://127.0.0.1:{}/", "http://localhost:{}/", "http://169.254.169.254/latest"]
)
def test_a_client_reaches_one_origin_only(url: str) -> None:
    """Another port, scheme or host is refused without connecting."""
    with recording(saying(200)) as upstream, recording(saying(200)) as other:
        client = create_client(Endpoint.from_url(upstream.url, "public"), timeout=2)

        with pytest.raises(ForbiddenAddress, match="is not http://127"):
            asyncio.run(client.post(url.format(httpx2.URL(other.url).port), content=b"x"))

        assert (upstream.received, other.received) == ([], [])


PUBLIC = {"93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::8.8.8.8", "2002:808:808::1"}
PRIVATE = {
    *("10.0.0.5", "172.16.0.1", "192.168.1.1", "127.0.0.1", "100.64.0.1", "::1", "fd00::1", "::ffff:10.0.0.5"),
    *("64:ff9b::10.0.0.5", "64:ff9b:1::10.0.0.5", "2002:a00:5::1", "::10.0.0.5", "2606::5efe:10.0.0.5"),
    "2001:0:808:808::f5ff:fffa",  # Teredo, whose client is the inverted 10.0.0.5
}
NEVER = {
    *("169.254.169.254", "169.254.1.1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"),
    *("192.0.0.192", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"),  # noqa: S104 - nothing binds there
    *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "::169.254.169.254"),
    *("2606::5efe:169.254.169.254", "2606::200:5efe:169.254.169.254", "2002:a83f:8110::1", "64:ff9b::192.0.0.192"),
}


@pytest.mark.parametrize(
    ("network", "allowed", "refused"),
    [("public", PUBLIC, PRIVATE | NEVER), ("any", PUBLIC | PRIVATE, NEVER), ("own", PRIVATE, PUBLIC | NEVER)],
)
def test_addresses_of_each_network(network: Network, allowed: set[str], refused: set[str]) -> None:
    """However an address is written. Where clouds hand out credentials is refused even in a private network."""
    endpoint = Endpoint.from_url("https://vendor.example/v1", network)
    for address in allowed:
        endpoint.check_address(address)
    for address in refused:
        with pytest.raises(ForbiddenAddress, match=r"^vendor\.example is at "):
            endpoint.check_address(address)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "224.0.0.1"]
)
def test_an_address_where_no_model_can_be_stops_the_start(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the constraints, so no request needs to be tried; the error names the model."""
    with pytest.raises(
        ConfigError, match=r"^constraints\.toml: base_url of the model 'first': .* where no model can be"
    ):
        vendor_at("openai-compatible", f"http://{address}/v1", monkeypatch, private=True)


def test_a_host_that_no_client_accepts_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as an octal number, which some would read as an address."""
    with pytest.raises(ConfigError, match=r"^constraints\.toml: base_url of the model 'first': Invalid IPv4"):
        vendor_at("openai-compatible", "http://0177.0.0.1", monkeypatch)


@pytest.mark.parametrize("url", ["http://8.8.8.8/v1", "https://[2606:4700::1111]/v1"])
def test_a_local_model_is_on_this_machine_or_in_its_network(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its destination allows more data than a vendor gets, and a variable must not change who gets it."""
    with pytest.raises(ConfigError, match=r"^CHASSIS_LOCAL_MODEL_URL: .*, which is not in a private network\."):
        vendor_at("local", url, monkeypatch)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_variables_of_sdks_stop_the_start(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """SDKs read where to send, what to add and who pays from variables of their own; only the constraints count."""
    sdk = provider if provider in {"anthropic", "google"} else "openai"
    for name in SDK_VARIABLES[sdk]:
        monkeypatch.setenv(name, "elsewhere")
        with pytest.raises(ConfigError, match=f"^{name}: the SDK of {sdk} would read this variable"):
            vendor_at(provider, "http://127.0.0.1:1", monkeypatch)
        monkeypatch.setenv(name, "")
        vendor_at(provider, "http://127.0.0.1:1", monkeypatch)
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("real_requests")
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "all_proxy"])
def test_no_proxy_is_asked_for_this_machine(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loopback address would be the proxy's own."""
    with recording(saying(500)) as upstream, recording(saying(500)) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        with pytest.raises(ModelHTTPError, match="500"):
            asyncio.run(ask(vendor_at("openai-compatible", upstream.url, monkeypatch)))
        assert (len(upstream.received), proxy.received) == (1, [])


@pytest.mark.usefixtures("real_requests")
def test_a_refused_request_is_a_failure_that_costs_nothing(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next model or the baseline answers, the log says why, and nothing is charged."""

    async def story(url: str) -> tuple[str, int]:
        model = vendor_at("openai", url, monkeypatch)
        async with wire_for_tests(TASK, tmp_path, model) as wiring:
            call = wiring.service.new_call("alice")
            outcome = await wiring.service.answer(Question(text="hello"), call)
            assert isinstance(outcome, Answered)
            return outcome.answered_by, call.cost

    with recording(saying(307, Location="http://elsewhere.example/")) as upstream:
        answered_by, cost = asyncio.run(story(upstream.url))

    assert (answered_by, cost) == ("baseline", 0)
    assert [line["error"] for line in lines.named("model.failed")] == ["EgressRefused"]
    assert [line["reason"] for line in lines.named("egress.refused")] == [
        f"{upstream.url} redirects to http://elsewhere.example"
    ]


def test_clients_are_closed_with_the_service(tmp_path: Path) -> None:
    """No connection to a vendor outlives the service."""
    model = {"name": "first", "provider": "openai-compatible", "model": "m", "base_url": "http://127.0.0.1:1/v1"}
    more = {"max_output_tokens": 10, "input_usd_per_million": 0, "output_usd_per_million": 0, "destination": "vendor"}

    async def story() -> list[bool]:
        project = Project(tmp_path, "sample", "1.0.0", "sample.task:TASK")
        settings = Settings(database_url="sqlite:///s.db", openai_compatible_api_key=SecretStr("key"))
        constraints = constraints_for_tests(models=[model | more])
        async with wire(project, task=TASK, settings=settings, constraints=constraints, owner=OWNER) as wiring:
            assert wiring.service.guard
            [candidate] = wiring.service.guard.candidates
            assert isinstance(candidate.model, VendorModel)
            client = candidate.model._client  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - it has no public access
            before = client.is_closed
        return [before, client.is_closed]

    assert asyncio.run(story()) == [False, True]


def test_certificates_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all clients that trust the same ones; a variable that names others counts for the next client."""
    read: list[bool] = []

    def reading(*, trust_env: bool) -> ssl.SSLContext:
        read.append(trust_env)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def clients_of(folder: str) -> int:
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / folder))
        for url in ("https://a.example", "https://b.example", "http://127.0.0.1:1"):
            create_client(Endpoint.from_url(url, "any"), timeout=1)
        return len(read)

    monkeypatch.setattr("httpx2.create_ssl_context", reading)
    trusted_certificates.cache_clear()

    assert clients_of("first") == 2  # those of the folder, and those of the system for this machine
    assert clients_of("first") == 2
    assert clients_of("second") == 3
    assert read == [True, False, True]
    trusted_certificates.cache_clear()
