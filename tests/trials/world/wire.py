"""Record every request that leaves a function; end the function at one of them, or run another function in between.

An end is the death of a sandbox: afterwards no request of the function leaves, not even from its `finally` blocks.
"""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from unittest import mock
from urllib.parse import urlsplit

import boto3
import urllib3

Side = Literal["before", "after"]


class FunctionDiedError(Exception):
    """The invocation ended at an outbound call. Its caller gets an error, as Lambda's callers do."""


class DeathError(BaseException):
    """The end of the function. It is not an Exception, so that no handler of the code under test catches it."""


@dataclass(frozen=True)
class Call:
    """One request: `dynamodb PutItem`, `slack chat.postMessage`, `security-ir GetCase`."""

    service: str
    operation: str
    deployment: str
    invocation: int = field(default=0, compare=False)
    """The number of the invocation that makes the request."""

    def __str__(self) -> str:
        """Return the name in reports."""
        return f"{self.deployment}: {self.service} {self.operation}"


class Wire:
    """The calls of all invocations, in order, without the calls that tests make."""

    def __init__(self) -> None:
        """Start without calls."""
        self.calls: list[Call] = []
        self.died_at: Call | None = None
        self._kept = threading.local()
        self._count = 0
        self._invocations = 0
        self._death: tuple[int, Side] | None = None
        self._death_on: tuple[str, str, Side] | None = None
        self._interruption: tuple[int, Side, Callable[[], object]] | None = None
        self._dies: tuple[int, Callable[[int, Side], bool]] | None = None

    def kill_at(self, number: int, side: Side) -> None:
        """End the function at the `number`th call from now (from 1), before or after its effect."""
        self._death, self.died_at = (self._count + number, side), None

    def kill_on(self, service: str, operation: str, side: Side) -> None:
        """End the function at its next call of that operation, before or after its effect."""
        self._death_on, self.died_at = (service, operation, side), None

    def branch_at(self, dies: Callable[[int, Side], bool]) -> None:
        """End the function at each call for which `dies` returns True. It gets the number (from 1) and the side."""
        self._dies, self.died_at = (self._count, dies), None

    def interrupt_at(self, number: int, side: Side, work: Callable[[], object]) -> None:
        """Run `work` at the `number`th call from now (from 1), before or after its effect, as a concurrent function."""
        self._interruption = (self._count + number, side, work)

    def spare(self) -> None:
        """Cancel all ends and interruptions."""
        self._death = self._death_on = self._interruption = self._dies = None

    @property
    def is_invoking(self) -> bool:
        """Whether this thread is inside a function."""
        return bool(self._running)

    @property
    def current(self) -> Call | None:
        """The current or latest call of the innermost invocation of this thread."""
        return self._running[-1].call if self._running else None

    @property
    def _running(self) -> list[_Invocation]:
        """The invocations of this thread, the innermost last."""
        if not hasattr(self._kept, "running"):
            self._kept.running = []
        running: list[_Invocation] = self._kept.running
        return running

    @contextmanager
    def invocation(self, deployment: str) -> Iterator[None]:
        """Enclose one invocation. Raises FunctionDiedError if it was ended."""
        self._invocations += 1
        self._running.append(_Invocation(deployment, self._invocations))
        try:
            yield
        except DeathError:
            raise FunctionDiedError(f"died at {self.died_at}") from None
        finally:
            self._running.pop()

    @contextmanager
    def call(self, service: str, operation: str) -> Iterator[None]:
        """Enclose the effect of one request."""
        self.before(service, operation)
        yield
        self.after()

    def before(self, service: str, operation: str) -> None:
        """Record a request that is about to leave."""
        if not self._running:
            return
        running = self._running[-1]
        if running.is_dead:
            raise DeathError
        self._count += 1
        running.number, running.call = self._count, Call(service, operation, running.deployment, running.id)
        self.calls.append(running.call)
        self._disturb(running, "before")

    def after(self) -> None:
        """Mark the effect of the request as made, before the caller gets the response."""
        if self._running and not self._running[-1].is_dead:
            self._disturb(self._running[-1], "after")

    def _disturb(self, running: _Invocation, side: Side) -> None:
        number, call = running.number, running.call
        if self._interruption is not None and self._interruption[:2] == (number, side):
            work, self._interruption = self._interruption[2], None
            work()
        named = (call.service, call.operation, side) if call is not None else None
        branched = self._dies is not None and self._dies[1](number - self._dies[0], side)
        if branched or (number, side) == self._death or (named is not None and named == self._death_on):
            self.spare()
            running.is_dead, self.died_at = True, call
            raise DeathError


@dataclass
class _Invocation:
    """A running invocation and its current call."""

    deployment: str
    id: int
    number: int = 0
    call: Call | None = None
    is_dead: bool = False


@contextmanager
def connected(wire: Wire) -> Iterator[None]:
    """Connect the wire to boto3's default session, slack_sdk's urllib and the file transfers' urllib3."""
    events = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]
    events.register_first("before-send", _before_send(wire))
    events.register_first("response-received", _response_received(wire))
    opened: Any = urllib.request.OpenerDirector.open
    requested: Any = urllib3.PoolManager.urlopen

    def open_url(director: Any, url: Any, *arguments: Any, **options: Any) -> Any:
        address = url if isinstance(url, str) else url.full_url
        with wire.call("slack", slack_operation(address)):
            return opened(director, url, *arguments, **options)

    def request(pool: Any, method: str, url: str, *arguments: Any, **options: Any) -> Any:
        with wire.call("files", file_operation(method, url)):
            return requested(pool, method, url, *arguments, **options)

    with (
        mock.patch.object(urllib.request.OpenerDirector, "open", open_url),
        mock.patch.object(urllib3.PoolManager, "urlopen", request),
    ):
        yield


def _before_send(wire: Wire) -> Callable[..., None]:
    def handler(event_name: str, **_: Any) -> None:
        service, operation = event_name.split(".")[1:3]
        wire.before(service, operation)

    return handler


def _response_received(wire: Wire) -> Callable[..., None]:
    def handler(**_: Any) -> None:
        wire.after()

    return handler


def slack_operation(address: str) -> str:
    """Return the operation of a request to Slack: a method of the Web API, or `response_url`."""
    path = urlsplit(address).path
    return path.removeprefix("/api/") if path.startswith("/api/") else "response_url"


def file_operation(method: str, address: str) -> str:
    """Return the operation of a file request: `GET slack` or `PUT security-ir`."""
    return f"{method} {'security-ir' if '/_attachments/' in address else 'slack'}"
