"""The HTTP client for vendors: it reaches the address in the constraints and nothing else.

Three things are refused: a request to another address, a redirect, and a connection into a private network that the
constraints do not declare, whatever the name server answered. A response that would fill the memory is not read to
its end.
"""

import ipaddress
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

import httpx2
import structlog
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.models.wrapper import WrapperModel

from chassis.config.environment import check_client_variables
from chassis.errors import ConfigError
from chassis.guard.failures import EgressRefused, OversizedReply

CLOUD_ADDRESSES = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
"""Where clouds hand out a machine's own credentials: AWS, Google and Azure; AWS over IPv6; Alibaba; Azure's agent;
Oracle."""
BROADCAST = ipaddress.IPv4Address("255.255.255.255")
NAT64_PREFIXES = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")
ISATAP_IDS = (0x0000_5EFE, 0x0200_5EFE)
"""The third quarter of an IPv6 address whose last quarter is an IPv4 address (RFC 5214)."""

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""They name a file or a folder of certificates to trust instead of those of the system."""

type IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = Literal["public", "any", "own"]
"""Where a model may be: only on the internet, also in a private network, or only there and on this machine."""


def parse_address(text: str) -> IPAddress | None:
    """Return an IP address without the zone of a link-local one, or None if the text is the name of a host."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def address_problem(ip: IPAddress, network: Network) -> str | None:
    """Return why no model of this network may be asked at an address, or None if one may."""
    # Both, or `::ffff:169.254.169.254` would reach what `169.254.169.254` must not.
    targets = (ip, *_embedded(ip))
    if any(_is_never_a_model(target) for target in targets):
        return "where no model can be"
    # Python's own list of the IANA registries, which also has shared and documentation ranges (RFC 6598, RFC 5737).
    is_private = not all(target.is_global for target in targets)
    if is_private and network == "public":
        return "a private address; set private_network = true to allow it"
    if not is_private and network == "own":
        return "which is not in a private network"
    return None


def _embedded(ip: IPAddress) -> Iterator[ipaddress.IPv4Address]:
    """Yield the IPv4 addresses to which a gateway or the kernel sends what is sent to an IPv6 address."""
    if isinstance(ip, ipaddress.IPv4Address):
        return
    third_quarter, last_quarter = int(ip) >> 32 & 0xFFFF_FFFF, int(ip) & 0xFFFF_FFFF
    # ::ffff:0:0/96, ::/96, and the prefixes of NAT64 gateways: the last 32 bits are where the packet really goes.
    translated = ip.ipv4_mapped or ip in IPV4_COMPATIBLE or any(ip in prefix for prefix in NAT64_PREFIXES)
    if translated or third_quarter in ISATAP_IDS:
        yield ipaddress.IPv4Address(last_quarter)
    if ip.sixtofour:
        yield ip.sixtofour
    if ip.teredo:
        yield from ip.teredo


def _is_never_a_model(ip: IPAddress) -> bool:
    is_no_host = ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip == BROADCAST
    return is_no_host or ip in CLOUD_ADDRESSES


CONNECTION_LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
"""The same as in the vendors' SDKs. What limits a service is `limits.concurrent_calls`."""
MAX_BODY_BYTES = 8 * 1024 * 1024
"""The largest body of a response: many times the longest reply of any model. Models have a lower limit of their own."""
SEE_OTHER = 303
"""A redirect to the result of a request that was carried out. All other redirects say to send the request elsewhere."""
LOCAL_NAME = "localhost"

log = structlog.get_logger()


class ForbiddenAddress(httpx2.ConnectError):
    """The client refused to go somewhere. SDKs take this and the next one for failed connections."""


class BodyTooLarge(httpx2.ReadError):
    """The client stopped reading a response."""


@dataclass(slots=True)
class Delivery:
    """Whether a vendor may have received a request.

    Args:
        possible: True as soon as the headers are written, and also for a model that does not send with our client.
    """

    possible: bool = True


_delivery: ContextVar[Delivery] = ContextVar("delivery")


