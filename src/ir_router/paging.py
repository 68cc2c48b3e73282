"""Pages for an on-call service: messages to an SNS topic in the format of a CloudWatch alarm.

The CloudWatch integrations of PagerDuty and Opsgenie take this format. Neither documents the fields that it reads, so
the messages have all fields of AWS's own notifications
(docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html). It is an assumption that a
second message with the name of an open alarm joins its incident.

SNS cannot show whether it took an earlier message. The ledger therefore has a row for each reason, written before the
message is sent. After a crash, the same message is sent once more under the same name.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

from ir_router import aws, clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError
from ir_router.settings import settings

_KEPT_SECONDS = 14 * 86_400
# An alarm's name has at most 255 characters, an SNS subject 100.
_HEADLINE_LENGTH, _SUBJECT_LENGTH, _TEXT_LENGTH = 200, 100, 2_000
_DONE = "done"


def page(reason: str, headline: str, text: str) -> None:
    """Page once for each reason.

    Args:
        reason: Identifies the fact, for example `<execution>/alert`.
        headline: The fact and the required action, in one line.
        text: Further lines.
    """
    name = hashlib.sha256(reason.encode()).hexdigest()[:12]
    key = keys.deduplication(f"PAGE#{name}")
    row = {**message(name, headline, text), "expires_at": int(clock.now()) + _KEPT_SECONDS}
    try:
        table.put(key, row, "attribute_not_exists(PK)")
    except ConditionFailedError as conflict:
        if conflict.row.get("state") == _DONE:
            return
        row = conflict.row  # an earlier invocation ended before it could record whether it sent the page
    send(row)
    table.update(key, "SET #state = :done", done=_DONE)


def page_without_ledger(reason: str, headline: str, text: str) -> None:
    """Page without a row, while the ledger is unavailable. The name is the one that `page` gives the same reason."""
    send(message(hashlib.sha256(reason.encode()).hexdigest()[:12], headline, text))


def send(parts: dict[str, Any]) -> None:
    """Publish a page."""
    topic = settings().require("page_topic_arn")
    aws.client("sns").publish(TopicArn=topic, Subject=str(parts["subject"]), Message=str(parts["message"]))


def message(name: str, headline: str, text: str) -> dict[str, str]:
    """Return the subject and the body of a page."""
    topic = settings().require("page_topic_arn")
    _, partition, _, region, account, _ = topic.split(":")
    line = " ".join(headline.split())[:_HEADLINE_LENGTH]
    alarm = f"{line} ({name})"
    at = datetime.fromtimestamp(clock.now(), UTC)
    time = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}+0000"
    body = {
        "AlarmName": alarm,
        "AlarmDescription": text[:_TEXT_LENGTH],
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": time,
        "NewStateValue": "ALARM",
        "NewStateReason": line,
        "StateChangeTime": time,
        "Region": region,
        "AlarmArn": f"arn:{partition}:cloudwatch:{region}:{account}:alarm:{alarm}",
        "OldStateValue": "OK",
        "OKActions": [],
        "AlarmActions": [topic],
        "InsufficientDataActions": [],
        "Trigger": {
            "MetricName": "Page",
            "Namespace": "ir-router",
            "StatisticType": "Statistic",
            "Statistic": "SUM",
            "Unit": "Count",
            "Dimensions": [{"name": "deployment", "value": settings().name_prefix}],
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 0.0,
            "TreatMissingData": "notBreaching",
            "EvaluateLowSampleCountPercentile": "",
        },
    }
    plain = unicodedata.normalize("NFKD", line).encode("ascii", "ignore").decode()
    # PagerDuty discards a message whose subject does not begin with the new state.
    before, after = 'ALARM: "', f'" in {region}'
    subject = f"{before}{plain[: _SUBJECT_LENGTH - len(before) - len(after)]}{after}"
    return {"subject": subject, "message": json.dumps(body, ensure_ascii=False)}
