"""The files of a message in the ledger and in its comment, and writes that must not overwrite another run's result."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router import clock
from ir_router.cases import comments as case_comments
from ir_router.cases.models import Comment
from ir_router.errors import UncertainError
from ir_router.ledger import approvals, audit, keys, table
from ir_router.ledger.audit_verification import verify
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import comment_claims, comments, file_comments
from tests.support.world import World

CASE, TS = "1234567890", "1.000100"
PENDING = "📎 a.txt (file F1, being copied to the case)"
COPIED = "📎 a.txt (attachment a-F1.txt)"
FILE = {"id": "F1", "name": "a.txt", "mode": "hosted", "size": 5}


@pytest.fixture(autouse=True)
def _world(world: World) -> World:
    return world


def row_of(file_id: str = "F1") -> dict[str, Any]:
    return table.get(file_comments.key_of(CASE, file_id)) or {}


def announce(ts: str, *shared: dict[str, Any], forwarded: tuple[dict[str, Any], ...] = ()) -> None:
    file_comments.announce(CASE, "C1", ts, shared, forwarded)


def test_given_the_files_of_a_message_when_announced_then_only_forwarded_ones_are_due_at_once() -> None:
    gone = {"id": "F3", "mode": "tombstone"}
    began = clock.now()
    announce(TS, FILE, gone, forwarded=({"id": "F2", "name": "b.txt"},))

    row = row_of()
    assert {name: row[name] for name in ("state", "attempt", "holder", "refused", "kind", "origin", "file_id")} == {
        "state": "claimed", "attempt": 0, "holder": "announced", "refused": True, "kind": "file", "origin": "slack",
        "file_id": "F1",
    }  # fmt: skip
    assert (row["file_name"], row["channel_id"], row["shown_in"]) == ("a.txt", "C1", {TS})
    assert began <= row["claimed_at"] <= clock.now()
    assert row["settle_after"] - row["claimed_at"] == pytest.approx(120, abs=1)
    assert row_of("F2")["settle_after"] - row_of("F2")["claimed_at"] == pytest.approx(0, abs=1)
    assert row_of("F3") == {}


def test_given_a_file_that_is_known_when_announced_again_then_its_claim_stays_and_the_message_is_added() -> None:
    announce(TS, FILE)
    table.update(file_comments.key_of(CASE, "F1"), "SET attempt = :two, holder = :run", two=2, run="a run")
    announce(TS, FILE)
    assert row_of()["shown_in"] == {TS}
    announce("2.0", FILE)

    assert (row_of()["attempt"], row_of()["holder"], row_of()["shown_in"]) == (2, "a run", {TS, "2.0"})
    table.put(file_comments.key_of(CASE, "F1"), {"state": "done", "stored_name": "a-F1.txt"})
    announce("3.0", FILE)
    assert {name: value for name, value in row_of().items() if name not in ("PK", "SK")} == {
        "state": "done", "stored_name": "a-F1.txt"
    }  # fmt: skip


def test_given_files_in_every_state_when_their_lines_are_written_then_each_has_its_own() -> None:
    for file_id, row in {
        "F1": {"state": "done", "origin": "slack", "stored_name": "a-F1.txt"},
        "F2": {"state": "done", "origin": "case", "stored_name": "b.txt"},
        "F3": {"state": "claimed", "file_name": "old.txt"},
        "F9": {"state": "done", "origin": "slack", "stored_name": "z-F9.txt", "file_name": "z.txt"},
    }.items():
        table.put(file_comments.key_of(CASE, file_id), row)
    shown: list[dict[str, Any]] = [
        FILE,
        {"id": "F2", "name": "b.txt"},
        {"id": "F3", "mode": "tombstone"},
        {"id": "F4", "mode": "tombstone"},
        {"id": "F5", "name": "c.txt", "mode": "external", "external_url": "https://c.example"},
        {"id": "F6"},
        {"id": "F7", "title": "Plan", "name": "x", "mode": "quip"},
        {"id": "F9", "mode": "tombstone"},
        {"id": "F8", "title": "named by its title", "name": "d.txt"},
        {"id": "FA", "title": "Titled"},
        {"id": "FB", "name": "hidden.txt", "mode": "hidden_by_limit"},
        {"id": "F9", "mode": "hidden_by_limit"},
    ]

    assert file_comments.lines(
        CASE, shown, {"F4": "known.txt", "F5": "never.txt", "F6": "stub.txt", "FA": "never.txt", "F8": "never.txt"}
    ) == [
        COPIED,
        "📎 b.txt (attachment b.txt of this case)",
        "📎 old.txt (deleted in Slack)",
        "📎 known.txt (deleted in Slack)",
        "📎 c.txt (in Slack only: an external link: https://c.example)",
        "📎 stub.txt (file F6, being copied to the case)",
        "📎 Plan (in Slack only: a canvas)",
        "📎 z.txt (deleted in Slack; the copy on the case stays: attachment z-F9.txt)",
        "📎 d.txt (file F8, being copied to the case)",
        "📎 Titled (file FA, being copied to the case)",
        "📎 hidden.txt (in Slack only: hidden by the limit of the workspace's Slack plan)",
        "📎 z.txt (attachment z-F9.txt)",
    ]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The comments of the case, which `settle` changes."""
    found = {"c1": f"[Slack Update] Jane\n{PENDING}", "c2": "second part"}
    monkeypatch.setattr(
        security_ir,
        "comments",
        lambda _case, _since=None: [Comment(comment_id=name, body=body) for name, body in found.items()],
    )
    monkeypatch.setattr(comment_claims, "update", lambda _case, name, body: found.update({name: body}))
    return found


