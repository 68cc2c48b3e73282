"""The service over HTTP: the API, the addresses of attachments, and the control door under `/_local/`."""

from __future__ import annotations

import logging
import os
import re
import socket
import struct
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, BinaryIO, Literal, NoReturn
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from werkzeug.utils import send_file
from werkzeug.wrappers import Request, Response

from ir_local.http import RunningServer
from ir_local.security_ir.attachments import PATH as ATTACHMENTS_PATH
from ir_local.security_ir.attachments import StorageError
from ir_local.security_ir.calls import Call
from ir_local.security_ir.control import PATH as CONTROL_PATH
from ir_local.security_ir.control import ControlDoor
from ir_local.security_ir.errors import ApiError, validation
from ir_local.security_ir.faults import FaultKind
from ir_local.security_ir.model import find_route
from ir_local.security_ir.protocol import Answer, read_request, write_answer, write_error
from ir_local.security_ir.records import Principal
from ir_local.security_ir.service import SecurityIrService
from ir_local.security_ir.state import Caller

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,]+)/\d{8}/[^/,]+/([^/,]+)/aws4_request")


def serve(service: SecurityIrService, port: int = 0) -> RunningServer:
    """Serve a service on 127.0.0.1; raises OSError if the port is taken. Closing the server leaves the service."""
    return RunningServer(Application(service), port)


class Application:
    """The WSGI application around a service."""

    def __init__(self, service: SecurityIrService) -> None:
        """Serve `service`."""
        self._service = service
        self._control = ControlDoor(service)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        raw_path, _, query = environ["REQUEST_URI"].partition("?")
        if raw_path.startswith(CONTROL_PATH):
            response = self._control.answer(request)
        elif raw_path.startswith(ATTACHMENTS_PATH):
            response = self._answer_storage(request, raw_path.removeprefix(ATTACHMENTS_PATH))
        else:
            response = self._answer_api(request, raw_path, query)
        return response(environ, start_response)

    def _answer_api(self, request: Request, raw_path: str, query: str) -> Response:
        route = find_route(request.method, raw_path)
        if route is None:
            error = validation(f"No operation is at {request.method} {raw_path}.", reason="UNKNOWN_OPERATION")
            return self._carry_out(request, "Unknown", lambda: _response(write_error(error)))
        operation, labels = route
        body = request.get_data()

        def effect() -> Response:
            try:
                principal = self._authenticate(request)
                parameters = read_request(operation, labels, parse_qs(query, keep_blank_values=True), body)
                caller = Caller(principal, request.host_url.rstrip("/"))
                return _response(write_answer(operation, self._service.perform(operation.name, parameters, caller)))
            except ApiError as error:
                return _response(write_error(error))

        return self._carry_out(request, operation.name, effect)

    def _answer_storage(self, request: Request, attachment_id: str) -> Response:
        """Play S3's part: PUT takes a file, GET gives it."""
        attachments = self._service.attachments
        query = request.args.to_dict()

        def upload() -> Response:
            stream: BinaryIO = request.environ["wsgi.input"]
            stored = attachments.receive(query, attachment_id, stream, request.content_length)
            attachments.keep(attachment_id, stored, request.content_type or "binary/octet-stream")
            return Response(headers={"ETag": f'"{stored.sha256}"'})

        def download() -> Response:
            file = attachments.open(query, attachment_id)
            response = send_file(file.path, request.environ, file.content_type, etag=file.sha256)
            response.headers["Content-Type"] = file.content_type
            return response

        def refuse() -> Response:
            raise StorageError(405, "MethodNotAllowed", "The specified method is not allowed.")

        operation, effect = {"PUT": ("UploadAttachment", upload), "GET": ("DownloadAttachment", download)}.get(
            request.method, ("Unknown", refuse)
        )

        def effect_or_refusal() -> Response:
            try:
                return effect()
            except StorageError as error:
                document = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
                return Response(document, error.status, content_type="application/xml")

        return self._carry_out(request, operation, effect_or_refusal)

    def _authenticate(self, request: Request) -> Principal:
        """Take the caller from the access key of the SigV4 header; the signature itself is not checked."""
        header = request.headers.get("Authorization", "")
        credential = _CREDENTIAL.match(header)
        if credential is None:
            raise ApiError("MissingAuthenticationTokenException", "Missing Authentication Token")
        access_key, signing_name = credential.groups()
        if signing_name != "security-ir":
            message = "Credential should be scoped to correct service: 'security-ir'."
            raise ApiError("InvalidSignatureException", message)
        return self._service.principal(access_key)

    def _carry_out(self, request: Request, operation: str, effect: Callable[[], Response]) -> Response:
        """Answer a call, with the faults that wait for it, and log it."""
        request_id = str(uuid.uuid4())
        response = self._strike(request, operation, "before", request_id)
        if response is None:
            try:
                response = effect()
            except Exception as error:
                logger.exception("the local Security IR service failed in %s", operation)
                message = f"FAULT IN THE LOCAL SECURITY IR SERVICE: {error!r}"
                response = _response(write_error(ApiError("InternalServerException", message)))
            response = self._strike(request, operation, "after", request_id) or response
        response.headers["x-amzn-RequestId"] = request_id
        self._service.calls.add(Call(operation, response.status_code, time.monotonic(), request_id))
        return response

    def _strike(
        self, request: Request, operation: str, phase: Literal["before", "after"], request_id: str
    ) -> Response | None:
        for fault in self._service.faults.strike(operation, phase):
            match fault.kind:
                case FaultKind.LATENCY:
                    time.sleep(fault.latency_seconds)
                case FaultKind.ERROR:
                    return _response(write_error(fault.error()))
                case FaultKind.MALFORMED:
                    return Response(b'{"caseId": "12', 200, content_type="application/json")
                case FaultKind.RESET:
                    self._service.calls.add(Call(operation, None, time.monotonic(), request_id))
                    _reset_connection(request)
        return None


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers)


def _reset_connection(request: Request) -> NoReturn:
    """Close the client's connection with RST; raises ConnectionAbortedError, on which the server gives up quietly."""
    connection: socket.socket = request.environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # The server goes on reading: give it a socket that is at its end in place of one that is gone.
    ended, other_side = socket.socketpair()
    with ended, other_side:
        os.dup2(ended.fileno(), connection.fileno())
    raise ConnectionAbortedError("the connection was reset on purpose")
