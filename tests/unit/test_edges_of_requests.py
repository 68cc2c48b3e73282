"""Approval requests: the steps of sending one, its receipt and its deadline, and the recorded facts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import EndpointConnectionError

from ir_router.errors import UncertainError
from ir_router.ledger import approvals, audit, containments
from ir_router.ledger import creators as offers
from ir_router.ledger.alerts import Alert
from ir_router.observability import logger
from ir_router.workflow import (
    approval,
    approval_queue,
    contained_credentials,
    creators,
    left_behind,
    new_keys,
    not_contained,
    notices,
    request_approval,
    wording,
)
from tests.support.answers import client_error
from tests.support.texts import facts

EXECUTION = facts.INCIDENT["execution"]["id"]
AT = 1768480259.0
WHEN = "2026-01-15 12:30:59 UTC"
ONE = {"contain_over_limit": 1, "remediate_approve": 1, "remediate_deny": 1, "release": 1}


class Steps:
    """The steps of sending a request, in order. `rows` has the requests by id."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[Any] = []
        self.facts: dict[str, Any] = {}
        self.details: list[dict[str, Any]] = []
        self.rows: dict[str, Any] = {}
        self.numbers = dict(ONE)

        def request(execution: str, kind: Any, token: str, given: dict[str, Any]) -> dict[str, Any]:
            self.done.append(("request", kind, token))
            self.facts = given
            base = {"approval_id": f"id-{kind}", "execution": execution, "kind": kind, "state": approvals.PENDING}
            return {**base, "decide_by": AT, **given}

        step = self.step
        monkeypatch.setattr(approvals, "request", request)
        monkeypatch.setattr(approvals, "get", self.rows.get)
        monkeypatch.setattr(audit, "append", self._record)
        monkeypatch.setattr(approval_queue, "send", step("queue"))
        monkeypatch.setattr(approval_queue, "tidy", step("tidy"))
        monkeypatch.setattr(notices, "publish", step("publish"))
        monkeypatch.setattr(notices, "report_result", step("result", answer=True))
        monkeypatch.setattr(left_behind, "report", step("left behind"))
        monkeypatch.setattr(creators, "report", lambda _incident, *given: self.done.append(("creator", *given)))
        monkeypatch.setattr(offers, "carried_over", lambda _execution: {"creator_1": {"x": 1}})
        monkeypatch.setattr(
            containments, "annotate", lambda arn, *_, **given: self.done.append(("annotate", arn, given))
        )
        monkeypatch.setattr(containments, "get", lambda _arn: None)
        monkeypatch.setattr(request_approval, "settings", lambda: SimpleNamespace(approvals_required=self.numbers))

    def _record(self, kind: str, who: str, details: dict[str, Any], once: str) -> None:
        self.details.append(details)
        self.done.append((kind, who, once))

    def step(self, name: str, *, answer: Any = None) -> Any:
        def take(*given: Any) -> Any:
            self.done.append((name, *given))
            return answer

        return take


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


def task(kind: str, outcome: str, case: dict[str, Any]) -> dict[str, Any]:
    part = facts.part(outcome=outcome, actions=[facts.taken(), facts.DENIED])
    return {
        "kind": kind,
        "incident": facts.event(),
        "containment": facts.result(part, outcome=outcome),
        "case": {"case_id": None, "failed": False, "repetition": "none", **case},
        "task_token": "token",
    }


