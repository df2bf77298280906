"""A TCP server that runs a script on each connection, in TLS if it is given a certificate."""

import datetime as dt
import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PATIENCE = 20
"""Seconds after which a test has hung."""


@dataclass
class Server:
    """What a server has seen, and what its scripts wait for."""

    port: int
    accepted: int = 0
    reached: Event = field(default_factory=Event)
    """A script has come to the point that the test is about."""
    answered: Event = field(default_factory=Event)
    """The client has what was sent so far."""
    over: Event = field(default_factory=Event)
    """The test is over."""


type Script = Callable[[Server, socket.socket], None]


@contextmanager
def serving(script: Script, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Generator[Server]:
    """Serve on a free port. At the end each connection must have been closed, by the client or by the script."""
    threads: list[Thread] = []

    def run(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # a client may close the connection at any point of a script
            if context:
                with context.wrap_socket(connection, server_side=True) as encrypted:
                    script(server, encrypted)
            else:
                script(server, connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(PATIENCE)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                server.accepted += 1
                threads.append(Thread(target=run, args=(connection,)))
                threads[-1].start()

    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        server = Server(listener.getsockname()[1])
        accepting = Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            server.over.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
    for thread in threads:
        thread.join(PATIENCE / 2)
    assert not any(thread.is_alive() for thread in threads), "a connection was left open"


def certified(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server with this name, and of a client that trusts it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.pem").write_bytes(pem + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / f"{name}.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


def request_from(connection: socket.socket) -> bytes:
    """Return the body of the next request.

    Raises:
        ConnectionResetError: There is none, or not all of it.
    """
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    missing = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0) - len(body)
    parts = [body]
    while missing > 0:
        parts.append(_some(connection))
        missing -= len(parts[-1])
    return b"".join(parts)


def _some(connection: socket.socket) -> bytes:
    some = connection.recv(1 << 20)
    if not some:
        raise ConnectionResetError
    return some


def wait_for_end(connection: socket.socket) -> None:
    """Read until the client closes the connection."""
    while connection.recv(1 << 20):
        pass