def track_delivery() -> Delivery:
    """Note whether the next request of this task may have been received."""
    # A context variable, because the vendor's SDK stands between this and the client and passes nothing on.
    delivery = Delivery()
    _delivery.set(delivery)
    return delivery


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The only address that a client may reach.

    Args:
        url: Its scheme, host and port; the path does not matter.
        network: Where it may be.
    """

    url: httpx2.URL
    network: Network

    @classmethod
    def from_url(cls, base_url: str, network: Network) -> "Endpoint":
        """Return the endpoint of a base URL; `localhost` or a private IP address in the URL declares it as private.

        Raises:
            ForbiddenAddress: The URL has an IP address at which no model of this network can be.
        """
        url = httpx2.URL(base_url)
        ip = parse_address(url.host)
        # A team that writes a private address into the constraints has declared it by that.
        if network == "public" and (url.host == LOCAL_NAME or (ip and not ip.is_global)):
            network = "any"
        endpoint = cls(url, network)
        if ip:
            endpoint.check_address(url.host)
        return endpoint

    @property
    def is_this_machine(self) -> bool:
        """Return whether the URL names this machine itself, which no proxy can reach for us."""
        ip = parse_address(self.url.host)
        return self.url.host == LOCAL_NAME or (ip is not None and ip.is_loopback)

    def check_url(self, url: httpx2.URL) -> None:
        """Check that a URL has the same scheme, host and port.

        Raises:
            ForbiddenAddress: It does not.
        """
        # Every request is compared, because an SDK builds its URLs itself and may take one from a response.
        if _origin(url) != _origin(self.url):
            raise ForbiddenAddress(f"{_display(url)} is not {_display(self.url)}")

    def check_address(self, address: str) -> None:
        """Check that the IP address behind the host may be connected to.

        Raises:
            ForbiddenAddress: No model can be there, or it is private and this endpoint is not, or the reverse.
        """
        ip = parse_address(address)
        problem = address_problem(ip, self.network) if ip else "which is no IP address"
        if problem:
            raise ForbiddenAddress(f"{self.url.host} is at {address}, {problem}")


def create_client(endpoint: Endpoint, timeout: float, max_body_bytes: int = MAX_BODY_BYTES) -> httpx2.AsyncClient:
    """Return a client that reaches this endpoint only.

    Proxies of the environment are used, except to this machine. Which address a proxy connects to is the proxy's to
    check; which URL it is asked for is checked here.

    Args:
        endpoint: What it may reach.
        timeout: Seconds to wait for a connection, and for each part of a response.
        max_body_bytes: The size of a body at which the client stops reading.

    Raises:
        ConfigError: The variables of proxies or certificates cannot be used.
    """

    async def check_request(request: httpx2.Request) -> None:
        endpoint.check_url(request.url)
        # Called when a connection is opened; one that is reused was checked then.
        request.extensions["trace"] = _connection_observer(endpoint, _delivery.get(Delivery()))

    async def refuse_redirect(response: httpx2.Response) -> None:
        # Following it would send the prompt, and the API key with it, to an address that nobody has approved.
        if response.has_redirect_location and response.status_code != SEE_OTHER:
            target = endpoint.url.join(response.headers["location"])
            raise ForbiddenAddress(f"{_display(endpoint.url)} redirects to {_display(target)}")

    async def bound_body(response: httpx2.Response) -> None:
        # Decompressing happens below `_BoundedStream`, which would only see the size after it has filled the memory.
        if response.headers.get("content-encoding", "identity") != "identity":
            raise httpx2.DecodingError("the response is compressed, although the request asked for the opposite")
        response.stream = _BoundedStream(cast("httpx2.AsyncByteStream", response.stream), max_body_bytes)

    hooks: dict[str, list[Callable[..., Any]]] = {"request": [check_request], "response": [refuse_redirect, bound_body]}
    # A proxy cannot reach this machine for us, and must not be asked for what has to stay in the own network.
    trust_env = endpoint.network != "own" and not endpoint.is_this_machine
    if trust_env:
        check_client_variables(os.environ)
    try:
        return httpx2.AsyncClient(
            headers={"Accept-Encoding": "identity"},  # a few compressed bytes can become gigabytes
            timeout=timeout,
            limits=CONNECTION_LIMITS,
            event_hooks=hooks,
            follow_redirects=False,
            trust_env=trust_env,
            verify=trusted_certificates(*(trust_env and os.environ.get(name) for name in CERTIFICATE_VARIABLES)),
        )
    except (ssl.SSLError, OSError) as error:
        variables = ", ".join(CERTIFICATE_VARIABLES)
        raise ConfigError(variables, f"no certificates can be read ({error})", "Correct or remove them") from None
    except (ValueError, ImportError, httpx2.InvalidURL) as error:
        variables = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY"
        raise ConfigError(variables, f"no client can use them ({error})", "Correct or remove them") from None


@cache
def trusted_certificates(file: str | Literal[False] | None, folder: str | Literal[False] | None) -> ssl.SSLContext:
    """Return the trusted certificates. Reading them takes 20 ms and a megabyte, so all clients share them.

    Args:
        file: The value of SSL_CERT_FILE, None if it is not set, or False if the environment does not count.
        folder: That of SSL_CERT_DIR.
    """
    return httpx2.create_ssl_context(trust_env=(file, folder) != (False, False))


class VendorModel(WrapperModel):
    """A vendor's model with its HTTP client.

    Args:
        wrapped: The model.
        client: The client that it sends with.
    """

    def __init__(self, wrapped: Model, client: httpx2.AsyncClient) -> None:
        super().__init__(wrapped)
        self._client = client

    async def close(self) -> None:
        """Close every connection to the vendor."""
        await self._client.aclose()

    async def request(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """Send a request; the arguments are those of pydantic-ai's `Model.request`.

        Raises:
            EgressRefused: The client refused to go to an address.
            OversizedReply: The client stopped reading the response.
        """
        # From here on our client knows it: its hook sets this to True once the headers are written.
        _delivery.get(Delivery()).possible = False
        try:
            return await self.wrapped.request(*args, **kwargs)
        except (ModelAPIError, httpx2.HTTPError) as error:
            match _client_error_behind(error):
                case ForbiddenAddress() as refusal:
                    log.warning("egress.refused", model=self.model_name, reason=str(refusal))
                    raise EgressRefused(self.model_name, str(refusal), phase="connect") from error
                case BodyTooLarge() as problem:
                    raise OversizedReply(self.model_name, str(problem)) from error
                case _:
                    raise


class _BoundedStream(httpx2.AsyncByteStream):
    """The body of a response, up to a size."""

    def __init__(self, stream: httpx2.AsyncByteStream, max_bytes: int) -> None:
        self._stream, self._max_bytes = stream, max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > self._max_bytes:
                raise BodyTooLarge(f"the response is larger than {self._max_bytes} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _connection_observer(endpoint: Endpoint, delivery: Delivery) -> Callable[[str, dict[str, Any]], Awaitable[None]]:
    """Return a trace hook that checks where a connection leads, and notes when a request is written to it.

    The peer's IP address is checked once the connection is open, before a byte is sent. Checking what the name resolves
    to before connecting would not be enough: the client resolves it once more, and the name server may give another
    answer (DNS rebinding).
    """
    is_direct = False

    async def observe(event: str, info: dict[str, Any]) -> None:
        nonlocal is_direct
        if event == "connection.connect_tcp.started":
            is_direct = info["host"] == endpoint.url.raw_host.decode()  # if not, it connects to a proxy
        elif event == "connection.connect_tcp.complete" and is_direct:
            stream = info["return_value"]
            try:
                endpoint.check_address(stream.get_extra_info("server_addr")[0])
            except ForbiddenAddress:
                await stream.aclose()
                raise
        elif event.endswith(".send_request_body.started") and info["request"].method != b"CONNECT":
            delivery.possible = True  # the headers are written, and not just those for a proxy

    return observe


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _display(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


def _client_error_behind(error: BaseException | None) -> ForbiddenAddress | BodyTooLarge | None:
    """Return our client's own error behind the one that an SDK made of it."""
    while error is not None and not isinstance(error, ForbiddenAddress | BodyTooLarge):
        # Each SDK wraps differently, some with `from` and some without.
        error = error.__cause__ or error.__context__
    return error
