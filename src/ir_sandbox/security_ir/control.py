"""The control API under `/_local/`: the Python API that tests use in-process, over HTTP.

Request and response bodies are JSON with the names of the Python API. `GET /_local/` lists the endpoints.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from werkzeug.wrappers import Request, Response

from ir_sandbox.security_ir.attachments import StorageError
from ir_sandbox.security_ir.clock import AdjustableClock
from ir_sandbox.security_ir.errors import ApiError
from ir_sandbox.security_ir.faults import Fault
from ir_sandbox.security_ir.model import service_model
from ir_sandbox.security_ir.protocol import write_error
from ir_sandbox.security_ir.records import AWS_RESPONDER, Principal
from ir_sandbox.security_ir.service import SecurityIrService
from ir_sandbox.security_ir.settings import EventSwitches, Settings
from ir_sandbox.security_ir.shapes import require

PATH = "/_local/"

Body = TypeVar("Body")
Operation = Callable[[Request], object]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ApiCall(_Strict):
    """An operation of the API, called as any principal; timestamps in seconds since the epoch."""

    operation: str
    parameters: dict[str, object] = {}
    principal: str = AWS_RESPONDER


class StatusChange(_Strict):
    """See `SecurityIrService.set_status_as`."""

    case_id: str
    status: str
    creator: str = AWS_RESPONDER


class PendingActionChange(_Strict):
    """See `SecurityIrService.set_pending_action_as`."""

    case_id: str
    pending_action: str
    creator: str = AWS_RESPONDER


class Closure(_Strict):
    """See `SecurityIrService.close_case_as`."""

    case_id: str
    closure_code: str | None = None
    creator: str = AWS_RESPONDER


class NewAttachment(_Strict):
    """See `SecurityIrService.add_attachment_as`."""

    case_id: str
    file_name: str
    creator: str = AWS_RESPONDER


class NewInvestigation(_Strict):
    """See `SecurityIrService.add_investigation`."""

    case_id: str
    action_type: str
    title: str
    content: str
    status: str


class Step(_Strict):
    """By how many seconds the clock moves forward."""

    seconds: float = Field(ge=0)


class ControlEndpoint:
    """Handles the requests under `/_local/`."""

    def __init__(self, service: SecurityIrService) -> None:
        """Control `service`."""
        self._service = service
        self._operations: dict[tuple[str, str], Operation] = {
            ("GET", ""): lambda _: [f"{method} {PATH}{path}" for method, path in self._operations],
            ("GET", "ready"): lambda _: {"ready": True},
            ("GET", "state"): lambda _: service.snapshot(),
            ("GET", "calls"): lambda _: [asdict(call) for call in service.calls.all()],
            ("DELETE", "calls"): lambda _: service.calls.reset(),
            ("GET", "faults"): lambda _: [fault.model_dump(mode="json") for fault in service.faults.waiting()],
            ("POST", "faults"): lambda request: service.faults.add(_body(request, Fault)),
            ("DELETE", "faults"): lambda _: service.faults.clear(),
            ("GET", "settings"): lambda _: service.settings.model_dump(mode="json"),
            ("PUT", "settings"): lambda request: service.configure(_body(request, Settings)),
            ("GET", "events"): lambda _: service.events.recorded(),
            ("GET", "events/undelivered"): lambda _: service.events.undelivered(),
            ("POST", "events/flush"): lambda _: service.events.flush(),
            ("GET", "events/switches"): lambda _: service.events.switches.model_dump(),
            ("PUT", "events/switches"): lambda request: service.events.switch(_body(request, EventSwitches)),
            ("GET", "principals"): lambda _: dict(service.principals),
            ("PUT", "principals"): self._put_principals,
            ("PUT", "response-team"): lambda request: service.set_response_team(_body(request, list[dict[str, str]])),
            ("PUT", "organization"): lambda request: service.set_organization(_body(request, list[str])),
            ("POST", "call"): self._call,
            ("POST", "act/status"): lambda request: service.set_status_as(**_fields(request, StatusChange)),
            ("POST", "act/pending-action"): lambda request: service.set_pending_action_as(
                **_fields(request, PendingActionChange)
            ),
            ("POST", "act/close"): lambda request: service.close_case_as(**_fields(request, Closure)),
            ("POST", "act/investigation"): lambda request: service.add_investigation(
                **_fields(request, NewInvestigation)
            ),
            ("POST", "act/attachment"): self._attach,
            ("POST", "clock/advance"): self._advance,
        }

    def answer(self, request: Request) -> Response:
        """Handle one request: 200 with JSON, 404 for an unknown endpoint, 400 for an invalid body."""
        operation = self._operations.get((request.method, request.path.removeprefix(PATH)))
        if operation is None:
            return _json({"error": f"unknown endpoint; GET {PATH} lists all"}, 404)
        try:
            return _json(operation(request))
        except ApiError as error:
            refusal = write_error(error)
            return Response(refusal.body, refusal.status, refusal.headers)
        except (ValueError, StorageError) as error:
            return _json({"error": str(error)}, 400)

    def _put_principals(self, request: Request) -> None:
        principals = _body(request, dict[str, str])
        for principal_id in principals.values():
            require("PrincipalId", principal_id)
        self._service.principals.clear()
        self._service.principals.update(principals)

    def _call(self, request: Request) -> object:
        call = _body(request, ApiCall)
        if call.operation not in service_model().operation_names:
            raise ValueError(f"{call.operation} is not an operation of the API")
        return self._service.call(
            call.operation, call.parameters, as_principal=call.principal, base_url=request.host_url.rstrip("/")
        )

    def _attach(self, request: Request) -> object:
        """Attach the request's body as a file; the query string holds its properties."""
        file = NewAttachment.model_validate(request.args.to_dict())
        require("FileName", file.file_name)
        stream: BinaryIO = request.environ["wsgi.input"]
        size, content_type = request.content_length or 0, request.content_type or "binary/octet-stream"
        attachment_id = self._service.attachments.attach(
            file.case_id, Principal(file.creator), file.file_name, stream, size, content_type
        )
        return {"attachment_id": attachment_id}

    def _advance(self, request: Request) -> None:
        clock = self._service.clock
        if not isinstance(clock, AdjustableClock):
            raise ValueError("this service has no adjustable clock")  # noqa: TRY004 - not the caller's argument
        clock.advance(timedelta(seconds=_body(request, Step).seconds))


def _body(request: Request, form: type[Body]) -> Body:
    return TypeAdapter(form).validate_json(request.get_data())


def _fields(request: Request, form: type[_Strict]) -> dict[str, str]:
    return _body(request, form).model_dump()


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value, default=_plain), status, content_type="application/json")


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case Path():
            return str(value)
        case set() | frozenset():
            return sorted(value)
    raise TypeError(f"{type(value)} cannot be written as JSON")
