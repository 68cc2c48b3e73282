"""Watch the functions' log output and connections while inputs run."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import sys
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Any, TextIO, cast
from unittest import mock
from urllib.parse import urlsplit

from aws_lambda_powertools.logging.filters import SuppressFilter

from tests.trials.proof.hostile.strategies import FORGED
from tests.trials.world import World

# Characters that end a line, control a terminal or change the direction of text. JSON escapes the line feed itself.
_ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LEVELS_OF_FAULTS = frozenset({"ERROR", "CRITICAL"})
_SHOWN = 300
# The fields of an error record that are the same at each attempt.
_SHOWN_FIELDS = (
    "message",
    "reason",
    "error",
    "raised_at",
    "called_at",
    "code",
    "failure",
    "refused_by",
    "operation",
    "command",
)


class Log:
    """A stream that forwards log output; `check` returns the faults in it since the last call."""

    def __init__(self, onwards: TextIO) -> None:
        """Start without any output."""
        self._onwards = onwards
        self._pieces: list[str] = []

    def write(self, text: str) -> int:
        """Write a piece of text. Raises UnicodeEncodeError where a real stream does."""
        text.encode()
        self._pieces.append(text)
        return self._onwards.write(text)

    def flush(self) -> None:
        """Flush the stream behind it."""
        self._onwards.flush()

    def fileno(self) -> int:
        """Return the file descriptor behind it."""
        return self._onwards.fileno()

    def check(self, expected: Set[str] = frozenset()) -> tuple[list[str], list[str]]:
        """Return error records, and lines that are not valid records or contain active characters.

        Args:
            expected: Messages of errors that the trial provokes.
        """
        text, self._pieces = "".join(self._pieces), []
        faults, escapes = [], []
        for line in text.split("\n"):
            if not line:
                continue
            if _ACTS.search(line):
                escapes.append(f"a log line contains active characters: {line[:_SHOWN]!r}")
            try:
                record = json.loads(line)
            except ValueError:
                escapes.append(f"a log line is not a record: {line[:_SHOWN]!r}")
                continue
            if not isinstance(record, dict) or FORGED in str(record.get("message")):
                escapes.append(f"a log record is forged: {line[:_SHOWN]!r}")
            elif record.get("level") in _LEVELS_OF_FAULTS and record.get("message") not in expected:
                shown = {name: record[name] for name in _SHOWN_FIELDS if name in record}
                faults.append(f"logged: {json.dumps(shown)}")
        return list(dict.fromkeys(faults)), escapes


@contextlib.contextmanager
def logged() -> Iterator[Log]:
    """Watch the log output for the length of a `with` block."""
    log = Log(sys.stdout)
    stream = cast("TextIO", log)
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        before = {handler: handler.stream for handler in _handlers()}
        for handler in before:
            handler.setStream(stream)
        # Powertools adds this filter when its logger is created. Without it each record would be logged twice.
        ours = SuppressFilter("ir-router")
        for one in logging.getLogger().handlers:
            one.addFilter(ours)
        try:
            yield log
        finally:
            for one in logging.getLogger().handlers:
                one.removeFilter(ours)
            for handler in _handlers():
                handler.setStream(before.get(handler, log._onwards))


def _handlers() -> list[logging.StreamHandler[Any]]:
    names = ["", *logging.Logger.manager.loggerDict]
    found = [handler for name in names for handler in logging.getLogger(name).handlers]
    return [handler for handler in found if type(handler) is logging.StreamHandler]


@dataclass
class Egress:
    """`tried` lists the hosts and addresses outside the two services that a connection was attempted to. All are
    blocked.
    """

    allowed: frozenset[tuple[str, int]]
    tried: list[str] = field(default_factory=list)

    def check(self) -> list[str]:
        """Return a line for each attempt since the last call."""
        found, self.tried = self.tried, []
        return [f"a connection to {where}" for where in found]


@contextlib.contextmanager
def egress(world: World) -> Iterator[Egress]:
    """Block and record every connection except those to the local Slack and Security IR."""
    allowed = frozenset(
        (str(address.hostname), int(address.port or 80))
        for address in map(
            urlsplit, (world.environment["SLACK_API_BASE_URL"], world.environment["AWS_ENDPOINT_URL_SECURITY_IR"])
        )
    )
    watched = Egress(allowed)
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connect_if_allowed(one: socket.socket, address: Any) -> None:
        if one.family != socket.AF_UNIX and tuple(address[:2]) not in allowed:
            watched.tried.append(f"{address!r}")
            raise ConnectionRefusedError("not in the proof")
        connect(one, address)

    def look_up_if_allowed(host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in {name for name, _ in allowed}:
            watched.tried.append(f"{host!r}")
            raise socket.gaierror(socket.EAI_NONAME, "not in the proof")
        return look_up(host, *arguments, **options)

    with (
        mock.patch.object(socket.socket, "connect", connect_if_allowed),
        mock.patch.object(socket, "getaddrinfo", look_up_if_allowed),
    ):
        yield watched
