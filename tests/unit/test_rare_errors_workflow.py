"""Errors of the workflow and of the verification that are rare: the rest continues, or the error is raised."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.errors import NotConfiguredError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import audit, configuration, creators, groups, joined_events, table
from ir_router.ledger.containments import Limit
from ir_router.ledger.table import TransactionFailedError
from ir_router.ledger.unavailable import LedgerUnavailableError
from ir_router.ops import credentials as parameters
from ir_router.ops import names, resources, slack_app
from ir_router.slack import credentials
from ir_router.workflow import (
    actor_incidents,
    alert_groups,
    changes,
    deployed_lists,
    detections,
    extract_event_context,
    found_state,
    identity,
    immediate_containment,
    invocation,
    missing_cases,
    new_keys,
    not_contained,
    notices,
    origin,
    owners,
    reading,
    reapplication,
    refinements,
    request_approval,
    sessions,
    tampering,
    without_ledger,
    wording,
    wording_gaps,
)
from ir_router.workflow import creators as workflow_creators
from ir_router.workflow.changes import ChangeFailedError, State
from ir_router.workflow.identity import OwnerNotShownError
from tests.support.answers import client_error

CLOSED = RefusedError("AWS", "CreateCaseComment", "ConflictException")
UNCERTAIN = UncertainError("AWS", "any", "ReadTimeout")
# Any call of DynamoDB that fails means that the ledger is unavailable.
NO_LEDGER = client_error("AccessDeniedException", "GetItem")
OF_IAM = client_error("AccessDenied", "GetUser")
CAROL: Any = {"kind": "user", "name": "carol", "arn": "arn:aws:iam::123456789012:user/carol"}
UNDONE: Any = {
    "what": "attach {target}",
    "target": "deny",
    "verified": False,
    "error": "LimitExceeded",
    "principal": "p",
}
FAILED = ChangeFailedError([UNDONE])


class Raising:
    """A call that raises `error`, and counts how often."""

    def __init__(self, error: Exception) -> None:
        self.error, self.calls = error, 0

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.calls += 1
        raise self.error


def nothing(*_: Any, **__: Any) -> None:
    """Accept any call."""


def test_given_a_closed_case_when_an_outcome_is_commented_then_the_step_continues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    comment = Raising(CLOSED)
    published: list[str] = []
    monkeypatch.setattr(notices, "comment", comment)
    monkeypatch.setattr(notices, "publish", lambda name, _detail: published.append(name))
    monkeypatch.setattr(creators, "note_result", lambda *_: ["a"])
    requested = {"execution": "e0", "creator": "c1", "case_id": "1", "by": "Jane"}
    incident: Any = {"requested": requested, "execution": {"id": "e1", "name": "e1"}}

    workflow_creators.report(incident, "done", "contained")

    for module, name in ((owners, "restored"), (wording, "what_happened"), (wording, "containment")):
        monkeypatch.setattr(module, name, lambda *_: {"owners": []})
    for module, name in ((wording, "record"), (wording, "record_containment")):
        monkeypatch.setattr(module, name, lambda *_: {})
    for module, name in ((joined_events, "note"), (actor_incidents, "give_up"), (audit, "append")):
        monkeypatch.setattr(module, name, nothing)
    monkeypatch.setattr(not_contained, "_show", nothing)
    containment: Any = {"principals": []}
    not_contained._join(incident, containment, {"execution": "e0", "approval_id": "a"}, "1")

    assert (comment.calls, published) == (2, ["ApprovalRequested"] * 2)
    comment.error = UNCERTAIN
    with pytest.raises(UncertainError):
        workflow_creators.report(incident, "done", "contained")


def test_given_a_closed_case_when_a_containment_was_reapplied_then_audit_and_mentions_are_still_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    comment = Raising(CLOSED)
    monkeypatch.setattr(notices, "comment", comment)
    monkeypatch.setattr(audit, "append", lambda action, *_, **__: made.append(action))
    monkeypatch.setattr(notices, "mail", lambda _alert: made.append("mail"))
    monkeypatch.setattr(notices, "mention_approvers", lambda *_: made.append("mention"))
    monkeypatch.setattr(request_approval, "refresh", lambda _id: made.append("refresh"))
    monkeypatch.setattr(wording_gaps, "contained_again", lambda *_, **__: "again")
    row = {"incident": "arn:e1", "case_id": "1", "phase": "open", "principal": CAROL}
    lock: Any = SimpleNamespace(row=row, principal=CAROL["arn"])

    reapplication._report(lock, {"number": 1, "was_refused": False}, [])

    assert (made, comment.calls) == (["containment_reapplied", "mail", "refresh", "mention"], 1)


def test_given_iam_that_allows_no_further_policy_when_an_earlier_one_is_replaced_then_the_earlier_one_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make = Raising(FAILED)
    saved: list[Any] = []
    monkeypatch.setattr(changes, "make", make)
    monkeypatch.setattr(changes, "deny", nothing)
    monkeypatch.setattr(found_state, "without_deny_of_others", lambda recorded: recorded)
    monkeypatch.setattr(found_state, "denied_before", nothing)
    lock: Any = SimpleNamespace(row={"recorded": {}}, save=lambda **values: saved.append(values))

    reapplication._renew(lock, CAROL, State({}, denied=False, earlier=True))

    assert (make.calls, saved) == (1, [{"recorded": {}}])


@pytest.mark.parametrize(("error", "continues"), [(NO_LEDGER, True), (OF_IAM, False)], ids=repr)
def test_given_a_ledger_that_fails_when_configuration_is_read_then_the_safe_side_counts(
    monkeypatch: pytest.MonkeyPatch, error: Exception, continues: bool
) -> None:
    event = {"detail": {"requestParameters": {"keyId": "k1"}}}
    asked: list[Any] = []

    def of_table(*arguments: Any) -> Any:
        asked.append(arguments[-1])
        if len(asked) == 1:
            raise error
        return ("built-in",)

    monkeypatch.setattr(configuration, "kms_key_arns", Raising(error))
    monkeypatch.setattr(deployed_lists, "current", Raising(error))
    monkeypatch.setattr(detections, "_table", of_table)
    monkeypatch.setattr(detections, "_added", [])
    calls = (
        (lambda: refinements.concerns_own_key(event), True),
        (lambda: refinements.concerns_own_key({}), False),
        (without_ledger._protected, ()),
        (detections.table, ("built-in",)),
    )
    for call, result in calls:
        if continues:
            assert call() == result
        else:
            with pytest.raises(type(error)):
                call()
    assert asked[1:] == [None][: int(continues)]


def test_given_a_ledger_that_is_not_back_when_a_containment_is_recorded_then_it_is_kept_and_the_state_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(immediate_containment, "run_task", Raising(LedgerUnavailableError("x")))
    monkeypatch.setattr(without_ledger, "_keep", lambda *arguments: kept.append(arguments))
    task: Any = {"incident": {}, "before": {"principals": []}, "containment": None}

    with pytest.raises(LedgerUnavailableError):
        without_ledger.record(task, None)

    assert kept == [({}, {"principals": []}, None)]


def test_given_changes_that_fail_when_contained_without_a_ledger_then_the_result_shows_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "make", Raising(FAILED))
    monkeypatch.setattr(without_ledger, "_wanted", lambda _part: [])
    monkeypatch.setattr(without_ledger, "_retry_until", lambda _context: 0.0)
    part: Any = {"principal": CAROL, "key": None, "only_key": False, "state": {"keys": {}, "denied": False}}
    incident: Any = {"event_id": "e"}

    result = without_ledger._contain(incident, part, None)

    assert result["actions"] == [UNDONE]
    assert str(FAILED) in result["why"]


@pytest.mark.parametrize("error", [OF_IAM, UNCERTAIN, FAILED], ids=repr)
def test_given_a_principal_that_cannot_be_read_when_kept_in_place_then_the_next_one_is_kept(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    current = Raising(error)
    measured: list[str] = []
    monkeypatch.setattr(identity, "current_principal", current)
    monkeypatch.setattr(without_ledger, "measure", measured.append)
    part = {"principal": CAROL, "state": {"keys": {}}}
    before: Any = {"principals": [part, {"principal": CAROL}, part]}
    incident: Any = {"event_id": "e"}

    without_ledger._keep(incident, before, None)

    assert (current.calls, measured) == (2, ["ContainmentFailed"] * 2)


def of_status(code: str, status: int) -> Any:
    error = client_error(code)
    error.response["ResponseMetadata"] = {"HTTPStatusCode": status}  # type: ignore[typeddict-item]
    return error


@pytest.mark.parametrize(
    ("error", "is_raised"),
    [
        (OwnerNotShownError("x"), False),
        (of_status("AccessDenied", 403), False),
        (of_status("ServiceFailure", 500), True),
    ],
    ids=repr,
)
def test_given_a_target_that_iam_does_not_show_when_an_event_changes_it_then_the_event_is_like_any_other(
    monkeypatch: pytest.MonkeyPatch, error: Exception, is_raised: bool
) -> None:
    found: Any = [SimpleNamespace(tampering=True, contains=True, id=tampering.DETACHED)]
    target = {**CAROL, "account": "1"}
    event = {"detail": {"requestParameters": {"policyArn": "arn:deny"}}}
    monkeypatch.setattr(invocation, "own_account", lambda _context: ("aws", "1"))
    monkeypatch.setattr(invocation, "contained_account", lambda *_: "1")
    monkeypatch.setattr(origin, "of", lambda *_: "1")
    monkeypatch.setattr(reading, "target", lambda *_: (target, None))
    monkeypatch.setattr(sessions, "deny_policy_arn", lambda: "arn:deny")
    resolve = Raising(error)
    monkeypatch.setattr(identity, "resolve", resolve)
    incident: Any = {}

    if is_raised:
        with pytest.raises(type(error)):
            tampering.contained_target(incident, event, found, None)
    else:
        assert tampering.contained_target(incident, event, found, None) is None
    assert tampering.is_of_others(event, found, None) is False
    assert resolve.calls == 2


def test_given_a_new_key_that_iam_does_not_disable_when_the_limit_is_reached_then_the_result_shows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "read_as_permitted", lambda _principal: (State({"AKIA1": "Active"}, False), None))
    monkeypatch.setattr(changes, "retry_until", lambda _lock: 0.0)
    monkeypatch.setattr(changes, "make", Raising(FAILED))
    lock: Any = SimpleNamespace(row={})
    incident: Any = {"event_name": "CreateAccessKey"}

    result = new_keys.beyond_limit(lock, incident, CAROL, "AKIA1", Limit(3, ""))

    assert (result["outcome"], result["actions"]) == ("limit_reached", [UNDONE])


@pytest.mark.parametrize("error", [CLOSED, UNCERTAIN, RetryLaterError("AWS", "any", "Throttling", 1.0)], ids=repr)
def test_given_a_case_that_takes_no_comment_when_it_was_opened_late_then_the_next_cases_are_opened(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    comment = Raising(error)
    monkeypatch.setattr(notices, "comment", comment)

    missing_cases._comment("1", "e1", "text")

    assert comment.calls == 1


def test_given_a_group_that_another_execution_opens_meanwhile_when_entered_then_its_row_is_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = {"execution": "other", "until": clock.now() + 60}
    states = [alert_groups.Group(None), alert_groups.Group(row, is_open=True)]
    monkeypatch.setattr(groups, "last", lambda _group: None)
    monkeypatch.setattr(groups, "opening", lambda *_, **__: [])
    monkeypatch.setattr(alert_groups, "find", lambda _group: states.pop(0))
    transact = Raising(TransactionFailedError(["ConditionalCheckFailed"]))
    monkeypatch.setattr(table, "transact", transact)

    assert alert_groups.enter("g", "own") == row
    states[:] = [alert_groups.Group(None)] * 20
    with pytest.raises(UncertainError):
        alert_groups.enter("g", "own")
    assert transact.calls == 1 + alert_groups._TRIES


@pytest.mark.parametrize("code", ["ExecutionAlreadyExists", "AccessDeniedException"])
def test_given_an_execution_that_exists_when_further_entities_are_started_then_the_others_follow(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    start = Raising(client_error(code, "StartExecution"))
    monkeypatch.setattr(aws, "client", lambda _service: SimpleNamespace(start_execution=start))
    monkeypatch.setattr(reading, "entities", lambda _event: ["a", "b", "c"])
    execution: Any = {"id": "arn:e", "name": "e", "state_machine": "arn:m"}

    if code == "ExecutionAlreadyExists":
        extract_event_context._start_for_further_entities({}, execution)
    else:
        with pytest.raises(type(start.error)):
            extract_event_context._start_for_further_entities({}, execution)
    assert start.calls == (2 if code == "ExecutionAlreadyExists" else 1)


def test_given_a_deployment_without_its_containment_role_when_verified_then_the_line_states_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = client_error("NoSuchEntity")
    client = SimpleNamespace(get_role=Raising(error), exceptions=SimpleNamespace(NoSuchEntityException=type(error)))
    monkeypatch.setattr(aws, "client", lambda _service: client)
    monkeypatch.setattr(names, "containment_role", lambda: "role-1")

    (line,) = resources._containment_role()

    assert (line.state, "role-1 or its policy is missing" in line.detail) == ("failed", True)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (NotConfiguredError("x"), "waiting"),
        (slack_app.TokenRefusedError("token_revoked"), "failed"),
        (slack_app.SlackUnreachableError("Slack did not answer"), "failed"),
    ],
    ids=repr,
)
def test_given_a_token_that_is_missing_or_does_not_work_when_verified_then_one_line_states_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception, state: str
) -> None:
    is_missing = isinstance(error, NotConfiguredError)
    monkeypatch.setattr(credentials, "bot_token", Raising(error) if is_missing else lambda **_: "t")
    monkeypatch.setattr(slack_app, "authenticate", Raising(error))
    slack: Any = None

    (line,) = slack_app._token(slack)

    assert (line.name, line.state) == ("Slack token", state)


@pytest.mark.parametrize("works", [False, True])
def test_given_earlier_tokens_when_verified_then_only_one_that_still_works_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, works: bool
) -> None:
    read: list[str] = []

    def parameter(name: str) -> Any:
        read.append(name.partition(":")[2])
        return SimpleNamespace(version=3, value=name, is_set=True)

    refused = Raising(slack_app.TokenRefusedError("token_revoked"))
    monkeypatch.setattr(parameters, "read", parameter)
    monkeypatch.setattr(slack_app, "authenticate", nothing if works else refused)

    (line,) = slack_app._previous_token("t")

    assert (line.state, read) == (("failed", ["", "2"]) if works else ("ok", ["", "2", "1"]))
