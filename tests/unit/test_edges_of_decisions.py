"""Decisions of analysts: the fields of an invocation, the users who may decide, and the answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ir_router import aws, command_lines
from ir_router.errors import UncertainError
from ir_router.ledger import approvals, audit, two_people
from ir_router.workflow import approval, notices
from ir_router.workflow.incident import Analyst
from tests.support.world import World

AT = 1768480259.0
WHEN = "2026-01-15 12:30:59 UTC"
JANE: Analyst = {"name": "Jane", "via": "slack", "slack_user_id": "U1"}
ROW: dict[str, Any] = {
    "approval_id": "a1",
    "kind": "remediate",
    "execution": "arn:e",
    "execution_name": "e",
    "state": approvals.PENDING,
    "owners": [],
    "approve_does": "deletes the key.",
    "deny_does": "restores it.",
}


@pytest.mark.parametrize(
    ("given", "analyst"),
    [
        (" Jane ", {"name": "Jane", "via": "cli"}),
        ("x" * 201, {"name": "x" * 200, "via": "cli"}),
        ("  ", None),
        (None, None),
        (7, None),
        ({}, None),
        ({"name": " "}, None),
        ({"name": "Jane"}, {"name": "Jane", "via": "cli"}),
        ({"email": "j@example.com"}, {"name": "j@example.com", "via": "cli", "email": "j@example.com"}),
        ({"slack_user_id": "U1"}, {"name": "U1", "via": "slack", "slack_user_id": "U1"}),
        (
            {"name": "Jane", "email": "j@example.com", "slack_user_id": "U1"},
            {"name": "Jane", "via": "slack", "slack_user_id": "U1", "email": "j@example.com"},
        ),
        ({"email": "j@example.com", "slack_user_id": "U1"},
         {"name": "j@example.com", "via": "slack", "slack_user_id": "U1", "email": "j@example.com"}),
        ({"name": "y" * 201}, {"name": "y" * 200, "via": "cli"}),
        ({"name": "", "email": "", "slack_user_id": ""}, None),
    ],
)  # fmt: skip
def test_given_the_analyst_of_an_invocation_when_read_then_only_a_user_id_makes_it_slack(
    given: Any, analyst: dict[str, str] | None
) -> None:
    assert approval._analyst(given) == analyst


@pytest.mark.parametrize(
    ("row", "analyst", "refusal"),
    [
        ({}, JANE, None),
        ({"owners": ["jane@example.com"]}, {**JANE, "email": "Jane+x@Example.com"}, "owner"),
        ({"owners": ["jane@example.com"]}, {**JANE, "email": "joe@example.com"}, None),
        ({"owners": ["jane@example.com"]}, JANE, "perhaps_owner"),
        ({"owners": ["jane@example.com"]}, {"name": "jane@example.com", "via": "cli"}, None),
        ({"owners": ["U1"]}, JANE, "owner"),
        ({"owners": ["U2"]}, JANE, "perhaps_owner"),
        ({"owner_ids": ["U1"]}, JANE, "owner"),
        ({"owner_ids": ["U2"]}, JANE, None),
        ({"owner_ids": ["U1"], "last_approvers": ["U1"]}, JANE, None),
        ({"owner_ids": ["U1"], "last_approvers": ["U2"]}, JANE, "owner"),
        ({"owners": ["jane@example.com"], "last_approvers": ["jane@example.com"]},
         {**JANE, "email": "jane@example.com"}, None),
        ({"owners": ["U1"], "last_approvers": None}, JANE, "owner"),
    ],
    ids=repr,
)  # fmt: skip
def test_given_the_owners_of_credentials_when_one_decides_then_an_address_or_a_user_id_bars_it(
    row: dict[str, Any], analyst: Any, refusal: str | None
) -> None:
    assert approval._refusal({**ROW, **row}, analyst) == refusal


@pytest.mark.parametrize(
    ("seen", "status"),
    [(None, "unknown_token"), (0, "unknown_token"), (1_000_000_000, "unknown_token"), (-1, "unknown_joined_events"),
     (1_000_000_001, "unknown_joined_events"), (True, "unknown_joined_events"), ("0", "unknown_joined_events"),
     (1.0, "unknown_joined_events")],
)  # fmt: skip
def test_given_a_number_of_joined_events_when_decided_then_only_a_whole_one_in_range_is_accepted(
    world: World, seen: Any, status: str
) -> None:
    event = {"decision": "approve", "analyst": "Jane", "joined_events": seen, "approval_id": "none"}

    answer = approval.handle(event, None)

    assert answer is not None
    assert answer["status"] == status
    assert approval.handle({**event, "decision": "x" * 60}, None) == {
        "status": "unknown_decision",
        "message": "Decision not recorded: `decision` must be approve, deny, withdraw, assign, contain_creator or "
        f"release, not {'x' * 50!r}.",
    }
    missing = approval.handle({**event, "analyst": ""}, None)
    assert missing is not None
    assert missing["status"] == "analyst_missing"


@pytest.mark.parametrize(
    ("event", "found"),
    [
        ({"task_token": "t", "approval_id": "a2"}, "of t"),
        ({"task_token": "", "approval_id": "a2"}, "a2"),
        ({"task_token": 7, "approval_id": "a2"}, "a2"),
        ({"approval_id": ""}, None),
        ({"approval_id": 7}, None),
        ({}, None),
    ],
)
def test_given_an_invocation_when_its_request_is_looked_up_then_a_token_comes_before_an_id(
    monkeypatch: pytest.MonkeyPatch, event: dict[str, Any], found: str | None
) -> None:
    monkeypatch.setattr(approvals, "find_by_token", lambda token: f"of {token}")

    assert approval._approval_id(event) == found


@pytest.mark.parametrize(("count", "more"), [(3, "1 more event joined"), (5, "3 more events joined")])
def test_given_events_that_joined_when_decided_before_they_are_seen_then_the_number_is_stated(
    count: int, more: str
) -> None:
    row = {**ROW, "joined_events": count}
    start = f"Decision not recorded: {more} since you opened this. "

    assert approval._events_joined_message(row, 2, JANE) == (
        f"{start}Review the updated message, then press the button again."
    )
    assert approval._events_joined_message(row, 2, {"name": "Jane", "via": "cli"}) == (
        f"{start}Run the task list_approvals, then decide with joined_events {count}."
    )


DECIDED = {**ROW, "decision": "approve", "analyst": JANE, "decided_at": AT}


@pytest.mark.parametrize(
    ("changes", "own", "status", "message"),
    [
        ({}, None, "recorded", f"Decision recorded: approve, by Jane (U1), {WHEN}. It has NOT taken effect yet,"),
        ({"state": approvals.DELIVERED}, None, "already_decided", f"Already approved by Jane (U1), {WHEN}."),
        ({"state": approvals.DELIVERED}, {"decision": "approve", "analyst": JANE}, "approved",
         "Approved by Jane (U1). The workflow now deletes the key."),
        ({"state": approvals.DELIVERED}, {"decision": "deny", "analyst": JANE}, "already_decided", "Already approved"),
        ({"state": approvals.DELIVERED}, {"decision": "approve", "analyst": {}}, "already_decided", "Already approved"),
        ({"state": approvals.DELIVERED, "decision": "deny"}, {"decision": "deny"}, "denied",
         "Denied by Jane (U1). The workflow now restores it."),
        ({"decided_at": None}, None, "recorded", "Decision recorded: approve, by Jane (U1), already."),
        ({"decision": None}, None, "pending", "No decision has been made yet."),
        ({"state": approvals.EXPIRED, "why": "too old"}, None, "too_late", "Too late: too old. The containment stays"),
        ({"state": approvals.EXPIRED}, None, "too_late", "Too late: the workflow no longer waits for it. "),
    ],
    ids=repr,
)  # fmt: skip
def test_given_the_state_of_a_request_when_answered_then_only_the_own_delivered_decision_is_approved_or_denied(
    changes: dict[str, Any], own: Any, status: str, message: str
) -> None:
    row = {name: value for name, value in {**DECIDED, **changes}.items() if value is not None}

    answer = approval._current_answer(row, own)

    assert answer["status"] == status
    assert answer["message"].startswith(message)


def test_given_a_decision_of_two_people_when_answered_then_both_users_and_the_time_are_given() -> None:
    first = {**DECIDED, "analyst": {**JANE, "first": {"name": "Ann", "slack_user_id": "U2"}}}

    assert approval._answer(first, "recorded", "m") == {
        "status": "recorded",
        "message": "m",
        "approval_id": "a1",
        "kind": "remediate",
        "decision": "approve",
        "decided_by": "Jane",
        "slack_user_id": "U1",
        "first_slack_user_id": "U2",
        "decided_at": WHEN,
    }
    typed = approval._answer({**DECIDED, "analyst": {"name": "Joe"}}, "recorded", "m")
    assert ("slack_user_id" in typed, "first_slack_user_id" in typed) == (False, False)
    assert "decision" not in approval._answer(ROW, "pending", "m")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": "contain"}, "The principal was NOT contained. Contain it by hand now."),
        ({"kind": "contain", "who": "user a", "listed": ["a"]}, "user a was NOT contained. Contain it by hand now."),
        ({"kind": "contain", "who": "a and b", "listed": ["a", "b"]},
         "a and b were NOT contained. Contain them by hand now."),
        ({}, f"The containment stays until you release it. To release it, run: {command_lines.release_request('a1')}"),
    ],
)  # fmt: skip
def test_given_a_request_that_has_expired_when_answered_then_the_next_step_is_stated(
    changes: dict[str, Any], text: str
) -> None:
    assert approval._aftermath({**ROW, **changes}) == text


def test_given_a_decision_when_step_functions_gets_it_then_addresses_are_left_out() -> None:
    analyst = {**JANE, "email": "j@example.com", "first": {"name": "Ann", "email": "a@example.com"}}

    assert approval._output({**DECIDED, "analyst": analyst}) == {
        "approval_id": "a1",
        "decision": "approve",
        "analyst": {**JANE, "first": {"name": "Ann"}},
        "decided_at": "2026-01-15T12:30:59Z",
    }


class StepFunctions:
    """Rejects the decision with `code`, and shows the execution's status."""

    def __init__(self, code: str, status: str | Exception) -> None:
        self._code, self._status = code, status
        self.sent: list[dict[str, Any]] = []

    def send_task_success(self, **given: Any) -> None:
        self.sent.append(given)
        raise ClientError({"Error": {"Code": self._code, "Message": "m"}}, "SendTaskSuccess")

    def describe_execution(self, **given: Any) -> dict[str, Any]:
        assert given == {"executionArn": "arn:e", "includedData": "METADATA_ONLY"}
        if isinstance(self._status, Exception):
            raise self._status
        return {"status": self._status}