def test_given_a_containment_when_its_decision_is_requested_then_each_step_follows_the_other(steps: Steps) -> None:
    steps.numbers["release"] = 2

    answer = request_approval.run_task(task("remediate", "contained", {"case_id": "1"}), "context")

    arn = facts.MALLORY["arn"]
    asked = "user mallory contained. Approve or deny within 24 hours."
    message = next(one[1] for one in steps.done if one[0] == "queue")
    assert answer == {"approval_id": "id-remediate"}
    assert [one for one in steps.done if one[0] != "queue"] == [
        ("annotate", arn, {"case_id": "1"}),
        ("request", "remediate", "token"),
        ("decision_asked", wording.AUDIT_ACTOR, "id-remediate/asked"),
        ("publish", "ApprovalRequested", {"approval_id": "id-remediate", "case_id": "1"}),
        ("result", approvals.id_of(EXECUTION, "contain"), "approve", asked),
        ("tidy",),
        ("left behind", arn, EXECUTION, "context"),
        ("creator", "remediate", f"{asked} A separate approval request is open. Case 1."),
    ]
    assert steps.facts["required"] == {"approve": 1, "deny": 1, "release": 2}
    assert (steps.facts["creator_1"], steps.facts["credentials"], "no_case" in steps.facts) == ({"x": 1}, [], False)
    assert {name: message[name] for name in ("taskToken", "approvalId", "kind", "state", "decideBy", "caseId")} == {
        "taskToken": "token",
        "approvalId": "id-remediate",
        "kind": "remediate",
        "state": "pending",
        "decideBy": WHEN,
        "caseId": "1",
    }
    assert (message["summary"], message["joinedEvents"]) == ("user mallory contained", 0)
    assert message["approve"].startswith("permanently deletes key AKIA2.")
    assert message["deny"].startswith("restores user mallory as found:")
    assert message["peopleRequired"] == {"approve": 1, "deny": 1, "release": 2}
    assert message["incident"] == wording.record(facts.event())
    assert message["containment"]["case_id"] == "1"
    asked_for = {
        "approval_id": "id-remediate", "execution": EXECUTION, "kind": "remediate", "principals": [arn], "barred": [],
        "decide_by": "2026-01-15T12:30:59Z", "approve": message["approve"], "deny": message["deny"], "case_id": "1",
    }  # fmt: skip
    assert steps.details == [asked_for]


@pytest.mark.parametrize(
    "error",
    [UncertainError("AWS", "x", "y"), client_error("Throttling"), EndpointConnectionError(endpoint_url="x")],
    ids=["router", "service", "network"],
)
def test_given_a_request_when_sent_then_its_newest_row_counts_and_an_unwritten_record_is_logged(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, error: Exception
) -> None:
    logged: list[Any] = []
    offer = {"arn": "arn:c", "note": "n", "does": "d"}
    newest = {
        "approval_id": "id-remediate", "execution": EXECUTION, "kind": "remediate", "state": approvals.DECIDED,
        "decide_by": AT, "headline": "newest", "approve_does": "a", "deny_does": "b", "owners": ["o"],
        "joined_events": 3, "case_id": "9",
    }  # fmt: skip
    steps.rows["id-remediate"] = newest
    monkeypatch.setattr(audit, "append", mock.Mock(side_effect=error))
    monkeypatch.setattr(logger, "error", lambda text, extra: logged.append((text, extra)))
    monkeypatch.setattr(offers, "of", lambda _row: {"x": offer, "y": {"arn": "arn:d", "note": ""}})
    given = task("remediate", "contained", {"case_id": "1", "for_readers": "unused"})
    given["containment"]["principals"].append(facts.part(facts.BOB, "gone"))

    request_approval.run_task(given, "context")

    text = "approval.request_not_recorded: the audit log has no record of the request"
    assert logged == [(text, {"error": type(error).__name__})]
    assert "no_case" not in steps.facts
    message = next(one[1] for one in steps.done if one[0] == "queue")
    assert [message[name] for name in ("summary", "state", "joinedEvents", "caseId", "approve", "deny")] == [
        "newest", "decided", 3, "9", "a", "b"
    ]  # fmt: skip
    assert message["creators"] == [
        {"creator": "arn:c", "note": "n", "contain_creator": "d"},
        {"creator": "arn:d", "note": "", "contain_creator": None},
    ]
    monkeypatch.setattr(audit, "append", mock.Mock(side_effect=KeyError("ours")))
    with pytest.raises(KeyError):
        request_approval.run_task(given, "context")


