"""Errors of the synchronisation that are rare: the rest continues, or the error is raised."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock, transfer
from ir_router.commands import approval_buttons, creator_button, execution, modals, rendering
from ir_router.commands.command import NotPermittedError
from ir_router.errors import RefusedError, UncertainError
from ir_router.ledger import approvals as stored_approvals
from ir_router.ledger import claims, creators, mentions, table
from ir_router.ledger.table import ConditionFailedError
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import (
    access_changes,
    approval_tampering,
    approvals,
    approver_set,
    approver_watch,
    approvers,
    channel,
    channel_pace,
    creator_offers,
    members,
    posting,
    report_files,
)
from ir_router.sync.case_sync import ClaimHeldError
from ir_router.sync.file_from_slack import FileFromSlack
from ir_router.sync.slack_message import SlackMessage
from tests.support.answers import SlackAnswers, client_error

UNCERTAIN = UncertainError("Slack", "any", "ReadTimeout")


def refused(code: str) -> RefusedError:
    return RefusedError("Slack", "any", code)


def raising(error: Exception) -> Any:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


@pytest.mark.parametrize("name", ["_reserve", "_take"])
def test_given_a_pace_that_other_runs_change_when_a_turn_is_taken_then_their_row_counts(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    monkeypatch.setattr(table, "get", lambda _key: None)
    stored: list[float] = []

    def update(_key: Any, _expression: str, condition: str, *, value: float, **before: Any) -> None:
        if not before:
            assert condition.startswith("attribute_not_exists")
            raise ConditionFailedError({"urgent_at": now - 90, "next_at": now - 90})
        stored.append(value)

    monkeypatch.setattr(table, "update", update)
    turn = channel_pace._reserve("urgent_at") if name == "_reserve" else channel_pace._take(urgent=True)

    assert (turn, stored) == (now if name == "_reserve" else 0.0, [now + channel_pace.SECONDS_A_CHANNEL])


@pytest.mark.parametrize("code", ["file_not_found", "invalid_auth"])
def test_given_an_upload_that_slack_does_not_know_when_looked_for_then_it_is_uploaded_later_and_other_errors_are_raised(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(claims, "unanswered", lambda *_: None)
    now = clock.now()
    slack = SlackAnswers(refused(code), {})
    sync: Any = SimpleNamespace(slack=slack, channel_id="C1")
    row = {"slack_file_id": "F1", "slack_file_at": now - 1000}
    claim: Any = SimpleNamespace(row=row)

    if code == "invalid_auth":
        with pytest.raises(RefusedError):
            report_files._address(sync, claim)
        return
    assert report_files._address(sync, claim) is None
    assert [method for method, _ in slack.asked] == ["files.info", "files.delete"]
    slack.answers = [refused(code)]
    row["slack_file_at"] = now
    with pytest.raises(ClaimHeldError):
        report_files._address(sync, claim)


@pytest.mark.parametrize(("error", "is_certain"), [(refused("channel_not_found"), True), (UNCERTAIN, False)])
def test_given_an_upload_that_fails_when_completed_then_only_a_certain_rejection_frees_its_claim(
    monkeypatch: pytest.MonkeyPatch, error: Exception, is_certain: bool
) -> None:
    noted: list[dict[str, Any]] = []
    freed: list[Any] = []
    monkeypatch.setattr(claims, "note", lambda _claim, **values: noted.append(values))
    monkeypatch.setattr(claims, "refused", freed.append)
    monkeypatch.setattr(table, "put", lambda *_: None)
    monkeypatch.setattr(transfer, "check_slack_host", lambda _url: None)
    monkeypatch.setattr(transfer, "upload_content", lambda *_, **__: None)
    slack = SlackAnswers({"upload_url": "u", "file_id": "F1"}, error)
    sync: Any = SimpleNamespace(slack=slack, channel_id="C1", case_id="1")
    claim: Any = SimpleNamespace(row={})

    with pytest.raises(type(error)):
        report_files._upload(sync, claim, "a.html", b"x", "text/html")

    assert [one["slack_file_id"] for one in noted] == ["F1", ""][: 1 + is_certain]
    assert freed == [claim][:is_certain]


def test_given_a_message_that_slack_does_not_show_when_a_file_is_looked_for_then_the_others_are_read() -> None:
    found = {"messages": [{"ts": "2.0", "files": [{"id": "F1"}]}]}
    claim: Any = SimpleNamespace(row={"shown_in": {"1.0", "2.0"}})

    def is_shown(*answers: Any) -> bool:
        given: Any = SimpleNamespace(slack=SlackAnswers(*answers))
        return FileFromSlack("1", "C1", "F1", given)._is_in_message(claim)

    assert is_shown(refused("thread_not_found"), found)
    assert not is_shown(refused("thread_not_found"), refused("thread_not_found"))
    with pytest.raises(RefusedError):
        is_shown(refused("invalid_auth"), found)


def test_given_a_thread_that_slack_does_not_show_when_a_reply_is_copied_then_it_is_marked_as_a_reply() -> None:
    slack: Any = SlackAnswers(refused("thread_not_found"))
    names: Any = None
    message = SlackMessage("1", "C1", "T1", {"ts": "2.0", "thread_ts": "1.0"}, slack, names)

    assert message._thread() == ", in a thread"


@pytest.mark.parametrize("error", [UNCERTAIN, client_error("Throttling")], ids=repr)
def test_given_a_report_that_fails_when_a_watcher_is_outside_then_the_watcher_still_counts_as_outside(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    stored: list[dict[str, Any]] = []

    def put(_sync: Any, row: dict[str, Any]) -> dict[str, Any]:
        stored.append(row)
        return row

    monkeypatch.setattr(access_changes, "report", raising(error))
    monkeypatch.setattr(members, "_put", put)
    sync: Any = SimpleNamespace(case_id="1", slack=None)

    assert members._set_outside(sync, "eve@outside")["state"] == "outside"
    assert [row["email"] for row in stored] == ["eve@outside"]


@pytest.mark.parametrize("error", [UNCERTAIN, client_error("Throttling")], ids=repr)
def test_given_slack_that_fails_when_the_people_of_a_request_are_read_then_the_next_update_repeats_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    stored: list[Any] = []
    slack: Any = SimpleNamespace(deadline=None)
    deadline: Any = None
    monkeypatch.setattr(table, "put", lambda *row: stored.append(row))
    monkeypatch.setattr(table, "update", lambda *row, **_: stored.append(row))
    monkeypatch.setattr(approver_watch, "Slack", lambda _deadline: slack)
    monkeypatch.setattr(approver_watch, "_current", raising(error))
    monkeypatch.setattr(approver_set, "_approvers", raising(error))

    approver_watch.check(deadline)
    approver_set.freeze(slack, {"state": "pending", "approval_id": "a"})

    assert stored == []


def test_given_slack_that_fails_when_the_mentions_of_a_request_are_read_then_none_are_frozen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frozen: list[Any] = []
    monkeypatch.setattr(approvals, "settings", lambda: SimpleNamespace(mention=()))
    monkeypatch.setattr(mentions, "freeze", lambda *row: frozen.append(row))
    slack: Any = None
    row = {"state": "pending", "approval_id": "a"}
    monkeypatch.setattr(approvers, "mentions", raising(UNCERTAIN))
    approvals._freeze_mentions(slack, row)
    assert frozen == []

    monkeypatch.setattr(approvers, "mentions", lambda *_: ["U1"])
    approvals._freeze_mentions(slack, row)
    assert frozen == [("a", ["U1"])]


def test_given_a_channel_that_is_gone_when_it_is_described_then_the_error_names_its_state() -> None:
    sync: Any = SimpleNamespace(
        slack=SlackAnswers(refused("channel_not_found")), channel_id="C1", lease=SimpleNamespace(row={})
    )

    with pytest.raises(channel.ChannelUnavailableError):
        channel._described(sync)


def test_given_another_run_that_posts_the_message_when_it_is_restored_then_nothing_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[Any] = []
    posted = {"state": "done", "ts": "1.0", "channel_id": "C1", "versions": ["v1"]}
    monkeypatch.setattr(table, "get", lambda _key: posted)
    monkeypatch.setattr(table, "update", lambda *_, **__: {"restored": 1})
    monkeypatch.setattr(stored_approvals, "note_shown", lambda *_: None)
    monkeypatch.setattr(posting, "version", lambda _message: "v2")
    monkeypatch.setattr(approval_tampering, "_report", lambda *row: reported.append(row))
    slack: Any = SlackAnswers({"messages": [{"ts": "1.0"}]})
    slack.deadline = None
    place: Any = SimpleNamespace(key=None)

    approval_tampering._check(place, {"state": "pending", "approval_id": "a"}, slack, raising(ClaimHeldError(1.0)))

    assert (reported, len(slack.asked)) == ([], 1)


def test_given_a_user_who_may_not_decide_when_a_form_is_open_then_the_form_shows_the_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[tuple[str, str]] = []
    refusal = NotPermittedError("You may not decide.")
    monkeypatch.setattr(creator_button, "_request", lambda _value: ({"approval_id": "a"}, "c1"))
    monkeypatch.setattr(approval_buttons, "require_posted", lambda *_: None)
    monkeypatch.setattr(approval_buttons, "require_approver", raising(refusal))
    monkeypatch.setattr(creators, "requested_row", lambda *_: None)
    monkeypatch.setattr(creators, "offered", lambda _row: {"c1": {}})
    monkeypatch.setattr(creator_offers, "form", lambda *_: {"title": {}})
    monkeypatch.setattr(modals, "open_form", lambda *_: "V1")
    monkeypatch.setattr(modals, "show_refusal", lambda _command, view, _title, text: shown.append((view, text)))
    command: Any = SimpleNamespace(channel_id="C1", response_url="u")

    with pytest.raises(NotPermittedError):
        creator_button._show(command, "v", "1.0")

    assert shown == [("V1", "❌ You may not decide.")]


def test_given_a_case_that_cannot_be_read_when_a_change_was_rejected_then_the_rejection_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command: Any = SimpleNamespace(case_id="1", error=lambda text: text)
    conflict = RefusedError("AWS", "UpdateCase", "ConflictException")
    monkeypatch.setattr(security_ir, "get_case", raising(UNCERTAIN))
    assert execution._closed_meanwhile(command, conflict) is None

    monkeypatch.setattr(security_ir, "get_case", lambda _case_id: SimpleNamespace(is_closed=True))
    monkeypatch.setattr(rendering, "cannot_change_closed", lambda _case: "closed")
    assert str(execution._closed_meanwhile(command, conflict)) == "❌ closed"
    assert execution._closed_meanwhile(command, refused("other")) is None
