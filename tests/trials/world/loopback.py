"""HTTP without sockets: a request to a served application runs in the caller's thread, on the bytes of the request.

The client's and werkzeug's own code write and parse both messages, and the address is that of a bound port. Only the
sockets are replaced, with the threads that would wait at them: these took half of the time of a request.
"""

from __future__ import annotations

import email.parser
import http.client
import io
import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from http.client import HTTPMessage
from typing import Any
from unittest import mock

import urllib3.util.connection
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from ir_sandbox.http import WsgiApplication


@contextmanager
def served(*applications: WsgiApplication) -> Iterator[list[str]]:
    """Let this process reach the applications at the addresses of the result, in the same order."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with ExitStack() as stack:
        servers: dict[Any, BaseWSGIServer] = {}
        for application in applications:
            server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Handler)
            stack.callback(server.server_close)
            servers["127.0.0.1", server.server_port] = server
        stack.enter_context(mock.patch.object(http.client, "parse_headers", _parsed_headers))
        for module in (socket, urllib3.util.connection):
            stack.enter_context(mock.patch.object(module, "create_connection", _connecting(module, servers)))
        yield [f"http://{host}:{port}" for host, port in servers]


def _parsed_headers(file: Any, _class: type[HTTPMessage] = HTTPMessage) -> HTTPMessage:
    """Parse plain headers line by line. The standard library uses its parser of e-mails, which the others need."""
    *lines, end = [line.decode("iso-8859-1") for line in _read_headers(file)]
    found = [match.groups() for match in map(_PLAIN_HEADER.fullmatch, lines) if match is not None]
    if not end or len(found) < len(lines):
        return email.parser.Parser(_class=_class).parsestr("".join([*lines, end]))
    made = _class()
    for name, value in found:
        made.set_raw(name, value)
    made.set_payload("")
    return made


_read_headers: Any = http.client._read_headers  # type: ignore[attr-defined]
_PLAIN_HEADER = re.compile(r"([!-9;-~]+):[ \t]*([^\x00-\x1f\x7f-\xa0]*)\r?\n")


def _connecting(module: Any, servers: dict[Any, BaseWSGIServer]) -> Any:
    create = module.create_connection

    def connect(address: Any, *arguments: Any, **options: Any) -> Any:
        server = servers.get(address)
        return create(address, *arguments, **options) if server is None else _ClientEnd(server)

    return connect


class _Handler(WSGIRequestHandler):
    """Answers one request, as werkzeug does over a socket."""

    protocol_version = "HTTP/1.1"  # make_server selects it only for werkzeug's own class

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


class _End:
    """One end of a connection, with the parts of a socket that clients and servers use."""

    def settimeout(self, _: float | None) -> None:
        """Accept a timeout: the other side has always answered."""

    def close(self) -> None:
        """Keep the messages: the other side may still read them."""


class _ClientEnd(_End):
    """Collects the request and answers it when the client reads."""

    def __init__(self, server: BaseWSGIServer) -> None:
        self._server = server
        self._request = bytearray()

    def setsockopt(self, *_: Any) -> None:
        """Accept the options of a TCP connection."""

    def sendall(self, data: Any) -> None:
        """Take a part of the request."""
        self._request += data

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the response. Raises ConnectionResetError if the server reset the connection."""
        end: Any = _ServerEnd(bytes(self._request))
        self._request.clear()
        with suppress(ConnectionError):
            _Handler(end, ("127.0.0.1", 0), self._server)
        if end.is_reset:
            raise ConnectionResetError("the server reset the connection")
        return io.BufferedReader(io.BytesIO(end.response))


class _ServerEnd(_End):
    """Holds the request and collects the response."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._is_shut = False
        self.is_reset = False
        self.response = bytearray()

    def setsockopt(self, _level: int, option: int, _value: Any) -> None:
        """Note SO_LINGER, with which a server resets the connection."""
        self.is_reset = self.is_reset or option == socket.SO_LINGER

    def shutdown(self, _: int) -> None:
        """Send nothing more."""
        self._is_shut = True

    def makefile(self, _mode: str, _size: int = -1) -> io.BytesIO:
        """Return the request."""
        return io.BytesIO(self._request)

    def sendall(self, data: Any) -> None:
        """Take a part of the response."""
        if not self._is_shut:
            self.response += data

    def fileno(self) -> int:
        """Return a file that is at its end, as a connection is whose client has sent everything."""
        return _ended()


@cache
def _ended() -> int:
    reader, writer = os.pipe()
    os.close(writer)
    return reader
