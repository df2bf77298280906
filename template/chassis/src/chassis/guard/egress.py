"""The one kind of client that requests leave with: it reaches the address that the constraints name, and nothing else.

Three things are refused: another address than the model's own, being sent on to any, and a connection that ends up
inside a private network without the constraints saying so, whatever the name server answered.
"""

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import structlog
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from chassis.guard.failures import EgressRefused

log = structlog.get_logger()

MAX_CONNECTIONS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
"""As the vendors' SDKs have it; `limits.concurrent_calls` is what bounds a service."""
METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(text) for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")
)
"""Where clouds hand out a machine's own credentials: no model listens there."""


class EgressRefusal(httpx2.ConnectError):
    """Raised inside the client; SDKs take it for a broken line, and `Outbound` names it again."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The only place that a client may reach.

    Args:
        url: Scheme, host and port of it; the path does not matter.
        private: Whether it lies inside a private network, or is this machine.
    """

    url: httpx2.URL
    private: bool

    @classmethod
    def at(cls, base_url: str, *, private: bool) -> "Endpoint":
        """Return the place of a base URL; a private address or `localhost` written there is declared by that."""
        url = httpx2.URL(base_url)
        return cls(url, private=private or url.host == "localhost" or _is_private(url.host))

    def check_url(self, url: httpx2.URL) -> None:
        """Refuse every other scheme, host and port."""
        if _origin(url) != _origin(self.url):
            raise EgressRefusal(f"{_shown(url)} is not {_shown(self.url)}")

    def check_address(self, address: str) -> None:
        """Refuse what no model listens at, and private addresses unless this place is declared as private."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if ip in METADATA_ADDRESSES or ip.is_link_local or (not ip.is_global and not self.private):
            raise EgressRefusal(
                f"{self.url.host} is at {ip}, a private address; set private_network = true to allow it"
            )


def client_for(place: Endpoint, timeout: float) -> httpx2.AsyncClient:
    """Return a client that reaches this place only.

    Proxies of the environment are honoured: whom they connect to is theirs to check, whom they are asked for is ours.
    """

    async def before_sending(request: httpx2.Request) -> None:
        place.check_url(request.url)
        request.extensions["trace"] = _watching(place)

    async def before_following(response: httpx2.Response) -> None:
        if response.has_redirect_location:
            raise EgressRefusal(
                f"{_shown(place.url)} redirects to {_shown(place.url.join(response.headers['location']))}"
            )

    hooks: dict[str, list[Callable[..., Any]]] = {"request": [before_sending], "response": [before_following]}
    return httpx2.AsyncClient(timeout=timeout, limits=MAX_CONNECTIONS, event_hooks=hooks, follow_redirects=False)


class VendorModel(WrapperModel):
    """Asks a vendor, and calls a refusal of its client by its name.

    Args:
        wrapped: The vendor's model.
        client: What it sends with; `close` closes it.
    """

    def __init__(self, wrapped: Model, client: httpx2.AsyncClient) -> None:
        super().__init__(wrapped)
        self._client = client

    async def close(self) -> None:
        """Close every connection to the vendor."""
        await self._client.aclose()

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask.

        Raises:
            EgressRefused: The client would have had to go where it must not.
        """
        try:
            return await self.wrapped.request(messages, model_settings, model_request_parameters)
        except (ModelAPIError, httpx2.HTTPError) as error:
            if refusal := _refusal_behind(error):
                log.warning("egress.refused", model=self.model_name, reason=str(refusal))
                raise EgressRefused(self.model_name, str(refusal), phase="connect") from error
            raise


def _watching(place: Endpoint) -> Callable[[str, dict[str, Any]], Awaitable[None]]:
    """Return a watch over one request: once the line is open, and before anything is said, it looks who is there."""
    direct = False

    async def watch(event: str, about: dict[str, Any]) -> None:
        nonlocal direct
        if event == "connection.connect_tcp.started":
            direct = about["host"] == place.url.raw_host.decode()  # otherwise it is a proxy
        elif event == "connection.connect_tcp.complete" and direct:
            stream = about["return_value"]
            try:
                place.check_address(stream.get_extra_info("server_addr")[0])
            except EgressRefusal:
                await stream.aclose()
                raise

    return watch


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _shown(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def _refusal_behind(error: BaseException | None) -> EgressRefusal | None:
    while error is not None and not isinstance(error, EgressRefusal):
        error = error.__cause__ or error.__context__
    return error
