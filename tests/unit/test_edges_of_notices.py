"""Alerts, groups of alerts and the audit export: exact limits, fields and order."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ir_router import aws, bus, clock, links, paging
from ir_router.errors import UncertainError
from ir_router.ledger import alerts, audit, groups, security_channel, table
from ir_router.ledger.alerts import Alert
from ir_router.observability import logger
from ir_router.workflow import (
    alert_groups,
    audit_export,
    handler,
    notices,
    sessions,
)
from tests.support.answers import client_error

NOW = 10_000.0


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


class Clients:
    """Clients of AWS that record their calls; those of `failing` raise."""

    def __init__(self, **failing: Exception) -> None:
        self.calls: list[dict[str, Any]] = []
        self._failing = failing

    def _call(self, name: str, given: dict[str, Any]) -> None:
        self.calls.append(given)
        if name in self._failing:
            raise self._failing.pop(name)

    def publish(self, **given: Any) -> None:
        self._call("publish", given)

    def put_object(self, **given: Any) -> None:
        self._call("put_object", given)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"incident": {"execution": {"name": "n"}}}, "n"),
        ({"state": {"incident": {"execution": {"name": "n"}}}}, "n"),
        ({"execution": {"name": "n"}}, "n"),
        ({"incident": {"execution": {"name": "n"}}, "execution": {"name": "other"}}, "n"),
        ({"incident": {"execution": {"name": ""}}}, "release"),
        ({}, "release"),
    ],
)
def test_given_a_task_when_it_runs_then_its_sessions_are_named_after_the_execution_or_the_task(
    monkeypatch: pytest.MonkeyPatch, event: dict[str, Any], name: str
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(sessions, "begin_task", begun.append)
    given = {"task": "release", **event}
    module = SimpleNamespace(run_task=lambda *arguments: arguments)
    monkeypatch.setitem(handler._MODULES, "release", module)

    assert handler.handle(given, "context") == (given, "context")
    assert begun == [name]


SETTINGS = SimpleNamespace(
    require=lambda name: f"arn:{name}",
    audit_retention_days=10,
    audit_export_bucket="b",
)


def test_given_a_day_when_exported_then_its_object_is_new_locked_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = Clients()
    monkeypatch.setattr(aws, "client", lambda _name: clients)
    monkeypatch.setattr(audit_export, "settings", lambda: SETTINGS)
    monkeypatch.setattr(clock, "utc_now", lambda: datetime(2026, 1, 15, tzinfo=UTC))

    audit_export._write("b", "n", "ä\n")

    assert clients.calls == [
        {
            "Bucket": "b",
            "Key": "n",
            "Body": "ä\n".encode(),
            "ContentType": "application/x-ndjson",
            "ChecksumAlgorithm": "SHA256",
            "IfNoneMatch": "*",
            "ObjectLockMode": "COMPLIANCE",
            "ObjectLockRetainUntilDate": datetime(2026, 1, 25, tzinfo=UTC),
        }
    ]
    for code, raised in (("PreconditionFailed", False), ("AccessDenied", True)):
        refusing = Clients(put_object=client_error(code, "PutObject"))
        monkeypatch.setattr(aws, "client", lambda _name, refusing=refusing: refusing)
        if raised:
            with pytest.raises(Exception, match="AccessDenied"):
                audit_export._write("b", "n", "x")
        else:
            audit_export._write("b", "n", "x")


@pytest.mark.parametrize(
    ("day", "closes"), [("2026-01-31", True), ("2026-01-30", False), ("2026-02-28", True), ("2026-02-01", False)]
)
def test_given_a_day_when_its_lines_are_made_then_only_the_last_one_of_a_month_closes_it(
    monkeypatch: pytest.MonkeyPatch, day: str, closes: bool
) -> None:
    rows = [{"PK": "p", "SK": "s", "month": "m", "sequence": number, "hash": f"h{number}"} for number in (1, 2)]
    before = audit.Position("m", 7, "h7")
    monkeypatch.setattr(audit_export, "_records", lambda chain, _day: rows if chain == 1 else [])
    monkeypatch.setattr(audit_export, "_end_before", lambda chain, _day: before if chain == 2 else None)

    first, *others = audit_export._lines(date.fromisoformat(day))

    ends = f'{{"1": "{audit.Position("m", 2, "h2")}", "2": "{before}"}}'
    assert first == (f'{{"closes_month": {str(closes).lower()}, "day": "{day}", "ends": {ends}, "records": 2}}')
    assert others == [f'{{"hash": "h{number}", "month": "m", "sequence": {number}}}' for number in (1, 2)]


def test_given_an_export_that_fails_when_retried_then_one_alert_a_day_names_bucket_day_and_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Alert] = []
    stored: list[Any] = []
    monkeypatch.setattr(notices, "alert_everywhere", sent.append)
    monkeypatch.setattr(table, "put", lambda _key, row: stored.append(row))
    monkeypatch.setattr(clock, "utc_now", lambda: datetime(2026, 1, 16, tzinfo=UTC))
    error = client_error("NoSuchBucket", "PutObject")

    audit_export._report("b", date(2026, 1, 15), error, {"day": "2026-01-14", "failed_on": "2026-01-15"})
    audit_export._report("b", date(2026, 1, 15), error, stored[0])

    (alert,) = sent
    assert (alert.id, alert.severity) == ("audit-export-2026-01-16", "MEDIUM")
    assert alert.subject == "FIX the audit export: bucket b refuses the records of 2026-01-15"
    assert alert.text.startswith(
        "ir-router could not write the audit records of 2026-01-15 to the bucket b (NoSuchBucket). "
    )
    assert stored == [{"day": "2026-01-14", "failed_on": "2026-01-16", "expires_at": 10_000 + 400 * 86_400}]


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("x" * 100, "x" * 100),
        ("x" * 101, f"{'x' * 97}..."),
        ("  a\n b ", "a b"),
        ("Zoë’s key", "Zoes key"),
    ],
)
def test_given_the_subject_of_an_alert_when_mailed_then_it_is_one_line_of_a_hundred_characters(
    monkeypatch: pytest.MonkeyPatch, text: str, subject: str
) -> None:
    clients = Clients()
    monkeypatch.setattr(aws, "client", lambda _name: clients)
    monkeypatch.setattr(notices, "settings", lambda: SETTINGS)
    monkeypatch.setattr(security_channel, "known_id", lambda: None)

    notices.mail(Alert("i", "HIGH", text, "first\nsecond\nthird"))
    notices.alert_without_key(Alert("i", "LOW", text, "t", allow="command"))
    notices.mail(Alert("i", "MEDIUM", text, "t", allow="command"))

    def attributes(severity: str) -> dict[str, Any]:
        return {
            name: {"DataType": "String", "StringValue": value}
            for name, value in (("severity", severity), ("alert_id", "i"))
        }

    allow = "t\n\nIf you expect such calls, add the caller to the allowlist:\ncommand\n\nAlert id: i"
    assert clients.calls == [
        {"TopicArn": topic, "Subject": subject, "Message": body, "MessageAttributes": attributes(severity)}
        for topic, body, severity in (
            ("arn:alert_topic_arn", "first\nsecond\nthird\n\nAlert id: i", "HIGH"),
            ("arn:alarm_topic_arn", "t\n\nAlert id: i", "LOW"),
            ("arn:alert_topic_arn", allow, "MEDIUM"),
        )
    ]


@pytest.mark.parametrize(
    "code", ["KMSAccessDenied", "KMSDisabled", "KMSInvalidState", "KMSNotFound", "KMSOptInRequired"]
)
def test_given_a_topic_whose_key_is_unavailable_when_alerted_or_paged_then_the_other_topic_is_used(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    error = client_error(code, "Publish")
    clients = Clients(publish=error)
    monkeypatch.setattr(aws, "client", lambda _name: clients)
    monkeypatch.setattr(notices, "settings", lambda: SETTINGS)
    monkeypatch.setattr(security_channel, "known_id", lambda: None)

    def paged(*_: str) -> None:
        raise error

    logged: list[Any] = []
    monkeypatch.setattr(paging, "page", paged)
    monkeypatch.setattr(paging, "page_without_ledger", paged)
    monkeypatch.setattr(logger, "error", lambda text, extra: logged.append((text, extra)))

    notices.mail(Alert("i", "HIGH", "s", "t", allow="command"))
    notices.page("reason", "headline", "text")
    notices.page_without_ledger("reason", "headline", "text")

    assert [one["TopicArn"] for one in clients.calls] == [
        "arn:alert_topic_arn", "arn:alarm_topic_arn", "arn:alarm_topic_arn"
    ]  # fmt: skip
    assert logged == [
        ("alert.key_unavailable: the alarm topic gets the alert", {"alert_id": "i"}),
        ("page.key_unavailable: the alarm topic gets the page", {"reason": "reason"}),
        ("page.key_unavailable: nothing pages", {"reason": "reason"}),
    ]
    assert clients.calls[0]["Message"] == clients.calls[1]["Message"]
    assert (clients.calls[2]["Subject"], clients.calls[2]["Message"]) == ("headline", "text\n\nAlert id: reason")
    assert clients.calls[2]["MessageAttributes"]["severity"]["StringValue"] == "CRITICAL"


def test_given_sns_that_is_throttled_when_alerted_or_paged_then_the_error_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = client_error("KMSThrottling", "Publish")
    clients = Clients()
    paged: list[Any] = []
    monkeypatch.setattr(aws, "client", lambda name: clients if name == "sns" else None)
    monkeypatch.setattr(notices, "settings", lambda: SETTINGS)
    monkeypatch.setattr(security_channel, "known_id", lambda: "C1")
    monkeypatch.setattr(paging, "page_without_ledger", lambda *given: paged.append(given))

    notices.mail(Alert("i", "HIGH", "s", "first\nsecond"))
    notices.page_without_ledger("reason", "headline", "text")
    link = f"Slack: {links.slack_channel('C1')}"
    assert clients.calls[0]["Message"] == f"first\n{link}\nsecond\n\nAlert id: i"
    for unread in (client_error("AccessDenied"), EndpointConnectionError(endpoint_url="x")):
        monkeypatch.setattr(security_channel, "known_id", mock.Mock(side_effect=unread))
        notices.mail(Alert("i", "HIGH", "s", "first\nsecond"))
    assert [one["Message"] for one in clients.calls[1:]] == ["first\nsecond\n\nAlert id: i"] * 2
    assert paged == [("reason", "headline", "text")]
    for name in ("page", "page_without_ledger"):
        monkeypatch.setattr(paging, name, mock.Mock(side_effect=error))
    monkeypatch.setattr(aws, "client", lambda _name: Clients(publish=error))
    with pytest.raises(ClientError, match="KMSThrottling"):
        notices.mail(Alert("i", "HIGH", "s", "t"))
    for page in (notices.page, notices.page_without_ledger):
        with pytest.raises(ClientError, match="KMSThrottling"):
            page("r", "h", "t")


@pytest.mark.parametrize(("severity", "pages"), [("CRITICAL", 1), ("HIGH", 0)])
def test_given_an_alert_when_sent_everywhere_then_mail_comes_first_and_only_a_critical_one_pages(
    monkeypatch: pytest.MonkeyPatch, severity: Any, pages: int
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(notices, "mail", lambda alert: done.append(("mail", alert.id)))
    monkeypatch.setattr(alerts, "note", lambda alert: f"noted {alert.id}")
    monkeypatch.setattr(bus, "put", lambda events: done.append(events[0]))
    monkeypatch.setattr(paging, "page", lambda *given: done.append(given))

    notices.alert_everywhere(Alert("i", severity, "s", "t"))

    event = bus.Event("security-ir", "AlertRaised", {"alert": "noted i"})
    assert done == [("mail", "i"), event, *[("i", "s", "t")] * pages]
    monkeypatch.setattr(bus, "put", lambda _events: ["Throttled", "x"])
    with pytest.raises(UncertainError) as refused:
        notices.publish("AlertRaised", {})
    assert str(refused.value) == str(UncertainError("EventBridge", "PutEvents", "Throttled"))


@pytest.fixture
def statuses(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Statuses of executions, which a test changes."""
    found: dict[str, str | None] = {}
    alert_groups.forget()
    monkeypatch.setattr(alert_groups, "status", lambda execution: found.get(execution))
    monkeypatch.setattr(groups, "counter_of", lambda row: row["execution"])
    return found


