"""One Slack message on its way to the case: its rows, comments, edits, deletion, thread, author and files."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases import comments
from ir_router.errors import RefusedError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Done, Held
from ir_router.slack import identity
from ir_router.slack.content import reader
from ir_router.slack.text import shorten
from ir_router.sync import comment_claims, file_comments, slack_message
from ir_router.sync.slack_message import SlackMessage
from tests.support.journal import Journal, refused
from tests.support.transfers import claim

NOW = 50_000.0
TS = "1768500000.000100"
AWS = "AWS Security Incident Response"
FILE = {"id": "F1", "name": "a.txt"}
REMOVED = "(This part was removed by an edit in Slack.)"


class People:
    """Names of users: U1 is Jane, B1 a bot, and others are unknown."""

    known: dict[str, dict[str, Any]] = {"U1": {"name": "jane"}, "B1": {"is_bot": True}}  # noqa: RUF012

    def user(self, user_id: str) -> dict[str, Any]:
        return self.known.get(user_id, {})

    def real_name(self, user_id: str) -> str:
        return {"U1": "Jane", "B1": "Bot"}[user_id]

    def identified(self, user_id: str) -> str:
        return f"Jane <{user_id}>"

    def channel(self, channel_id: str) -> str:
        return channel_id

    group = mention = channel


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    found = Journal(monkeypatch)
    for name in ("put", "update"):
        found.replace(table, name)
    found.replace(table, "get")
    found.replace(table, "query", [])
    for name in ("announce", "settle"):
        found.replace(file_comments, name)
    found.replace(file_comments, "lines", [])
    return found


def message_of(journal: Journal, message: dict[str, Any], *answers: Any, before: Any = None) -> Any:
    slack: Any = SimpleNamespace(read=None)
    journal.replace(slack, "read", *answers)
    people: Any = People()
    return SlackMessage("1", "C1", "T1", {"user": "U1", "ts": TS, **message}, slack, people, before=before)


def bodies_of(text: str, remarks: str = "", author: str = "Jane <U1>") -> str:
    (body,) = comments.from_slack([text], author, datetime.fromtimestamp(float(TS), UTC), "C1", TS, remarks)
    return body


def row(part: int, **values: Any) -> dict[str, Any]:
    return {"SK": f"SLACK#{TS}#{part}", "state": "done", "comment_id": f"c{part}", **values}


def test_given_a_new_message_when_created_then_files_claims_and_comments_follow_in_order(journal: Journal) -> None:
    own = message_of(journal, {"text": "hello", "files": [FILE], "edited": {}})
    taken = [claim(), claim()]
    journal.replace(comment_claims, "take_all", taken)
    journal.replace(comment_claims, "settle", "n1", "n2")
    journal.replace(file_comments, "lines", ["📎 a.txt"])

    assert own.create(repeated=False, edited_ts="7") == ["n1", "n2"]

    key = keys.slack_message("1", f"{TS}#0")
    body = bodies_of("hello\n📎 a.txt", ", edited")
    frozen = {"content": reader.fingerprint({"text": "hello", "files": [FILE]}), "files": {"F1": "a.txt"}}
    assert journal.taken() == [
        ("query", "CASE#1", f"SLACK#{TS}#"),
        ("get", keys.note("1", f"deleted-{TS}")),
        ("announce", "1", "C1", TS, [FILE], []),
        ("lines", "1", [FILE], {"F1": "a.txt"}),
        (
            "take_all",
            [(key, body, comment_claims.token_for("T1", "C1", TS, "0"))],
            {"kind": "message", "channel_id": "C1", **frozen, "edited_ts": "7"},
        ),
        ("settle", "1", taken[0], "slack"),
        ("settle", "1", taken[1], "slack"),
        ("settle", "1", "F1"),
    ]
    journal.replace(table, "get", {"state": "done"})
    assert message_of(journal, {"text": "hello"}).create(repeated=False) == []
    assert [name for name, *_ in journal.taken()] == ["query", "get"]


def test_given_an_event_of_before_when_created_then_open_parts_are_finished_in_order_and_given_up_ones_stay(
    journal: Journal,
) -> None:
    own = message_of(journal, {"text": "hello"})
    rows = [row(10, state="claimed"), row(2, state="claimed"), row(0), row(1, state="claimed")]
    journal.replace(table, "query", [], rows)
    journal.replace(comment_claims, "take_all", None)
    journal.replace(comment_claims, "settle", "n2")
    journal.replace(claims, "take", Held(7.0), claim(), Done({"comment_id": "n10"}))

    assert own.create(repeated=False) == ["n2", "n10"]

    taken = [("take", keys.slack_message("1", f"{TS}#{part}"), {"settle_after": NOW}) for part in (1, 2, 10)]
    assert [call for call in journal.taken() if call[0] == "take"] == taken
    given_up = [row(0), row(1, state="claimed", given_up="ValidationException")]
    journal.replace(table, "query", given_up)
    with pytest.raises(RefusedError) as error:
        message_of(journal, {"text": "hello"}).create(repeated=True)
    found = error.value
    assert (found.service, found.operation, found.code) == (AWS, "CreateCaseComment", "ValidationException")
    journal.replace(claims, "take", Done({"comment_id": "x"}))
    assert message_of(journal, {"text": "hello"}).create(repeated=False) == ["x"]


@pytest.mark.parametrize(
    ("stored", "event_ts", "deleted", "is_read"),
    [
        ("7", "7", None, False),
        ("8", "7", None, False),
        ("6", "7", {"x": 1}, False),
        ("6", "7", None, True),
        ("", "7", None, True),
    ],
)
def test_given_an_edit_when_it_is_older_or_the_message_is_deleted_then_it_is_not_copied(
    journal: Journal, stored: str, event_ts: str, deleted: Any, is_read: bool
) -> None:
    own = message_of(journal, {"text": "hello"})
    content = reader.fingerprint({"text": "hello"})
    journal.replace(table, "query", [row(0, edited_ts=stored, content=content)])
    journal.replace(table, "get", deleted)

    assert own.edit(event_ts, repeated=False) == []

    update = ("update", keys.slack_message("1", f"{TS}#0"), "SET edited_ts = :event_ts", {"event_ts": "7"})
    assert [call for call in journal.taken() if call[0] == "update"] == ([update] if is_read else [])
    journal.replace(table, "query", [])
    created = message_of(journal, {"text": "hello"})
    journal.replace(created, "create", ["n"])
    assert created.edit(event_ts, repeated=True) == ["n"]
    assert journal.calls[-1] == ("create", {"repeated": True, "edited_ts": "7"})


def test_given_an_edit_with_fewer_and_more_parts_when_copied_then_each_part_has_its_text_and_the_rest_is_removed(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    own = message_of(journal, {"text": "new", "edited": {}, "files": [FILE]})
    old = reader.fingerprint({"text": "old"})
    content = reader.fingerprint({"text": "new", "files": [FILE]})
    rows = [row(0, content=old, files={"F9": "z.txt"}), row(2), row(1, comment_id=""), row(3)]
    journal.replace(table, "query", rows)
    journal.replace(claims, "take", Held(9.0))
    journal.replace(comment_claims, "update", "u0", None, "u3")

    assert own.edit("7", repeated=False) == ["u0", "u3"]

    (removed,) = comments.from_slack(
        [REMOVED],
        "Jane <U1>",
        datetime.fromtimestamp(float(TS), UTC),
        "C1",
        TS,
        ", edited",
        only_part=2,
    )
    assert [call for call in journal.calls if call[0] == "update"] == [
        ("update", "1", "c0", bodies_of("new", ", edited")),
        ("update", "1", "c2", removed),
        ("update", "1", "c3", removed.replace("part 3", "part 4")),
        (
            "update",
            keys.slack_message("1", f"{TS}#0"),
            "SET edited_ts = :event_ts, content = :content, files = :files",
            {"event_ts": "7", "content": content, "files": {"F9": "z.txt", "F1": "a.txt"}},
        ),
    ]
    assert [call for call in journal.calls if call[0] in ("announce", "settle")] == [
        ("announce", "1", "C1", TS, [FILE], []),
        ("settle", "1", "F1"),
    ]
    journal.calls.clear()
    longer = message_of(journal, {"text": "x" * (comments.part_length() + 1)})
    journal.replace(table, "query", [row(0, content=old)])
    journal.replace(comment_claims, "take_all", [claim(), "other"], None)
    journal.replace(comment_claims, "settle", "n1")
    journal.replace(comment_claims, "update", "u0")
    assert longer.edit("7", repeated=False) == ["u0", "n1"]
    ((_, ((key, _, token),), values),) = [call for call in journal.calls if call[0] == "take_all"]
    assert (key.sk, token) == (f"SLACK#{TS}#1", comment_claims.token_for("T1", "C1", TS, "1"))
    assert values == {"kind": "message", "channel_id": "C1"}
    assert longer.edit("8", repeated=False) == ["u0"]


@pytest.mark.parametrize(
    ("message", "before", "names", "only_files"),
    [
        ({"text": "t", "files": [{**FILE, "mode": "tombstone"}]}, None, {"F1": "a.txt"}, True),
        ({"text": "t", "files": [{**FILE, "mode": "tombstone"}]}, [{**FILE, "mode": "tombstone"}], {"F1": "a"}, False),
        ({"text": "t", "files": [{**FILE, "mode": "tombstone"}], "edited": {}}, None, {"F1": "a.txt"}, False),
        ({"text": "t", "files": [FILE, {"id": "F2", "name": "link"}]}, None, {"F1": "a.txt"}, True),
        ({"text": "t", "files": [FILE, {"id": "F2", "name": "link"}]}, None, {"F1": "x", "F2": "y"}, False),
        ({"text": "u", "files": [FILE]}, None, {"F1": "a.txt"}, False),
    ],
)
def test_given_a_change_when_only_files_differ_then_no_user_has_edited_the_message(
    journal: Journal, message: dict[str, Any], before: Any, names: dict[str, str], only_files: bool
) -> None:
    own = message_of(journal, message, before={"files": before} if before else None)
    stored = {0: {"content": reader.fingerprint({"text": "t", "files": [FILE]}), "files": names}}

    assert own._changed_only_files(stored) is only_files
    assert own._changed_only_files({0: {"files": names}}) is False


@pytest.mark.parametrize("remark", ["", ", edited"])
def test_given_rows_without_a_fingerprint_when_compared_then_the_hashes_of_all_parts_count(
    journal: Journal, remark: str
) -> None:
    own = message_of(journal, {"text": "hello"})
    journal.replace(table, "get", {"hash": comments.body_hash(bodies_of("hello", remark))})

    assert own._is_known({0: {"comment_id": "c0"}}) is True
    assert journal.taken()[0] == ("get", keys.comment("1", "c0"))
    assert own._is_known({0: {"comment_id": "c0"}, 1: {}}) is False
    assert [call for call in journal.taken() if call[0] == "get"][1] == ("get", keys.comment("1", ""))
    journal.replace(table, "get", None)
    assert own._is_known({0: {}}) is False
    content = reader.fingerprint({"text": "hello"})
    assert own._is_known({0: {"content": content}}) is True
    assert own._is_known({0: {"content": reader.fingerprint({"text": "other"})}}) is False


def test_given_a_deletion_when_copied_then_every_comment_with_a_text_is_marked(journal: Journal) -> None:
    own = message_of(journal, {})
    rows = [
        row(4, comment_id="", state="claimed", body="b4"),
        row(0, body="b0"),
        row(1, given_up="x"),
        row(2),
        row(3, comment_id=""),
        row(5, body="b5"),
    ]
    journal.replace(table, "query", rows)
    journal.replace(claims, "take", Done({"comment_id": "n3"}), Held(5.0))
    journal.replace(comment_claims, "texts", {"c0": "t0", "n3": "t3"})
    journal.replace(comment_claims, "update", "c0", "n3", None)

    assert own.delete("8.5") == ["c0", "n3"]

    assert journal.taken() == [
        ("put", keys.note("1", "deleted-8.5"), {"state": "done", "at": NOW}),
        ("query", "CASE#1", "SLACK#8.5#"),
        ("texts", "1", "8.5"),
        ("update", "1", "c0", comments.marked_deleted("t0")),
        ("take", keys.slack_message("1", "8.5#3"), {"settle_after": NOW}),
        ("update", "1", "n3", comments.marked_deleted("t3")),
        ("take", keys.slack_message("1", "8.5#4"), {"settle_after": NOW}),
        ("update", "1", "c5", comments.marked_deleted("b5")),
    ]
    journal.replace(table, "query", [])
    assert own.delete("8.5") == []
    assert [name for name, *_ in journal.calls] == ["put", "query"]


@pytest.mark.parametrize(
    ("answer", "link"),
    [
        ({"permalink": "https://p"}, "https://p"),
        (refused("x"), f"https://slack.com/app_redirect?channel=C1&message_ts={TS}"),
    ],
)
def test_given_content_without_text_when_copied_then_the_comment_names_its_kinds_and_a_link(
    journal: Journal, answer: Any, link: str
) -> None:
    own = message_of(journal, {"blocks": [{"type": "odd"}]}, answer)
    empty = message_of(journal, {}, answer)
    shown = message_of(journal, {"text": "t"}, answer)

    missing = ", ".join(own._read().missing)
    kinds = missing or "unknown type"
    text = "(In Slack only: content that has no text ({}). Read it at {})"
    assert own._bodies() == [bodies_of(text.format(kinds, link))]
    asked = ("read", "chat.getPermalink", {"channel": "C1", "message_ts": TS})
    assert journal.taken()[-1] == asked
    assert empty._bodies(", edited") == [bodies_of(text.format("unknown type", link), ", edited")]
    assert shown._bodies() == [bodies_of("t")]
    journal.replace(file_comments, "lines", ["📎 a.txt"])
    assert message_of(journal, {"files": [FILE]})._bodies() == [bodies_of("📎 a.txt")]
    assert own._in_slack_only(["k" * 81, "l"]) == text.format(shorten(f"{'k' * 81}, l", 80), link)


PARENT = {"user": "U1", "text": "p" * 81, "ts": "1.0"}


@pytest.mark.parametrize(
    ("thread_ts", "answer", "remark"),
    [
        (None, None, ""),
        (TS, None, ""),
        ("1.0", refused("thread_not_found"), ", in a thread"),
        ("1.0", {"messages": [{"subtype": "tombstone"}]}, ", in reply to a message that was deleted in Slack"),
        ("1.0", {"messages": [PARENT, {}]}, f', in reply to Jane: "{shorten("p" * 81, 80)}"'),
        ("1.0", {"messages": []}, ', in reply to A bot: ""'),
        ("1.0", {}, ', in reply to A bot: ""'),
        (
            "1.0",
            {"messages": [{"username": "n" * 81, "text": "a\nb"}]},
            f', in reply to {shorten("n" * 81, 80)}: "a b"',
        ),
    ],
)
def test_given_a_reply_when_copied_then_the_author_and_an_excerpt_of_the_first_message_are_named(
    journal: Journal, thread_ts: str | None, answer: Any, remark: str
) -> None:
    own = message_of(journal, {"text": "t", "thread_ts": thread_ts}, answer)

    assert own._thread() == remark
    assert own._bodies(", edited") == [bodies_of("t", f", edited{remark}")]
    asked = ("read", "conversations.replies", {"channel": "C1", "ts": "1.0", "limit": 1})
    assert [call for call in journal.calls if call[0] == "read"] == ([asked] * 2 if answer is not None else [])


@pytest.mark.parametrize(
    ("message", "author", "identified"),
    [
        ({"user": "U1"}, "Jane", "Jane <U1>"),
        ({"user": "U1", "username": "Other"}, "Jane", "Jane <U1>"),
        ({"user": "B1", "username": "Chosen\nname"}, "Chosen\nname", "Chosen name"),
        ({"user": "B1"}, "Bot", "Jane <B1>"),
        ({"user": "U9"}, "U9", None),
        ({"user": "U9", "user_profile": {"real_name": "Far\nAway"}}, "Far Away", None),
        ({"user": "U9", "username": "x"}, "U9", None),
        ({"bot_profile": {"name": "Hook"}}, "Hook", "Hook"),
        ({"username": "Chosen", "bot_profile": {"name": "Hook"}}, "Chosen", "Chosen"),
        ({"username": "n" * 81}, "n" * 81, shorten("n" * 81, 80)),
        ({}, "A bot", "A bot"),
    ],
)
def test_given_a_sender_when_named_then_chosen_names_of_bots_and_unknown_users_are_told_apart(
    message: dict[str, Any], author: str, identified: str | None
) -> None:
    people: Any = People()

    assert slack_message._author(message, people) == author
    expected = identified or identity.identified(author, None, "U9")
    assert slack_message._identified_author(message, people) == expected


def test_given_files_when_a_message_is_made_then_names_before_the_change_are_known_and_gone_ones_remembered(
    journal: Journal,
) -> None:
    before = {
        "files": [
            FILE,
            {"id": "F2", "mode": "hidden_by_limit"},
            {"id": "F3", "name": "c", "mode": "tombstone"},
            {"name": "d"},
        ]
    }

    own = message_of(journal, {"text": "t"}, before=before)

    assert own._files == {"F1": "a.txt", "F3": "c"}
    assert own._gone_before == {"F2", "F3"}
    assert message_of(journal, {}, before={"files": None})._gone_before == set()
