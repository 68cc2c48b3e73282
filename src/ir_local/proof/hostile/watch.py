"""What the functions log and where they connect to, watched while inputs are tried."""

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

from ir_local.proof.hostile.words import FORGED
from ir_local.world import World

# What ends a line somewhere, moves a terminal's cursor, or turns text round. JSON escapes the line feed itself.
_ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LEVELS_OF_FAULTS = frozenset({"ERROR", "CRITICAL"})
_SHOWN = 300
# What a record says of a fault, without what differs from attempt to attempt.
_TOLD = (
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
    """Passes on what is written to the log; `check` tells what was wrong with it since the last call."""

    def __init__(self, onwards: TextIO) -> None:
        """Nothing was written yet."""
        self._onwards = onwards
        self._pieces: list[str] = []

    def write(self, text: str) -> int:
        """Take a piece. Raises UnicodeEncodeError where a real stream does."""
        text.encode()
        self._pieces.append(text)
        return self._onwards.write(text)

    def flush(self) -> None:
        """Nothing is held back."""
        self._onwards.flush()

    def fileno(self) -> int:
        """The file behind it."""
        return self._onwards.fileno()

    def check(self, expected: Set[str] = frozenset()) -> tuple[list[str], list[str]]:
        """Records that tell of a fault of ours; and lines that are no record of ours, or hold what acts in a viewer.

        `expected`: messages of errors that were to come.
        """
        text, self._pieces = "".join(self._pieces), []
        faults, escapes = [], []
        for line in text.split("\n"):
            if not line:
                continue
            if _ACTS.search(line):
                escapes.append(f"a log line acts in a viewer: {line[:_SHOWN]!r}")
            try:
                record = json.loads(line)
            except ValueError:
                escapes.append(f"a log line is no record: {line[:_SHOWN]!r}")
                continue
            if not isinstance(record, dict) or FORGED in str(record.get("message")):
                escapes.append(f"a log record is forged: {line[:_SHOWN]!r}")
            elif record.get("level") in _LEVELS_OF_FAULTS and record.get("message") not in expected:
                told = {name: record[name] for name in _TOLD if name in record}
                faults.append(f"logged: {json.dumps(told)}")
        return list(dict.fromkeys(faults)), escapes


@contextlib.contextmanager
def logged() -> Iterator[Log]:
    """Watch what is written to the log for the length of a `with` block."""
    log = Log(sys.stdout)
    stream = cast("TextIO", log)
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        before = {handler: handler.stream for handler in _handlers()}
        for handler in before:
            handler.setStream(stream)
        # Powertools does this to the handlers that it finds when its logger is made: else all is logged twice.
        ours = SuppressFilter("ir-router")
        for one in logging.getLogger().handlers:
            one.addFilter(ours)
        try:
            yield log
        finally:
            for one in logging.getLogger().handlers:
                one.removeFilter(ours)
            for handler in _handlers():
                handler.setStream(before.get(handler, log._onwards))  # noqa: SLF001 - its own module


def _handlers() -> list[logging.StreamHandler[Any]]:
    names = ["", *logging.Logger.manager.loggerDict]
    found = [handler for name in names for handler in logging.getLogger(name).handlers]
    return [handler for handler in found if type(handler) is logging.StreamHandler]


@dataclass
class Egress:
    """`tried`: hosts and addresses that something wanted to reach beyond the two services; none was reached."""

    allowed: frozenset[tuple[str, int]]
    tried: list[str] = field(default_factory=list)

    def check(self) -> list[str]:
        """What was tried since the last call."""
        found, self.tried = self.tried, []
        return [f"a connection to {where}" for where in found]


@contextlib.contextmanager
def egress(world: World) -> Iterator[Egress]:
    """Let nothing out of this process but to the local Slack and Security IR, and note who tried."""
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