@pytest.mark.parametrize(
    ("kind", "decision", "has_containment", "kept", "mailed"),
    [
        ("contain", "deny", True, ["a stays", "b stays"], True),
        ("contain", "deny", True, [], False),
        ("contain", "deny", False, ["a stays"], None),
        ("contain", "approve", True, ["a stays"], None),
        ("remediate", "deny", True, ["a stays"], None),
    ],
)
def test_given_a_denied_permission_when_recorded_then_new_keys_are_enabled_and_those_that_stay_are_alerted(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, kind: str, decision: str, has_containment: bool, kept: list[str],
    mailed: bool | None,
) -> None:  # fmt: skip
    enabled: list[Any] = []
    containment = facts.result(facts.part())

    def enable(*given: Any) -> Any:
        enabled.append(given)
        return kept, ["e1", "e2"]

    analyst = {"name": "Jane", "via": "slack", "slack_user_id": "U1"}
    receipt = {"analyst": analyst, "decided_at": AT}
    monkeypatch.setattr(approvals, "record_receipt", lambda *_: receipt)
    monkeypatch.setattr(
        not_contained, "with_joined", lambda execution, given: {"principals": [execution, len(given["principals"])]}
    )
    monkeypatch.setattr(new_keys, "enable_again", enable)
    monkeypatch.setattr(notices, "mail", steps.step("mail"))
    e1, e2 = (approvals.id_of(one, "remediate") for one in ("e1", "e2"))
    monkeypatch.setattr(request_approval, "refresh", lambda other: {} if other == e1 else None)
    given = {"incident": facts.event(), "kind": kind, "decision": {"decision": decision}}
    if has_containment:
        given["containment"] = containment

    request_approval.record_decision(given, "c")

    approval_id = approvals.id_of(EXECUTION, kind)  # type: ignore[arg-type]
    stays = "a stays. b stays"
    alert = Alert("1/held", "HIGH", f"CHECK after the denial: {stays}", stays)
    assert enabled == ([(EXECUTION, [EXECUTION, 1], "c")] if mailed is not None else [])
    joined = ("publish", "ApprovalRequested", {"approval_id": e1, "joined": True})
    assert steps.done == [
        *([("mail", alert)] if mailed else []),
        *([joined] if mailed is not None else []),
        ("decision_received", approvals.actor(analyst), f"{EXECUTION}/{kind}/received"),
        ("publish", "ApprovalDecided", {"approval_id": approval_id, "decision": decision}),
    ]
    assert e1 != e2
    assert steps.details == [
        {"execution": EXECUTION, "approval_id": approval_id, "kind": kind, "decision": decision, "via": "slack",
         "slack_user_id": "U1"}
    ]  # fmt: skip


def test_given_a_limit_when_a_permission_is_requested_then_the_missing_case_is_explained_and_nothing_is_released(
    steps: Steps,
) -> None:
    request_approval.run_task(task("contain", "limit_reached", {"for_readers": "No membership."}), None)

    message = next(one[1] for one in steps.done if one[0] == "queue")
    assert [one[0] for one in steps.done] == ["request", "decision_asked", "queue", "publish", "creator"]
    assert (steps.facts["no_case"], "required" in steps.facts, "creator_1" in steps.facts) == (
        "No membership.",
        False,
        False,
    )
    assert ("peopleRequired" in message, message["caseId"], message["creators"]) == (False, None, [])
    headline = "user mallory NOT contained yet: the hourly limit for containments is reached."
    assert steps.done[-1] == (
        "creator",
        "contain",
        f"{headline} Approve or deny the containment now. A separate approval request is open.",
    )


@pytest.mark.parametrize(
    ("state", "decided", "why"),
    [
        (approvals.PENDING, {}, "the 24-hour deadline passed"),
        (
            approvals.DECIDED,
            {"decision": "deny", "analyst": {"name": "Jane"}},
            "Jane denied after the 24-hour deadline",
        ),
        (approvals.EXPIRED, {"decision": "deny"}, "the 24-hour deadline passed"),
    ],
)
def test_given_a_deadline_when_it_passes_then_the_request_expires_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, state: str, decided: dict[str, Any], why: str
) -> None:
    approval_id = approvals.id_of(EXECUTION, "remediate")
    steps.rows[approval_id] = {"state": state, **decided}
    monkeypatch.setattr(approvals, "record_expired", steps.step("expired"))

    assert request_approval.record_timeout({"incident": facts.event(), "kind": "remediate"}, None) == {
        "decision": "timed_out"
    }
    assert steps.done == [
        ("expired", approval_id, why),
        ("approval_timed_out", wording.AUDIT_ACTOR, f"{EXECUTION}/remediate/timed_out"),
        ("publish", "ApprovalTimedOut", {"approval_id": approval_id}),
    ]
    assert steps.details == [{"execution": EXECUTION, "approval_id": approval_id, "kind": "remediate"}]


