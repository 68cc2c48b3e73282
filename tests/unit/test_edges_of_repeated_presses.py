"""Answers to repeated presses, refused forms, the newest release, and the waits for a turn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.commands import approval_buttons, changing, creator_button, feedback, modals, release, request_buttons
from ir_router.commands.command import NotPermittedError
from ir_router.ledger import approvals, claims, keys, table
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import channel_pace, findings
from tests.support.made_commands import command

NOW = 50_000.0


@pytest.mark.parametrize(
    ("status", "by", "at", "attempt", "is_shown"),
    [
        ("creator_requested", "U2", NOW, 1, True),
        ("creator_requested_before", "U1", NOW, 2, True),
        ("creator_requested_before", "U1", NOW - 1, 2, False),
        ("creator_requested_before", "U2", NOW, 2, False),
        ("creator_requested_before", "U1", NOW, 1, False),
        ("too_late", "U1", NOW, 2, False),
    ],
)
def test_given_a_requested_containment_when_pressed_again_then_only_the_users_own_retry_needs_no_answer(
    monkeypatch: pytest.MonkeyPatch, status: str, by: str, at: float, attempt: int, *, is_shown: bool
) -> None:
    asked = {"analyst": {"slack_user_id": by}, "requested_at": at}
    row = {"approval_id": "abc", "kind": "remediate", "creator_c1": asked}
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(approvals, "get", lambda _id: row)
    monkeypatch.setattr(approval_buttons, "require_approver", lambda *_given: None)
    monkeypatch.setattr(approval_buttons, "invoke", lambda _payload: {"status": status, "message": "m"})
    claim = claims.Claim(keys.command("t1"), attempt, must_look=False, row={"claimed_at": NOW})

    answer = creator_button._contain(command(claim=claim), "abc/c1")

    assert (None if answer is None else answer.text) == (None if is_shown else "m")


def test_given_several_releases_when_nothing_is_contained_then_the_newest_is_named_unless_a_request_is_open() -> None:
    def released(by: str, at: float, state: str = approvals.DELIVERED) -> dict[str, Any]:
        return {"released": {"a"}, "principals": ["a"], "released_by": by, "released_at": at, "state": state}

    some = [released("Bob", 1.0), released("Jane", 3.0), released("Sam", 2.0)]

    assert release._nothing(some) == "Already released by Jane, 1970-01-01 00:00:03 UTC."
    for state in (approvals.PENDING, approvals.DECIDED):
        assert release._nothing([*some, {"state": state}]).startswith("Nothing can be released here: ")
    assert release._nothing([]).startswith("Nothing can be released here: ")


@pytest.mark.parametrize("status", ["assigned", "withdrawn", "already_assigned"])
def test_given_a_pressed_button_when_the_user_may_decide_then_the_request_or_an_answer_shows_the_result(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    checked: list[str] = []
    sent: list[dict[str, Any]] = []

    def invoke(payload: dict[str, Any]) -> dict[str, Any]:
        sent.append(payload)
        return {"status": status, "message": "m"}

    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(approvals, "get", lambda _id: {"approval_id": "abc"})
    monkeypatch.setattr(approval_buttons, "require_posted", lambda _command, _row, ts: checked.append(ts))
    monkeypatch.setattr(approval_buttons, "require_approver", lambda *_given: checked.append("approver"))
    monkeypatch.setattr(approval_buttons, "invoke", invoke)

    answer = request_buttons._press(command(pressed_at=NOW - 3), {"approval_id": "abc", "decision": "assign"}, "1.1")

    assert checked == ["1.1", "approver"]
    assert (answer.text if answer else None) == ("m" if status == "already_assigned" else None)
    assert sent[0]["pressed_at"] == NOW - 3


def test_given_a_user_who_may_not_rate_when_the_form_is_open_then_it_shows_the_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused: list[Any] = []
    recorded: list[str] = []

    def refuse(_command: Any) -> None:
        raise NotPermittedError("no")

    monkeypatch.setattr(table, "get", lambda _key: {"ts": "1.1"})
    monkeypatch.setattr(changing, "case_to_change", refuse)
    monkeypatch.setattr(modals, "open_form", lambda *_given: "V1")
    monkeypatch.setattr(modals, "show_refusal", lambda _command, *given: refused.append(given))
    monkeypatch.setattr("ir_router.commands.people.record_refusal", lambda _command, why: recorded.append(why))
    origin = {"rating": "feedback_useful", "finding": "f1", "message_ts": "1.1"}

    with pytest.raises(NotPermittedError, match=r"^no$"):
        feedback._show(command(), origin)
    title = {"type": "plain_text", "text": "Rate AWS's finding"}
    assert (refused, recorded) == ([("V1", title, "❌ no")], [])

    with pytest.raises(NotPermittedError, match=r"^Nothing was sent: ir-router does not know this button\.$"):
        feedback._show(command(), {**origin, "message_ts": "2.2"})
    assert recorded == ["unknown_message"]


def test_given_a_turn_when_a_channel_is_awaited_then_the_run_waits_for_it_and_for_each_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    reserved: list[Any] = []
    tokens = [2.0, 1.0, 0.0]

    def reserve(*given: object) -> float:
        reserved.append(given)
        return NOW + 7

    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(channel_pace, "_reserve", reserve)
    monkeypatch.setattr(channel_pace, "_take", lambda *, urgent: tokens.pop(0) if urgent else 0.0)
    deadline = SimpleNamespace(check=lambda: None, remaining=lambda: 500.0, wait=waits.append)

    for severity in ("High", "Medium"):
        sync: Any = SimpleNamespace(severity=severity, lease=SimpleNamespace(row={}), deadline=deadline)
        channel_pace.wait(sync)

    assert waits == [7.0, 2.0, 1.0, 7.0]
    assert reserved == [("urgent_at", 75), ("usual_at", 75)]


def test_given_a_rating_when_sent_then_the_user_must_be_allowed_and_aws_gets_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(table, "get", lambda key: {"ts": "1.1"} if key == findings.key_of("1234567890", "f1") else None)
    monkeypatch.setattr(changing, "case_to_change", lambda one: done.append(one.case_id))
    monkeypatch.setattr(security_ir, "send_feedback", lambda *given: done.append(given))
    origin = {"rating": "feedback_useful", "finding": "f1", "message_ts": "1.1"}

    answer = feedback._send(command(), origin, "why")

    assert answer.text == "✅ AWS has your rating: useful."
    assert done == ["1234567890", ("1234567890", "f1", "USEFUL", "why")]
