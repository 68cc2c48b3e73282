"""Calls of contained principals: the counted ones, the reports and alerts about them, and urgent mentions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases import comments
from ir_router.cases.after_containment import ALWAYS_ALLOWED
from ir_router.errors import RefusedError, UncertainError
from ir_router.ledger import approvals, contained_names, containments, groups, keys, table, urgent
from ir_router.ledger.alerts import Alert
from ir_router.ledger.table import ConditionFailedError, TransactionFailedError
from ir_router.security_ir import gateway
from ir_router.workflow import attempts, invocation, notices, reapplication, wording
from ir_router.workflow.phase import Phase
from tests.support.texts import facts

NOW = 1_768_480_300.5
ARN = facts.MALLORY["arn"]
AT = datetime(2026, 1, 15, 12, 30, 59, tzinfo=UTC).timestamp()
INCIDENT = facts.INCIDENT["execution"]["id"]


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def noting(noted: list[Any], answers: list[Any]) -> Any:
    """Return a call that notes its arguments and gives the next answer."""

    def note(*given: Any) -> Any:
        noted.append(given)
        return answers.pop(0)

    return note


def test_given_denied_calls_when_counted_then_the_newest_is_kept_and_only_for_its_incident(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "update_item", lambda *given, **values: (*given, values))
    older = facts.event(event_time="2026-01-15T12:00:00+00:00", event_name="GetUser")

    def item(number: int, address: str, moment: float = AT) -> tuple[Any, ...]:
        last = {"call": "CreateAccessKey", "at": "2026-01-15T12:30:59+00:00", "address": address}
        return (
            keys.containment("arn"),
            "ADD attempts :calls SET last_attempt = :last, last_attempt_at = :moment",
            "incident = :incident",
            {"calls": number, "last": last, "moment": moment, "incident": "i"},
        )

    def counted(*events: Any) -> Any:
        return attempts.counting(events, "arn", {"incident": "i"})

    assert counted(older, facts.event()) == item(2, "198.51.100.7")
    assert counted(facts.event(source_ip=None)) == item(1, "an unknown address")
    assert counted(facts.event(event_time=""))[-1]["moment"] == 0.0


class Report:
    """A report of the number of denied calls: the comment, and the changes of the row."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **row: Any) -> None:
        last = {"call": "GetUser", "at": "2026-01-15T12:30:59+00:00", "address": "198.51.100.7"}
        self.row: dict[str, Any] | None = {
            "principal": facts.MALLORY, "incident": "i", "case_id": 7, "attempts": 2, "last_attempt": last, **row
        }  # fmt: skip
        self.done: list[Any] = []
        self.error: Exception | None = None
        monkeypatch.setattr(containments, "get", lambda arn: self.row if arn == "arn" else None)
        monkeypatch.setattr(table, "update", self.take("claim"))
        monkeypatch.setattr(notices, "comment", self.take("comment"))
        monkeypatch.setattr(containments, "annotate", self.take("annotate"))

    def take(self, name: str) -> Any:
        def step(*given: Any, **values: Any) -> None:
            self.done.append((name, *given, values))
            if self.error and name == "comment":
                raise self.error

        return step


@pytest.mark.parametrize(
    ("row", "calls"),
    [
        ({}, "2 denied calls"),
        ({"attempts": 1}, "1 denied call"),
        ({"attempts_reported": 1, "attempts_reported_at": NOW - 300}, "2 denied calls"),
        ({"attempts_reported_at": NOW - 299.5}, ""),
        ({"attempts_reported": 2}, ""),
        ({"attempts": 0}, ""),
        ({"case_id": None}, ""),
    ],
)
def test_given_denied_calls_when_reported_then_the_case_gets_a_new_number_every_five_minutes_at_most(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], calls: str
) -> None:
    report = Report(monkeypatch, **row)

    attempts.report("arn")

    if not calls:
        assert report.done == []
        return
    condition = (
        "incident = :incident AND (attribute_not_exists(attempts_reported_at) OR attempts_reported_at = :before)"
    )
    values = {"now": NOW, "before": row.get("attempts_reported_at", 0), "incident": "i"}
    text = f"user mallory: {calls} since the containment. Last: GetUser at 2026-01-15 12:30:59 UTC from 198.51.100.7."
    number = int(calls.split()[0])
    steps = [
        ("claim", keys.containment("arn"), "SET attempts_reported_at = :now", condition, values),
        ("comment", "7", f"attempts-i-arn-{number}", text, {}),
        ("annotate", "arn", "i", {"attempts_reported": number}),
    ]
    assert report.done == steps
    report.done.clear()
    report.error = RefusedError("AWS", "CreateCaseComment", "ConflictException")
    attempts.report("arn")
    assert report.done == steps
    report.error = UncertainError("AWS", "CreateCaseComment", "timeout")
    with pytest.raises(UncertainError):
        attempts.report("arn")

    def taken(*_: Any, **__: Any) -> None:
        raise ConditionFailedError({})

    monkeypatch.setattr(table, "update", taken)
    report.done.clear()
    attempts.report("arn")
    report.row = None
    attempts.report("arn")
    report.row = {"case_id": 7, "incident": "i"}
    attempts.report("arn")
    assert report.done == []