GONE = ClientError({"Error": {"Code": "ExecutionDoesNotExist", "Message": "m"}}, "DescribeExecution")
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "m"}}, "DescribeExecution")


@pytest.mark.parametrize(
    ("code", "status", "why"),
    [
        ("TaskTimedOut", "TIMED_OUT", "the workflow had already ended (timed out, TaskTimedOut)"),
        ("TaskDoesNotExist", "FAILED", "the workflow had already ended (failed, TaskDoesNotExist)"),
        ("InvalidToken", "SUCCEEDED", "the workflow had already ended (succeeded, InvalidToken)"),
        ("TaskTimedOut", "ABORTED", "the workflow had already ended (aborted, TaskTimedOut)"),
        ("TaskTimedOut", GONE, "the workflow had already ended (aborted, TaskTimedOut)"),
        ("TaskTimedOut", "RUNNING", None),
        ("TaskTimedOut", DENIED, None),
        ("TaskTimedOut", EndpointConnectionError(endpoint_url="x"), None),
        ("AccessDeniedException", "ABORTED", None),
    ],
    ids=repr,
)
def test_given_a_token_that_step_functions_rejects_when_delivered_then_the_executions_status_counts(
    monkeypatch: pytest.MonkeyPatch, code: str, status: str | Exception, why: str | None
) -> None:
    client = StepFunctions(code, status)
    late: list[str] = []
    published: list[str] = []
    row = {**DECIDED, "state": approvals.DECIDED}
    monkeypatch.setattr(aws, "client", lambda _name: client)
    monkeypatch.setattr(approvals, "token_of", lambda _id: "token")
    monkeypatch.setattr(
        approvals, "get", lambda _id: {**row, "state": approvals.EXPIRED, "why": late[0]} if late else row
    )
    monkeypatch.setattr(approvals, "too_late", lambda _id, why: late.append(why))
    monkeypatch.setattr(notices, "publish", lambda detail_type, _detail: published.append(detail_type))

    answer = approval._deliver(row, None)

    assert [one["taskToken"] for one in client.sent] == ["token"]
    assert late == ([why] if why else [])
    assert published == (["ApprovalTimedOut"] if why else [])
    assert answer["status"] == ("too_late" if why else "recorded")