@pytest.mark.parametrize(
    ("output", "name", "notes"),
    [
        ({"decision": "approve"}, "an unnamed analyst", ""),
        ({"decision": "approve", "analyst": " Jane ", "notes": "n" * 1_001}, "Jane", "n" * 1_000),
        ({"decision": "approve", "analyst": {"name": "J" * 201}}, "J" * 200, ""),
        ({"decision": "approve", "analyst": {"name": " "}}, "an unnamed analyst", ""),
        ({"decision": "approve", "analyst": {"name": 7}}, "an unnamed analyst", ""),
    ],
)
def test_given_an_output_when_it_decides_then_the_receipt_has_its_name_and_reason(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, output: Any, name: str, notes: str
) -> None:
    analyst = {
        "name": "Jane", "via": "slack", "slack_user_id": "U1", "email": "j@example.com", "break_glass": True,
        "first": {"name": "Ann", "via": "cli", "email": "a@example.com"},
    }  # fmt: skip
    monkeypatch.setattr(
        approvals, "record_receipt", steps.step("receipt", answer={"analyst": analyst, "decided_at": AT})
    )
    given = {"incident": facts.event(), "kind": "remediate", "decision": output}
    approval_id = approvals.id_of(EXECUTION, "remediate")

    found = request_approval.record_decision(given, None)

    assert steps.done.pop(0) == ("receipt", approval_id, "approve", name, notes)
    first = {"name": "Ann", "via": "cli"}
    assert found == {
        "decision": "approve",
        "analyst": {"name": "Jane", "via": "slack", "slack_user_id": "U1", "break_glass": True, "first": first},
        "decided_at": "2026-01-15T12:30:59Z",
    }
    assert steps.done == [
        ("decision_received", approvals.actor(analyst), f"{EXECUTION}/remediate/received"),
        ("publish", "ApprovalDecided", {"approval_id": approval_id, "decision": "approve"}),
    ]


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("approve", "the output sent to Step Functions was neither approve nor deny"),
        ({}, "the output sent to Step Functions was neither approve nor deny"),
        ({"decision": "release"}, "the output sent to Step Functions was neither approve nor deny"),
        ({"decision": "deny"}, "deny was sent to Step Functions directly, and it needs two people"),
    ],
)
def test_given_an_output_when_it_decides_nothing_then_the_request_expires_and_the_containment_stays(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, output: Any, why: str
) -> None:
    monkeypatch.setattr(approvals, "record_receipt", lambda *_: None)
    monkeypatch.setattr(approvals, "record_expired", steps.step("expired"))
    approval_id = approvals.id_of(EXECUTION, "contain")

    found = request_approval.record_decision({"incident": facts.event(), "kind": "contain", "decision": output}, None)

    assert found == {"decision": "not_asked", "notes": why}
    assert steps.done == [
        ("expired", approval_id, why),
        ("publish", "ApprovalTimedOut", {"approval_id": approval_id}),
    ]


@pytest.mark.parametrize(("request_id", "once"), [("r", "a1/refused/r"), ("", None)])
def test_given_a_user_who_may_not_decide_when_refused_then_the_audit_has_the_request_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, request_id: str, once: str | None
) -> None:
    written: list[Any] = []
    monkeypatch.setattr(audit, "append", lambda *given, once: written.append((*given, once)))
    jane: Any = {"name": "Jane", "via": "slack", "slack_user_id": "U1"}

    approval._record_refusal({"approval_id": "a1", "execution": "e"}, "deny", jane, "owner", request_id)

    details = {
        "approval_id": "a1", "execution": "e", "decision": "deny", "reason": "owner", "via": "slack",
        "slack_user_id": "U1",
    }  # fmt: skip
    assert written == [("decision_refused", approvals.actor(jane), details, once)]


def test_given_contained_principals_when_their_credentials_are_kept_then_the_earliest_moment_counts() -> None:
    row = {
        "principal": facts.MALLORY, "contained_at": 50, "suspicious_since": 40, "named_keys": ["b"],
        "recorded": {"keys": {"a": "Active", "b": "Active"}},
    }  # fmt: skip
    later = {**row, "suspicious_since": 60}
    only_key = {**row, "scope": "key", "suspicious_since": None}

    found = contained_credentials.of([row, later, only_key, {"principal": facts.BOB}])

    who = {name: facts.MALLORY[name] for name in ("arn", "name", "kind", "account")}
    assert found == [
        {**who, "keys": ["a", "b"], "whole": True, "contained_at": 50.0, "since": 40.0},
        {**who, "keys": ["a", "b"], "whole": True, "contained_at": 50.0, "since": 50.0},
        {**who, "keys": ["b"], "whole": False, "contained_at": 50.0, "since": 50.0},
    ]
