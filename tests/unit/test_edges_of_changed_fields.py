"""Changed fields of a case, its topic, and the extent of a reading of calls: rows, messages and values."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock, trail_search
from ir_router.cases import changes, followed_fields
from ir_router.errors import RefusedError
from ir_router.ledger import activity as stored
from ir_router.ledger import keys, leases, member_activity
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import messages
from ir_router.slack.error_codes import meaning_of
from ir_router.sync import activity, activity_result, fields, posting
from tests.support.journal import Journal, refused
from tests.support.synchronising import case_of, syncing

NOW = 500_000.0
TITLE = followed_fields.TITLE.attribute
STATUS = followed_fields.STATUS.attribute


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    found = Journal(monkeypatch)
    found.replace(posting, "post")
    found.replace(leases, "save", lambda lease, **values: lease.row.update(values))
    return found


@pytest.mark.parametrize("is_claimed", [True, False])
def test_given_changed_fields_when_announced_then_the_frozen_change_of_a_dead_run_comes_first(
    journal: Journal, is_claimed: bool
) -> None:
    own = syncing(journal, tags={})
    after = followed_fields.values(own.case, own.tags)
    frozen = {**after, TITLE: "frozen"}
    before = {**after, TITLE: "old"}
    rows: dict[str, Any] = {keys.note("1", "change-3").sk: {"fields": frozen, "by": {TITLE: "Joe"}}}
    rows[keys.note("1", "change-2").sk] = {"claimed_at": 7.0}
    own.rows = rows
    own.lease = SimpleNamespace(row={**before, "change_count": 3})
    journal.replace(own, "claim", "taken" if is_claimed else None)
    journal.replace(fields, "_who", {TITLE: "Jane"})

    fields.announce_changes(own)

    first, second = changes.differences(before, frozen), changes.differences(frozen, after)
    posted = [
        [("post", own.slack, "C1", "taken", messages.changes(*given))] if is_claimed else []
        for given in ((first, {TITLE: "Joe"}), (second, {TITLE: "Jane"}))
    ]
    assert journal.calls == [
        ("claim", keys.note("1", "change-3"), {"fields": frozen, "by": {TITLE: "Joe"}}),
        *posted[0],
        ("save", own.lease, {"change_count": 4, **frozen}),
        ("_who", own, second, 0.0),
        ("claim", keys.note("1", "change-4"), {"fields": after, "by": {TITLE: "Jane"}}),
        *posted[1],
        ("save", own.lease, {"change_count": 5, **after}),
    ]
    journal.calls.clear()
    fields.announce_changes(own)
    assert journal.calls == []
    del own.lease.row[STATUS]
    fields.announce_changes(own)
    assert journal.calls == [("save", own.lease, {STATUS: after[STATUS]})]
    assert fields._last_announced_at(own, 3) == 7.0
    own.rows = {keys.note("1", "notice").sk: {"claimed_at": 5}}
    assert fields._last_announced_at(own, 3) == 5.0


@pytest.mark.parametrize(("known", "saves"), [({}, True), ({"change_count": 2}, False)])
def test_given_shown_fields_when_remembered_then_only_a_new_case_stores_them(
    journal: Journal, known: dict[str, Any], saves: bool
) -> None:
    own = syncing(journal)
    own.lease = SimpleNamespace(row=known)

    fields.remember(own, {"a": "b"})

    assert journal.calls == ([("save", own.lease, {"change_count": 0, "a": "b"})] if saves else [])


@pytest.mark.parametrize(
    ("at", "value", "principal", "by"),
    [
        (40.1, "new", "p", {TITLE: "Jane"}),
        (40.0, "new", "p", {TITLE: messages.author("p")}),
        (99, "other", "p", {TITLE: messages.author("p")}),
        (99, "other", None, {}),
    ],
)
def test_given_a_change_when_its_author_is_asked_then_the_latest_user_of_this_value_comes_before_the_history(
    journal: Journal, at: float, value: str, principal: str | None, by: dict[str, str]
) -> None:
    own = syncing(journal)
    rows = [
        {"field": TITLE, "value": value, "name": "Jane", "at": at},
        {"field": TITLE, "value": value, "name": "Early", "at": 1.0},
        {"field": STATUS, "value": "new", "name": "Other", "at": 99},
    ]
    own.rows_of = lambda prefix: rows if prefix == keys.slack_change("1", "").sk else []
    journal.replace(security_ir, "edits", ["edits"])
    journal.replace(changes, "changed_by", principal)
    change = changes.FieldChange(TITLE, "Title", "a", "new", "new")

    assert fields._who(own, [change], 100.0) == by


@pytest.mark.parametrize(
    ("shown", "error", "sets", "reports", "passes"),
    [
        ("wanted", None, False, False, False),
        ("other", None, True, False, False),
        (None, None, True, False, False),
        ("other", refused("restricted_action"), True, True, False),
        ("other", refused("odd"), True, True, False),
        ("other", refused("is_archived"), True, False, True),
        ("other", refused("invalid_auth"), True, False, True),
    ],
)
@pytest.mark.parametrize("is_claimed", [True, False])
def test_given_a_topic_when_it_differs_then_it_is_set_and_a_policy_is_named_in_the_channel(
    journal: Journal, shown: str | None, error: Any, sets: bool, reports: bool, passes: bool, is_claimed: bool
) -> None:
    own = syncing(journal, case=case_of())
    topic = messages.topic("Acknowledged", "HIGH")
    value = topic.replace("&", "&amp;") if shown == "wanted" else shown
    journal.replace(own.slack, "post", error)
    journal.replace(own, "claim", "taken" if is_claimed else None)

    if passes:
        with pytest.raises(RefusedError):
            fields.set_topic(own, {"topic": {"value": value}})
    else:
        fields.set_topic(own, {"topic": {"value": value}} if value else {})
    calls: list[Any] = [("post", "conversations.setTopic", {"channel": "C1", "topic": topic})] if sets else []
    if reports:
        words = meaning_of(error).words
        reason = f"{error}: {words}" if words else str(error)
        text = (
            f"⚠️ The topic of this channel does not show the status of the case: {reason}. The first message of the "
            "channel and the messages about changes show it."
        )
        calls.append(("claim", keys.note("1", f"topic-rejected-{error.code}")))
        calls += [("post", own.slack, "C1", "taken", messages.line(text))] if is_claimed else []
    assert journal.calls == calls


def credential(kind: str, name: str, account: str, *, whole: bool, since: float) -> dict[str, Any]:
    arn = f"arn:{name}"
    return {
        "kind": kind, "name": name, "account": account, "whole": whole, "since": since, "keys": [f"K{name}"],
        "arn": arn, "contained_at": "9.5",
    }  # fmt: skip


@pytest.mark.parametrize("lake", [None, "store"])
@pytest.mark.parametrize("complete", [True, False])
def test_given_a_pass_when_its_result_is_made_then_the_scope_has_every_part(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, lake: str | None, complete: bool
) -> None:
    settings = SimpleNamespace(cloudtrail_lake_event_data_store=lake, organization_id="o")
    monkeypatch.setattr(activity_result, "settings", lambda: settings)
    monkeypatch.setattr(trail_search, "regions", lambda: ["eu"])
    monkeypatch.setattr(stored, "calls", lambda _id: [])
    member = {"sessions": {"s2": 1, "s1": 1}, "limited": ["l1", "l2"], "wanted_at": 5.0}
    monkeypatch.setattr(member_activity, "get", lambda _id: member)
    here = credential("user", "a", "111111111111", whole=True, since=500.0)
    there = credential("role", "b", "222222222222", whole=False, since=400.0)
    row = {
        "credentials": [here, there], "read_at": 77, "sessions": {"s1": 1}, "elsewhere": {"x": "333333333333"},
        "limited": ["l1"], "progress": {"limited": ["l3"]},
    }  # fmt: skip
    progress = activity_result.ended(row, "111111111111")
    assert (progress.end, progress.only, progress.limited) == (77.0, "111111111111", ["l1", "l3"])
    assert (progress.since, progress.pending) == (400.0 - trail_search.BEFORE_SECONDS, [])
    assert activity_result.ended({"credentials": [here]}, "1").end == NOW

    found = activity_result.of_pass("1", row, progress, "111111111111", complete=complete)

    unread = [f"the calls in account {one} were not read yet" for one in ("222222222222", "333333333333")]
    scope = found.scope
    assert found.calls == []
    assert scope.contained_at == {"arn:a": 9.5, "arn:b": 9.5}
    assert (scope.since, scope.read_at) == (400.0 - trail_search.BEFORE_SECONDS, 77.0)
    assert (scope.regions, scope.lake, scope.complete) == (["eu"], lake is not None, complete)
    assert scope.keys == ["user a", "key Ka", "key Kb", "2 sessions that they opened"]
    assert scope.limited == ["l1", "l3", "l2", *(unread if complete else [])]
    assert activity_result.are_read_elsewhere({"credentials": [here]}, progress) is True
    settings.organization_id = None
    assert activity_result.are_read_elsewhere({"credentials": [here]}, progress) is False


@pytest.mark.parametrize(
    ("row", "calls", "limited", "complete", "known"),
    [
        (None, ["c"], [], True, False),
        ({"credentials": []}, ["c"], [], True, False),
        ({"credentials": [1]}, ["c"], [], True, False),
        ({"credentials": [1], "published": 1}, ["c"], [], True, True),
        ({"credentials": [1], "readings_of": 1, "progress": {}}, [], ["l"], False, True),
        ({"credentials": [1], "published": 1}, [], [], True, False),
    ],
)
def test_given_stored_calls_when_reported_then_only_published_or_begun_readings_count(
    journal: Journal, row: Any, calls: list[str], limited: list[str], complete: bool, known: bool
) -> None:
    arn = "arn:aws:security-ir:us-east-1:123456789012:case/1"
    own = syncing(journal, case=case_of(case_arn=arn), rows={keys.activity("1").sk: row} if row else {})
    result: Any = SimpleNamespace(calls=calls, scope=SimpleNamespace(limited=limited))
    journal.replace(activity_result, "ended", "progress")
    journal.replace(activity_result, "of_pass", result)

    assert activity_result.stored_activity(own) is (result if known else None)
    if journal.calls:
        assert journal.calls == [
            ("ended", row, "123456789012"),
            ("of_pass", "1", row, "progress", "123456789012", {"complete": complete}),
        ]


@pytest.mark.parametrize(
    ("row", "answered", "readings", "due", "awaited"),
    [
        ({"requested_at": 6, "answered_at": 5, "readings": 9, "readings_of": 1.0}, {"answered_at": 6.0}, 9, 7.0, 4.0),
        ({"requested_at": 5, "answered_at": 5, "readings": 9, "readings_of": 2.0}, {}, None, None, None),
    ],
)
def test_given_a_finished_pass_when_stored_then_answer_readings_and_the_next_run_are_complete(
    monkeypatch: pytest.MonkeyPatch,
    journal: Journal,
    row: dict[str, Any],
    answered: dict[str, float],
    readings: int | None,
    due: float | None,
    awaited: float | None,
) -> None:
    own = syncing(journal)
    passed = len(activity.READ_AFTER_SECONDS) - 1
    end = 1.0 + activity.READ_AFTER_SECONDS[-1] - 0.5
    progress: Any = SimpleNamespace(read_to={"a": 1}, sessions={}, elsewhere={}, limited=["l"], lost=None, end=end)
    monkeypatch.setattr(activity, "_newest", lambda _row: 1.0)
    journal.replace(activity, "_due_at", due)
    journal.replace(stored, "save")

    activity._finish(own, row, progress, awaited, {"published": 3})

    values = {
        "read_to": {"a": 1},
        "sessions": {},
        "elsewhere": {},
        "limited": ["l"],
        "read_at": end,
        "readings_of": 1.0,
    }
    values |= {"readings": readings or passed, **answered}
    assert journal.calls == [
        ("save", "1", {"published": 3, **values, "progress": None, "awaited": awaited}),
        ("_due_at", {**row, **values}),
        *([("revisit", due)] if due else []),
        *([("revisit", NOW + 900)] if awaited is not None else []),
    ]
