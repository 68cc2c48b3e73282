"""Approvers, alerts and bookmarks: each call, the rows to store, and the complete messages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from ir_router import aws, clock
from ir_router.cases.changes import digest
from ir_router.cases.models import Person
from ir_router.deadline import Deadline
from ir_router.errors import RetryLaterError
from ir_router.ledger import alerts as stored_alerts
from ir_router.ledger import claims, deciders, keys, security_channel, table
from ir_router.ledger.claims import Done, Held
from ir_router.observability import logger
from ir_router.slack.messages import Message, mentioning, sections
from ir_router.slack.text import escape, shorten
from ir_router.sync import (
    access_changes,
    alert_message,
    alerts,
    approver_set,
    approver_watch,
    approvers,
    bookmarks,
    members,
    posting,
    security_channel_made,
)
from ir_router.sync.case_sync import ClaimHeldError
from ir_router.sync.members import Team
from tests.support.answers import client_error
from tests.support.journal import Journal, refused
from tests.support.synchronising import syncing
from tests.support.transfers import claim

NOW = 500_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)
MESSAGE = Message(text="t", blocks=[])


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    found = Journal(monkeypatch)
    for module, names in ((table, ("put", "get", "delete", "assign")), (posting, ("post",)), (access_changes, ())):
        for name in names:
            found.replace(module, name)
    return found


@pytest.mark.parametrize(
    ("channel", "taken", "is_posted"),
    [("C9", claim(), True), ("C9", Done({}), False), ("C9", Held(7.0), False), ("", None, False)],
)
def test_given_a_change_of_access_when_reported_then_the_record_comes_before_the_message(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, channel: str, taken: Any, is_posted: bool
) -> None:
    slack: Any = SimpleNamespace(deadline=DEADLINE)
    monkeypatch.setattr(access_changes, "settings", lambda: SimpleNamespace(require=lambda name: f"arn:{name}"))
    journal.replace(aws, "invoke_later")
    journal.replace(security_channel, "known_id", channel)
    journal.replace(claims, "take", taken)

    access_changes.report(slack, "last_approvers", "n", {"d": 1}, ["a", "b"])

    record = {
        "task": "record_access_change",
        "action": "last_approvers",
        "once": "last_approvers/n",
        "details": {"d": 1},
    }
    claimed = ("take", keys.deduplication("ACCESS#last_approvers#n"), {"settle_after": DEADLINE.settle_after})
    message = Message(text="a b", blocks=sections(["a", "b"]))
    assert journal.calls == [
        ("invoke_later", "arn:approval_function", record),
        ("known_id",),
        *([claimed] if channel else []),
        *([("post", slack, "C9", taken, message)] if is_posted else []),
    ]


@pytest.mark.parametrize(
    ("row", "current", "report", "stored"),
    [
        (None, ["a"], None, {"approvers": ["a"], "number": 1}),
        ({"approvers": ["a"], "number": 3}, ["a"], None, None),
        ({"approvers": ["a"], "number": 3}, None, None, None),
        ({"approvers": ["c", "a"], "number": 3}, ["a", "b"], (4, ["b"], ["c"]), {"approvers": ["a", "b"], "number": 4}),
    ],
)
@pytest.mark.parametrize("error", [None, refused("x"), client_error("x"), BotoCoreError()])
def test_given_approvers_when_checked_then_a_difference_is_reported_before_it_is_stored(
    journal: Journal, row: Any, current: Any, report: Any, stored: Any, error: Any
) -> None:
    journal.replace(approver_watch, "Slack", "slack")
    journal.replace(approver_watch, "_current", current)
    journal.replace(approver_watch, "_report", error)
    journal.replace(table, "get", row)
    journal.replace(logger, "error")

    approver_watch.check(DEADLINE)

    failed = bool(report and error)
    assert [call for call in journal.calls if call[0] in ("_report", "put", "error")] == [
        *([("_report", "slack", *report)] if report else []),
        *([("put", keys.known_approvers(), stored)] if stored and not failed else []),
        *([("error", journal.calls[-1][1], {"extra": {"error": type(error).__name__}})] if failed else []),
    ]
    assert ("get", keys.known_approvers()) in journal.calls


@pytest.mark.parametrize(
    ("configured", "team", "known", "found"),
    [
        ((), ["Jane@b.cd"], True, ["jane@b.cd"]),
        ((), [], False, None),
        (("U1", "A@b.cd", "S1", "S@b.cd"), ["x@b.cd"], False, ["S1", "U1", "U7 (member of S1)", "a@b.cd", "s@b.cd"]),
    ],
)
def test_given_settings_when_approvers_are_listed_then_groups_have_their_members_and_the_team_is_the_default(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, configured: Any, team: list[str], known: bool, found: Any
) -> None:
    slack: Any = SimpleNamespace(read=None)
    journal.replace(slack, "read", {"users": ["U7"]}, {"users": None}, refused("x"), RetryLaterError("S", "m", "x", 1))
    monkeypatch.setattr(approver_watch, "settings", lambda: SimpleNamespace(approvers=configured))
    people = Team([Person(email=one) for one in team], is_known=known, kept_until=0)
    monkeypatch.setattr(members, "read_team", lambda: people)

    assert approver_watch._current(slack) == found
    asked = ("read", "usergroups.users.list", {"usergroup": "S1"})
    assert journal.calls == ([asked] if configured else [])
    if configured:
        assert [approver_watch.group_members(slack, "S1") for _ in range(2)] == [[], []]
        with pytest.raises(RetryLaterError):
            approver_watch.group_members(slack, "S1")


@pytest.mark.parametrize(("added", "removed"), [(["<a>", "b"], []), ([], ["c" * 1_001])])
def test_given_changed_approvers_when_reported_then_the_lines_name_them(
    journal: Journal, added: list[str], removed: list[str]
) -> None:
    slack: Any = "slack"
    journal.replace(access_changes, "report")

    approver_watch._report(slack, 4, added, removed)

    lines = ["⚠️ *The list of approvers changed.* If you did not expect this, find out who changed it."]
    if added:
        lines.append("*Added*  &lt;a&gt;, b. They cannot decide about requests that are already open.")
    else:
        lines.append(f"*Removed*  {shorten(removed[0], 1_000)}")
    details = {"added": added, "removed": removed}
    assert journal.calls == [("report", slack, "approvers_changed", "4", details, lines)]


ROW: dict[str, Any] = {"approval_id": "a1", "state": "pending", "headline": "<H>", "execution": "e"}


@pytest.mark.parametrize(
    ("row", "found", "frozen", "owners"),
    [
        ({}, ["U1"], True, None),
        ({}, [], False, None),
        ({"approvers": ["U2"]}, None, False, None),
        ({"approvers": ["U2"], "owners": ["o", "p"]}, None, False, ["U2"]),
        ({"approvers": ["U2"], "owners": ["o"], "owners_looked_up": ["o"]}, None, False, None),
        ({"owners": ["o", "p"]}, ["U1"], True, ["U1"]),
        ({"state": "decided"}, None, False, None),
    ],
)
def test_given_a_request_when_frozen_then_approvers_and_owners_are_stored_once(
    journal: Journal, row: dict[str, Any], found: Any, frozen: bool, owners: Any
) -> None:
    slack: Any = SimpleNamespace(deadline=DEADLINE)
    row = {**ROW, **row}
    journal.replace(approver_watch, "check")
    journal.replace(approver_set, "_approvers", found)
    journal.replace(approver_set, "_owner_ids", {"U9", "U3"}, {"U3"})
    journal.replace(approver_set, "_last_approvers", ["U3"])
    journal.replace(approver_set, "_report")
    journal.replace(deciders, "freeze")
    journal.replace(deciders, "note_owners")

    approver_set.freeze(slack, row)

    ids = {"o": {"U9", "U3"}, "p": {"U3"}}
    looked_up = [
        *[("_owner_ids", slack, owner) for owner in ids],
        ("_last_approvers", row, owners, ids),
        ("note_owners", "a1", ["o", "p"], ["U3", "U9"], ["U3"]),
        ("_report", slack, row, ["U3"]),
    ]
    assert journal.calls == [
        *([("check", DEADLINE), ("_approvers", slack)] if found is not None else []),
        *([("freeze", "a1", found)] if frozen else []),
        *(looked_up if owners else []),
    ]
    for error in (refused("x"), client_error("x"), BotoCoreError()):
        journal.replace(approver_watch, "check", error)
        approver_set.freeze(slack, dict(ROW))
    journal.replace(approver_watch, "check", ValueError("odd"))
    with pytest.raises(ValueError, match="odd"):
        approver_set.freeze(slack, dict(ROW))


@pytest.mark.parametrize(
    ("last", "before", "told"), [(["U1", "<U2>"], None, True), (["U1"], ["U1"], False), ([], ["U1"], False)]
)
def test_given_the_last_approvers_when_they_own_credentials_then_the_report_names_them_once(
    journal: Journal, last: list[str], before: Any, told: bool
) -> None:
    slack: Any = "slack"
    journal.replace(access_changes, "report")

    approver_set._report(slack, {**ROW, "headline": "<" + "H" * 400, "last_approvers": before}, last)

    head = (
        "⚠️ *Every approver of a request owns credentials of its incident.* The last ones may decide about it all the "
        "same. Check their decision, and name further approvers."
    )
    lines = [head, f"*Request*  {escape(shorten('<' + 'H' * 400, 400))}", "*May decide*  U1, &lt;U2&gt;"]
    details = {"approval_id": "a1", "execution": "e", "approvers": last}
    name = f"a1-{digest(last)}"
    assert journal.calls == ([("report", slack, "last_approvers", name, details, lines)] if told else [])


@pytest.mark.parametrize(
    ("row", "channel", "taken", "posted"),
    [
        (None, "C9", None, False),
        ({"alert_id": "i"}, "", None, False),
        ({"alert_id": "i", "mention": True, "case_id": 1}, "C9", claim(), True),
        ({"alert_id": "i"}, "C9", claim(), True),
        ({"alert_id": "i"}, "C9", Done({}), True),
        ({"alert_id": "i"}, "C9", Held(7.0), None),
    ],
)
def test_given_an_alert_when_raised_then_it_is_posted_once_with_mentions_and_the_channel_of_its_case(
    journal: Journal, row: Any, channel: str, taken: Any, posted: bool | None
) -> None:
    context: Any = object()
    slack = SimpleNamespace(deadline=DEADLINE)
    journal.replace(alerts, "of_invocation", DEADLINE)
    journal.replace(alerts, "Slack", slack)
    journal.replace(stored_alerts, "get", row)
    journal.replace(security_channel_made, "ensure")
    journal.replace(security_channel, "known_id", channel)
    journal.replace(claims, "take", taken)
    journal.replace(approvers, "mentions", ["<@U1>"])
    journal.replace(table, "get", {"slackChannelId": "C1"})
    journal.replace(alert_message, "message", MESSAGE)

    if posted is None:
        with pytest.raises(ClaimHeldError) as error:
            alerts.handle({"detail": {"alert": "n"}}, context)
        assert error.value.until == 7.0
    else:
        assert alerts.handle({"detail": {"alert": "n"}}, context) == {"alert": "n", "posted": posted}
    begun = [("of_invocation", context, {"reserve": 10, "at_most": 120}), ("Slack", DEADLINE), ("get", "n")]
    ensured = [("ensure", slack), ("known_id",)] if row else []
    kept = {"settle_after": DEADLINE.settle_after, "expires_at": int(NOW) + stored_alerts.KEPT_SECONDS}
    taking = [("take", keys.slack_alert_message("n"), kept)] if channel and row else []
    sent: list[Any] = []
    if isinstance(taken, claims.Claim):
        of_case = "case_id" in row
        message = mentioning(["<@U1>"] if of_case else [], MESSAGE)
        sent = [
            *([("mentions", slack), ("get", keys.case("1"))] if of_case else []),
            ("message", "n", row, "C1" if of_case else ""),
            ("post", slack, "C9", taken, message),
        ]
    assert journal.calls == [*begun, *ensured, *taking, *sent]


BOOKMARK = bookmarks.Bookmark("report", "Report", "2.5", is_message=True)
MARK = keys.note("1", f"{bookmarks._NOTE}report")


@pytest.mark.parametrize(
    ("row", "done", "effects"),
    [
        ({"of": "2.5", "channel_id": "C1"}, True, []),
        ({"of": "2.5", "channel_id": "C1"}, False, ["_address", "claim", "_add"]),
        ({"of": "1.5", "channel_id": "C1"}, True, ["_address", "claim", "_change"]),
        ({"of": "2.5", "channel_id": "C0"}, True, ["delete", "_address", "claim", "_add"]),
        (None, False, ["_address", "claim", "_add"]),
    ],
)
def test_given_a_bookmark_when_kept_then_it_is_added_once_changed_or_made_new_in_another_channel(
    journal: Journal, row: Any, done: bool, effects: list[str]
) -> None:
    own = syncing(journal, rows={MARK.sk: row} if row else {})
    own.is_done = lambda key: done and key.sk in own.rows
    journal.replace(own, "claim", None if "_change" in effects else "taken")
    for name in ("_address", "_change", "_add"):
        journal.replace(bookmarks, name, "https://p")

    bookmarks._keep(own, BOOKMARK)

    calls = {
        "delete": ("delete", MARK),
        "_address": ("_address", own, BOOKMARK),
        "claim": ("claim", MARK),
        "_change": ("_change", own, row, BOOKMARK, "https://p"),
        "_add": ("_add", own, "taken", BOOKMARK, "https://p"),
    }
    assert journal.calls == [calls[name] for name in effects]


@pytest.mark.parametrize(
    ("wanted", "configured", "row", "team", "found"),
    [
        (("here", "approvers"), ("S1", "U1", "a@b.cd"), None, [], ["<!here>", "<!subteam^S1>", "<@U1>", "<@UA>"]),
        (("approvers",), (), {"approvers": ["U3", "x@b.cd", "U4"]}, [], ["<@U3>", "<@U4>"]),
        (("approvers",), (), {}, [], []),
        (("approvers",), (), None, ["t@b.cd"], ["<@UA>"]),
        (("U1", "S2", "U1", "S@b.cd"), (), None, [], ["<@U1>", "<!subteam^S2>", "<@UA>"]),
    ],
)
def test_given_settings_when_people_are_mentioned_then_each_is_mentioned_once_in_order(
    monkeypatch: pytest.MonkeyPatch,
    journal: Journal,
    wanted: tuple[str, ...],
    configured: tuple[str, ...],
    row: Any,
    team: list[str],
    found: list[str],
) -> None:
    slack: Any = SimpleNamespace(read=None)
    journal.replace(slack, "read", {"user": {"id": "UA"}})
    monkeypatch.setattr(approvers, "settings", lambda: SimpleNamespace(mention=wanted, approvers=configured))
    monkeypatch.setattr(members, "response_team", lambda: [Person(email=one) for one in team])

    assert approvers.mentions(slack, row) == found
    assert {call[1] for call in journal.calls} <= {"users.lookupByEmail"}


def test_given_people_when_found_and_invited_then_rejections_stop_no_others_and_30_are_the_most(
    journal: Journal,
) -> None:
    slack: Any = SimpleNamespace(read=None)
    journal.replace(
        slack, "read", refused("users_not_found"), {"users": ["U2"]}, {"users": None}, {"user": {"id": "UA"}}
    )

    assert list(approvers.user_ids(slack, ["x@b.cd", "S1", "S2", "U1", "a@b.cd"])) == ["U2", "U1", "UA"]

    assert journal.taken() == [
        ("read", "users.lookupByEmail", {"email": "x@b.cd"}),
        ("read", "usergroups.users.list", {"usergroup": "S1"}),
        ("read", "usergroups.users.list", {"usergroup": "S2"}),
        ("read", "users.lookupByEmail", {"email": "a@b.cd"}),
    ]
    assert list(approvers.user_ids(slack, ["S1", "U1"], groups=False)) == ["U1"]
    assert journal.calls == []
    codes = [refused("already_in_channel"), refused("cant_invite_self"), refused("user_is_restricted"), {}]
    journal.replace(slack, "read", *codes)
    people = [f"U{number}" for number in range(31)]
    assert approvers.invite(slack, "C1", people) == [one for one in people[:30] if one != "U2"]
    invited = [("read", "conversations.invite", {"channel": "C1", "users": one}) for one in people[:30]]
    assert journal.taken() == invited
    assert len(approvers.invite(slack, "C1", people[:30])) == 30
    journal.replace(slack, "read", RetryLaterError("S", "m", "x", 1))
    with pytest.raises(RetryLaterError):
        approvers.invite(slack, "C1", ["U1"])
