"""Notifications of the workflow: alerts to the SNS topic, events on the bus, comments on the case."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from ir_router import aws, bus, paging
from ir_router.cases import comments
from ir_router.cases.limits import COMMENT_LIMIT
from ir_router.errors import UncertainError
from ir_router.ledger import alerts, approvals, urgent
from ir_router.ledger.approvals import Answer
from ir_router.observability import logger
from ir_router.security_ir import gateway
from ir_router.settings import settings
from ir_router.workflow.incident import Severity

SOURCE = "security-ir"
_SUBJECT_LENGTH = 100
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html. KMSThrottling is left out: a retry helps.
_KEY_ERRORS = frozenset({"KMSAccessDenied", "KMSDisabled", "KMSInvalidState", "KMSNotFound", "KMSOptInRequired"})
_COMMENTS = uuid.UUID("5b0e7c1c-93f5-4f0a-9d43-3a1f0f2f8f5e")


def alert(alert_id: str, severity: Severity, subject: str, text: str) -> None:
    """Publish an alert to the alert topic, at least once. If SNS cannot use the topic's key, use the alarm topic.

    Args:
        alert_id: A stable id at the end of the text, by which a reader recognises a repeated alert.
        severity: The value of the message attribute `severity`, for subscription filters.
        subject: The subject of the e-mail, reduced to the characters that SNS accepts.
        text: The body.
    """
    try:
        _send(settings().require("alert_topic_arn"), alert_id, severity, subject, text)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _KEY_ERRORS:
            raise
        logger.error("alert.key_unavailable: the alarm topic gets the alert", extra={"alert_id": alert_id})
        alert_without_key(alert_id, severity, subject, text)


def alert_everywhere(
    alert_id: str,
    severity: Severity,
    subject: str,
    text: str,
    *,
    case_id: str | None = None,
    execution: str = "",
    allow: str = "",
    mention: bool = False,
) -> None:
    """Publish an alert as `alert` does, and post it in the security channel once. CRITICAL ones page once too.

    Args:
        alert_id: As in `alert`.
        severity: As in `alert`.
        subject: As in `alert`.
        text: As in `alert`.
        case_id: The case of the incident. Without one the message in Slack offers to open a case.
        execution: The ARN of the execution, for a link.
        allow: The command that adds the caller to the allowlist; empty if an entry would not help.
        mention: Whether the message in Slack mentions users (`slack_mention`).
    """
    body = f"{text}\n\nIf you expect such calls, add the caller to the allowlist:\n{allow}" if allow else text
    alert(alert_id, severity, subject, body)
    alert_in_slack(
        alert_id, severity, subject, text, case_id=case_id, execution=execution, allow=allow, mention=mention
    )
    if severity == "CRITICAL":
        page(alert_id, subject, text)


def page(reason: str, headline: str, text: str) -> None:
    """Page once for each reason. If SNS cannot use the topic's key, the alarm topic gets the page as an alert."""
    try:
        paging.page(reason, headline, text)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _KEY_ERRORS:
            raise
        logger.error("page.key_unavailable: the alarm topic gets the page", extra={"reason": reason})
        alert_without_key(reason, "CRITICAL", headline, text)


def page_without_ledger(reason: str, headline: str, text: str) -> None:
    """Page while the ledger is unavailable. If its key is too, only the alert topic without a key has the alert."""
    try:
        paging.page_without_ledger(reason, headline, text)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _KEY_ERRORS:
            raise
        logger.error("page.key_unavailable: nothing pages", extra={"reason": reason})


def alert_in_slack(
    alert_id: str,
    severity: Severity,
    subject: str,
    text: str,
    *,
    case_id: str | None = None,
    execution: str = "",
    allow: str = "",
    mention: bool = False,
) -> None:
    """Post an alert in the security channel once. The arguments are those of `alert_everywhere`."""
    name = alerts.note(
        alert_id, severity, subject, text, case_id=case_id, execution=execution, allow=allow, mention=mention
    )
    publish("AlertRaised", {"alert": name})


def alert_without_key(alert_id: str, severity: Severity, subject: str, text: str) -> None:
    """Publish an alert as `alert` does, to the topic that needs no encryption key."""
    _send(settings().require("alarm_topic_arn"), alert_id, severity, subject, text)


def _send(topic: str, alert_id: str, severity: Severity, subject: str, text: str) -> None:
    aws.client("sns").publish(
        TopicArn=topic,
        Subject=_subject(subject),
        Message=f"{text}\n\nAlert id: {alert_id}",
        MessageAttributes={
            "severity": {"DataType": "String", "StringValue": severity},
            "alert_id": {"DataType": "String", "StringValue": alert_id},
        },
    )


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
