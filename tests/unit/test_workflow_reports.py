"""Alerts, and reports of steps that failed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from ir_router import aws
from ir_router.errors import UncertainError
from ir_router.ledger import audit, groups
from ir_router.ledger.alerts import Alert
from ir_router.settings import settings
from ir_router.workflow import event_claims, notices, report_failure
from tests.support.texts import facts

EXECUTION = facts.INCIDENT["execution"]["id"]


def test_given_an_alert_when_sent_then_subject_attributes_and_id_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(aws, "client", {"sns": SimpleNamespace(publish=lambda **message: sent.append(message))}.get)
    monkeypatch.setenv("IR_ALERT_TOPIC_ARN", "arn:topic")
    monkeypatch.setenv("IR_SECURITY_CHANNEL_ID", "C1")
    settings.cache_clear()
    notices.mail(Alert("x/alert", "HIGH", " é\nb ", "text"))
    settings.cache_clear()
    assert sent == [
        {
            "TopicArn": "arn:topic",
            "Subject": "e b",
            "Message": "text\nSlack: https://slack.com/app_redirect?channel=C1\n\nAlert id: x/alert",
            "MessageAttributes": {
                "severity": {"DataType": "String", "StringValue": "HIGH"},
                "alert_id": {"DataType": "String", "StringValue": "x/alert"},
            },
        }
    ]
    assert notices._subject("x" * 100) == "x" * 100
    assert notices._subject("x" * 101) == "x" * 97 + "..."


@pytest.mark.parametrize("step", ["alert", "audit", "group"])
@pytest.mark.parametrize(
    "failure",
    [
        UncertainError("SNS", "Publish", "timeout"),
        ReadTimeoutError(endpoint_url="x"),
        ClientError({"Error": {"Code": "Throttled"}}, "Publish"),
    ],
    ids=type,
)
def test_given_two_events_with_one_id_when_the_report_fails_then_the_containment_goes_on(
    monkeypatch: pytest.MonkeyPatch, step: str, failure: Exception
) -> None:
    done: list[str] = []

    def work(name: str) -> Any:
        def act(*arguments: Any, **_: Any) -> Any:
            done.append(name)
            if name == step:
                raise failure
            return {"execution": EXECUTION}

        return act

    monkeypatch.setattr(groups, "enter", work("group"))
    monkeypatch.setattr(notices, "alert_everywhere", work("alert"))
    monkeypatch.setattr(audit, "append", work("audit"))

    event_claims.report_conflict(facts.INCIDENT, "name", "arn:execution:2")

    assert done == ["group", "alert", "audit"][: ["group", "alert", "audit"].index(step) + 1]


def test_given_two_events_with_one_id_when_reported_then_once_with_both_executions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alerts: list[Any] = []
    records: list[Any] = []
    opener = [EXECUTION]
    monkeypatch.setattr(groups, "enter", lambda *_: {"execution": opener[0]})
    monkeypatch.setattr(notices, "alert_everywhere", alerts.append)
    monkeypatch.setattr(audit, "append", lambda *record, **once: records.append((record, once)))

    event_claims.report_conflict(facts.INCIDENT, "name", "arn:execution:2")
    opener[0] = "arn:execution:0"
    event_claims.report_conflict(facts.INCIDENT, "name", "arn:execution:2")

    (alert,) = alerts
    assert (alert.id, alert.severity, alert.subject) == (
        "1/conflict",
        "HIGH",
        "FIND the sender of a forged event: two events have the same id and different content",
    )
    assert "Execution of the other event: arn:execution:2" in alert.text
    (((action, actor, details), once),) = records
    assert (action, actor, details["other"], details["event_id"]) == (
        "event_conflict",
        "ir-router workflow",
        "arn:execution:2",
        "e-1",
    )
    assert once == {"once": f"{EXECUTION}/conflict"}


def test_given_a_step_that_failed_when_reported_then_the_text_names_step_principal_cause_and_event() -> None:
    text = report_failure._text("Open Case", "E", "m", facts.INCIDENT, EXECUTION, [facts.MALLORY])
    assert text.startswith("The step Open Case failed, and ir-router does not retry it. ")
    for line in (f"Principal: {facts.MALLORY['arn']}", "Error: E - m", "Event: e-1", f"Execution: {EXECUTION}"):
        assert line in text.splitlines()
    bare = report_failure._text("Immediate Containment", "E", "", None, EXECUTION)
    assert bare.splitlines()[-4:] == [report_failure._OWNER_UNKNOWN, "Error: E", "", f"Execution: {EXECUTION}"]
