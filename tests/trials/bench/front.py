"""The services behind TLS and with realistic latencies, as a function in AWS meets them."""

from __future__ import annotations

import http.client
import random
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, cast
from urllib.parse import urlsplit

from botocore.httpsession import get_cert_path

from tests.support.certificates import server_context

# Milliseconds from a request's arrival until its answer, as a function near the service sees them.
LATENCY_MS: Mapping[str, tuple[int, int]] = {
    "dynamodb": (4, 15),
    "iam": (40, 90),
    "security-ir": (80, 80),
    "slack": (150, 150),
    "sts": (40, 90),
}
_OTHER_MS = (10, 20)
_SIGNED_FOR = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")
_NOT_FORWARDED = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


@dataclass(frozen=True)
class Answered:
    """A request that was answered: when (time.perf_counter), of which service, and its operation."""

    at: float
    service: str
    operation: str


@dataclass
class Front:
    """TLS servers in front of the local services.

    `urls` has the URL of each name in `targets`; `bundle` is a bundle of certification authorities, as long as a real
    one, that contains the servers' certificate.
    """

    urls: dict[str, str]
    bundle: Path
    answered: list[Answered] = field(default_factory=list)
    _open: set[socket.socket] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)
    _random: random.Random = field(default_factory=lambda: random.Random(1))

    def now(self) -> float:
        """Return the time on the clock of `answered`."""
        return time.perf_counter()

    def latency(self, service: str) -> float:
        """Return the latency of the next answer in seconds."""
        with self._lock:
            return self._random.uniform(*LATENCY_MS.get(service, _OTHER_MS)) / 1000

    def end_connections(self) -> None:
        """End all connections, as services do with idle ones."""
        with self._lock:
            ended, self._open = self._open, set()
        for connection in ended:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def opened(self, connection: socket.socket) -> None:
        """Remember an open connection."""
        with self._lock:
            self._open.add(connection)

    def first(self, operation: str, since: float) -> float:
        """Return the milliseconds from `since` until the first answer to an operation. Raises StopIteration."""
        return 1000 * (next(one.at for one in self.answered if one.operation == operation and one.at > since) - since)


@contextmanager
def serve(targets: Mapping[str, str], folder: Path) -> Iterator[Front]:
    """Serve TLS on a free port of this machine for each target, `{name: URL of the local service}`."""
    context, certificate = server_context(folder)
    bundle = folder / "authorities.pem"
    bundle.write_bytes(Path(str(get_cert_path(True))).read_bytes() + certificate.read_bytes())
    front = Front({}, bundle)
    with ExitStack() as running:
        for name, target in targets.items():
            server = _Server(front, name, target, context)
            Thread(target=server.serve_forever, daemon=True).start()
            running.callback(server.server_close)
            running.callback(server.shutdown)
            front.urls[name] = f"https://localhost:{server.server_port}{urlsplit(target).path}"
        yield front


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, front: Front, name: str, target: str, context: ssl.SSLContext) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Connection)
        self.front, self.name = front, name
        self.target = urlsplit(target).netloc
        # The connection's own thread makes the handshake, so that several clients can connect at once.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write nothing: clients end connections at any time."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One segment for each answer. Two would wait for the client's delayed acknowledgement.
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self._server = cast(_Server, self.server)
        self._behind = http.client.HTTPConnection(self._server.target, timeout=60)
        self._server.front.opened(self.connection)

    def finish(self) -> None:
        self._behind.close()
        with suppress(OSError):
            super().finish()

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        arrived = time.perf_counter()
        service, operation = self._called(body)
        self._behind.request(self.command, self.path, body, {**self.headers})
        answer = self._behind.getresponse()
        content = answer.read()
        time.sleep(max(0.0, arrived + self._server.front.latency(service) - time.perf_counter()))
        self._server.front.answered.append(Answered(time.perf_counter(), service, operation))
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _forward  # noqa: N815 - http.server's names

    def _called(self, body: bytes) -> tuple[str, str]:
        if self._server.name != "aws":
            return self._server.name, self.path.rpartition("/")[2]
        signed = _SIGNED_FOR.search(self.headers.get("Authorization", ""))
        action = _ACTION.search(body)
        target = self.headers.get("X-Amz-Target", "")
        return signed[1] if signed else "", action[1].decode() if action else target.rpartition(".")[2]

    def log_message(self, *_: object) -> None:
        """Write nothing."""
