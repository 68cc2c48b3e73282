"""The buttons of an approval request that end without a decision, and the payloads to the approval function."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.commands import approval_buttons, creator_button, release, request_buttons
from ir_router.commands.command import NotPermittedError
from ir_router.errors import InvalidInputError, UncertainError
from ir_router.ledger import approvals, claims, creators, keys, releases
from tests.support.made_commands import command

NOW = 50_000.0


def repeated() -> claims.Claim:
    return claims.Claim(keys.command("t1"), 2, must_look=True, row={"claimed_at": NOW})


def test_given_no_request_when_a_button_of_it_is_pressed_then_the_user_reads_that_it_no_longer_exists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(approvals, "get", lambda _id: None)

    with pytest.raises(InvalidInputError, match=r"^Nothing was contained: this approval request no longer exists\.$"):
        creator_button._request("abc/c1")
    with pytest.raises(InvalidInputError, match=r"^Nothing was released: this approval request no longer exists\.$"):
        release._request("abc")
    with pytest.raises(InvalidInputError, match=r"^Nothing was changed: this approval request no longer exists\.$"):
        request_buttons._press(command(), {"approval_id": "abc"}, "1.1")
    with pytest.raises(InvalidInputError, match=r"^Decision not recorded: this approval request no longer exists\.$"):
        approval_buttons._approval("abc/1")


def test_given_no_id_when_a_request_is_read_then_the_ledger_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals, "get", lambda _id: {"approval_id": "x"})

    for read in (creator_button._request, release._request, approval_buttons._approval):
        with pytest.raises(InvalidInputError, match="no longer exists"):
            read("")


ROW: dict[str, Any] = {
    "approval_id": "abc",
    "execution": "e",
    "kind": "remediate",
    "state": "delivered",
    "decision": "approve",
    "result": "done",
    "principals": ["arn:aws:iam::1:user/a", "arn:aws:iam::1:user/b"],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The payloads to the approval function, whose answer has the status of the last `status:` entry."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(approvals, "get", lambda _id: ROW)
    monkeypatch.setattr(approval_buttons, "require_posted", lambda *_args: None)
    monkeypatch.setattr(approval_buttons, "require_approver", lambda *_args: None)
    return found


def answering(monkeypatch: pytest.MonkeyPatch, found: list[dict[str, Any]], status: str) -> None:
    def invoke(payload: dict[str, Any]) -> dict[str, Any]:
        found.append(payload)
        return {"status": status, "message": f"because of {status}"}

    monkeypatch.setattr(approval_buttons, "invoke", invoke)


def test_given_a_refusal_of_the_approval_function_when_a_button_is_pressed_then_its_reason_is_the_error(
    monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, Any]]
) -> None:
    answering(monkeypatch, asked, "not_allowed")
    presses: tuple[Callable[[], object], ...] = (
        lambda: creator_button._contain(command(), "abc/c1"),
        lambda: request_buttons._press(command(), {"approval_id": "abc", "decision": "take"}, "1.1"),
        lambda: release._release(command(), "abc/1", "why"),
        lambda: approval_buttons._decide(command(), "abc/1", "deny", "why"),
    )

    for press in presses:
        with pytest.raises(NotPermittedError, match=r"^because of not_allowed$"):
            press()

    who = {"slack_user_id": "U1", "email": "", "name": "name of U1"}
    contain, take, lift, decide = asked
    assert contain == {
        "approval_id": "abc",
        "decision": creators.CONTAIN,
        "creator": "c1",
        "analyst": who,
        "request_id": "t1",
    }
    assert {name: take[name] for name in ("analyst", "request_id", "decision")} == {
        "analyst": who,
        "request_id": "t1",
        "decision": "take",
    }
    assert (lift["principal"], lift["notes"], lift["decision"]) == ("arn:aws:iam::1:user/b", "why", "release")
    assert (decide["joined_events"], decide["notes"], decide["decision"]) == (1, "why", "deny")


@pytest.mark.parametrize(
    ("chosen", "principal"), [("abc/0", "arn:aws:iam::1:user/a"), ("abc/2", ""), ("abc/", ""), ("abc", "")]
)
def test_given_a_choice_when_released_then_only_a_known_number_names_one_principal(
    monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, Any]], chosen: str, principal: str
) -> None:
    answering(monkeypatch, asked, "released")

    answer = release._release(command(), chosen, "why")

    assert answer is not None
    assert answer.text == "because of released"
    assert asked[0]["principal"] == principal


def test_given_no_reason_or_nothing_contained_when_released_then_the_user_reads_why_not(
    monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, Any]]
) -> None:
    answering(monkeypatch, asked, "not_releasable")
    monkeypatch.setattr(releases, "releasable", lambda _row: [])
    monkeypatch.setattr(releases, "earlier", lambda _row: "")

    with pytest.raises(InvalidInputError, match=r"^Nothing was released: enter a reason\.$"):
        release._release(command(), "abc/0", "")
    assert asked == []
    with pytest.raises(InvalidInputError, match=r"^because of not_releasable$"):
        release._release(command(), "abc/0", "why")
    with pytest.raises(InvalidInputError, match=r"^Nothing was released: this request left nothing contained\.$"):
        release._press(command(), "abc/0", "1.1")


@pytest.mark.parametrize(
    ("by", "at", "own"),
    [("Jane (U1)", NOW, True), ("Jane (U1)", NOW - 1, False), ("Jane (U2)", NOW, False), ("Jane (U12)", NOW, False)],
)
def test_given_a_retry_when_the_release_was_made_then_only_the_users_own_later_release_needs_no_answer(
    monkeypatch: pytest.MonkeyPatch, by: str, at: float, *, own: bool
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    row = {"released_by": by, "released_at": at}

    assert release._has_released_since(command(claim=repeated()), row) is own
    assert not release._has_released_since(command(), row)


@pytest.mark.parametrize(
    ("answer", "body", "reason"),
    [
        ({"FunctionError": "Unhandled"}, {"status": "approved"}, "Unhandled"),
        ({}, {}, "no answer"),
        ({}, [], "no answer"),
        ({}, "{", "ValueError"),
    ],
)
def test_given_no_valid_answer_when_the_approval_function_is_invoked_then_the_outcome_is_unknown(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], body: Any, reason: str
) -> None:
    raw = body if isinstance(body, str) else json.dumps(body)
    payload = SimpleNamespace(read=lambda: raw.encode())
    client = SimpleNamespace(invoke=lambda **_arguments: {**answer, "Payload": payload})
    monkeypatch.setattr(aws, "client", lambda _service: client)
    monkeypatch.setattr(approval_buttons, "settings", lambda: SimpleNamespace(require=lambda name: name))

    with pytest.raises(UncertainError) as uncertain:
        approval_buttons.invoke({})

    error = uncertain.value
    assert (error.service, error.operation) == ("Lambda", "Invoke")
    assert error.cause == reason or reason == "ValueError"
