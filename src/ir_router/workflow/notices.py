"""What the workflow tells: alerts to the SNS topic, events on the bus, comments on the case."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Mapping
from typing import Any

from ir_router import aws, bus
from ir_router.cases import comments
from ir_router.cases.limits import COMMENT_LIMIT
from ir_router.errors import UncertainError
from ir_router.ledger import approvals
from ir_router.security_ir import gateway
from ir_router.settings import settings

SOURCE = "security-ir"
_SUBJECT_LENGTH = 100
_COMMENTS = uuid.UUID("5b0e7c1c-93f5-4f0a-9d43-3a1f0f2f8f5e")


def alert(alert_id: str, severity: str, subject: str, text: str) -> None:
    """Publish to the alert topic. At least once: `alert_id` stands in the text, to recognise a repetition by."""
    aws.client("sns").publish(
        TopicArn=settings().require("alert_topic_arn"),
        Subject=_subject(subject),
        Message=f"{text}\n\nAlert id: {alert_id}",
        MessageAttributes={
            "severity": {"DataType": "String", "StringValue": severity},
            "alert_id": {"DataType": "String", "StringValue": alert_id},
        },
    )


def _subject(text: str) -> str:
    """SNS takes up to 100 printable ASCII characters that begin with a letter, number or punctuation mark."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    line = " ".join(plain.split())
    return line if len(line) <= _SUBJECT_LENGTH else f"{line[: _SUBJECT_LENGTH - 3]}..."


def publish(detail_type: str, detail: Mapping[str, Any]) -> None:
    """Put an event on our bus. Raises UncertainError when EventBridge did not take it."""
    refused = bus.put([bus.Event(SOURCE, detail_type, detail)])
    if refused:
        raise UncertainError("EventBridge", "PutEvents", refused[0])


def comment(case_id: str, name: str, text: str, shown_by: str | None = None) -> None:
    """Write a comment on the case, once for each `name`. Raises the gateway's errors.

    `shown_by` is the approval whose message in the channel says the same: the comment is not copied there.
    """
    body = comments.at_most(COMMENT_LIMIT, text)
    if shown_by is not None:
        referring = comments.shown_by_approval(text, shown_by)
        if approvals.note_comment(shown_by, comments.body_hash(referring)):
            body = referring
    token = str(uuid.uuid5(_COMMENTS, f"{case_id}/{name}"))
    gateway.create_comment(case_id, body, token)


def tell_result(approval_id: str, decision: str, result: str) -> bool:
    """Let an approval's messages say what became of the decision, in words. False for one that was never asked."""
    if not approvals.note_result(approval_id, result):
        return False
    publish("ApprovalDecided", {"approval_id": approval_id, "decision": decision})
    return True
