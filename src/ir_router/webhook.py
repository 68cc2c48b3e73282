"""The door that faces the internet: verify, hand over, answer.

It makes one outbound call when warm (SQS SendMessage, or an asynchronous Lambda invocation), and none for a request
that is not Slack's. Nothing heavy is imported here: every cold start of the door pays for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws
from ir_router.commands import acknowledgement, forms
from ir_router.errors import IrRouterError, NotConfiguredError, RetryLaterError, UncertainError, error_id
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack import credentials, inbound, signature

# Slack's largest requests (a message of 40,000 characters with its blocks) stay well below it.
BODY_LIMIT = 1_000_000
_NOT_ACCEPTED = (
    "⚠️ Temporary connectivity issue\nYour request was not accepted and will not be tried again; please repeat it.\n"
    "Error ID: {}"
)

_COMMAND_FIELDS = (
    "command",
    "text",
    "user_id",
    "user_name",
    "team_id",
    "enterprise_id",
    "channel_id",
    "response_url",
    "trigger_id",
)

# Characters that JSON can carry and SQS refuses (SendMessage); json.dumps escapes those below U+0020 by itself.
_NOT_FOR_SQS = re.compile("[\ud800-\udfff\ufffe\uffff]")

Answer = dict[str, Any]


def handle(event: Mapping[str, Any], context: object) -> Answer:  # noqa: ARG001 - every route has this shape
    """Answer an API Gateway proxy request. Only requests that Slack signed have any effect."""
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    body = _body(event)
    if body is None or len(body) > BODY_LIMIT:
        return _answer(413 if body else 401)
    try:
        return _checked(headers, body)
    except NotConfiguredError as error:
        logger.error("not configured", extra={"reason": str(error)})
        return _answer(503)
    except (RetryLaterError, UncertainError) as error:
        # Slack delivers an event again after a 5xx.
        return _answer(503, _not_accepted(error))


def _checked(headers: Mapping[str, str], body: bytes) -> Answer:
    """Raises NotConfiguredError, RetryLaterError and UncertainError when a parameter cannot be read."""
    if not signature.is_authentic(
        headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", ""), body
    ):
        logger.info("refused a request that Slack did not sign")
        return _answer(401)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return _answer(401)
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return _form(dict(parse_qsl(text, keep_blank_values=True)))
    return _json(text, headers, body)


def _body(event: Mapping[str, Any]) -> bytes | None:
    raw = event.get("body")
    if not isinstance(raw, str):
        return None
    if not event.get("isBase64Encoded"):
        return raw.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError):
        return None


def _json(text: str, headers: Mapping[str, str], body: bytes) -> Answer:
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        return _answer(400)
    if not isinstance(payload, dict):
        return _answer(400)
    if payload.get("type") == "url_verification":
        return _answer(200, {"challenge": str(payload.get("challenge", ""))})
    event = payload.get("event")
    if payload.get("type") != "event_callback" or not isinstance(event, dict):
        return _answer(200)
    # On Enterprise Grid an event may name the organisation alone.
    if not credentials.is_our_workspace(payload.get("team_id"), payload.get("enterprise_id")):
        return _answer(403)
    if not inbound.is_wanted(event, str(payload.get("api_app_id") or "")):
        return _answer(200)
    return _enqueue(payload, event, headers, body)


def _enqueue(payload: Mapping[str, Any], event: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> Answer:
    is_file = event.get("type") == "file_shared"
    queue = settings().require("files_queue_url" if is_file else "slack_events_queue_url")
    group = str(event.get("file_id") or "none") if is_file else inbound.channel_of(event)
    signed = headers.get("x-slack-request-timestamp", "").encode() + body
    message = {
        "event_id": payload.get("event_id"),
        "team_id": payload.get("team_id"),
        "enterprise_id": payload.get("enterprise_id"),
        "app_id": payload.get("api_app_id"),
        "event": inbound.trimmed(event),
    }
    try:
        aws.client("sqs").send_message(
            QueueUrl=queue,
            MessageBody=_NOT_FOR_SQS.sub(_escaped, json.dumps(message, ensure_ascii=False)),
            MessageGroupId=_identifier(group),
            MessageDeduplicationId=_identifier(str(payload.get("event_id") or hashlib.sha256(signed).hexdigest())),
        )
    except (BotoCoreError, ClientError) as error:
        # Slack delivers the event again after a 5xx.
        logger.error("could not hand an event over", extra={"error": type(error).__name__})
        return _answer(503)
    return _answer(200)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _form(form: Mapping[str, str]) -> Answer:
    if form.get("ssl_check") == "1":
        return _answer(200)
    if "payload" in form:
        return _interaction(form["payload"])
    if not form.get("command"):
        return _answer(400)
    try:
        if not credentials.is_our_workspace(form.get("team_id"), form.get("enterprise_id")):
            return _answer(403)
    except (RetryLaterError, UncertainError) as error:
        return _answer(200, _not_accepted(error))
    # Only what is read goes on: the form also holds Slack's legacy verification token.
    command = {name: form[name] for name in _COMMAND_FIELDS if name in form}
    failure = _invoke({"task": "slash_command", "command": command})
    return _answer(200, failure or _ephemeral(acknowledgement.text(form)))


def _interaction(text: str) -> Answer:
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        return _answer(400)
    if not isinstance(payload, dict):
        return _answer(400)
    team, enterprise = payload.get("team"), payload.get("enterprise")
    if not credentials.is_our_workspace(
        team.get("id") if isinstance(team, dict) else None,
        enterprise.get("id") if isinstance(enterprise, dict) else None,
    ):
        return _answer(403)
    if payload.get("type") == "view_submission":
        wrong = forms.errors(payload)
        if wrong:
            return _answer(200, {"response_action": "errors", "errors": wrong})
    kept = {name: value for name, value in payload.items() if name != "token"}
    if _invoke({"task": "interaction", "payload": kept}) is not None:
        # Slack shows people that the action failed; it is not delivered again.
        return _answer(503)
    return _answer(200)


def _invoke(event: Mapping[str, Any]) -> dict[str, str] | None:
    """Hand a request over; what to tell the person when that failed."""
    try:
        aws.client("lambda").invoke(
            FunctionName=settings().require("slack_function"),
            InvocationType="Event",
            Payload=json.dumps(event).encode(),
        )
    except (BotoCoreError, ClientError) as error:
        return _not_accepted(error)
    return None


def _not_accepted(error: Exception) -> dict[str, str]:
    """What the person is told; the error's id is in the log."""
    shown = error_id("network-error")
    said = str(error) if isinstance(error, IrRouterError) else type(error).__name__
    logger.error("could not hand a request over", extra={"error_id": shown, "error": said})
    return _ephemeral(_NOT_ACCEPTED.format(shown))


def _identifier(text: str) -> str:
    """A message group or de-duplication id: at most 128 characters of those that SQS allows."""
    if text.isascii() and text.isalnum() and len(text) <= 128:
        return text
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _ephemeral(text: str) -> dict[str, str]:
    return {"response_type": "ephemeral", "text": text}


def _answer(status: int, body: Mapping[str, Any] | None = None) -> Answer:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": "" if body is None else json.dumps(body),
    }
