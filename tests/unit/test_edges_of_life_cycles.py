"""Status, closing, reminders and catching up: each call of these steps, their moments, and the complete texts."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws, clock, json_text
from ir_router.cases import followed_fields, status
from ir_router.cases.changes import digest
from ir_router.cases.models import Person
from ir_router.errors import RefusedError
from ir_router.ledger import approvals, incidents, keys, leases, table
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import credentials, inbound, messages
from ir_router.slack.messages import Message, mentioning, sections
from ir_router.slack.text import linked, quoted
from ir_router.sync import approval_message, awaited, catch_up, life_cycle, posting, report, system_comments
from tests.support.journal import Journal, refused
from tests.support.synchronising import case_of, syncing

NOW = 500_000.0
HOUR = 3_600
INCIDENT = keys.incident("1")
WORKFLOW = {"execution": "e"}


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(life_cycle, "settings", lambda: SimpleNamespace(close_decided_cases_after_hours=1.5))
    found = Journal(monkeypatch)
    for module, names in (
        (table, ("put", "delete")),
        (incidents, ("save",)),
        (posting, ("post",)),
        (system_comments, ("write",)),
        (security_ir, ("update_status", "close_case")),
    ):
        for name in names:
            found.replace(module, name)
    return found


@pytest.mark.parametrize(
    ("row", "phase", "case", "tags", "steps"),
    [
        ({}, "ended", {"resolver_type": "Self"}, WORKFLOW, ["_follow", "_offer", "_close"]),
        ({}, "ended", {"resolver_type": "AWS"}, WORKFLOW, ["_offer"]),
        ({}, "asked", {"resolver_type": "Self"}, WORKFLOW, ["_follow"]),
        ({}, "asked", {"resolver_type": "AWS"}, WORKFLOW, []),
        ({}, None, {"resolver_type": "Self"}, WORKFLOW, []),
        (None, "ended", {"resolver_type": "Self"}, WORKFLOW, []),
        ({}, "ended", {"resolver_type": "Self", "case_status": "Closed"}, WORKFLOW, []),
        ({}, "ended", {"resolver_type": "Self"}, {}, []),
    ],
)
def test_given_a_case_of_the_workflow_when_synchronised_then_its_phase_decides_about_the_steps(
    journal: Journal, row: Any, phase: str | None, case: dict[str, str], tags: dict[str, str], steps: list[str]
) -> None:
    known = row if row is None else {"x": 1}
    names = {"ended": incidents.ENDED, "asked": incidents.ASKED, None: None}
    own = syncing(journal, case=case_of(**case), tags=tags, rows={INCIDENT.sk: known} if known else {})
    journal.replace(incidents, "phase", names[phase])
    for name in ("_follow", "_offer", "_close"):
        journal.replace(life_cycle, name)

    life_cycle.synchronise(own)

    wanted = {"ended": "Post-incident Activities", "asked": "Detection and Analysis"}
    given = {"_follow": (wanted.get(phase or ""),)}
    assert journal.calls[1 if known else 0 :] == [(name, own, known, *given.get(name, ())) for name in steps]


@pytest.mark.parametrize(
    ("now", "row", "saved", "follows"),
    [
        ("Detection and Analysis", {}, [["Detection and Analysis"]], False),
        ("Detection and Analysis", {"own_statuses": ["Detection and Analysis"]}, [], False),
        ("Submitted", {"set_by_person": True}, [], False),
        ("Post-incident Activities", {}, ["person"], False),
        ("Post-incident Activities", {"own_statuses": ["Post-incident Activities"]}, [], True),
        ("Submitted", {}, [], True),
        ("Acknowledged", {}, [], True),
    ],
)
@pytest.mark.parametrize("error", [None, refused("x", "AWS")])
def test_given_a_status_when_it_follows_then_a_persons_status_stays_and_each_step_is_recorded_first(
    journal: Journal, now: str, row: dict[str, Any], saved: list[Any], follows: bool, error: Any
) -> None:
    own = syncing(journal, case=case_of(case_status=now))
    wanted = "Detection and Analysis"
    journal.replace(security_ir, "update_status", error)

    life_cycle._follow(own, row, wanted)

    steps = status.way(now, wanted) if follows else []
    assert not follows or steps
    field = followed_fields.STATUS.attribute
    calls: list[Any] = [
        ("save", "1", {"set_by_person": True} if one == "person" else {"own_statuses": one}) for one in saved
    ]
    if follows:
        calls.append(("save", "1", {"own_statuses": [now, *steps]}))
        for step in steps[:1] if error else steps:
            change = {"name": "ir-router", "field": field, "value": step, "at": NOW}
            calls.append(("put", keys.slack_change("1", f"life-cycle-{digest([step])}"), change))
            calls.append(("update_status", "1", step))
        calls.append(("save", "1", {"set_by_person": True} if error else {"own_statuses": [wanted]}))
    assert journal.calls == calls


def test_given_an_ended_incident_when_offered_then_outcomes_links_and_button_are_complete(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    own = syncing(journal)
    journal.replace(own, "claim", "taken", None)
    journal.replace(incidents, "results", ["r1", "r2"])
    journal.replace(incidents, "results_by_request", {"a2": "done <y>", "a1": "kept"})
    journal.replace(approvals, "get", lambda name: {"id": name} if name == "a1" else None)
    monkeypatch.setattr(approval_message, "urls", lambda one: {"done": "https://u"} if one else {})
    monkeypatch.setattr(approval_message, "decided_by", lambda one: "Jane" if one == {"id": "a1"} else "")

    life_cycle._offer(own, {"row": 1})
    life_cycle._offer(own, {"row": 1})

    results = ["Jane: kept", "done <y>"]
    last = (
        "Close this case when your work on it is done. ir-router closes it by itself after 1.5 hours without activity. "
        "A closed case cannot be reopened."
    )
    head = "The incident of this case has ended"
    shown = [linked(quoted(one, 400), {"done": "https://u"}) for one in results]
    button = {
        "type": "button",
        "action_id": "close_offer",
        "text": {"type": "plain_text", "text": "Close this case ..."},
        "value": "close",
    }
    text = " ".join([head, "Jane: kept", "done &lt;y&gt;", last])
    blocks = [*sections([f"*{head}*", *shown, last]), {"type": "actions", "elements": [button]}]
    key = keys.note("1", f"offer-to-close-{digest(['r1', 'r2'])}")
    posted = [call for call in journal.calls if call[0] in ("claim", "post")]
    assert posted == [
        ("claim", key),
        ("post", own.slack, "C1", "taken", Message(text=text, blocks=blocks)),
        ("claim", key),
    ]
    monkeypatch.setattr(life_cycle, "settings", lambda: SimpleNamespace(close_decided_cases_after_hours=0))
    assert "by itself" not in life_cycle._message([], {}).text


@pytest.mark.parametrize(
    ("hours", "idle", "row", "effect"),
    [
        (1.5, 1.5 * HOUR, {}, "new"),
        (1.5, 1.5 * HOUR - 1, {}, "waits"),
        (1.5, 0, {"closing": True}, "known"),
        (0, 9e9, {}, "none"),
    ],
)
@pytest.mark.parametrize(
    ("error", "closed"), [(None, False), (refused("x", "AWS"), True), (refused("x", "AWS"), False)]
)
def test_given_no_activity_when_its_time_is_over_then_report_comment_record_and_closing_follow(
    monkeypatch: pytest.MonkeyPatch,
    journal: Journal,
    hours: float,
    idle: float,
    row: Any,
    effect: str,
    error: Any,
    closed: bool,
) -> None:
    own = syncing(journal)
    monkeypatch.setattr(life_cycle, "settings", lambda: SimpleNamespace(close_decided_cases_after_hours=hours))
    monkeypatch.setattr(life_cycle, "_last_activity", lambda _sync: NOW - idle)
    monkeypatch.setattr(life_cycle, "_outcomes", lambda _row: ["a", "b"])
    journal.replace(report, "before_closing")
    journal.replace(security_ir, "close_case", error)
    journal.replace(security_ir, "get_case", SimpleNamespace(is_closed=closed))

    if effect in ("new", "known") and error and not closed:
        with pytest.raises(RefusedError):
            life_cycle._close(own, row)
    else:
        life_cycle._close(own, row)
    text = "ir-router closes this case, because its incident has ended and there was no activity for 1.5 hours. a b"
    change = {"name": "ir-router", "field": followed_fields.STATUS.attribute, "value": "Closed", "at": NOW}
    closing = [
        ("before_closing", own),
        ("write", "1", "closed-after-end", text),
        ("put", keys.slack_change("1", f"life-cycle-{digest(['Closed'])}"), change),
        ("close_case", "1"),
        *([("get_case", "1")] if error else []),
    ]
    calls: dict[str, list[Any]] = {
        "new": [("save", "1", {"closing": True}), *closing],
        "known": closing,
        "waits": [("revisit", NOW + 1)],
        "none": [],
    }
    assert journal.calls == calls[effect]


@pytest.mark.parametrize("is_new", [True, False])
def test_given_an_approval_when_noted_then_only_a_new_state_starts_the_case(journal: Journal, is_new: bool) -> None:
    journal.replace(incidents, "note", is_new)
    journal.replace(leases, "add_hint")

    life_cycle.note({"case_id": 1})

    assert journal.calls == [("note", {"case_id": 1}), *([("add_hint", "1")] if is_new else [])]


# Reminders while AWS waits


@pytest.mark.parametrize(
    ("ago", "posted", "revisit"),
    [
        (None, None, NOW + 2 * HOUR),
        (2 * HOUR - 1, None, NOW + 1),
        (2 * HOUR, 2, NOW + 6 * HOUR),
        (8 * HOUR - 1, 2, NOW + 1),
        (8 * HOUR, 8, None),
    ],
)
@pytest.mark.parametrize("is_claimed", [True, False])
def test_given_aws_that_waits_when_hours_pass_then_the_newest_reminder_mentions_the_watchers(
    journal: Journal, ago: float | None, posted: int | None, revisit: float | None, is_claimed: bool
) -> None:
    key = keys.note("1", "customer-awaited")
    case = case_of(pending_action="Customer", watchers=[Person(email=f"{one}@B.cd") for one in "abcd"])
    since = NOW - (ago or 0)
    people = [("a", "present"), ("b", "invited"), ("c", "back"), ("d", "former"), ("e", "present")]
    members = [{"email": f"{who}@b.cd", "state": state, "slack_user_id": who.upper()} for who, state in people]
    own = syncing(journal, case=case, rows={} if ago is None else {key.sk: {"since": since}})
    own.rows_of = lambda prefix: members if prefix == "MEMBER#" else []
    journal.replace(own, "claim", "taken" if is_claimed else None)

    awaited.synchronise(own)

    at = messages.at(datetime.fromtimestamp(since, UTC))
    text = f"AWS has waited for your answer on this case for {posted} hours, since {at}."
    lines = [f"*{text}*", "Answer in this channel. AWS continues its work after that."]
    plain = Message(text=f"{messages.TAG} {text}", blocks=sections(lines))
    message = mentioning(["<@A>", "<@B>", "<@C>"], plain)
    reminder = [("claim", keys.note("1", f"customer-awaited-{int(since)}-{posted}"))]
    reminder += [("post", own.slack, "C1", "taken", message)] if is_claimed else []  # type: ignore[list-item]
    assert journal.calls == [
        *([("put", key, {"since": NOW})] if ago is None else []),
        *(reminder if posted else []),
        *([("revisit", revisit)] if revisit else []),
    ]


@pytest.mark.parametrize(
    ("changes", "known", "deleted"),
    [
        ({"pending_action": None}, True, True),
        ({"pending_action": "Customer", "case_status": "Closed"}, True, True),
        ({"pending_action": None}, False, False),
    ],
)
def test_given_aws_that_waits_no_more_when_synchronised_then_its_time_is_forgotten(
    journal: Journal, changes: dict[str, Any], known: bool, deleted: bool
) -> None:
    key = keys.note("1", "customer-awaited")

    awaited.synchronise(syncing(journal, case=case_of(**changes), rows={key.sk: {"since": 1}} if known else {}))

    assert journal.calls == ([("delete", key)] if deleted else [])


# Catching up


def test_given_a_channel_that_was_away_when_caught_up_then_each_wanted_message_is_queued_once(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    known = keys.slack_message("1", "3.0#0").sk
    own = syncing(journal, rows={known: {"x": 1}})
    own.lease = SimpleNamespace(row={"channel_away_since": 10_000})
    journal.replace(own.slack, "read", {"bot_id": "BOWN"})
    listed = [{"ts": "2.0", "bot_id": "BOWN"}, {"ts": "3.0"}, {"ts": "4.0", "text": "t"}, {"ts": "5.0", "odd": 1}]
    journal.replace(catch_up, "_history", listed)
    monkeypatch.setattr(inbound, "is_wanted", lambda event, app: "odd" not in event and app == "")
    journal.replace(catch_up, "_queue_event")

    catch_up.synchronise(own)

    event = {"ts": "4.0", "text": "t", "type": "message", "channel": "C1"}
    assert journal.taken() == [
        ("read", "auth.test"),
        ("_history", own, 6_400.0),
        ("check",),
        ("_queue_event", own, event, "4.0"),
    ]
    own.lease.row = {}
    catch_up.synchronise(own)
    assert journal.calls == []


def test_given_a_missed_message_when_queued_then_the_record_is_complete(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    sqs = SimpleNamespace(send_message=None)
    journal.replace(sqs, "send_message")
    monkeypatch.setattr(aws, "client", lambda name: sqs if name == "sqs" else None)
    monkeypatch.setattr(catch_up, "settings", lambda: SimpleNamespace(require=lambda name: f"url:{name}"))
    monkeypatch.setattr(credentials, "workspace_id", lambda: "T1")
    monkeypatch.setattr(inbound, "trimmed", lambda event: {**event, "trimmed": 1})

    catch_up._queue_event(syncing(journal), {"ts": "4.0"}, "4.0")

    event = {"ts": "4.0", "trimmed": 1}
    body = {"event_id": "catch-up-4.0", "team_id": "T1", "app_id": "", "event": event}
    record = {
        "QueueUrl": "url:slack_events_queue_url",
        "MessageBody": json_text.for_queue(body),
        "MessageGroupId": "C1",
        "MessageDeduplicationId": digest(["C1", "4.0"]),
    }
    assert journal.calls == [("send_message", record)]


def test_given_a_history_when_read_then_replies_to_older_messages_count_and_the_reading_ends(
    journal: Journal,
) -> None:
    own = syncing(journal)
    own.slack.pages = None
    older = [{"ts": f"{90 - number / 100:.2f}"} for number in range(1_000)]
    listed = [
        {"ts": "105.0", "reply_count": 1, "latest_reply": "106.0"},
        {"ts": "100.0", "reply_count": 1},
        {"ts": "99.0", "reply_count": 2, "latest_reply": "99.9"},
        {"ts": "98.0"},
        *older[:997],
        {"ts": "9.0", "reply_count": 1, "latest_reply": "100.0"},
        {"ts": "8.0", "reply_count": 1, "latest_reply": "107.0"},
    ]
    replies = {"105.0": [{"ts": "105.0", "parent": 1}, {"ts": "106.0"}], "100.0": [], "9.0": [{"ts": "100.5"}]}
    journal.replace(own.slack, "pages", listed, replies["105.0"], replies["100.0"], replies["9.0"])

    found = [*catch_up._history(own, 100.0)]

    assert [one["ts"] for one in found] == ["100.0", "100.5", "105.0", "106.0"]
    assert "parent" not in found[2]
    threads = [{"channel": "C1", "ts": ts, "oldest": "100.000000"} for ts in ("105.0", "100.0", "9.0")]
    assert journal.calls == [
        ("pages", "conversations.history", "messages", {"channel": "C1"}),
        *(("pages", "conversations.replies", "messages", thread) for thread in threads),
    ]
