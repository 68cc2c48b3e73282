"""Errors that are rare: an unreadable answer, a rejected call, or an item that disappeared."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from ir_router import aws, cloudtrail, cloudtrail_lake
from ir_router.commands import approvals as approvals_command
from ir_router.commands import forms
from ir_router.errors import NotConfiguredError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import audit_incident
from ir_router.ops import activity, regions, trails
from ir_router.report import sealing
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import from_environment
from ir_router.sync import approval_tampering, approver_watch, poll, report_files
from ir_router.workflow import approval, iam, identity, left_behind, notices, sessions
from tests.support.answers import ClientAnswers, SlackAnswers, client_error

GONE = RefusedError("Slack", "any", "channel_not_found")
NO_ENDPOINT = EndpointConnectionError(endpoint_url="x")
ROLE: Any = {"kind": "role", "name": "deploy", "arn": "arn:r", "account": "123456789012"}


class Failing:
    """A client or gateway whose every call raises `error`."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _operation: str) -> Any:
        def call(*_: Any, **__: Any) -> Any:
            raise self._error

        return call


def failing_with(error: Exception) -> Any:
    return Failing(error)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[1]", "null"])
def test_given_a_form_with_an_unreadable_origin_when_read_then_it_has_none(text: str) -> None:
    assert forms.origin_of({"view": {"private_metadata": text}}) == {}
    assert forms.origin_of({"view": {"private_metadata": '{"a": "b", "c": 1}'}}) == {"a": "b"}


@pytest.mark.parametrize("row", [{}, {"details": None}, {"details": "x"}, {"details": "[1]"}])
def test_given_an_audit_record_without_readable_details_when_read_then_there_are_none(row: dict[str, Any]) -> None:
    assert audit_incident.details_of(row) == {}


@pytest.mark.parametrize(
    "record",
    [
        {"details": "x", "action": sealing.ACTION},
        {"details": None, "action": sealing.ACTION},
        {"action": sealing.ACTION},
        {"details": "{}", "action": sealing.ACTION},
        {
            "details": '{"html_sha256": "a", "json_sha256": "b", "case_id": "1", "version": []}',
            "action": sealing.ACTION,
        },
        {"details": '{"html_sha256": "a", "json_sha256": "b"}', "action": "case_erased"},
    ],
)
def test_given_a_record_that_is_not_about_a_report_when_read_then_the_error_states_it(record: dict[str, Any]) -> None:
    with pytest.raises(sealing.NotAReportError, match="no audit record of a report"):
        sealing.subject(record)


@pytest.mark.parametrize("value", ["x", "[]", '{"release": "two"}', '{"release": null}', '{"release": 3}', "1"])
def test_given_an_unreadable_number_of_approvals_when_read_then_the_error_names_the_setting(value: str) -> None:
    with pytest.raises(NotConfiguredError, match="IR_APPROVALS_REQUIRED must be a JSON object of the numbers 1 or 2"):
        from_environment({"IR_APPROVALS_REQUIRED": value})


def test_given_unreadable_records_of_cloudtrail_when_read_then_the_known_fields_count_or_the_row_does_not() -> None:
    event = {"EventId": "e", "EventName": "GetUser", "EventSource": "iam.amazonaws.com", "AccessKeyId": "AKIA1"}
    for text in ("{", "[1]", None):
        found = cloudtrail._record({**event, "CloudTrailEvent": text}, "us-east-1")
        assert (found["eventID"], found["userIdentity"]["accessKeyId"]) == ("e", "AKIA1")
    column = cloudtrail_lake._COLUMN
    rows: list[Any] = [[{column: "{"}], [{column: "[1]"}], [{"other": "{}"}], [{column.upper(): '{"eventID": "e"}'}]]
    assert cloudtrail_lake._records(rows) == [{"eventID": "e"}]
    assert [activity._entry({"message": text}) for text in ("{", "[1]", '{"status": "200"}')] == [
        {},
        {},
        {"status": "200"},
    ]


