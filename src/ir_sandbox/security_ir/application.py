"""The service over HTTP: the API, the presigned attachment URLs, and the control API under `/_local/`."""

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

from ir_sandbox.http import RunningServer
from ir_sandbox.security_ir.attachments import PATH as ATTACHMENTS_PATH
from ir_sandbox.security_ir.attachments import StorageError
from ir_sandbox.security_ir.calls import Call
from ir_sandbox.security_ir.control import PATH as CONTROL_PATH
from ir_sandbox.security_ir.control import ControlEndpoint
from ir_sandbox.security_ir.errors import ApiError, validation
from ir_sandbox.security_ir.faults import FaultKind
from ir_sandbox.security_ir.model import find_route
from ir_sandbox.security_ir.protocol import Answer, read_request, write_answer, write_error
from ir_sandbox.security_ir.records import Principal
from ir_sandbox.security_ir.service import SecurityIrService
from ir_sandbox.security_ir.state import Caller

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,]+)/\d{8}/[^/,]+/([^/,]+)/aws4_request")


def serve(service: SecurityIrService, port: int = 0) -> RunningServer:
    """Serve a service on 127.0.0.1; raises OSError if the port is in use. Closing the server keeps the service open."""
    return RunningServer(Application(service), port)


class Application:
    """The WSGI application around a service."""

    def __init__(self, service: SecurityIrService) -> None:
        """Serve `service`."""
        self._service = service
        self._control = ControlEndpoint(service)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
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
            error = validation(f"{request.method} {raw_path} is not an operation.", reason="UNKNOWN_OPERATION")
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
        """Handle a presigned URL as S3 does: PUT stores a file, GET returns it."""
        attachments = self._service.attachments
        query = request.args.to_dict()

        def upload() -> Response:
            stream: BinaryIO = request.environ["wsgi.input"]
            stored = attachments.receive(
                query, attachment_id, stream, request.content_length, {k.lower(): v for k, v in request.headers.items()}
            )
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
                return _storage_response(error)

        return self._carry_out(request, operation, effect_or_refusal)

    def _authenticate(self, request: Request) -> Principal:
        """Return the caller by the access key of the SigV4 header; the signature is not verified."""
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
        """Handle a call, apply its pending faults, and log it."""
        request_id = str(uuid.uuid4())
        response = self._strike(request, operation, "before", request_id)
        if response is None:
            try:
                response = effect()
            except Exception as error:
                logger.exception("security_ir.operation_failed: the local Security IR service raised in %s", operation)
                message = f"BUG IN THE LOCAL SECURITY IR SERVICE: {error!r}"
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
                    self._service.sleep(fault.latency_seconds)
                case FaultKind.ERROR if fault.storage_error is not None:
                    return _storage_response(fault.storage_error)
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


def _storage_response(error: StorageError) -> Response:
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
    )
    return Response(document, error.status, content_type="application/xml")


def _reset_connection(request: Request) -> NoReturn:
    """Reset the client's connection (RST); raises ConnectionAbortedError, which the server ignores."""
    connection: socket.socket = request.environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # The server keeps reading: replace the closed socket with one at end of file.
    ended, other_side = socket.socketpair()
    with ended, other_side:
        os.dup2(ended.fileno(), connection.fileno())
    raise ConnectionAbortedError("the connection was reset on purpose")
