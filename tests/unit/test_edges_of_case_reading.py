"""The data and the means of a synchronisation: the reading at its start, claims, and claims that errors leave open."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from ir_router import clock
from ir_router.deadline import Deadline
from ir_router.errors import LeaseLostError, OutOfTimeError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import ClaimLostError, Done, Held
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import case_sync, comment_reading
from ir_router.sync.case_sync import CaseSync, ClaimHeldError
from tests.support.answers import client_error
from tests.support.journal import Journal, refused
from tests.support.synchronising import case_of
from tests.support.transfers import claim

NOW = 50_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)
KEY = keys.note("1", "x")


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    found = Journal(monkeypatch)
    found.replace(claims, "ended")
    return found


def sync_of(rows: dict[str, dict[str, Any]] | None = None, deadline: Deadline = DEADLINE) -> CaseSync:
    reading: Any = SimpleNamespace(comments=["c"])
    lease: Any = SimpleNamespace(row={})
    slack: Any = "slack"
    return CaseSync(case_of(), {"severity": "LOW"}, reading, rows or {}, lease, deadline, slack, "C1")


@pytest.mark.parametrize(
    ("stored", "channel"), [({"slackChannelId": "C1"}, "C1"), ({}, ""), ({"slackChannelId": None}, "")]
)
def test_given_a_lease_when_a_synchronisation_begins_then_the_rows_are_read_last_and_all_parts_are_kept(
    journal: Journal, stored: dict[str, Any], channel: str
) -> None:
    lease: Any = SimpleNamespace(case_id="1", row=stored)
    case, reading, slack = case_of(), SimpleNamespace(comments=["c"]), SimpleNamespace()
    journal.replace(security_ir, "get_case", case)
    journal.replace(comment_reading, "read", reading)
    journal.replace(security_ir, "tags", {"severity": "LOW"})
    journal.replace(table, "query", [{"SK": "META", "a": 1}, {"SK": "NOTE#x"}])
    journal.replace(case_sync, "Slack", slack)

    own = case_sync.begin(lease, DEADLINE)

    rows = {"META": {"SK": "META", "a": 1}, "NOTE#x": {"SK": "NOTE#x"}}
    assert journal.calls == [
        ("get_case", "1"),
        ("read", "1", stored, DEADLINE),
        ("tags", "a"),
        ("query", "CASE#1"),
        ("Slack", DEADLINE),
    ]
    kept: list[Any] = [own.case, own.tags, own.reading, own.rows, own.lease, own.deadline, own.slack, own.channel_id]
    assert kept == [case, {"severity": "LOW"}, reading, rows, lease, DEADLINE, slack, channel]
    assert (own.revisit_at, own.are_comments_copied, own.findings) == ([], False, None)
    read: list[Any] = [own.case_id, own.comments, own.severity]
    assert read == ["1", ["c"], "LOW"]


def test_given_rows_when_asked_then_prefixes_keys_and_states_are_compared() -> None:
    rows = {"NOTE#x": {"state": "done"}, "NOTE#y": {"state": "claimed"}, "MEMBER#a": {}}
    own = sync_of(rows)

    assert own.rows_of("NOTE#") == [rows["NOTE#x"], rows["NOTE#y"]]
    assert (own.row(KEY), own.row(keys.note("1", "z"))) == (rows["NOTE#x"], None)
    assert [own.is_done(keys.note("1", name)) for name in "xyz"] == [True, False, False]
    own.revisit(5.0)
    own.revisit(3.0)
    assert own.revisit_at == [5.0, 3.0]


@pytest.mark.parametrize("taken", [claim(3), Done({"state": "done", "r": 1}), Held(7.0)])
def test_given_an_effect_when_claimed_then_a_done_one_is_remembered_and_a_held_one_waits(
    journal: Journal, taken: Any
) -> None:
    own = sync_of()
    journal.replace(claims, "take", taken)

    if isinstance(taken, Held):
        with pytest.raises(ClaimHeldError, match="an earlier run's claim cannot be settled yet") as error:
            own.claim(KEY, body="b")
        assert error.value.until == 7.0
    else:
        assert own.claim(KEY, body="b") is (taken if isinstance(taken, claims.Claim) else None)
    call = ("take", KEY, {"settle_after": DEADLINE.settle_after, "body": "b"})
    assert journal.taken() == [call]
    assert own.rows == ({KEY.sk: {"state": "done", "r": 1}} if isinstance(taken, Done) else {})
    if isinstance(taken, Done):
        assert own.claim(KEY) is None
        assert journal.calls == []
    with pytest.raises(OutOfTimeError):
        sync_of(deadline=Deadline(soft=NOW - 1, hard=NOW)).claim(KEY)
    assert journal.calls == []


@pytest.mark.parametrize(
    ("taken", "error", "attempt"),
    [
        (claim(3), refused("x"), 3),
        (claim(3), ValueError("odd"), 3),
        (claim(3), LeaseLostError("x"), None),
        (claim(3), ClaimLostError("x"), None),
        (Done({}), refused("x"), None),
        (BotoCoreError(), None, "unknown"),
        (Held(7.0), None, None),
    ],
)
@pytest.mark.parametrize(
    ("ending", "passes"),
    [
        (None, True),
        (ClaimLostError("x"), True),
        (BotoCoreError(), True),
        (client_error("x"), True),
        (ValueError("other"), False),
    ],
)
def test_given_an_error_after_a_claim_when_a_step_ends_then_the_next_run_may_settle_it_soon(
    journal: Journal, taken: Any, error: Exception | None, attempt: Any, ending: Any, passes: bool
) -> None:
    own = sync_of()
    journal.replace(claims, "take", taken)
    journal.replace(claims, "ended", ending)
    expected: Any = type(error) if error else BotoCoreError if attempt else ClaimHeldError
    is_ended = attempt is not None

    def step() -> None:
        with own.ends_open_claim():
            own.claim(KEY)
            if error:
                raise error

    with pytest.raises(expected if passes or not is_ended else ValueError):
        step()
    until = {"taken": DEADLINE.settle_after, "settle_after": DEADLINE.settled_from_now}
    ended = ("ended", KEY, None if attempt == "unknown" else attempt, until)
    assert [call for call in journal.taken() if call[0] == "ended"] == ([ended] if is_ended else [])
    with pytest.raises(ValueError, match="later"), own.ends_open_claim():
        raise ValueError("later")
    assert journal.calls == []