def test_given_a_role_that_is_gone_when_read_then_it_has_no_trust_policy_and_no_profiles_and_other_errors_are_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for code, raises in (("NoSuchEntity", False), ("AccessDenied", True)):
        client = failing_with(client_error(code))
        client.get_paginator = lambda _name, code=code: SimpleNamespace(paginate=lambda **_: pages(code))
        monkeypatch.setattr(sessions, "reader", lambda _account, client=client: client)
        for read, nothing in ((iam.trust_policy, {}), (iam.instance_profiles, [])):
            if raises:
                with pytest.raises(type(client_error(code))):
                    read(ROLE)
            else:
                assert read(ROLE) == nothing


def pages(code: str) -> Any:
    """Fail at the first page, as a paginator does."""
    raise client_error(code)
    yield


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (client_error("ExecutionDoesNotExist"), "ABORTED"),
        (client_error("AccessDeniedException"), "UNKNOWN"),
        (NO_ENDPOINT, "UNKNOWN"),
    ],
    ids=repr,
)
def test_given_step_functions_that_does_not_show_an_execution_when_asked_then_only_a_missing_one_counts_as_ended(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: str
) -> None:
    monkeypatch.setattr(aws, "client", lambda _service: failing_with(error))
    assert approval._execution_status({"execution": "arn:e"}) == status


@pytest.mark.parametrize("error", [NO_ENDPOINT, client_error("X"), UncertainError("EventBridge", "PutEvents", "x")])
def test_given_a_bus_that_fails_when_a_decision_is_announced_then_the_decision_stands(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(notices, "publish", failing_with(error).publish)
    approval._publish("ApprovalDecided", {"approval_id": "1"})


def test_given_slack_that_rejects_a_read_when_only_a_detail_is_missing_then_the_rest_continues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slack: Any = SlackAnswers(GONE, GONE, GONE, GONE)
    command: Any = SimpleNamespace(slack=slack)
    sync: Any = SimpleNamespace(slack=slack)

    assert approvals_command._permalink(command, "C1", "1.1") == ""
    assert approver_watch.group_members(slack, "S1") == []
    assert approval_tampering._read(slack, "C1", "1.1") is None
    report_files._delete(sync, "F1")
    assert [method for method, _ in slack.asked] == [
        "chat.getPermalink",
        "usergroups.users.list",
        "conversations.history",
        "files.delete",
    ]
    throttled = RetryLaterError("AWS", "ListTagsForResource", "ThrottlingException", 1.0)
    monkeypatch.setattr(security_ir, "tags", failing_with(throttled).tags)
    row: Any = SimpleNamespace(case_arn="arn:case", case_id="1")
    assert poll._severity(row) == ""


def test_given_a_trail_whose_status_is_not_shown_when_verified_then_the_others_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def status(**arguments: Any) -> Any:
        if arguments["Name"] == "arn:hidden":
            raise client_error("AccessDeniedException")
        return {"IsLogging": True}

    client: Any = ClientAnswers(describe_trails={"trailList": [{"TrailARN": "arn:hidden"}, {"TrailARN": "arn:shown"}]})
    client.get_trail_status = status
    monkeypatch.setattr(regions, "client", lambda *_: client)
    monkeypatch.setattr(trails, "_selected", lambda *_: (True, True, True))

    assert len(list(trails._logging("us-east-1"))) == 1


def test_given_more_leftovers_than_are_listed_when_read_then_the_others_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: 600_000)
    monkeypatch.setattr(identity, "current_principal", lambda *_: ROLE)
    monkeypatch.setattr(left_behind, "_line", lambda found, *_: [found[1]])
    row = {"principal": ROLE, "recorded": {"keys": {}}, "opened_at": 0}
    for number in (left_behind._MOST, left_behind._MOST + 2):
        things = [("policy", f"p{one}") for one in range(number)]
        monkeypatch.setattr(left_behind, "_reads", lambda _who, things=things: [("policy", lambda: things)])
        lines = left_behind.read(row, context).lines
        extra = number - left_behind._MOST
        assert lines == [f"p{one}" for one in range(left_behind._MOST)] + ([f"{extra} more"] if extra else [])
