"""Senders of messages in a case's channel: which are copied, and which messages ir-router knows as its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router.deadline import Deadline
from ir_router.ledger import table
from ir_router.sync import file_comments, slack_to_case
from ir_router.sync.case_sync import ClaimHeldError
from tests.support.channel_messages import NOW, PEOPLE, journal_of_messages
from tests.support.journal import Journal

TS = "1768500000.5"
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)
AWS = "AWS Security Incident Response"


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    return journal_of_messages(monkeypatch)


@pytest.mark.parametrize(
    ("message", "bots", "copied"),
    [
        ({"user": "U1"}, False, True),
        ({"user": "U1", "bot_id": "B9", "app_id": "A9"}, False, True),
        ({"user": "U1", "app_id": "AOWN"}, False, False),
        ({"user": "U1", "bot_profile": {"app_id": "AOWN"}}, False, False),
        ({"user": "USLACKBOT"}, True, False),
        ({}, True, False),
        ({"bot_id": "BOWN"}, True, False),
        ({"bot_id": "BOWN", "app_id": "A9"}, True, True),
        ({"bot_id": "B9"}, True, True),
        ({"bot_id": "B9"}, False, False),
        ({"user": "B1"}, True, True),
        ({"user": "B1"}, False, False),
        ({"user": "B2"}, True, True),
        ({"user": "UOWN"}, True, False),
        ({"user": "U9"}, False, True),
        ({"user": "U9", "bot_id": "B9"}, False, False),
        ({"user": "U9", "bot_id": "B9"}, True, True),
    ],
)
def test_given_a_sender_when_asked_then_users_are_copied_and_bots_only_by_the_setting(
    monkeypatch: pytest.MonkeyPatch, message: dict[str, Any], bots: bool, copied: bool
) -> None:
    monkeypatch.setattr(slack_to_case, "settings", lambda: SimpleNamespace(mirror_bots=bots))

    assert slack_to_case.is_copied_to_case(message, "AOWN", PEOPLE) is copied
    if message.get("user") == "B1":
        assert slack_to_case.is_copied_to_case(message, "A1", PEOPLE) is False


@pytest.mark.parametrize(
    ("message", "certain"),
    [
        ({"app_id": "A"}, True),
        ({"bot_profile": {"app_id": "A"}}, True),
        ({"bot_profile": {}}, False),
        ({"user": "U1"}, True),
        ({"user": "U1", "bot_id": "B9"}, False),
        ({"user": "B1"}, False),
        ({"user": "U9"}, False),
    ],
)
def test_given_a_sender_when_it_may_be_this_app_then_it_is_no_other(message: dict[str, Any], certain: bool) -> None:
    assert slack_to_case._is_of_another(message, PEOPLE) is certain


def open_row(**values: Any) -> dict[str, Any]:
    return {"SK": "NOTE#x", "state": "claimed", "claimed_at": float(TS), "settle_after": NOW + 10, **values}


@pytest.mark.parametrize(
    ("files", "rows", "known"),
    [
        ([{"origin": "aws"}, {"origin": "aws"}], [], True),
        ([{"origin": "aws"}, None], [], False),
        ([], [{"SK": "NOTE#a", "ts": TS}], True),
        ([], [{"SK": "NOTE#a", "ts": "1"}], False),
        ([], [open_row()], NOW + 60),
        ([], [open_row(settle_after=NOW + 70), open_row()], NOW + 70),
        ([], [open_row(SK="SLACK#1")], False),
    ],
)
def test_given_a_message_when_the_ledger_may_know_it_then_an_open_claim_makes_it_wait(
    journal: Journal, files: list[Any], rows: list[Any], known: Any
) -> None:
    journal.replace(table, "get", *files, None)
    journal.replace(table, "query", rows)
    message = {"ts": TS, "files": [{"id": f"F{number}"} for number in range(len(files))]}

    if isinstance(known, float):
        with pytest.raises(ClaimHeldError) as held:
            slack_to_case._is_in_ledger("1", message, patient=True)
        assert held.value.until == known
        assert slack_to_case._is_in_ledger("1", message, patient=False) is False
    else:
        assert slack_to_case._is_in_ledger("1", message, patient=True) is known
        asked = [("get", file_comments.key_of("1", f"F{number}")) for number in range(len(files))]
        all_ours = bool(files) and all(files)
        assert journal.calls == [*asked, *([] if all_ours else [("query", "CASE#1")])]
