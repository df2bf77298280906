"""A webhook and a mail server in a process of their own, which accept, refuse, hang, or die in the middle of a request.

Run as `python hostile_receiver.py JOURNAL BEHAVIOR HTTP_PORT SMTP_PORT`. Each attempt becomes a line of the journal
before the sender gets an answer: `tried` or `accepted`, the channel, and the id of the notification.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.smtp import SMTP

type Behavior = Literal["accept", "accept_silently", "refuse", "hang", "die_in_webhook", "die_in_email"]


@dataclass
class Journal:
    """What a receiver notes, and how it behaves."""

    file: Path
    behavior: Behavior

    async def answer(self, channel: str, notification: str) -> bool:
        """Note an attempt, and return whether to accept it. One that hangs or is silent does not return."""
        accepted = self.behavior in {"accept", "accept_silently"}
        with self.file.open("a") as file:
            file.write(f"{'accepted' if accepted else 'tried'} {channel} {notification}\n")
        if self.behavior in {"hang", "accept_silently"}:
            await asyncio.Event().wait()
        return accepted

    def die_in(self, channel: str) -> None:
        """Kill this process if it is to die in a request of the channel."""
        if self.behavior == f"die_in_{channel}":
            os.kill(os.getpid(), signal.SIGKILL)

    async def serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        self.die_in("webhook")
        await reader.readexactly(int(headers["content-length"]))
        status = "204 No Content" if await self.answer("webhook", headers["webhook-id"]) else "500 Error"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def handle_MAIL(  # noqa: N802 - a name of aiosmtpd, as the next
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        """Take the sender of an email."""
        self.die_in("email")
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Take an email."""
        [line] = [line for line in envelope.content.decode().splitlines() if line.lower().startswith("message-id:")]
        accepted = await self.answer("email", line.partition("<")[2].partition("@")[0])
        return "250 OK" if accepted else "451 Try again later"


@dataclass(frozen=True)
class Receiver:
    """Where the receivers of one test listen, one after the other."""

    journal: Path
    http_port: int
    smtp_port: int

    @contextmanager
    def that_will(self, behavior: Behavior) -> Generator["subprocess.Popen[bytes]"]:
        """Run a receiver until the context ends."""
        ports = str(self.http_port), str(self.smtp_port)
        started = subprocess.Popen([sys.executable, __file__, str(self.journal), behavior, *ports])
        try:
            yield started
        finally:
            started.kill()
            started.wait()

    def lines(self, word: str) -> list[tuple[str, str]]:
        """Return the channel and the notification of each attempt that was `tried` or `accepted`."""
        found = [line.split() for line in self.journal.read_text().splitlines()]
        return [(channel, notification) for said, channel, notification in found if said == word]


def free_receiver(folder: Path) -> Receiver:
    """Return a receiver at ports that no one uses, with an empty journal in a folder."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        receiver = Receiver(folder / "journal", one.getsockname()[1], other.getsockname()[1])
    receiver.journal.write_text("")
    return receiver


async def main(journal: Journal, http_port: int, smtp_port: int) -> None:
    """Serve until the process is killed."""
    await asyncio.start_server(journal.serve_http, "127.0.0.1", http_port)
    await asyncio.get_running_loop().create_server(lambda: SMTP(journal), "127.0.0.1", smtp_port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    file, how, *numbers = sys.argv[1:]
    asyncio.run(main(Journal(Path(file), how), *map(int, numbers)))  # ty: ignore[invalid-argument-type] # pyright: ignore[reportArgumentType]
