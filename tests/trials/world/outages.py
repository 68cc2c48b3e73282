"""Outages: an outside service fails for one call, or for some simulated time.

The local workspace makes Slack's faults, over HTTP. AWS's faults start after botocore has sent the request, so
botocore's own retries see them. The simulator itself answers PutEvents, Invoke and Step Functions; these fail as after
botocore's retries. Timeouts and the pauses between retries pass on the simulated clock.
"""

from __future__ import annotations

import io
import json
import time
import types
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from unittest import mock

import botocore.endpoint
import urllib3
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from ir_sandbox.slack import Fault as SlackFault
from tests.trials.world.invocations import HttpAnswer
from tests.trials.world.wire import Call, file_operation, slack_operation
from tests.trials.world.world import World

Kind = Literal["throttling", "server error", "time-out", "connection reset", "malformed answer", "conflict"]

KINDS: tuple[Kind, ...] = ("throttling", "server error", "time-out", "connection reset", "malformed answer")
"""The faults that any operation can have. `conflict` is DynamoDB's alone: another transaction on the same rows."""

# The call has its effect, but its caller gets no valid response.
_AFTER_EFFECT: frozenset[Kind] = frozenset({"time-out", "malformed answer"})
# The timeouts of the clients in src/ir_router (aws.py, slack/gateway.py, transfer.py).
_TIMEOUT_SECONDS = {"files": 60.0, "slack": 10.0}
_USUAL_TIMEOUT_SECONDS = 6.0
_SLACK_ASKS_TO_WAIT_SECONDS = 30
_STOOD_IN_FOR = frozenset({"cloudtrail", "events", "lambda", "organizations", "stepfunctions"})
# The clients report a truncated answer like this after the last attempt (src/ir_router/aws.py).
_TRUNCATED: Any = {
    "Error": {"Code": "RequestTimeout", "Message": "the response body is truncated"},
    "ResponseMetadata": {"HTTPStatusCode": 500, "HTTPHeaders": {}, "RetryAttempts": 2},
}
_ADDRESS = "https://service.example"
_THROTTLED = {"dynamodb": "ThrottlingException", "iam": "Throttling", "sns": "Throttled", "sqs": "RequestThrottled"}


@dataclass
class Outage:
    """A fault of `operation` of `service` (the names of `wire`), from its first call on.

    `seconds` is its length; None means that one call.
    """

    service: str
    operation: str
    kind: Kind
    seconds: float | None
    began: float | None = None
    struck: int = 0
    waited_until: float = 0.0
    """The time at which the last caller without a response timed out."""

    def __str__(self) -> str:
        """Return the name in reports."""
        how_long = "one call" if self.seconds is None else f"{self.seconds:.0f} s"
        return f"{self.service} {self.operation}, {self.kind}, {how_long}"

    def strikes(self, service: str, operation: str, now: float) -> bool:
        """Return whether this call fails."""
        if (service, operation) != (self.service, self.operation) or now >= self.ends_at:
            return False
        if self.began is None:
            self.began = now
        self.struck += 1
        return True

    @property
    def ends_at(self) -> float:
        """The end of the outage; infinity before the first call."""
        if self.began is None:
            return float("inf")
        return self.began + (self.seconds or 0.0)


@contextmanager
def struck_by(world: World, outage: Outage) -> Iterator[None]:
    """Apply the outage to the simulator's functions for the length of a `with` block."""

    def strikes(service: str, operation: str) -> bool:
        return world.wire.is_invoking and outage.strikes(service, operation, world.now())

    def timed_out() -> None:
        world.sleep(_TIMEOUT_SECONDS.get(outage.service, _USUAL_TIMEOUT_SECONDS))
        outage.waited_until = world.now()

    with (
        mock.patch.object(botocore.endpoint, "time", types.SimpleNamespace(sleep=world.sleep, time=time.time)),
        _aws(outage, strikes, timed_out),
        _stood_in_for(world, outage, strikes, timed_out),
        _slack(world, outage, strikes, timed_out),
        _files(outage, strikes, timed_out),
    ):
        yield


Strikes = Callable[[str, str], bool]


