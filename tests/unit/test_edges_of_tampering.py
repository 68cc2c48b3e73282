"""Approval messages that another holder of the token changed: hints, comparisons, restoring, and the reports."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import bus
from ir_router.cases.changes import digest
from ir_router.deadline import Deadline
from ir_router.errors import IrRouterError, RetryLaterError
from ir_router.ledger import approvals, claims, keys, security_channel, table
from ir_router.ledger.claims import Done
from ir_router.observability import logger
from ir_router.slack import inbound
from ir_router.slack.messages import Message, sections
from ir_router.sync import approval_places, approval_tampering, hints, posting, system_comments
from ir_router.sync.approval_places import Place
from ir_router.sync.case_sync import ClaimHeldError
from tests.support.journal import Journal, refused
from tests.support.transfers import claim

DEADLINE = Deadline(soft=9e9, hard=9e9)
PLACE = Place("C1", keys.note("1", "approval-a1"), is_of_case=True)
ROW = {"approval_id": "a1", "case_id": "1", "state": "pending", "headline": "H <x>"}
TEXT = {"text": "t", "ts": "1.5"}
ROTATE = "Someone else has the app's bot token. Rotate it now (make rotate)."
SAFE = "Decisions are safe: the forms of Approve and Deny show the facts from the ledger."


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    found = Journal(monkeypatch)
    for name in ("error", "warning", "info"):
        monkeypatch.setattr(logger, name, lambda *_given, **_more: None)
    found.replace(approval_tampering, "measure")
    return found


@pytest.mark.parametrize(
    ("event", "known", "is_posted", "is_version", "result", "ts"),
    [
        ({"message": TEXT}, [ROW], [True], False, True, "1.5"),
        ({"message": TEXT}, [ROW], [True], True, True, None),
        ({"deleted_ts": "1.7", "message": TEXT}, [ROW], [True], True, True, "1.7"),
        ({"message": TEXT}, [None, ROW], [True], False, True, "1.5"),
        ({"message": TEXT}, [ROW], [False], False, False, None),
        ({}, [ROW], [False], False, False, None),
    ],
)
def test_given_a_changed_message_when_noticed_then_only_foreign_changes_of_requests_are_published(
    journal: Journal,
    event: dict[str, Any],
    known: list[Any],
    is_posted: list[bool],
    is_version: bool,
    result: bool,
    ts: Any,
) -> None:
    names = [f"a{number}" for number in range(len(known))]
    journal.replace(inbound, "channel_of", "C1")
    journal.replace(approvals, "get", *known)
    journal.replace(approval_places, "is_posted", *is_posted)
    journal.replace(approval_places, "is_version", is_version)
    journal.replace(approval_tampering, "publish")

    assert approval_tampering.notice({**event, inbound.APPROVALS: names}) is result

    at = str(event.get("deleted_ts") or event.get("message", {}).get("ts") or "")
    compared = [("is_version", ROW, at, posting.version(TEXT))] if "deleted_ts" not in event and is_posted[0] else []
    assert [call for call in journal.calls if call[0] != "channel_of"] == [
        *(("get", name) for name in names),
        ("is_posted", ROW, "C1", at),
        *compared,
        *([("publish", names[-1], "C1", ts)] if ts else []),
    ]
    assert approval_tampering.notice({inbound.APPROVALS: None}) is False


def test_given_a_hint_when_published_then_it_names_the_message_and_a_rejection_is_logged(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    logged: list[Any] = []
    monkeypatch.setattr(logger, "error", lambda text, **more: logged.append((text[:29], more)))
    journal.replace(bus, "put", ["Throttled"], [])
    detail = {"approval_id": "a1", "channel_id": "C1", "ts": "1.5"}

    for _ in range(2):
        approval_tampering.publish("a1", "C1", "1.5")

    event = bus.Event(hints.SOURCE, approval_tampering.DETAIL_TYPE, detail)
    assert journal.calls == [("put", [event])] * 2
    assert logged == [("approval.change_not_checked: ", {"extra": {"code": "Throttled", **detail}})]


@pytest.mark.parametrize(
    ("detail", "is_posted", "posting_now", "message", "reported"),
    [
        ({"channel_id": "C1", "ts": "1.5"}, False, False, TEXT, True),
        ({"channel_id": "C1", "ts": "1.5"}, False, False, None, False),
        ({"channel_id": "C1", "ts": "1.5"}, True, False, TEXT, None),
        ({"channel_id": "C1", "ts": "1.5"}, False, True, TEXT, None),
        ({}, False, False, TEXT, None),
    ],
)
def test_given_a_hint_when_checked_then_each_place_is_compared_and_an_imitation_is_reported(
    monkeypatch: pytest.MonkeyPatch,
    journal: Journal,
    detail: dict[str, Any],
    is_posted: bool,
    posting_now: bool,
    message: Any,
    reported: bool | None,
) -> None:
    show: Any = "show"
    journal.replace(approvals, "get", ROW)
    journal.replace(approval_tampering, "Slack", "slack")
    monkeypatch.setattr(approval_places, "of", lambda _row: iter([PLACE, PLACE]))
    monkeypatch.setattr(
        approval_places, "is_posted", lambda row, channel, ts: is_posted and row is ROW and bool(channel)
    )
    monkeypatch.setattr(approval_places, "is_being_posted", lambda row: posting_now and row is ROW)
    for name in ("_check", "_report"):
        journal.replace(approval_tampering, name)
    journal.replace(approval_tampering, "_read", message)

    approval_tampering.check({"approval_id": "a1", **detail}, DEADLINE, show)

    told = ("_report", ROW, "slack", "In <#C1>, a message imitates", "", digest(["C1", "1.5"]))
    assert journal.taken() == [
        ("get", "a1"),
        ("Slack", DEADLINE),
        *[("_check", PLACE, ROW, "slack", show)] * 2,
        *([] if reported is None else [("_read", "slack", "C1", "1.5")]),
        *([told] if reported else []),
    ]
    journal.replace(approvals, "get", None)
    approval_tampering.check({"approval_id": "a1", **detail}, DEADLINE, show)
    assert journal.calls == [("get", "a1")]


OWN = posting.version(TEXT)
OTHER = posting.version({"text": "other"})


@pytest.mark.parametrize(
    ("posted", "later", "message", "state", "count", "held", "restored", "effects"),
    [
        ({}, None, TEXT, "pending", 1, False, TEXT, ""),
        ({"state": "claimed"}, None, TEXT, "pending", 1, False, TEXT, ""),
        ({"ts": None}, None, TEXT, "pending", 1, False, TEXT, ""),
        ({}, {"versions": [OWN]}, TEXT, "pending", 1, False, TEXT, "r"),
        ({}, {"ts": "9"}, TEXT, "pending", 1, False, TEXT, "r"),
        ({}, {"versions": [OTHER]}, None, "delivered", 1, False, TEXT, "r"),
        ({}, {"versions": [OTHER]}, TEXT, "pending", 21, False, TEXT, "ru"),
        ({}, {"versions": [OTHER]}, TEXT, "pending", 20, True, TEXT, "rus"),
        ({}, {"versions": [OTHER]}, TEXT, "pending", 20, False, None, "rusr"),
        ({}, {"versions": [OTHER]}, None, "pending", 1, False, TEXT, "rusr"),
        ({}, {"versions": [OTHER]}, TEXT, "pending", 1, False, {"text": "new"}, "rusrvt"),
        ({}, {"versions": [OTHER]}, TEXT, "delivered", 1, False, {"text": "new"}, "rusrvt"),
        ({}, {"versions": [OTHER]}, TEXT, "pending", 1, False, TEXT, "rusrv"),
        ({}, {"versions": [OWN, OTHER]}, TEXT, "pending", 1, False, {"text": "new"}, "rusrv"),
        ({}, {"versions": []}, TEXT, "pending", 1, False, {"text": "new"}, "rusrv"),
    ],
)
def test_given_a_posted_request_when_compared_then_it_is_restored_and_only_a_foreign_version_is_reported(
    journal: Journal,
    posted: dict[str, Any],
    later: Any,
    message: Any,
    state: str,
    count: int,
    held: bool,
    restored: Any,
    effects: str,
) -> None:
    slack: Any = SimpleNamespace(deadline=DEADLINE)
    row = {**ROW, "state": state}
    first = {"state": "done", "channel_id": "C1", "ts": "1.5", **posted}
    if not effects:
        first = posted if "state" in posted else {**first, "ts": None} if "ts" in posted else {}
    after = {**first, **(later or {})}
    journal.replace(table, "get", first, after, {"versions": ["k"]})
    journal.replace(table, "update", {"restored": count})
    journal.replace(approvals, "note_shown")
    journal.replace(approval_tampering, "_read", message, restored)
    journal.replace(approval_tampering, "_report")
    shown: Any = SimpleNamespace(show=None)
    journal.replace(shown, "show", ClaimHeldError(5.0) if held else 2)

    approval_tampering._check(PLACE, row, slack, shown.show)

    current = posting.version(restored) if restored else ""
    reading, versions = ("_read", slack, "C1", "1.5"), ["k", current]
    parts: dict[str, list[Any]] = {
        "u": [
            ("update", PLACE.key, "SET shown = :none ADD restored :one", {"none": "", "one": 1}),
            ("note_shown", "a1", ""),
        ],
        "s": [("show", "a1", DEADLINE)],
        "v": [("get", PLACE.key), ("update", PLACE.key, "SET versions = :versions", {"versions": versions})],
        "t": [("_report", row, slack, "In <#C1>, someone changed", " ir-router restored it.", OWN)],
    }
    begun = [("get", PLACE.key), *([reading, ("get", PLACE.key)] if effects else [])]
    rest = [call for name in effects[1:] for call in ([reading] if name == "r" else parts[name])]
    assert journal.calls == [*begun, *rest]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"messages": [{"ts": "1"}, TEXT]}, TEXT),
        ({"messages": [{**TEXT, "subtype": "tombstone"}]}, None),
        ({"messages": None}, None),
        (refused("x"), None),
    ],
)
def test_given_a_message_when_read_then_exactly_it_is_asked_for(journal: Journal, answer: Any, found: Any) -> None:
    slack: Any = SimpleNamespace(read=None)
    journal.replace(slack, "read", answer, RetryLaterError("S", "m", "x", 1))
    where = {"channel": "C1", "oldest": "1.5", "latest": "1.5", "inclusive": True, "limit": 1}

    assert approval_tampering._read(slack, "C1", "1.5") == found
    assert journal.calls == [("read", "conversations.history", where)]
    with pytest.raises(RetryLaterError):
        approval_tampering._read(slack, "C1", "1.5")


@pytest.mark.parametrize(
    ("case_id", "security", "places", "channel"),
    [("1", "C9", [PLACE], "C9"), ("1", "", [PLACE], "C1"), ("1", "", [], ""), (None, "C9", [], "C9")],
)
@pytest.mark.parametrize("error", [None, IrRouterError("x")])
@pytest.mark.parametrize("taken", [claim(), Done({})])
def test_given_a_changed_message_when_reported_then_case_and_channel_have_the_complete_text_once(
    monkeypatch: pytest.MonkeyPatch,
    journal: Journal,
    case_id: str | None,
    security: str,
    places: list[Place],
    channel: str,
    error: Any,
    taken: Any,
) -> None:
    slack: Any = SimpleNamespace(deadline=DEADLINE)
    monkeypatch.setattr(approval_places, "in_case_channel", lambda _row: iter(places))
    monkeypatch.setattr(security_channel, "known_id", lambda: security)
    journal.replace(system_comments, "write", error)
    journal.replace(claims, "take", taken)
    journal.replace(posting, "post")

    approval_tampering._report({**ROW, "case_id": case_id}, slack, "In <#C1>, x", " Done.", "n")

    text = f'{ROTATE} The approval request "H <x>" was changed or imitated in Slack. Done. {SAFE}'
    lines = [f"🚨 *{ROTATE}*", f'In <#C1>, x the approval request "H &lt;x&gt;". Done. {SAFE}']
    message = Message(text=" ".join(lines), blocks=sections(lines))
    claimed = ("take", keys.deduplication("APPROVAL-MESSAGE#TAMPERED#n"), {"settle_after": DEADLINE.settle_after})
    posted = [("post", slack, channel, taken, message)] if isinstance(taken, claims.Claim) else []
    assert journal.calls == [
        ("measure", "FailuresTold"),
        *([("write", "1", "tampered-n", text)] if case_id else []),
        *([claimed, *posted] if channel else []),
    ]