@pytest.mark.parametrize(
    ("reasons", "counted"),
    [
        (None, True),
        (["ConditionalCheckFailed", "None"], True),
        (["None", "ConditionalCheckFailed"], False),
        (["ConditionalCheckFailed", "ConditionalCheckFailed"], True),
    ],
)
def test_given_a_denied_call_when_handled_then_its_execution_counts_it_once_and_the_number_is_reported(
    monkeypatch: pytest.MonkeyPatch, reasons: list[str] | None, counted: bool
) -> None:
    written: list[Any] = []
    reported: list[str] = []

    def transact(items: Any) -> None:
        written.append(items)
        if reasons:
            raise TransactionFailedError(reasons)

    row = {"incident": "i"}
    monkeypatch.setattr(table, "put_item", lambda *given: given)
    monkeypatch.setattr(attempts, "counting", lambda *given: given)
    monkeypatch.setattr(table, "transact", transact)
    monkeypatch.setattr(attempts, "report", reported.append)

    assert attempts._count(facts.event(), "arn", row) is counted

    mark = (
        keys.deduplication(f"ATTEMPT#{groups.name_of(INCIDENT)}"),
        {"expires_at": int(NOW) + 7 * 86_400},
        "attribute_not_exists(PK)",
    )
    assert written == [[mark, ([facts.event()], "arn", row)]]
    assert reported == ["arn"] * counted


@pytest.mark.parametrize(
    ("kind", "row", "counted", "done"),
    [
        ("denied", {"a": 1}, True, [("count", "arn")]),
        ("denied", {"a": 1}, False, [("count", "arn")]),
        ("succeeded", {"a": 1}, False, [("success", "arn", "c")]),
        ("unrelated", {"a": 1}, False, []),
        ("denied", None, False, []),
    ],
)
def test_given_a_call_when_handled_then_only_a_counted_one_needs_no_alert(
    monkeypatch: pytest.MonkeyPatch, kind: str, row: Any, counted: bool, done: list[Any]
) -> None:
    asked: list[Any] = []
    made: list[Any] = []
    incident = facts.event(actor={**facts.MALLORY, "id": "AIDA1"})

    def count(_incident: Any, arn: str, _row: Any) -> bool:
        made.append(("count", arn))
        return counted

    monkeypatch.setattr(contained_names, "row_of_caller", noting(asked, [row]))
    monkeypatch.setattr(contained_names, "arn_of", lambda _row: "arn")
    monkeypatch.setattr(attempts, "kind_of", lambda given, of: kind if (given, of) == (incident, row) else "unrelated")
    monkeypatch.setattr(attempts, "_count", count)
    monkeypatch.setattr(
        attempts, "_report_success", lambda _incident, arn, _row, context: made.append(("success", arn, context))
    )

    assert attempts.handle(incident, "c") is counted
    assert (asked, made) == ([(ARN, "AIDA1")], done)


