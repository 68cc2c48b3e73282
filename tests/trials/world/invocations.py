"""The context and results of invocations, and responses of services that the simulator replaces."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from ir_router import clock
from tests.trials.world.deployment import arn


@dataclass
class Context:
    """The context that Lambda passes to a handler."""

    timeout: float
    function_name: str
    aws_request_id: str
    began: float = field(default_factory=lambda: clock.now())
    memory_limit_in_mb: int = 512
    alias: str = ""

    @property
    def invoked_function_arn(self) -> str:
        """The function's ARN, with the alias by which it was invoked."""
        return arn("lambda", f"function:{self.function_name}{':' if self.alias else ''}{self.alias}")

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""
        return max(0, int((self.began + self.timeout - clock.now()) * 1000))


@dataclass
class Answer:
    """The return value or the exception of an invocation."""

    deployment: str
    event: Any
    value: Any = None
    error: Exception | None = None


@dataclass
class Retry:
    """A failed asynchronous invocation, and the time of Lambda's next attempt."""

    due: float
    deployment: str
    event: Any
    tries: int


class HttpAnswer:
    """The HTTP response that botocore gets when a `before-call` hook replaces a service."""

    def __init__(self, status: int) -> None:
        """Set the status; there are no headers."""
        self.status_code = status
        self.headers: MutableMapping[str, str] = {}


class Payload:
    """The body of the response to an Invoke."""

    def __init__(self, content: bytes) -> None:
        """Set the content."""
        self._content = content

    def read(self) -> bytes:
        """Return the content."""
        return self._content
