"""Notifications of the workflow: alerts to the SNS topic, events on the bus, comments on the case."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, bus, links, paging
from ir_router.cases import comments
from ir_router.cases.limits import COMMENT_LIMIT
from ir_router.errors import UncertainError
from ir_router.ledger import alerts, approvals, security_channel, urgent
from ir_router.ledger.alerts import Alert
from ir_router.ledger.approvals import Answer
from ir_router.observability import logger
from ir_router.security_ir import gateway
from ir_router.settings import settings

SOURCE = "security-ir"
_SUBJECT_LENGTH = 100
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html. KMSThrottling is left out: a retry helps.
_KEY_ERRORS = frozenset({"KMSAccessDenied", "KMSDisabled", "KMSInvalidState", "KMSNotFound", "KMSOptInRequired"})
_COMMENTS = uuid.UUID("5b0e7c1c-93f5-4f0a-9d43-3a1f0f2f8f5e")


def mail(alert: Alert) -> None:
    """Publish an alert to the alert topic, at least once. If SNS cannot use the topic's key, use the alarm topic."""
    first, rest = alert.text.partition("\n")[::2]
    text = "\n".join(filter(None, (first, _slack_line(), rest)))
    if alert.allow:
        text = f"{text}\n\nIf you expect such calls, add the caller to the allowlist:\n{alert.allow}"
    try:
        _send(settings().require("alert_topic_arn"), alert, text)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _KEY_ERRORS:
            raise
        logger.error("alert.key_unavailable: the alarm topic gets the alert", extra={"alert_id": alert.id})
        _send(settings().require("alarm_topic_arn"), alert, text)


def alert_everywhere(alert: Alert) -> None:
    """Publish an alert as `mail` does, and post it in the security channel once. CRITICAL ones page once too."""
    mail(alert)
    alert_in_slack(alert)
    if alert.severity == "CRITICAL":
        page(alert.id, alert.subject, alert.text)


def page(reason: str, headline: str, text: str) -> None:
    """Page once for each reason. If SNS cannot use the topic's key, the alarm topic gets the page as an alert."""
    try:
        paging.page(reason, headline, text)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _KEY_ERRORS:
            raise
        logger.error("page.key_unavailable: the alarm topic gets the page", extra={"reason": reason})
        alert_without_key(Alert(reason, "CRITICAL", headline, text))


def page_without_ledger(reason: str, headline: str, text: str) -> None:
    """Page while the ledger is unavailable. If its key is too, only the alert topic without a key has the alert."""
    try:
        paging.page_without_ledger(reason, headline, text)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _KEY_ERRORS:
            raise
        logger.error("page.key_unavailable: nothing pages", extra={"reason": reason})


def alert_in_slack(alert: Alert) -> None:
    """Post an alert in the security channel once."""
    publish("AlertRaised", {"alert": alerts.note(alert)})


def alert_without_key(alert: Alert) -> None:
    """Publish an alert as `mail` does, to the topic that needs no encryption key, and without the ledger."""
    _send(settings().require("alarm_topic_arn"), alert, alert.text)


def _send(topic: str, alert: Alert, text: str) -> None:
    aws.client("sns").publish(
        TopicArn=topic,
        Subject=_subject(alert.subject),
        Message=f"{text}\n\nAlert id: {alert.id}",
        MessageAttributes={
            "severity": {"DataType": "String", "StringValue": alert.severity},
            "alert_id": {"DataType": "String", "StringValue": alert.id},
        },
    )


def _slack_line() -> str:
    """Return the line with the link to the security channel; empty without one, or if the ledger cannot be read."""
    try:
        channel_id = security_channel.known_id()
    except (BotoCoreError, ClientError) as error:
        logger.warning("alert.no_slack_link", extra={"error": type(error).__name__})
        return ""
    return f"Slack: {links.slack_channel(channel_id)}" if channel_id else ""


def _subject(text: str) -> str:
    """Reduce the subject to SNS's limit: 100 printable ASCII characters, no leading space."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    line = " ".join(plain.split())
    return line if len(line) <= _SUBJECT_LENGTH else f"{line[: _SUBJECT_LENGTH - 3]}..."


def publish(detail_type: str, detail: Mapping[str, Any]) -> None:
    """Put an event on the ir-router bus. Raises UncertainError if EventBridge did not accept it."""
    refused = bus.put([bus.Event(SOURCE, detail_type, detail)])
    if refused:
        raise UncertainError("EventBridge", "PutEvents", refused[0])


def comment(case_id: str, name: str, text: str, shown_by: str | None = None) -> None:
    """Write a comment on the case, once for each `name`. Raises the gateway's errors.

    Args:
        case_id: The case.
        name: Identifies the comment; a retry with the same name writes nothing new.
        text: The comment, cut at the API's limit.
        shown_by: The id of an approval whose Slack message already has this content, so that the comment is not
            copied to the channel.
    """
    body = comments.at_most(COMMENT_LIMIT, text)
    if shown_by is not None:
        referring = comments.shown_by_approval(text, shown_by)
        if approvals.note_comment(shown_by, comments.body_hash(referring)):
            body = referring
    token = str(uuid.uuid5(_COMMENTS, f"{case_id}/{name}"))
    gateway.create_comment(case_id, body, token)


def mention_approvers(approval_id: str, name: str, text: str) -> None:
    """Post an urgent message next to an approval request, once for each `name`. It mentions the approvers.

    Does nothing if the request does not exist.
    """
    if urgent.note(approval_id, name, text):
        publish("ApprovalRequested", {"approval_id": approval_id, "joined": True})


def report_result(approval_id: str, decision: Answer, result: str) -> bool:
    """Show the result of a decision in the approval's Slack messages. Returns False if there was no request."""
    if not approvals.note_result(approval_id, result):
        return False
    publish("ApprovalDecided", {"approval_id": approval_id, "decision": decision})
    return True
