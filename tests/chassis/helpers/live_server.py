"""A service behind a real HTTP server, which runs in a thread of its own."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import uvicorn
from chassis.testing import wire_for_tests
from chassis.web.app import build_app
from chassis.web.server import listen, server_config
from chassis.wiring import Wiring
from pydantic_ai.models import Model
from sample_task import TASK

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For a client that speaks plain HTTP; by default each would read the certificates of the system."""


@dataclass(frozen=True, slots=True)
class LiveService:
    """A running service and a client for it."""

    wiring: Wiring
    loop: asyncio.AbstractEventLoop
    client: httpx2.Client
    key: str

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread of the service, where its wiring belongs."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def ask(self, text: str, key: str | None = None, **headers: str) -> httpx2.Response:
        """Ask the sample task a question."""
        authorization = {"Authorization": f"Bearer {key or self.key}"}
        return self.client.post("/v1/echo", json={"text": text}, headers=authorization | headers)


def serve_sample(root: Path, *models: Model, **changes: dict[str, Any]) -> AbstractContextManager[LiveService]:
    """Serve the sample task until the context ends."""
    return serve_live(lambda: wire_for_tests(TASK, root, *models, **changes))


@contextmanager
def serve_live(wire: Callable[[], AbstractAsyncContextManager[Wiring]], port: int = 0) -> Generator[LiveService]:
    """Serve a service until the context ends, at a free port unless one is given."""
    opened: Future[tuple[Wiring, asyncio.AbstractEventLoop, uvicorn.Server, str]] = Future()
    thread = Thread(target=lambda: asyncio.run(_serve(opened, wire, port)))
    thread.start()
    wiring, loop, server, key = opened.result()
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{_port(server)}", timeout=30, verify=NO_TLS) as client:
            yield LiveService(wiring, loop, client, key)
    finally:
        server.should_exit = True
        thread.join()


async def _serve(opened: Future[Any], wire: Callable[[], AbstractAsyncContextManager[Wiring]], port: int) -> None:
    async with wire() as wiring:
        server = uvicorn.Server(server_config(wiring, build_app(wiring)))
        key = await wiring.api_keys.create("alice")
        serving = asyncio.create_task(server.serve(sockets=[listen("127.0.0.1", port)]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        opened.set_result((wiring, asyncio.get_running_loop(), server, key))
        await serving


def _port(server: uvicorn.Server) -> int:
    return server.servers[0].sockets[0].getsockname()[1]
