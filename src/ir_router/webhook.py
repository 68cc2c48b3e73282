"""The webhook endpoint, which faces the internet: verify the request, pass it on, answer.

A warm function makes one outbound call (SQS SendMessage or an asynchronous Lambda invocation), and none for a request
that Slack did not sign. Import nothing heavy here: it would slow every cold start.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, json_text
from ir_router.commands import forms
from ir_router.errors import IrRouterError, NotConfiguredError, RetryLaterError, UncertainError, error_id
from ir_router.observability import identifier, logger, measure
from ir_router.settings import settings
from ir_router.slack import credentials, envelopes, inbound, installation, signature
from ir_router.slack.envelopes import Origin

# In bytes. Slack's largest requests (a message of 40,000 characters with its blocks) are well below this.
BODY_LIMIT = 1_000_000
_NOT_ACCEPTED = (
    "⚠️ Temporary connectivity issue\nYour request was not accepted and is not retried. Please send it again.\n"
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

_SSL_CHECK = b"ssl_check=1"

Answer = dict[str, Any]


def prepare() -> None:
    """Read the parameters before the first request. If that fails, the request reads them and reports the error."""
    with suppress(NotConfiguredError, RetryLaterError, UncertainError):
        signature.prepare()
        credentials.workspace_id()


def handle(event: Mapping[str, Any], context: object) -> Answer:  # noqa: ARG001 - every route has this shape
    """Answer an API Gateway proxy request. Only requests that Slack signed have any effect."""
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    body = _body(event)
    if body is None or len(body) > BODY_LIMIT:
        return _answer(413 if body else 401)
    try:
        return _checked(headers, body)
    except NotConfiguredError as error:
        logger.error("webhook.not_configured: a setting or SSM parameter is missing", extra={"reason": str(error)})
        return _answer(503)
    except (RetryLaterError, UncertainError) as error:
        # Slack redelivers an event after a 5xx.
        return _answer(503, _not_accepted(error))


def _checked(headers: Mapping[str, str], body: bytes) -> Answer:
    """Raise NotConfiguredError, RetryLaterError or UncertainError when SSM does not return a parameter."""
    if not signature.is_authentic(
        headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", ""), body
    ):
        if _is_certificate_check(headers, body):
            return _answer(200)
        logger.info("webhook.signature_rejected: the request has no valid Slack signature")
        return _answer(401)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return _answer(401)
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return _form(dict(parse_qsl(text, keep_blank_values=True)))
    return _json(text, headers, body)


def _is_certificate_check(headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether Slack only checks the certificate. It does not sign this request, which has no effect.

    https://docs.slack.dev/interactivity/implementing-slash-commands (`ssl_check=1`)
    """
    return _SSL_CHECK in body.split(b"&") and "x-slack-signature" not in headers


def _body(event: Mapping[str, Any]) -> bytes | None:
    raw = event.get("body")
    if not isinstance(raw, str):
        return None
    if not event.get("isBase64Encoded"):
        return raw.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(raw, validate=True)
    except ValueError:  # binascii.Error is one
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
    if payload.get("type") == "app_rate_limited":
        # https://docs.slack.dev/reference/events/app_rate_limited
        logger.error("webhook.events_rate_limited: Slack drops events for up to a minute")
    event = payload.get("event")
    if payload.get("type") != "event_callback" or not isinstance(event, dict):
        return _answer(200)
    origin = envelopes.of_event(payload)
    if not _is_ours(origin):
        return _turned_away(origin)
    if inbound.removes_app(event):
        # Its alarm notifies the operators by SNS. Slack sends both events, and repeats them: the alarm is one.
        logger.error("slack.app_removed: Slack revoked the bot token", extra={"event": event["type"]})
        measure("DeploymentDifferences")
        return _answer(200)
    home = inbound.home_opened(event)
    if home is not None:
        # Slack redelivers the event after a 5xx.
        is_passed_on = _invoke({"task": "interaction", "payload": home, "is_ours": True}) is None
        return _answer(200 if is_passed_on else 503)
    if not inbound.is_wanted(event, str(payload.get("api_app_id") or "")):
        if (unknown := inbound.unknown_subtype(event)) is not None:
            logger.warning("slack.subtype_unknown: the message is ignored", extra={"subtype": identifier(unknown)})
        return _answer(200)
    return _enqueue(payload, event, headers, body)


