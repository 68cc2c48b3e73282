"""Approval requests in their channels: reminders, pages, mentions, edits and reposts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock, paging
from ir_router.cases.changes import digest
from ir_router.deadline import Deadline
from ir_router.errors import RefusedError
from ir_router.ledger import approvals as stored
from ir_router.ledger import claims, keys, security_channel, table
from ir_router.ledger.claims import Done, Held
from ir_router.slack.messages import Message, mentioning
from ir_router.sync import (
    approval_message,
    approval_places,
    approvals,
    approvers,
    posting,
    request_people,
)
from ir_router.sync.approval_places import Place
from ir_router.sync.case_sync import ClaimHeldError
from tests.support.journal import Journal, refused
from tests.support.transfers import claim

NOW = 50_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)
CASE = Place("C1", keys.note("1", "approval-a1"), is_of_case=True)
SECURITY = Place("C9", keys.deduplication("APPROVAL-MESSAGE#a1"))
MESSAGE = Message(text="t", blocks=[{"b": 1}])
ROW = {"approval_id": "a1", "case_id": "1", "state": "pending", "created_at": NOW, "headline": "H", "what": "W"}


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(approval_places, "of", lambda _row: iter([CASE, SECURITY]))
    found = Journal(monkeypatch)
    found.replace(approvals, "Slack", "slack")
    found.replace(table, "update")
    found.replace(table, "get")
    found.replace(posting, "post")
    for name in ("measure",):
        found.replace(approvals, name)
    return found


@pytest.mark.parametrize(
    ("waited", "sent", "due", "ago"),
    [
        (9.9, None, 0, ""),
        (10, None, 1, "10 min"),
        (59.9, 1, 0, ""),
        (60, 1, 2, "1 h"),
        (95, None, 3, "1.5 h"),
        (95, 3, 0, ""),
        (12, 0, 1, "10 min"),
    ],
)
def test_given_a_pending_request_when_reminded_then_only_the_latest_reminder_is_sent_and_stored(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, waited: float, sent: int | None, due: int, ago: str
) -> None:
    row = {**ROW, "created_at": NOW - waited * 60, **({} if sent is None else {"reminders_sent": sent})}
    monkeypatch.setattr(approvals, "settings", lambda: SimpleNamespace(reminder_minutes=(10, 60, 90)))
    taken = claim()
    journal.replace(approvals, "_take_with_link", (taken, "link"), None)
    journal.replace(approval_message, "reminder", MESSAGE)
    journal.replace(stored, "get", {"current": 1})
    journal.replace(request_people, "mentions_of_assignee", ["<@U1>"])
    journal.replace(approvals, "_mentioning", MESSAGE)

    approvals._remind(row, DEADLINE)

    key = SECURITY.reminder(due)
    assert journal.calls == (
        [
            ("Slack", DEADLINE),
            ("_take_with_link", key, SECURITY, "slack", DEADLINE),
            ("reminder", row, ago, "link"),
            ("get", "a1"),
            ("mentions_of_assignee", {"current": 1}),
            ("_mentioning", SECURITY, {"current": 1}, MESSAGE, ["<@U1>"]),
            ("post", "slack", "C9", taken, MESSAGE),
            ("_take_with_link", CASE.reminder(due), CASE, "slack", DEADLINE),
            ("update", keys.approval("a1"), "SET reminders_sent = :due", {"due": due}),
        ]
        if due
        else []
    )


@pytest.mark.parametrize(
    ("assigned_at", "told", "is_sent"),
    [
        (NOW - 1_800, None, True),
        (NOW - 1_799, None, False),
        (NOW - 1_800, NOW - 1_800, False),
        (NOW - 1_900, 5, True),
        (None, None, False),
    ],
)
def test_given_an_assignee_when_no_decision_comes_then_the_others_are_notified_once(
    journal: Journal, assigned_at: float | None, told: float | None, is_sent: bool
) -> None:
    row = {**ROW, "assignee": {"at": assigned_at} if assigned_at else None, "others_told_for": told}
    taken = claim()
    journal.replace(approvals, "_take_with_link", (taken, "link"), None)
    journal.replace(approval_message, "overdue", MESSAGE)
    journal.replace(approvals, "_mentioning", MESSAGE)

    approvals._remind_others(row, DEADLINE)

    at = float(assigned_at or 0)
    assert journal.calls == (
        [
            ("Slack", DEADLINE),
            ("_take_with_link", SECURITY.overdue(at), SECURITY, "slack", DEADLINE),
            ("overdue", row, "link"),
            ("_mentioning", SECURITY, row, MESSAGE),
            ("post", "slack", "C9", taken, MESSAGE),
            ("_take_with_link", CASE.overdue(at), CASE, "slack", DEADLINE),
            ("update", keys.approval("a1"), "SET others_told_for = :at", {"at": at}),
        ]
        if is_sent
        else []
    )


@pytest.mark.parametrize(
    ("more", "waited", "paged"),
    [({}, 90, True), ({}, 89.9, False), ({"assignee": {}}, 90, False), ({"paged": True}, 90, False)],
)
def test_given_no_assignee_when_time_passes_then_one_page_has_the_complete_text(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, more: dict[str, Any], waited: float, paged: bool
) -> None:
    monkeypatch.setattr(approvals, "settings", lambda: SimpleNamespace(page_after_minutes=1.5))
    journal.replace(paging, "page")

    approvals._page_without_owner({**ROW, "created_at": NOW - waited, **more})

    headline = "Approval request without an assignee for 1.5 min: H"
    text = f'{headline}.\nW\nApprove or deny it in Slack, or press "I\'m on it".\nApproval: a1'
    stored_row = ("update", keys.approval("a1"), "SET paged = :paged", {"paged": True})
    assert journal.calls == ([("page", "a1/no-owner", headline, text), stored_row] if paged else [])


@pytest.mark.parametrize(
    ("posted", "answer", "link"),
    [
        ({"channel_id": "C1", "ts": 1.5}, {"permalink": "https://p"}, "https://p"),
        ({"channel_id": "C1", "ts": "1.5"}, refused("x"), ""),
        ({"channel_id": "C2", "ts": "1.5"}, None, ""),
        (None, None, ""),
    ],
)
def test_given_a_posted_request_when_linked_then_only_the_message_of_this_channel_counts(
    journal: Journal, posted: Any, answer: Any, link: str
) -> None:
    slack: Any = SimpleNamespace(read=None)
    journal.replace(slack, "read", answer)
    journal.replace(table, "get", posted)

    assert approvals._permalink(slack, CASE) == link

    asked = ("read", "chat.getPermalink", {"channel": "C1", "message_ts": "1.5"})
    assert journal.calls == [("get", CASE.key), *([asked] if answer is not None else [])]


@pytest.mark.parametrize(
    ("row", "taken", "result"),
    [
        ({"state": "done"}, None, None),
        (None, Done({}), None),
        ({"state": "claimed"}, claim(), "link"),
        (None, Held(7.0), ClaimHeldError),
    ],
)
def test_given_a_message_about_a_request_when_claimed_then_the_link_is_read_first(
    journal: Journal, row: Any, taken: Any, result: Any
) -> None:
    slack: Any = "slack"
    journal.replace(table, "get", row)
    journal.replace(approvals, "_permalink", "link")
    journal.replace(claims, "take", taken)
    key = CASE.outcome()

    if result is ClaimHeldError:
        with pytest.raises(ClaimHeldError) as error:
            approvals._take_with_link(key, CASE, slack, DEADLINE)
        assert error.value.until == 7.0
    else:
        found = approvals._take_with_link(key, CASE, slack, DEADLINE)
        assert found == ((taken, "link") if result else None)
    steps = [("_permalink", slack, CASE), ("take", key, {"settle_after": DEADLINE.settle_after})]
    assert journal.calls == [("get", key), *(steps if taken else [])]


@pytest.mark.parametrize(
    ("code", "channel", "passes"),
    [("", "C1", False), ("cant_update_message", "C1", False), ("x", "C1", True), ("x", "C2", False)],
)
def test_given_a_posted_message_when_edited_then_only_errors_of_the_current_channel_pass(
    journal: Journal, code: str, channel: str, passes: bool
) -> None:
    slack: Any = "slack"
    journal.replace(posting, "replace", refused(code) if code else "v1")
    known = {"channel_id": channel, "ts": 1.5}

    if passes:
        with pytest.raises(RefusedError):
            approvals._edit(CASE, known, MESSAGE, slack)
    else:
        assert approvals._edit(CASE, known, MESSAGE, slack) == (None if code else "v1")
    assert journal.calls == [("replace", slack, channel, "1.5", MESSAGE)]


@pytest.mark.parametrize(
    ("place", "row", "assignee", "known_id", "shown"),
    [
        (SECURITY, {}, [], "C9", ["<@M>"]),
        (SECURITY, {}, ["<@A>"], "C9", ["<@A>"]),
        (SECURITY, {"mentions": []}, ["<@A>"], "C9", None),
        (SECURITY, {"mentions": None}, [], "C9", None),
        (SECURITY, {"state": "decided"}, [], "C9", None),
        (CASE, {}, [], "C9", None),
        (CASE, {"mentions_in_case": True}, [], "C9", ["<@M>"]),
        (CASE, {}, [], "", ["<@M>"]),
    ],
)
def test_given_mentions_when_a_message_is_made_then_phones_ring_once(
    journal: Journal, place: Place, row: dict[str, Any], assignee: list[str], known_id: str, shown: list[str] | None
) -> None:
    journal.replace(security_channel, "known_id", known_id)

    found = approvals._mentioning(place, {**ROW, "mentions": ["<@M>"], **row}, MESSAGE, assignee)

    assert found == (mentioning(shown, MESSAGE) if shown else MESSAGE)


SHOWN = digest(["t", [{"b": 1}]])


def test_given_no_message_when_shown_then_it_is_posted_with_its_digest_and_the_newest_row(journal: Journal) -> None:
    slack: Any = "slack"
    taken = claim()
    journal.replace(claims, "take", taken)
    journal.replace(stored, "get", {"newer": 1}, None)
    journal.replace(approval_message, "message", MESSAGE)
    journal.replace(approvals, "_mentioning", MESSAGE)
    journal.replace(approvers, "invite_configured")

    for place, row in ((CASE, {"newer": 1}), (SECURITY, ROW)):
        approvals._show_in(place, ROW, slack, DEADLINE)
        invited = [("invite_configured", slack, "C1")] if place is CASE else []
        assert journal.taken() == [
            ("take", place.key, {"settle_after": DEADLINE.settle_after}),
            ("get", "a1"),
            ("message", row),
            ("_mentioning", place, row, MESSAGE),
            *invited,
            ("post", slack, place.channel_id, taken, MESSAGE, {"keeps_version": True, "shown": SHOWN}),
        ]


@pytest.mark.parametrize(
    ("place", "known", "edited", "again", "edits", "reposts"),
    [
        (CASE, {"shown": SHOWN, "channel_id": "C7"}, None, None, False, False),
        (SECURITY, {"shown": SHOWN, "channel_id": "C9"}, None, None, False, False),
        (SECURITY, {"shown": SHOWN, "channel_id": "C7"}, None, claim(), False, True),
        (CASE, {"shown": "old", "channel_id": "C1"}, "v2", None, True, False),
        (CASE, {"shown": "old", "channel_id": "C1"}, None, claim(), True, True),
        (CASE, {"shown": "old", "channel_id": "C1"}, None, Done({}), True, True),
    ],
)
def test_given_a_posted_message_when_shown_then_it_is_edited_or_replaced_until_it_is_current(
    journal: Journal, place: Place, known: dict[str, Any], edited: Any, again: Any, edits: bool, reposts: bool
) -> None:
    slack: Any = "slack"
    known = {"ts": 1.5, "versions": ["v1"], **known}
    current = {"channel_id": place.channel_id, "ts": "2.5", "shown": SHOWN, "versions": ["v9"]}
    journal.replace(approval_message, "message", MESSAGE)
    journal.replace(approvals, "_mentioning", MESSAGE)
    journal.replace(claims, "take", Done(known), *([again] if again else []))
    journal.replace(approvals, "_edit", edited)
    journal.replace(table, "get", {**current, "other": 1})
    journal.replace(table, "update", {**current, "state": "done"})

    approvals._show_in(place, ROW, slack, DEADLINE)

    key = place.instead_of("1.5")
    settle = {"settle_after": DEADLINE.settle_after}
    posted = [("post", slack, place.channel_id, again, MESSAGE, {"keeps_version": True, "shown": SHOWN})]
    sets = "SET channel_id = :channel_id, ts = :ts, shown = :shown, versions = :versions"
    versions = {"shown": SHOWN, "versions": ["v1", "v2"]}
    assert journal.calls == [
        ("take", place.key, settle),
        ("message", ROW),
        ("_mentioning", place, ROW, MESSAGE),
        *([("_edit", place, known, MESSAGE, slack)] if edits else []),
        *([("update", place.key, "SET shown = :shown, versions = :versions", versions)] if edited else []),
        *([("take", key, settle)] if reposts else []),
        *(posted if isinstance(again, claims.Claim) else []),
        *([("get", key), ("update", place.key, sets, current)] if reposts else []),
    ]
