"""Steps of a synchronisation: reports, bookmarks, reminders, activity of members, and the time of the last activity."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock, transfer
from ir_router.cases.models import Attachment, Case, Comment
from ir_router.errors import RefusedError
from ir_router.ledger import activity as stored_activity
from ir_router.ledger import audit, claims, keys, leases, member_activity, reports, table
from ir_router.ledger.audit_reading import Span
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import (
    activity,
    activity_result,
    attachments,
    bookmarks,
    life_cycle,
    own_attachments,
    posting,
    report,
    report_sources,
)
from tests.support.answers import SlackAnswers

NOW = 1_768_500_000.0


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOW + seconds, UTC)


def comment(name: str, body: str, **changes: Any) -> Comment:
    return Comment(comment_id=name, body=body, **changes)


def attachment(name: str, status: str = "Verified", created: float = 0.0) -> Attachment:
    return Attachment(
        attachment_id=name, file_name=f"{name}.txt", attachment_status=status, creator="c", created_date=at(created)
    )


def tie(month: str, sequence: int, name: str, **heads: int) -> dict[str, Any]:
    named = {chain.removeprefix("c"): str(audit.Position("2026-01", head, f"h{head}")) for chain, head in heads.items()}
    details = json.dumps({"heads": named})
    return {"month": month, "sequence": sequence, "hash": name, "action": audit.TIED, "details": details}


def span(chain: int, *records: dict[str, Any], cut: bool = False) -> Span:
    return Span(chain, records, None, cut)


def test_given_records_in_other_chains_when_tied_then_the_first_tie_after_the_newest_of_each_is_taken() -> None:
    ties = (
        tie("2026-01", 1, "t1", c1=4, c2=1),
        tie("2026-01", 2, "t2", c1=5, c2=2),
        tie("2026-01", 3, "t3", c1=6, c2=3, c3=9),
    )
    found = [
        {"chain": 1, "month": "2026-01", "sequence": 3},
        {"chain": 1, "month": "2026-01", "sequence": 5},
        {"chain": 2, "month": "2026-01", "sequence": 3},
        {"month": "2026-01", "sequence": 9},
    ]

    taken = report_sources._ties(found, [span(1, tie("2026-01", 1, "other", c1=9)), span(audit.MAIN, *ties)])
    later = report_sources._ties([{"chain": 1, "month": "2026-02", "sequence": 1}], [span(audit.MAIN, *ties)])
    both = report_sources._ties([*found[1:2], {"chain": 2, "month": "2026-01", "sequence": 2}], [span(0, *ties)])

    assert [one["hash"] for one in taken] == ["t2", "t3"]
    assert later == []
    assert [one["hash"] for one in both] == ["t2"]


def test_given_a_chain_that_was_cut_when_reported_then_the_limit_names_its_oldest_record() -> None:
    spans = [span(3, {"at": "2026-01-01"}, {"at": "2026-01-02"}, cut=True), span(4, {"at": "x"})]

    assert report_sources._limits(spans) == [
        "Chain 3 of the audit has more records than one report reads. Records before 2026-01-01 are missing."
    ]


def test_given_files_of_the_ledger_when_reported_then_each_named_hash_is_known() -> None:
    rows = {
        "a": {"sha256": "1", "stored_name": "stored", "file_name": "other"},
        "b": {"sha256": "2", "file_name": "copied"},
        "c": {"sha256": "3"},
        "d": {"stored_name": "without"},
    }

    assert report_sources._hashes(rows) == {"stored": "1", "copied": "2"}


def test_given_a_comment_when_reported_then_the_ledger_names_its_origin_before_the_reference() -> None:
    known = {keys.comment("", "1").sk: {"origin": "private"}}

    assert report_sources.origin(comment("1", "a"), known) == "private"
    assert report_sources.origin(comment("2", "a"), known) == "aws"


def sync(**changes: Any) -> Any:
    revisits: list[float] = []
    case = Case(
        case_id="1",
        case_arn="arn:aws:security-ir:us-east-1:123456789012:case/1",
        case_status="Closed",
        title="t",
        case_attachments=changes.pop("case_attachments", []),
        created_date=changes.pop("created", None),
        last_updated_date=changes.pop("updated", None),
    )
    values: dict[str, Any] = {
        "case_id": "1",
        "case": case,
        "channel_id": "C1",
        "rows": {},
        "comments": [],
        "lease": SimpleNamespace(row={}),
        "revisit": revisits.append,
        "revisits": revisits,
        "row": lambda key: values["rows"].get(key.sk),
        "is_done": lambda key: values["rows"].get(key.sk, {}).get("state") == "done",
        **changes,
    }
    return SimpleNamespace(**values)


@pytest.mark.parametrize(
    ("row", "closed_before", "reason"),
    [
        ({"requested_at": 2, "answered_at": 1, "final": True}, True, "requested"),
        ({"requested_at": 1, "answered_at": 1}, True, None),
        ({"requested_at": 0.5}, True, "requested"),
        ({}, False, "closed"),
        ({}, True, None),
        ({"waits": 0}, True, "closed"),
        ({"final": True}, False, None),
    ],
)
def test_given_a_closed_case_when_seen_then_its_report_is_made_once(
    row: dict[str, Any], reason: str | None, *, closed_before: bool
) -> None:
    own = sync(lease=SimpleNamespace(row={"closed": True} if closed_before else {}))

    assert report._reason(own, row) == reason


@pytest.mark.parametrize(
    ("waits", "copied", "status", "waiting", "saved"),
    [
        (None, False, "Verified", True, [{"waits": NOW}]),
        (NOW - 599, False, "Verified", True, []),
        (NOW - 600, False, "Verified", False, []),
        (None, True, "Verified", False, []),
        (None, False, "Failed", False, []),
        (None, False, "Pending", True, [{"waits": NOW}]),
    ],
)
def test_given_files_that_are_being_copied_when_a_case_closes_then_the_report_waits_but_not_for_long(
    monkeypatch: pytest.MonkeyPatch,
    waits: float | None,
    status: str,
    saved: list[Any],
    *,
    copied: bool,
    waiting: bool,
) -> None:
    found: list[Any] = []
    monkeypatch.setattr(reports, "save", lambda _id, **values: found.append(values))
    monkeypatch.setattr(attachments, "is_copied", lambda _sync, _one: copied)
    own = sync(case_attachments=[attachment("a", status)])

    assert report._waits(own, {"waits": waits}) is waiting
    assert (found, own.revisits) == (saved, [NOW + 30] * waiting)


def test_given_activities_of_a_case_when_it_may_be_closed_then_the_latest_of_all_counts() -> None:
    edited = comment("1", "a", created_date=at(1), last_updated_date=at(9))

    assert life_cycle._last_activity(sync()) == NOW
    assert life_cycle._last_activity(sync(created=at(-9))) == NOW - 9
    assert life_cycle._last_activity(sync(created=at(-9), updated=at(-5))) == NOW - 5
    files = [attachment("a", created=3), attachment("b", created=2)]
    assert life_cycle._last_activity(sync(updated=at(-5), case_attachments=files)) == NOW + 3
    assert life_cycle._last_activity(
        sync(updated=at(-5), comments=[edited, comment("2", "b", created_date=at(4))])
    ) == (NOW + 9)


def row_of(name: str, ts: str | None) -> tuple[str, dict[str, Any]]:
    return keys.note("1", name).sk, {"ts": ts}


def test_given_messages_of_a_channel_when_bookmarked_then_the_newest_of_each_kind_is_wanted() -> None:
    rows = dict(
        [
            row_of("approval-a", "1.1"),
            row_of("approval-b", "3.3"),
            row_of("approval-b#REMINDER1", "9.9"),
            row_of("approval-c", None),
            row_of("report-1", "2.2"),
            row_of("notice", "8.8"),
        ]
    )

    case, *messages = bookmarks._wanted(sync(rows=rows))

    assert (case.name, case.title, case.is_message) == ("case", "Case in the AWS console", False)
    assert case.of.endswith("#/cases/1")
    assert messages == [
        bookmarks.Bookmark("approval", "Approval request", "3.3", is_message=True),
        bookmarks.Bookmark("report", "Report", "2.2", is_message=True),
    ]


def test_given_bookmarks_with_the_same_title_when_found_then_only_duplicates_of_the_app_are_removed() -> None:
    def listed(name: str, title: str = "Report", by: str = "UBOT") -> dict[str, Any]:
        return {"id": name, "title": title, "last_updated_by_user_id": by}

    some = [listed("B1", by="U1"), listed("B2"), listed("B3", title="x"), listed("B4"), listed("B5")]
    slack = SlackAnswers({"user_id": "UBOT"}, {"bookmarks": some})

    assert bookmarks._find(sync(slack=slack), "Report") == "B2"
    assert slack.asked[1:] == [
        ("bookmarks.list", {"channel_id": "C1"}),
        ("bookmarks.remove", {"channel_id": "C1", "bookmark_id": "B4"}),
        ("bookmarks.remove", {"channel_id": "C1", "bookmark_id": "B5"}),
    ]
    assert bookmarks._find(sync(slack=SlackAnswers({"user_id": "UBOT"}, {"bookmarks": []})), "Report") is None


@pytest.mark.parametrize(
    ("before", "pause"), [({}, 60), ({"pause": 60}, 120), ({"pause": 43_200}, 86_400), ({"pause": 50_000}, 86_400)]
)
def test_given_rejected_bookmarks_when_retried_then_the_pause_doubles_up_to_a_day(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, Any], pause: float
) -> None:
    put: list[Any] = []
    monkeypatch.setattr(table, "put", lambda key, row: put.append((key, row)))

    def refuse(*_arguments: object) -> None:
        raise RefusedError("Slack", "bookmarks.add", "missing_scope")

    monkeypatch.setattr(bookmarks, "_keep", refuse)
    key = keys.note("1", "bookmarks-rejected")
    own = sync(rows={key.sk: {**before, "retried_at": NOW}})

    bookmarks.synchronise(own)

    assert put == [(key, {"retried_at": NOW + pause, "pause": pause})]
    assert own.revisits == [NOW + pause]
    waiting = sync(rows={key.sk: {"retried_at": NOW + 1}})
    bookmarks.synchronise(waiting)
    assert (len(put), waiting.revisits) == (1, [NOW + 1])


def test_given_accounts_that_are_not_read_when_shown_then_each_is_named_and_newest_if_read_before() -> None:
    member = {"wanted_at": 5.0, "done_at": 4.0, "read_to": {"111111111111/user/x": 1}}
    accounts = ["222222222222", "111111111111"]

    assert activity_result._unread(member, accounts) == [
        "the newest calls in account 111111111111 were not read yet",
        "the calls in account 222222222222 were not read yet",
    ]
    assert activity_result._unread({**member, "done_at": 5.0}, accounts) == []
    assert activity_result._unread({"wanted_at": 5.0}, accounts[:1]) == [
        "the calls in account 222222222222 were not read yet"
    ]


@pytest.mark.parametrize(
    ("awaited", "done_at", "arrived", "revisits"),
    [(None, 9.0, False, []), (9.0, 9.0, True, []), (9.0, 8.0, False, [NOW + 900]), (9.0, None, False, [])],
)
def test_given_a_late_reading_when_it_arrives_then_the_result_is_published_once(
    monkeypatch: pytest.MonkeyPatch,
    awaited: float | None,
    done_at: float | None,
    revisits: list[float],
    *,
    arrived: bool,
) -> None:
    saved: list[Any] = []
    published: list[Any] = []
    monkeypatch.setattr(member_activity, "get", lambda _id: {"done_at": done_at} if done_at else {})
    monkeypatch.setattr(stored_activity, "save", lambda _id, **values: saved.append(values))
    monkeypatch.setattr(activity_result, "ended", lambda _row, account: f"pass of {account}")

    def publish(_sync: Any, _row: Any, *given: Any, complete: bool) -> dict[str, Any]:
        published.append((*given, complete))
        return {"published": 2}

    monkeypatch.setattr(activity, "_publish", publish)
    row = {"awaited": awaited} if awaited else {}
    own = sync()

    assert activity._has_arrived(own, row) is arrived
    assert own.revisits == revisits

    activity._publish_late(own, row)
    assert published == [("pass of 123456789012", "123456789012", True)]
    assert saved == [{"published": 2, "awaited": None}]


@pytest.mark.parametrize(("listed", "full"), [(49, False), (50, True)])
def test_given_a_full_case_when_a_file_is_attached_then_it_is_rejected_and_the_claim_is_free(
    monkeypatch: pytest.MonkeyPatch, listed: int, *, full: bool
) -> None:
    freed: list[Any] = []
    confirmed: list[dict[str, Any]] = []
    claim = claims.Claim(keys.note("1", "new.txt"), 1, must_look=False, row={})
    found = Case(case_id="1", case_arn="a", case_status="s", title="t", case_attachments=[attachment("x")] * listed)
    monkeypatch.setattr(security_ir, "get_case", lambda _id: found)
    monkeypatch.setattr(security_ir, "upload_url", lambda *_given: "url")
    monkeypatch.setattr(transfer, "upload_content", lambda *_given: None)
    monkeypatch.setattr(claims, "refused", freed.append)
    monkeypatch.setattr(claims, "note", lambda *_given, **_values: None)
    monkeypatch.setattr(claims, "confirm", lambda _claim, **values: confirmed.append(values))
    own = sync(claim=lambda _key: claim)

    if full:
        with pytest.raises(RefusedError) as error:
            own_attachments.attach(own, "new.txt", b"a")
        assert (error.value.service, error.value.operation, error.value.code) == (
            "AWS Security Incident Response",
            "GetCaseAttachmentUploadUrl",
            "ServiceQuotaExceededException",
        )
        assert (freed, confirmed) == ([claim], [])
    else:
        own_attachments.attach(own, "new.txt", b"a")
        sha256 = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
        assert (freed, confirmed) == ([], [{"stored_name": "new.txt", "sha256": sha256}])


def test_given_a_new_request_when_its_activity_is_watched_then_one_hint_starts_the_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hinted: list[str] = []
    wanted: list[Any] = []
    here = {"account": "123456789012", "since": 7.0}
    there = {"account": "222222222222", "since": 5.0}
    monkeypatch.setattr(leases, "add_hint", hinted.append)
    monkeypatch.setattr(stored_activity, "watch", lambda _id, credentials: credentials != ["known"])
    monkeypatch.setattr(stored_activity, "get", lambda _id: {"credentials": [here, there]})
    monkeypatch.setattr(member_activity, "want", lambda *given: wanted.append(given))
    execution = "arn:aws:states:eu-west-1:123456789012:execution:m:e"

    for case_id, credentials in (("", ["x"]), ("1", []), ("1", ["known"])):
        activity.watch({"case_id": case_id, "credentials": credentials, "execution": execution})
    assert (hinted, wanted) == ([], [])

    activity.watch({"case_id": "1", "credentials": ["x"], "execution": execution})
    assert (hinted, wanted) == (["1"], [("1", [there], 5.0, NOW)])


def test_given_versions_of_a_message_when_compared_then_only_block_ids_make_no_difference() -> None:
    blocks = [{"block_id": "a", "type": "section", "text": [{"block_id": "x", "t": 1}]}]
    same = [{"block_id": "b", "type": "section", "text": [{"t": 1}]}]

    version = posting.version({"text": "t", "blocks": blocks})
    assert posting.version({"text": "t", "blocks": same, "attachments": None}) == version
    for change in ({"text": "u"}, {"blocks": [{"type": "divider"}]}, {"attachments": [{"a": 1}]}):
        assert posting.version({"text": "t", "blocks": blocks, **change}) != version
