"""The workspace over HTTP: the Web API, uploads, downloads and response URLs, with faults and a call log."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from werkzeug.wrappers import Request, Response

from ir_sandbox.http import RunningServer
from ir_sandbox.slack.control import ControlEndpoint
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.faults import Fault
from ir_sandbox.slack.files import chunks_of
from ir_sandbox.slack.interactions import json_object
from ir_sandbox.slack.model import App, Json
from ir_sandbox.slack.rate_limits import RateLimited
from ir_sandbox.slack.scopes import require
from ir_sandbox.slack.store import random_word
from ir_sandbox.slack.web_api import METHODS, Method
from ir_sandbox.slack.workspace import SlackWorkspace

SIGN_IN_PAGE = (
    "<!DOCTYPE html><html><head><title>Slack</title></head><body><h1>Sign in to your workspace</h1></body></html>"
)
Answer = tuple[Response, str | None, App | None]
Act = Callable[[Request], Answer]


class SlackApplication:
    """The WSGI application of a workspace."""

    def __init__(self, workspace: SlackWorkspace) -> None:
        """Serve `workspace`."""
        self._workspace = workspace
        self._control = ControlEndpoint(workspace)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Handle one request."""
        request = Request(environ)
        path = request.path
        if path.startswith("/_local/"):
            return self._control.answer(request)(environ, start_response)
        act: Act
        if path.startswith("/api/"):
            method, act = path.removeprefix("/api/"), self._web_api
        elif path.startswith("/upload/v1/"):
            method, act = "files.upload", self._upload
        elif path.startswith("/files-pri/"):
            method, act = "files.download", self._download
        elif path.startswith(("/commands/", "/actions/")):
            method, act = "response_url", self._response_url
        else:
            return Response("not found", HTTPStatus.NOT_FOUND)(environ, start_response)
        response = self._with_faults(request, method, act)
        if response is None:
            drop_connection(environ)
            return []
        return response(environ, start_response)

    def _with_faults(self, request: Request, method: str, act: Act) -> Response | None:
        latency, fault = self._workspace.faults.take(method)
        if latency:
            self._workspace.sleep(latency)
        response: Response | None
        app: App | None = None
        if fault is None:
            response, error, app = act(request)
        else:
            if fault.has_effect:
                answered, _, app = act(request)
                answered.close()
            else:
                discard(request)
            response, error = answer_of(fault)
        status = response.status_code if response is not None else None
        self._workspace.record(method, status, error, app.app_id if app is not None else None)
        return response

    def _web_api(self, request: Request) -> Answer:
        app: App | None = None
        headers = {"X-Slack-Req-Id": random_word(32)}
        try:
            method = method_of(request.path.removeprefix("/api/"))
            arguments, warning = read_arguments(request, takes_json=method.takes_json)
            token = bearer_token(request) or arguments.pop("token", None)
            if method.needs_token:
                app = self._workspace.app_of_token(token)
                headers["X-OAuth-Scopes"] = ",".join(sorted(app.scopes))
            answer: Json = {"ok": True, **self._workspace.call(method, app, arguments, token)}
        except SlackError as error:
            return json_response(error.to_json(), headers=headers), error.error, app
        except RateLimited as limited:
            return rate_limited(limited.retry_after), "ratelimited", app
        if warning is not None:
            answer.setdefault("warning", warning)
            answer.setdefault("response_metadata", {}).setdefault("warnings", []).append(warning)
        return json_response(answer, headers=headers), None, app

    def _upload(self, request: Request) -> Answer:
        ticket = request.path.rsplit("/", 1)[1]
        content_type = request.mimetype
        try:
            if content_type == "multipart/form-data":
                uploaded = next(iter(request.files.values()), None)
                chunks = chunks_of(uploaded.stream.read) if uploaded is not None else iter(())
            else:
                chunks = chunks_of(request.stream.read)
            size = self._workspace.files.receive(ticket, chunks)
        except SlackError as error:
            return Response(error.error, HTTPStatus.NOT_FOUND), error.error, None
        return Response(f"OK - {size}"), None, None

    def _download(self, request: Request) -> Answer:
        file_id = request.path.split("/")[2].rpartition("-")[2]
        try:
            app = self._workspace.app_of_token(bearer_token(request))
            require(app, "files:read")
            with self._workspace.store.lock:
                file = self._workspace.files.visible(file_id, app.bot_user_id)
                not_served = self._workspace.files.answer_at_first(file)
                if not_served is not None:
                    return _not_yet(not_served, self._workspace.store.domain), None, app
                stream = file.path.open("rb")
        except SlackError as error:
            return Response(SIGN_IN_PAGE, content_type="text/html; charset=utf-8"), error.error, None
        response = Response(chunks_of(stream.read), content_type=file.mimetype)
        response.call_on_close(stream.close)
        response.content_length = file.uploaded or 0
        response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.name)}"
        return response, None, app

    def _response_url(self, request: Request) -> Answer:
        try:
            with self._workspace.store.lock:
                self._workspace.interactions.respond(request.path, json_object(request.get_data()))
        except SlackError as error:
            status = HTTPStatus.NOT_FOUND if error.error in {"expired_url", "used_url"} else HTTPStatus.BAD_REQUEST
            return json_response(error.to_json(), status=status), error.error, None
        return Response("ok"), None, None


