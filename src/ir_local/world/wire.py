"""Every request that leaves a function, counted where it leaves; and the end of a function at one of them.

A death is that of a sandbox: after it nothing of the function reaches the outside, whatever its `finally` blocks try.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from unittest import mock
from urllib.parse import urlsplit

import boto3
import urllib3

Side = Literal["before", "after"]


class FunctionDiedError(Exception):
    """The invocation ended at an outbound call; its caller sees an error, as Lambda's callers do."""


class DeathError(BaseException):
    """The end of the function. Not an Exception, so that no handler of the code under test sees it."""


@dataclass(frozen=True)
class Call:
    """One request: `dynamodb PutItem`, `slack chat.postMessage`, `security-ir GetCase`."""

    service: str
    operation: str
    deployment: str

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.deployment}: {self.service} {self.operation}"


class Wire:
    """The calls of all invocations, in order. Calls that tests themselves make are not among them."""

    def __init__(self) -> None:
        """Nothing has been called."""
        self.calls: list[Call] = []
        self._deployments: list[str] = []
        self._death: tuple[int, Side] | None = None
        self._death_on: tuple[str, str, Side] | None = None
        self._count = 0
        self._dead = False
        self.died_at: Call | None = None

    def kill_at(self, number: int, side: Side) -> None:
        """Let the function die at the `number`th call from now (from 1), before or after its effect."""
        self._count, self._death, self.died_at = 0, (number, side), None

    def kill_on(self, service: str, operation: str, side: Side) -> None:
        """Let the function die at its next call of that operation, before or after its effect."""
        self._death_on, self.died_at = (service, operation, side), None

    def spare(self) -> None:
        """Let no function die."""
        self._death = self._death_on = None

    @contextmanager
    def invocation(self, deployment: str) -> Iterator[None]:
        """The span of one invocation; raises FunctionDiedError when it died."""
        self._deployments.append(deployment)
        try:
            yield
        except DeathError:
            raise FunctionDiedError(f"died at {self.died_at}") from None
        finally:
            self._deployments.pop()
            self._dead = False

    @contextmanager
    def call(self, service: str, operation: str) -> Iterator[None]:
        """Around the effect of one request."""
        self.before(service, operation)
        yield
        self.after()

    def before(self, service: str, operation: str) -> None:
        """A request is about to leave."""
        if not self._deployments:
            return
        if self._dead:
            raise DeathError
        self.calls.append(Call(service, operation, self._deployments[-1]))
        self._count += 1
        self._die("before")

    def after(self) -> None:
        """The effect is made, the answer has not been seen."""
        if self._deployments and not self._dead:
            self._die("after")

    def _die(self, side: Side) -> None:
        call = self.calls[-1]
        if (self._count, side) == self._death or (call.service, call.operation, side) == self._death_on:
            self.spare()
            self._dead, self.died_at = True, call
            raise DeathError


@contextmanager
def connected(wire: Wire) -> Iterator[None]:
    """Put the wire into boto3's default session, slack_sdk's way out (urllib) and the file transfers' (urllib3)."""
    events = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]
    events.register_first("before-send", _before_send(wire))
    events.register_first("response-received", _response_received(wire))
    opened: Any = urllib.request.OpenerDirector.open
    requested: Any = urllib3.PoolManager.urlopen

    def open_url(director: Any, url: Any, *arguments: Any, **options: Any) -> Any:
        address = url if isinstance(url, str) else url.full_url
        with wire.call("slack", _slack_operation(address)):
            return opened(director, url, *arguments, **options)

    def request(pool: Any, method: str, url: str, *arguments: Any, **options: Any) -> Any:
        with wire.call("files", f"{method} {_store_of(url)}"):
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


def _slack_operation(address: str) -> str:
    path = urlsplit(address).path
    return path.removeprefix("/api/") if path.startswith("/api/") else "response_url"


def _store_of(address: str) -> str:
    return "security-ir" if "/_attachments/" in address else "slack"
