"""Clients that write down each request and give stated answers: DynamoDB for the ledger, and others."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import aws, clock
from ir_router.errors import IrRouterError
from ir_router.ledger import audit, table
from ir_router.ledger.table import TransactionFailedError
from ir_router.ops import regions
from ir_router.settings import settings

NOW = 1_768_500_000.5
_MOST_LINES = 20
NO_VARIABLES: Mapping[str, str] = {}


class CancelledError(ClientError):
    """A cancelled transaction with these reasons."""

    def __init__(self, *reasons: str) -> None:
        """Build DynamoDB's answer."""
        answer: Any = {"Error": {"Code": "TransactionCanceledException"}}
        super().__init__(answer | {"CancellationReasons": [{"Code": one} for one in reasons]}, "TransactWriteItems")


def conflict(**row: Any) -> ClientError:
    """Return DynamoDB's answer to a write whose condition the stored row does not meet."""
    answer: Any = {"Error": {"Code": "ConditionalCheckFailedException"}, "Item": table._item(row)}
    return ClientError(answer, "UpdateItem")


class NoSuchEntityError(ClientError):
    """IAM's answer for a name that does not exist."""

    def __init__(self) -> None:
        """Build the answer."""
        super().__init__({"Error": {"Code": "NoSuchEntity"}}, "GetRole")


class Requests:
    """A client. Answers: a response, a row or rows of the ledger, an error. After the last one, none is stored."""

    exceptions = SimpleNamespace(TransactionCanceledException=CancelledError, NoSuchEntityException=NoSuchEntityError)

    def __init__(
        self,
        answers: list[Any],
        lines: list[str],
        service: str = "",
        otherwise: str = "",
        known: Mapping[str, Any] = NO_VARIABLES,
    ) -> None:
        """Keep the answers in their order. After the last one come those of `known`, or the error `otherwise`."""
        self._answers, self._lines, self._service = answers, lines, service
        self._otherwise, self._known = otherwise, known

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            self._lines.append(f"{self._service}{operation} {_line(request)}")
            if not self._answers and self._otherwise:
                raise ClientError({"Error": {"Code": self._otherwise}}, operation)
            answer = self._answers.pop(0) if self._answers else self._known.get(operation)
            answer = answer(request) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            if operation == "query":
                return {"Items": [table._item(row) for row in answer or ()]}
            if operation == "get_item":
                return {} if answer is None else {"Item": table._item(answer)}
            if operation == "update_item":
                return {"Attributes": table._item(answer or {})}
            return {} if answer is None else answer

        return call

    def get_paginator(self, operation: str) -> Any:
        """Return an object whose `paginate` gives the next answer."""
        return SimpleNamespace(paginate=getattr(self, operation))


def requests(
    call: Callable[[], Any],
    *answers: Any,
    environment: Mapping[str, str] = NO_VARIABLES,
    otherwise: str = "",
    known: Mapping[str, Any] = NO_VARIABLES,
) -> str:
    """Return the requests of a call as lines, then its result or error."""
    lines: list[str] = []
    left = list(answers)

    def client(name: str, region: str = "") -> Requests:
        service = "" if name == "dynamodb" else f"{name}{f' in {region}' if region else ''} "
        return Requests(left, lines, service, otherwise, known)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"IR_TABLE_NAME": "ledger", **environment}.items():
            patch.setenv(name, value)
        patch.setattr(aws, "client", client)
        patch.setattr(aws, "client_of_region", client)
        patch.setattr(regions, "client", client)
        session = SimpleNamespace(
            create_client=lambda name, **_: client(name),
            get_available_regions=lambda *given: client("of").regions(of=given),
        )
        patch.setattr(aws, "session", lambda: session)
        patch.setattr(clock, "now", lambda: NOW)
        patch.setattr(clock, "utc_now", lambda: datetime.fromtimestamp(NOW, UTC))
        patch.setattr(clock, "sleep", lambda seconds: lines.append(f"sleep {seconds:.3f}"))
        patch.setattr(uuid, "uuid4", lambda: SimpleNamespace(hex="own"))
        patch.setattr(random, "uniform", lambda low, high: (low + high) / 2)
        patch.setattr(random, "randrange", lambda end: end - 1)
        patch.setattr(audit._witness, "info", lambda *given, **more: lines.append(f"log {_line([given, more])}"))
        settings.cache_clear()
        audit.forget()
        try:
            found = call()
            ended = _line(list(found) if hasattr(found, "__next__") else found)
        except (ClientError, IrRouterError, TransactionFailedError) as error:
            ended = f"{type(error).__name__}: {error}"
        finally:
            audit.forget()
    settings.cache_clear()
    left_out = len(lines) - _MOST_LINES
    more = [f"({left_out} more lines)"] if left_out > 0 else []
    return "\n".join([*lines[:_MOST_LINES], *more, f"=> {ended}"])


def _line(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, default=repr)


def _plain(value: Any) -> Any:
    """Return a request or a result with plain values in place of DynamoDB's."""
    if isinstance(value, Mapping):
        if len(value) == 1 and next(iter(value)) in ("S", "N", "M", "L", "SS", "BOOL", "NULL", "B"):
            return _plain(table._from_dynamodb(table._deserialize(value)))  # type: ignore[arg-type]
        return {name: _plain(one) for name, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(_plain(one) for one in vars(value).values())]
    if isinstance(value, set | frozenset):
        return {"set": sorted(value)}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