class Success:
    """The steps after a successful call of a contained principal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[Any] = []
        self.phase, self.opener = Phase.AWAITED, INCIDENT
        self.locked: dict[str, Any] = {"incident": "i"}

        @contextmanager
        def locked(arn: str, until: Any) -> Iterator[Any]:
            self.done.append(("lock", arn, until))
            yield SimpleNamespace(row=self.locked)
            self.done.append("unlock")

        def entered(group: str, execution: str) -> dict[str, str]:
            assert (group, execution) == (groups.name_of("succeeded", "arn"), INCIDENT)
            return {"execution": self.opener}

        monkeypatch.setattr(groups, "enter", entered)
        monkeypatch.setattr(notices, "mail", lambda alert: self.done.append(alert))
        monkeypatch.setattr(notices, "mention_approvers", lambda *given: self.done.append(("mention", *given)))
        monkeypatch.setattr(notices, "page", lambda *given: self.done.append(("page", *given)))
        monkeypatch.setattr(containments, "locked", locked)
        monkeypatch.setattr(invocation, "lock_until", lambda context: f"until {context}")
        monkeypatch.setattr(attempts, "phase_of", lambda _row: self.phase)
        monkeypatch.setattr(reapplication, "reapply", lambda lock: self.done.append(("reapply", lock.row)))


@pytest.mark.parametrize(
    ("phase", "locked", "reapplied"),
    [(Phase.AWAITED, "i", True), (Phase.DECIDED, "i", False), (Phase.AWAITED, "other", False)],
)
def test_given_a_contained_principal_when_its_call_succeeds_then_people_act_and_the_containment_is_verified(
    monkeypatch: pytest.MonkeyPatch, phase: Phase, locked: str, reapplied: bool
) -> None:
    steps = Success(monkeypatch)
    steps.phase, steps.locked = phase, {"incident": locked}
    row = {"principal": facts.MALLORY, "incident": "i", "case_id": "7"}

    attempts._report_success(facts.event(), "arn", row, "c")

    alert = steps.done[0]
    headline = "A call of the contained user mallory succeeded: CreateAccessKey. You must act by hand now."
    steps_taken = [("lock", "arn", "until c"), *[("reapply", steps.locked)] * reapplied, "unlock"]
    assert steps.done[1:] == [
        ("mention", approvals.id_of("i", "remediate"), "1/succeeded", alert.text),
        *steps_taken,
        ("page", "1/succeeded", headline, alert.text),
    ]
    subject = "ACT by hand now: user mallory, its call CreateAccessKey succeeded despite the containment"
    assert alert == Alert("1/succeeded", "HIGH", subject, alert.text)
    check = (
        "Check in IAM that the deny policy is attached and that all keys are disabled. Look for further credentials of "
        "this principal."
    )
    assert alert.text.split("\n") == [
        headline,
        check,
        "",
        *wording.facts(facts.event()),
        wording.case_line("7"),
        *wording.ids(facts.event()),
    ]

    steps.done.clear()
    steps.opener = "other"
    attempts._report_success(facts.event(), "arn", row, "c")
    steps.opener = INCIDENT
    attempts._report_success(facts.event(event_name=min(ALWAYS_ALLOWED)), "arn", row, "c")
    assert steps.done == []


def test_given_an_urgent_message_when_its_request_exists_then_it_is_published_as_a_joined_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted: list[Any] = []
    published: list[Any] = []
    exists = [True, False, True, False]
    monkeypatch.setattr(urgent, "note", noting(noted, exists))
    monkeypatch.setattr(approvals, "note_result", noting(noted, exists))
    monkeypatch.setattr(notices, "publish", lambda *given: published.append(given))

    notices.mention_approvers("a", "n", "text")
    notices.mention_approvers("b", "n", "text")
    assert noted == [("a", "n", "text"), ("b", "n", "text")]
    assert published == [("ApprovalRequested", {"approval_id": "a", "joined": True})]
    assert notices.report_result("c", "deny", "r") is True
    assert notices.report_result("d", "deny", "r") is False
    assert noted[2:] == [("c", "r"), ("d", "r")]
    assert published[1:] == [("ApprovalDecided", {"approval_id": "c", "decision": "deny"})]


def test_given_a_comment_when_written_then_it_has_its_limit_its_token_and_refers_to_a_message_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[Any] = []
    noted: list[Any] = []
    exists = [True, False]
    monkeypatch.setattr(gateway, "create_comment", lambda *given: written.append(given))
    monkeypatch.setattr(approvals, "note_comment", noting(noted, exists))

    notices.comment("7", "n", "x" * 12_001)
    notices.comment("7", "n", "text", shown_by="a1")
    notices.comment("7", "n", "text", shown_by="a1")
    notices.comment("8", "n", "text")
    notices.comment("8", "m", "text")

    referring = comments.shown_by_approval("text", "a1")
    assert [(one[0], one[1]) for one in written[1:]] == [("7", referring), ("7", "text"), ("8", "text"), ("8", "text")]
    assert (len(written[0][1]), written[0][1] == comments.at_most(12_000, "x" * 12_001)) == (12_000, True)
    assert noted == [("a1", comments.body_hash(referring))] * 2
    first, second, third, other_case, other_name = (one[2] for one in written)
    # A retry of an invocation from an earlier version must find its comment.
    assert first == second == third == "d99e26c9-196d-5422-a91d-1f6c580b399d"
    assert len({first, other_case, other_name}) == 3
