"""What an invocation is given and gives, and the answers of services that the world stands in for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ir_local.world.deployment import arn
from ir_router import clock


@dataclass
class Context:
    """What Lambda gives a handler."""

    timeout: float
    function_name: str
    aws_request_id: str
    began: float = field(default_factory=lambda: clock.now())  # noqa: PLW0108 - tests replace clock.now
    memory_limit_in_mb: int = 512

    @property
    def invoked_function_arn(self) -> str:
        """The function's ARN."""
        return arn("lambda", f"function:{self.function_name}")

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        return max(0, int((self.began + self.timeout - clock.now()) * 1000))


@dataclass
class Answer:
    """What an invocation returned or raised."""

    deployment: str
    event: Any
    value: Any = None
    error: Exception | None = None


@dataclass
class Retry:
    """An asynchronous invocation that failed, and when Lambda tries it again."""

    due: float
    deployment: str
    event: Any
    tries: int


class HttpAnswer:
    """What botocore sees of the HTTP answer when a `before-call` hook stands in for a service."""

    def __init__(self, status: int) -> None:
        """Answer with that status and no headers."""
        self.status_code = status
        self.headers: dict[str, str] = {}


class Payload:
    """The body of an Invoke's answer."""

    def __init__(self, content: bytes) -> None:
        """It holds `content`."""
        self._content = content

    def read(self) -> bytes:
        """All of it."""
        return self._content
