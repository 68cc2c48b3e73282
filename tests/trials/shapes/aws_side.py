"""AWS in the player: scripted answers of the services and of S3's presigned addresses, and the state they describe."""

from __future__ import annotations

import io
import threading
import time
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import boto3
import botocore.endpoint
import urllib3
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from moto.iam.models import iam_backends

from ir_sandbox.security_ir.records import AWS_RESPONDER
from tests.trials.shapes.entries import BEGIN, Entry
from tests.trials.shapes.scripts import Script, Scripts
from tests.trials.world import ACCOUNT, HttpAnswer, World

_NEVER = timedelta(days=3650)
_PENDING_CONTENT = b"synthetic report\n"


class ScriptedAnswer(HttpAnswer):
    """The attributes that botocore reads from a response that is already parsed."""

    content = b"{}"
    raw = None

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        """Set the status and the headers, which the functions read in any case."""
        super().__init__(status)
        self.headers = urllib3.HTTPHeaderDict(headers)


class AwsSide:
    """The scripted answers of one entry, in front of moto and the local Security IR."""

    def __init__(self, world: World, entry: Entry) -> None:
        """Read the entry's answers; `installed` makes them count."""
        self._world = world
        self.answers = Scripts(
            entry.of("aws_answers"), lambda answer: f"{answer['service']} {answer['operation']}", BEGIN
        )
        self.storage = Scripts(entry.of("s3_answers"), lambda answer: str(answer["request"]).split()[0], BEGIN)
        self.outside: list[str] = []
        self._local_address: dict[str, str] = {}
        self._called = threading.local()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Answer the functions' requests for the length of a `with` block."""
        send: Any = botocore.endpoint.Endpoint._do_get_response  # type: ignore[attr-defined]
        requested: Any = urllib3.PoolManager.urlopen
        events = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]

        def remember(params: Any, **_: Any) -> None:
            self._called.arguments = params if isinstance(params, Mapping) else {}

        events.register_first("before-parameter-build", remember)

        def get_response(endpoint: Any, request: Any, operation_model: Any, context: Any) -> Any:
            def real() -> Any:
                return send(endpoint, request, operation_model, context)

            script = self._script(operation_model) if self._world.wire.is_invoking else None
            return real() if script is None else self._answer(script, operation_model, request, real)

        def request(pool: Any, method: str, url: str, *arguments: Any, **options: Any) -> Any:
            if not self._world.wire.is_invoking:
                return requested(pool, method, url, *arguments, **options)
            return self._storage(method, url, lambda to: requested(pool, method, to, *arguments, **options), options)

        with (
            mock.patch.object(
                botocore.endpoint, "time", types.SimpleNamespace(sleep=self._world.sleep, time=time.time)
            ),
            mock.patch.object(botocore.endpoint.Endpoint, "_do_get_response", get_response),
            mock.patch.object(urllib3.PoolManager, "urlopen", request),
        ):
            yield

    # Services

    def _script(self, operation_model: Any) -> Script | None:
        model = operation_model.service_model
        arguments = getattr(self._called, "arguments", {})
        for service in dict.fromkeys((model.service_name, model.service_id.hyphenize(), model.endpoint_prefix)):
            key = f"{service} {operation_model.name}"
            script = self.answers.peek(key, arguments, self._world.now())
            if script is not None and self._is_about(script, arguments):
                return self.answers.take(key, arguments, self._world.now())
        return None

    def _is_about(self, script: Script, arguments: Mapping[str, Any]) -> bool:
        """Return whether an answer that names an attachment names the one of the call."""
        body = script.answer.get("body")
        if not isinstance(body, Mapping) or body.get("resourceType") != "attachment" or "attachmentId" not in arguments:
            return True
        return bool(body.get("resourceId") == arguments["attachmentId"])

    def _answer(self, script: Script, operation_model: Any, request: Any, real: Any) -> Any:
        answer, operation = script.answer, operation_model.name
        status = int(answer.get("http_status") or 0)
        if status == 0:
            return None, EndpointConnectionError(endpoint_url=request.url)
        if status < 400:
            self.apply(answer)
            response, error = real()
            if answer.get("answer_lost"):
                return None, ConnectionClosedError(endpoint_url=request.url)
            if error is not None or response[0].status_code >= 400:
                return response, error
            response[1].update(self._overlay(operation, operation_model, answer.get("body"), response[1]))
            return response, None
        if answer.get("answer_lost"):
            return None, ConnectionClosedError(endpoint_url=request.url)
        return (ScriptedAnswer(status, _headers(answer)), _refusal(answer, status, operation_model)), None

    def _overlay(self, operation: str, operation_model: Any, body: Any, real: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the members that a scripted success changes in the real answer, which keeps the ids of this world."""
        if not isinstance(body, Mapping):
            return {}
        if operation == "GetCaseAttachmentUploadUrl":
            address = str(body.get("attachmentPresignedUrl"))
            self._local_address[address] = str(real.get("attachmentPresignedUrl"))
            return {"attachmentPresignedUrl": address}
        is_read = operation.startswith(("Get", "List", "Describe", "BatchGet", "Receive"))
        if not is_read or operation in _APPLIED:
            return {}
        shape = operation_model.output_shape
        return {name: _typed(value, shape.members.get(name)) for name, value in body.items()} if shape else {}

    # State that an answer describes

    def apply(self, answer: Mapping[str, Any]) -> None:
        """Put the state that a successful answer describes into the local services."""
        body = answer.get("body")
        if not isinstance(body, Mapping) or int(answer.get("http_status") or 0) >= 400:
            return
        if answer.get("operation") == "GetCase":
            for shown in body.get("caseAttachments") or []:
                self._attachment(shown)
        if self._once(answer):
            if answer.get("operation") == "ListAccessKeys":
                _keys(body.get("AccessKeyMetadata") or [])
            if answer.get("operation") == "ListAttachedUserPolicies":
                _attached(body.get("AttachedPolicies") or [])

    def _once(self, answer: Mapping[str, Any]) -> bool:
        seen = self.__dict__.setdefault("_applied", [])
        if any(one is answer for one in seen):
            return False
        seen.append(answer)
        return True

    def _attachment(self, shown: Mapping[str, Any]) -> None:
        service = self._world.security_ir
        cases = service._state.cases
        if not cases:
            return
        case = next(iter(cases.values()))
        name = str(shown.get("fileName", ""))
        ours = [one for one in case.attachments.values() if one.creator != AWS_RESPONDER]
        found = case.attachments.get(str(shown.get("attachmentId")))
        if found is None and name.startswith("("):
            found = ours[-1] if ours else None
            if found is None:
                return
        if found is None:
            found = next((one for one in case.attachments.values() if one.file_name == name), None)
        if found is None:
            creator = str(shown.get("creator") or AWS_RESPONDER)
            made = service.add_attachment_as(case.case_id, creator, file_name=name, content=_PENDING_CONTENT)
            found = case.attachments.pop(made)
            found.attachment_id = str(shown.get("attachmentId") or made)
            case.attachments[found.attachment_id] = found
        now = datetime.fromtimestamp(self._world.now(), UTC)
        status = shown.get("attachmentStatus", "Verified")
        found.verified_at = now + _NEVER if status == "Pending" else min(found.verified_at, now)
        found.infected = status == "Failed"

    # Storage

    def _storage(self, method: str, url: str, real: Any, options: Mapping[str, Any]) -> Any:
        host = urlsplit(url).hostname or ""
        local = self._local_address.get(url, url)
        is_storage = host.endswith("amazonaws.com") or "/_attachments/" in url
        if not is_storage:
            if host not in ("127.0.0.1", "localhost"):
                self.outside.append(f"{method} {url.partition('?')[0]}")
                raise urllib3.exceptions.ProtocolError(f"the player reaches no host outside: {host}")
            return real(url)
        script = self.storage.take(method, {}, self._world.now())
        if script is None:
            return real(local)
        answer = script.answer
        status = int(answer.get("http_status") or 0)
        sent = {str(name).lower(): str(value) for name, value in (options.get("headers") or {}).items()}
        missed = [
            name for name, value in (answer.get("requires") or {}).items() if sent.get(name.lower()) != str(value)
        ]
        if missed:
            instead = answer.get("else_answers") or {"http_status": 403, "code": "SignatureDoesNotMatch"}
            document = f"<Error><Code>{instead.get('code')}</Code><Message>{', '.join(missed)}</Message></Error>"
            return _raw(int(instead.get("http_status", 403)), document, {"Content-Type": "application/xml"})
        if 0 < status < 300:
            response = real(local)
            if answer.get("answer_lost"):
                raise urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError())
            if method == "GET" or response.status >= 400:
                return response
            return _raw(status, "", answer.get("headers") or {})
        if status == 0 or answer.get("answer_lost"):
            raise urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError())
        return _raw(status, str(answer.get("body") or ""), answer.get("headers") or {})


_APPLIED = frozenset({"GetCase", "ListAccessKeys", "ListAttachedUserPolicies"})


def _raw(status: int, document: str, headers: Mapping[str, str]) -> urllib3.HTTPResponse:
    body = io.BytesIO(document.encode())
    return urllib3.HTTPResponse(body=body, status=status, headers=dict(headers), preload_content=False)


def _headers(answer: Mapping[str, Any]) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in (answer.get("headers") or {}).items()}


def _refusal(answer: Mapping[str, Any], status: int, operation_model: Any) -> dict[str, Any]:
    """Return a refusal as botocore parses it."""
    raw = answer.get("body")
    body: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}
    headers = _headers(answer)
    error = body.get("Error") if isinstance(body.get("Error"), Mapping) else {}
    code = headers.get("x-amzn-errortype") or body.get("__type") or (error or {}).get("Code") or "Unknown"
    code = str(code).partition(":")[0].rpartition("#")[2]
    message = (error or {}).get("Message") or body.get("message") or body.get("Message") or ""
    parsed: dict[str, Any] = {"Error": {"Code": code, "Message": str(message)}}
    if isinstance(raw, str):
        parsed["Error"]["Message"] = raw
    if (error or {}).get("Type"):
        parsed["Error"]["Type"] = (error or {})["Type"]
    shape = operation_model.service_model.shape_for_error_code(code)
    if shape is not None:
        for name, member in shape.members.items():
            where = member.serialization.get("name", name)
            if member.serialization.get("location") == "header":
                if where.lower() in headers:
                    parsed[name] = _typed(headers[where.lower()], member)
            elif where in body:
                parsed[name] = _typed(body[where], member)
    parsed["ResponseMetadata"] = {"HTTPStatusCode": status, "HTTPHeaders": headers, "RetryAttempts": 0}
    return parsed


def _typed(value: Any, shape: Any) -> Any:
    """Return a JSON value with the types that botocore gives to a shape's members."""
    if shape is None or value is None:
        return value
    if shape.type_name == "timestamp":
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        return datetime.fromisoformat(str(value))
    if shape.type_name == "structure" and isinstance(value, Mapping):
        return {name: _typed(item, shape.members.get(name)) for name, item in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [_typed(item, shape.member) for item in value]
    if shape.type_name in ("integer", "long") and str(value).isdigit():
        return int(value)
    return value


def put_key(user_name: str, key: str, status: str) -> None:
    """Give a user an access key with this id, or set the status of its key."""
    backend = iam_backends[ACCOUNT]["aws"]
    user = backend.users[user_name]
    found = next((one for one in user.access_keys if one.access_key_id == key), None)
    if found is None:
        found = backend.create_access_key(user_name)
        backend.access_keys[key] = backend.access_keys.pop(found.access_key_id)
        found.access_key_id = key
    found.status = status


def _keys(shown: list[Mapping[str, Any]]) -> None:
    """Set users' keys to those of a ListAccessKeys answer."""
    backend = iam_backends[ACCOUNT]["aws"]
    for name in {str(one.get("UserName")) for one in shown}:
        if name not in backend.users:
            continue
        listed = {
            str(one["AccessKeyId"]): str(one.get("Status", "Active")) for one in shown if one.get("UserName") == name
        }
        user = backend.users[name]
        user.access_keys[:] = [key for key in user.access_keys if key.access_key_id in listed]
        for key, status in listed.items():
            put_key(name, key, status)


def _attached(shown: list[Mapping[str, Any]]) -> None:
    """Attach exactly the policies of a ListAttachedUserPolicies answer to every user."""
    backend = iam_backends[ACCOUNT]["aws"]
    wanted = {str(one["PolicyArn"]): str(one.get("PolicyName", "policy")) for one in shown}
    for user in backend.users.values():
        for arn in [arn for arn in user.managed_policies if arn not in wanted]:
            backend.detach_user_policy(arn, user.name)
        for arn, name in wanted.items():
            attach(user.name, arn, name)


def attach(user_name: str, arn: str, name: str, *, is_role: bool = False) -> None:
    """Attach a managed policy to a user or a role; create it if moto does not know it."""
    backend = iam_backends[ACCOUNT]["aws"]
    if arn not in backend.managed_policies:
        from moto.iam.models import AWSManagedPolicy

        document = {"Version": "2012-10-17", "Statement": []}
        data = {"Arn": arn, "Path": "/", "CreateDate": "2020-01-01T00:00:00+00:00", "DefaultVersionId": "v1"}
        made = AWSManagedPolicy.from_data(
            name, ACCOUNT, "us-east-1", {**data, "Document": document, "UpdateDate": data["CreateDate"]}
        )
        backend.managed_policies[arn] = made
    if is_role:
        backend.attach_role_policy(arn, user_name)
    elif arn not in backend.users[user_name].managed_policies:
        backend.attach_user_policy(arn, user_name)