@contextmanager
def _aws(outage: Outage, strikes: Strikes, timed_out: Callable[[], None]) -> Iterator[None]:
    send: Any = botocore.endpoint.Endpoint._do_get_response  # type: ignore[attr-defined]
    read: Any = botocore.endpoint.convert_to_response_dict
    halved: list[bool] = []

    def get_response(endpoint: Any, request: Any, operation_model: Any, context: Any) -> Any:
        service, operation = operation_model.service_model.service_id.hyphenize(), operation_model.name
        if not strikes(service, operation):
            return send(endpoint, request, operation_model, context)
        if outage.kind == "connection reset":
            return None, ConnectionClosedError(endpoint_url=request.url)
        if outage.kind == "time-out":
            send(endpoint, request, operation_model, context)
            timed_out()
            return None, ReadTimeoutError(endpoint_url=request.url)
        if outage.kind == "malformed answer":
            halved.append(True)
            try:
                return send(endpoint, request, operation_model, context)
            finally:
                halved.clear()
        status, parsed = _error(outage, service, operation)
        if "CancellationReasons" in parsed:  # DynamoDB gives one for each item
            parsed["CancellationReasons"] *= len(json.loads(request.body)["TransactItems"])
        return (_ErrorAnswer(status), parsed), None

    def response_dict(http_response: Any, operation_model: Any) -> Any:
        found = read(http_response, operation_model)
        if halved and isinstance(found["body"], bytes):
            found["body"] = found["body"][: len(found["body"]) // 2] or b'{"'
        return found

    with (
        mock.patch.object(botocore.endpoint.Endpoint, "_do_get_response", get_response),
        mock.patch.object(botocore.endpoint, "convert_to_response_dict", response_dict),
    ):
        yield


class _ErrorAnswer(HttpAnswer):
    """The attributes that botocore reads from a response that is already parsed."""

    content = b"{}"
    raw = None


def _error(outage: Outage, service: str, operation: str) -> tuple[int, dict[str, Any]]:
    """Return a parsed error response."""
    if outage.kind == "throttling":
        status, code = 400, _THROTTLED.get(service, "ThrottlingException")
    elif outage.kind == "conflict":
        is_transaction = operation == "TransactWriteItems"
        status, code = 400, "TransactionCanceledException" if is_transaction else "TransactionConflictException"
    else:
        status, code = 503, "ServiceUnavailable"
    parsed: dict[str, Any] = {
        "Error": {"Code": code, "Message": f"{code} on demand"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0},
    }
    if code == "TransactionCanceledException":
        parsed["CancellationReasons"] = [{"Code": "TransactionConflict"}]
    return status, parsed


@contextmanager
def _stood_in_for(world: World, outage: Outage, strikes: Strikes, timed_out: Callable[[], None]) -> Iterator[None]:
    """Apply the outage to a service that the simulator replaces, after botocore's own retries."""
    if outage.service not in _STOOD_IN_FOR:
        yield
        return
    begin, end = world.wire.before, world.wire.after
    struck: list[Call] = []

    def before(service: str, operation: str) -> None:
        begin(service, operation)
        if not strikes(service, operation):
            return
        if outage.kind in _AFTER_EFFECT and world.wire.current is not None:
            struck.append(world.wire.current)
        elif outage.kind == "connection reset":
            raise ConnectionClosedError(endpoint_url=_ADDRESS)
        else:
            parsed = _error(outage, service, operation)[1]
            raise ClientError(parsed, operation)  # type: ignore[arg-type]

    def after() -> None:
        end()
        if not struck or world.wire.current is not struck[-1]:
            return
        struck.pop()
        if outage.kind == "time-out":
            timed_out()
            raise ReadTimeoutError(endpoint_url=_ADDRESS)
        raise ClientError(_TRUNCATED, "")

    with mock.patch.object(world.wire, "before", before), mock.patch.object(world.wire, "after", after):
        yield


@contextmanager
def _slack(world: World, outage: Outage, strikes: Strikes, timed_out: Callable[[], None]) -> Iterator[None]:
    opened: Any = urllib.request.OpenerDirector.open
    faults: Mapping[Kind, Mapping[str, Any]] = {
        "throttling": {"kind": "ratelimited", "retry_after": _SLACK_ASKS_TO_WAIT_SECONDS},
        "server error": {"kind": "status", "status": 503},
        "connection reset": {"kind": "reset"},
        "malformed answer": {"kind": "malformed"},
    }

    def open_url(director: Any, url: Any, *arguments: Any, **options: Any) -> Any:
        operation = slack_operation(url if isinstance(url, str) else url.full_url)
        if not strikes("slack", operation):
            return opened(director, url, *arguments, **options)
        if outage.kind in faults:
            world.workspace.faults.add(SlackFault(operation, **faults[outage.kind]))
            return opened(director, url, *arguments, **options)
        opened(director, url, *arguments, **options).close()
        timed_out()
        raise TimeoutError("The read operation timed out")

    with mock.patch.object(urllib.request.OpenerDirector, "open", open_url):
        yield


@contextmanager
def _files(outage: Outage, strikes: Strikes, timed_out: Callable[[], None]) -> Iterator[None]:
    requested: Any = urllib3.PoolManager.urlopen

    def request(pool: Any, method: str, url: str, *arguments: Any, **options: Any) -> Any:
        if not strikes("files", file_operation(method, url)):
            return requested(pool, method, url, *arguments, **options)
        if outage.kind == "connection reset":
            raise urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError())
        if outage.kind in ("throttling", "server error"):
            status = 429 if outage.kind == "throttling" else 503
            return urllib3.HTTPResponse(body=io.BytesIO(), status=status, preload_content=False)
        answer = requested(pool, method, url, *arguments, **options)
        content = answer.read()
        if outage.kind == "time-out":
            timed_out()
            raise urllib3.exceptions.ReadTimeoutError(pool, url, "Read timed out.")
        half = io.BytesIO(content[: len(content) // 2])
        return urllib3.HTTPResponse(body=half, headers=answer.headers, status=answer.status, preload_content=False)

    with mock.patch.object(urllib3.PoolManager, "urlopen", request):
        yield