def _not_yet(status: int, domain: str) -> Response:
    """Return the answer to a download before the file is processed."""
    page = SIGN_IN_PAGE if status == HTTPStatus.OK else ""
    response = Response(page, status, content_type="text/html; charset=utf-8")
    if status == HTTPStatus.FOUND:
        response.headers["Location"] = f"https://{domain}.slack.com/?redir=%2Ffiles-pri"
    return response


def serve(workspace: SlackWorkspace, port: int = 0) -> RunningServer:
    """Serve a workspace on 127.0.0.1, with the Web API at `<url>/api/`.

    Port 0 selects a free port. Closing the server does not close the workspace.
    """
    server = RunningServer(SlackApplication(workspace), port)
    workspace.store.base_url = server.url
    return server


def method_of(name: str) -> Method:
    """Return a method by its name; raises SlackError `unknown_method`."""
    method = METHODS.get(name)
    if method is None:
        raise SlackError("unknown_method", req_method=name)
    return method


def read_arguments(request: Request, *, takes_json: bool) -> tuple[Json, str | None]:
    """Read the arguments of a query string, form or JSON body.

    Args:
        request: The request.
        takes_json: Whether the method reads JSON bodies.

    Returns:
        The arguments, and Slack's warning if there is one.

    Raises:
        SlackError: `invalid_json`, `json_not_object`.
    """
    arguments: Json = dict(request.args.items())
    if request.mimetype != "application/json":
        return {**arguments, **dict(request.form.items())}, None
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError:
        raise SlackError("invalid_json") from None
    if not isinstance(body, dict):
        raise SlackError("json_not_object")
    if takes_json:
        arguments |= {name: value for name, value in body.items() if value is not None}
    return arguments, None if "charset" in (request.content_type or "") else "missing_charset"


def bearer_token(request: Request) -> str | None:
    """Return the token in the Authorization header, if any."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def json_response(body: Json, *, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response as Slack sends it."""
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, status, headers, content_type="application/json; charset=utf-8")


def rate_limited(retry_after: int) -> Response:
    """Return 429 with `Retry-After` in seconds."""
    headers = {"Retry-After": str(retry_after)}
    return json_response({"ok": False, "error": "ratelimited"}, status=HTTPStatus.TOO_MANY_REQUESTS, headers=headers)


def answer_of(fault: Fault) -> tuple[Response | None, str]:
    """Return a fault's response (None closes the connection) and its name in the call log."""
    match fault.kind:
        case "ratelimited":
            return rate_limited(fault.retry_after), "ratelimited"
        case "status":
            return Response("upstream error", fault.status, content_type="text/plain"), f"http_{fault.status}"
        case "error":
            return json_response({"ok": False, "error": fault.error}), fault.error
        case "malformed":
            return Response('{"ok": tru', content_type="application/json"), "malformed"
        case _:
            return None, fault.kind


def discard(request: Request) -> None:
    """Read and discard the body, so that the client receives the response."""
    for _ in chunks_of(request.stream.read):
        pass


def drop_connection(environ: dict[str, Any]) -> None:
    """Close the connection without a response, like a network failure."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