def part(number: int, ts: str = TS, **row: Any) -> None:
    table.put(keys.slack_message(CASE, f"{ts}#{number}"), {"state": "done", **row})


def finished(**row: Any) -> None:
    known = {"state": "done", "origin": "slack", "file_name": "a.txt", "file_id": "F1", "stored_name": "a-F1.txt"}
    table.put(file_comments.key_of(CASE, "F1"), {**known, "shown_in": {TS}, **row})


def test_given_a_finished_file_when_settled_then_only_the_part_that_names_it_changes(written: dict[str, str]) -> None:
    finished()
    part(0, comment_id="c1")
    part(1, comment_id="c2")
    part(2, given_up="ValidationException", state="claimed")
    file_comments.settle(CASE, "F1")

    assert written == {"c1": f"[Slack Update] Jane\n{COPIED}", "c2": "second part"}
    assert ("shown_in" in row_of(), row_of()["named_in"]) == (False, {TS})


@pytest.mark.parametrize("row", [{"state": "claimed"}, {"origin": "case"}, {"shown_in": {"9.0"}}])
def test_given_a_file_that_is_not_due_when_settled_then_nothing_changes(
    written: dict[str, str], row: dict[str, Any]
) -> None:
    finished(**row)
    part(0, comment_id="c1")
    file_comments.settle(CASE, "F1")

    assert PENDING in written["c1"]
    assert "named_in" not in row_of()


@pytest.mark.parametrize("row", [{"state": "claimed"}, {"comment_id": "not listed yet"}])
def test_given_a_part_that_is_not_there_yet_when_settled_then_it_is_left_to_the_one_who_writes_it(
    written: dict[str, str], row: dict[str, Any]
) -> None:
    finished()
    part(0, comment_id="c1")
    part(1, **row)
    file_comments.settle(CASE, "F1")

    assert PENDING in written["c1"]
    assert row_of()["shown_in"] == {TS}


def test_given_two_messages_when_one_has_no_comment_yet_then_the_other_is_settled(written: dict[str, str]) -> None:
    finished(shown_in={TS, "9.0"})
    part(0, comment_id="c1")
    file_comments.settle(CASE, "F1")

    assert COPIED in written["c1"]
    assert (row_of()["shown_in"], row_of()["named_in"]) == ({"9.0"}, {TS})


def test_given_aws_that_fails_when_settled_then_the_line_is_still_due(
    written: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_case: str, _since: float | None = None) -> list[Comment]:
        raise UncertainError("AWS", "ListComments", "timeout")

    monkeypatch.setattr(security_ir, "comments", fails)
    finished()
    part(0, comment_id="c1")
    file_comments.settle(CASE, "F1")

    assert row_of()["shown_in"] == {TS}


@pytest.mark.parametrize("named", [True, False])
def test_given_a_copy_that_aws_rejects_when_recorded_then_the_comments_that_name_it_say_so(
    written: dict[str, str], named: bool
) -> None:
    finished()
    part(0, comment_id="c1")
    file_comments.settle(CASE, "F1")
    if not named:
        table.update(file_comments.key_of(CASE, "F1"), "REMOVE named_in")
    file_comments.reject(CASE, row_of())

    assert row_of()["outcome"] == "rejected"
    rejected = "📎 a.txt (attachment a-F1.txt: rejected by AWS, not available)"
    assert written["c1"].endswith(rejected if named else COPIED)


def test_given_a_comment_that_another_run_recorded_when_an_approval_shows_it_then_the_row_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    comment = Comment(comment_id="c9", body="text")
    monkeypatch.setattr(case_comments, "approval_reference", lambda _body: "approval")
    shown = {"case_id": CASE, "comment_hashes": {case_comments.body_hash("text")}}
    monkeypatch.setattr(approvals, "get", lambda _id: shown)
    table.put(keys.comment(CASE, "c9"), {"state": "done", "origin": "other"})

    class Sync:
        case_id = CASE

    sync: Any = Sync()
    assert comments._is_shown_by_approval(sync, comment)
    assert (table.get(keys.comment(CASE, "c9")) or {})["origin"] == "other"


def test_given_a_record_that_is_written_while_the_audit_is_verified_when_read_then_it_is_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audit.append("tried", "test", {})
    query = table.query
    added: list[str] = []

    def slow(pk: str, *arguments: Any, **more: Any) -> Any:
        if pk == keys.audit_record(f"{clock.utc_now():%Y-%m}", 0).pk and not added:
            added.append(pk)
            audit.append("tried", "test", {"while": "verified"})
        return query(pk, *arguments, **more)

    monkeypatch.setattr(table, "query", slow)

    assert (verify().broken, len(added)) == (None, 1)