def test_given_a_bus_that_does_not_answer_when_announced_then_the_decision_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published: list[Any] = []

    def publish(detail_type: str, detail: Any) -> None:
        published.append((detail_type, detail))
        raise UncertainError("EventBridge", "PutEvents", "x")

    monkeypatch.setattr(notices, "publish", publish)

    approval._publish("ApprovalDecided", DECIDED)

    assert published == [("ApprovalDecided", {"approval_id": "a1", "decision": "approve"})]


@pytest.mark.parametrize(
    ("action", "details", "recorded"),
    [
        ("approvers_changed", {"x": 1}, True),
        ("last_approvers", {"x": 1}, True),
        ("watchers_outside", {"x": 1}, True),
        ("decided", {"x": 1}, False),
        ("approvers_changed", None, False),
    ],
)
def test_given_a_change_of_access_when_recorded_then_only_known_actions_reach_the_audit(
    monkeypatch: pytest.MonkeyPatch, action: str, details: Any, recorded: bool
) -> None:
    written: list[Any] = []
    monkeypatch.setattr(audit, "append", lambda *given, once: written.append((*given, once)))
    event = {"task": "record_access_change", "action": action, "details": details, "once": "o"}

    assert approval.handle(event, SimpleNamespace()) is None

    assert written == ([(action, "ir-router workflow", {"x": 1}, "o")] if recorded else [])


def test_given_a_first_of_two_people_when_another_analyst_withdraws_then_the_answer_states_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notices, "publish", lambda *_: None)
    given: list[Any] = []

    def withdraw(*arguments: Any) -> bool:
        given.append(arguments)
        return len(given) > 1

    monkeypatch.setattr(two_people, "withdraw", withdraw)

    answers = [approval._change_request(ROW, "withdraw", JANE, {"until": until}, "r") for until in ("9", 7)]

    assert [one["status"] for one in answers] == ["not_withdrawn", "withdrawn"]
    assert given == [(ROW, JANE, None, "r"), (ROW, JANE, 7.0, "r")]