@pytest.mark.parametrize(
    ("status", "until", "reported", "is_open", "unreported"),
    [
        ("RUNNING", NOW + 1, False, True, False),
        ("RUNNING", NOW, False, False, False),
        ("RUNNING", NOW + 1, True, False, False),
        ("SUCCEEDED", NOW + 1, False, False, False),
        ("FAILED", NOW + 1, False, False, True),
        (None, NOW + 3600 - 59, False, True, False),
        (None, NOW + 3600 - 60, False, False, True),
        ("ABORTED", NOW + 3600 - 59, False, False, True),
    ],
)
def test_given_the_opener_of_a_group_when_it_ends_or_has_not_started_then_the_next_event_takes_its_place(
    monkeypatch: pytest.MonkeyPatch,
    statuses: dict[str, str | None],
    status: str | None,
    until: float,
    reported: bool,
    is_open: bool,
    unreported: bool,
) -> None:
    row = {"execution": "e", "until": until}
    statuses["e"] = status
    monkeypatch.setattr(groups, "last", lambda _group: row)
    monkeypatch.setattr(groups, "counted", lambda _counter: {"reported": True} if reported else None)

    assert alert_groups.find("g") == alert_groups.Group(row, is_open=is_open, unreported=unreported)
    monkeypatch.setattr(groups, "last", lambda _group: None)
    assert alert_groups.find("g") == alert_groups.Group(None)


def test_given_a_start_that_was_refused_or_kept_when_asked_then_it_counts_for_its_time(
    monkeypatch: pytest.MonkeyPatch, statuses: dict[str, str | None]
) -> None:
    row = {"execution": "e", "until": NOW + 3600}
    alert_groups.note_start("e", refused=True)
    assert alert_groups._starts(row) is False
    alert_groups.note_start("e", refused=False)
    assert alert_groups._starts(row) is True
    statuses["e"] = "FAILED"
    monkeypatch.setattr(clock, "now", lambda: NOW + 29.5)
    assert alert_groups._state("e") == "RUNNING"
    monkeypatch.setattr(clock, "now", lambda: NOW + 30)
    assert alert_groups._state("e") == "FAILED"
    statuses["f"] = "SUCCEEDED"
    assert [alert_groups._state("f"), statuses.update(f="FAILED"), alert_groups._state("f")] == [
        "SUCCEEDED", None, "SUCCEEDED"
    ]  # fmt: skip
    alert_groups.forget()
    assert alert_groups._state("f") == "FAILED"