def _enqueue(payload: Mapping[str, Any], event: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> Answer:
    is_file = event.get("type") == "file_shared"
    queue = settings().require("files_queue_url" if is_file else "slack_events_queue_url")
    group = str(event.get("file_id") or "none") if is_file else inbound.channel_of(event)
    signed = headers.get("x-slack-request-timestamp", "").encode() + body
    message = {
        "event_id": payload.get("event_id"),
        "team_id": credentials.workspace_id(),
        "app_id": payload.get("api_app_id"),
        "event": inbound.trimmed(event),
    }
    try:
        aws.client("sqs").send_message(
            QueueUrl=queue,
            MessageBody=json_text.for_queue(message),
            MessageGroupId=_identifier(group),
            MessageDeduplicationId=_identifier(str(payload.get("event_id") or hashlib.sha256(signed).hexdigest())),
        )
    except (BotoCoreError, ClientError) as error:
        # Slack redelivers the event after a 5xx.
        logger.error("sqs.send_failed: the event was not queued", extra={"error": type(error).__name__})
        return _answer(503)
    return _answer(200)


def _form(form: Mapping[str, str]) -> Answer:
    if form.get("ssl_check") == "1":
        return _answer(200)
    if "payload" in form:
        return _interaction(form["payload"])
    if not form.get("command"):
        return _answer(400)
    try:
        is_ours = _is_ours(envelopes.of_command(form))
    except (RetryLaterError, UncertainError) as error:
        return _answer(200, _not_accepted(error))
    # Pass on only the fields that are read: the form also contains Slack's legacy verification token.
    command = {name: form[name] for name in _COMMAND_FIELDS if name in form}
    # An empty answer shows nothing in Slack. A text would stay: Slack cannot replace the first answer to a command.
    return _answer(200, _invoke({"task": "slash_command", "command": command, "is_ours": is_ours}))


def _interaction(text: str) -> Answer:
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        return _answer(400)
    if not isinstance(payload, dict):
        return _answer(400)
    origin = envelopes.of_interaction(payload)
    is_ours = _is_ours(origin)
    if not is_ours and origin.is_certain:
        return _turned_away(origin)
    if payload.get("type") == "view_submission":
        wrong = forms.errors(payload)
        if wrong:
            return _answer(200, {"response_action": "errors", "errors": wrong})
    kept = {name: value for name, value in payload.items() if name != "token"}
    if _invoke({"task": "interaction", "payload": kept, "is_ours": is_ours}) is not None:
        # Slack shows the user that the action failed, and does not redeliver it.
        return _answer(503)
    return _answer(200)


def _is_ours(origin: Origin) -> bool:
    """Return whether the request names the configured workspace or organisation.

    If only the user's ids are known, a request that is not ours is passed on: a colleague of another workspace, or a
    user of a connected company, may have sent it. The function behind the webhook asks Slack (`slack.installation`).
    """
    return credentials.is_our_workspace(*origin.ids)


def _turned_away(origin: Origin) -> Answer:
    """Answer 200, because Slack repeats a rejected event and may switch off the app's events."""
    installation.log_refused(origin)
    return _answer(200)


def _invoke(event: Mapping[str, Any]) -> dict[str, str] | None:
    """Invoke the function behind the webhook. Return the answer for the user when that fails, else None."""
    try:
        aws.invoke_later(settings().require("slack_function"), event)
    except (BotoCoreError, ClientError) as error:
        return _not_accepted(error)
    return None


def _not_accepted(error: Exception) -> dict[str, str]:
    """Log the error with a new error id, and return the answer for the user."""
    shown = error_id("network-error")
    reason = str(error) if isinstance(error, IrRouterError) else type(error).__name__
    logger.error("webhook.request_not_accepted: the user must repeat it", extra={"error_id": shown, "error": reason})
    return _ephemeral(_NOT_ACCEPTED.format(shown))


def _identifier(text: str) -> str:
    """Return a valid message group or deduplication id: at most 128 characters of those that SQS allows."""
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
