"""Comments that are edited, rejected or shortened in the channel, waits for a new channel, and grouped alerts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases import comments as texts
from ir_router.cases.models import Comment
from ir_router.commands import home, people
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError
from ir_router.ledger import claims, keys, leases, security_channel, table
from ir_router.ledger.claims import Claim
from ir_router.slack import messages
from ir_router.slack.messages import Message
from ir_router.sync import channel_pace, comments, failure_alerts, posting
from ir_router.sync.failures import Failure
from tests.support.answers import SlackAnswers
from tests.support.made_commands import command

NOW = 50_000.0
COMMENT = Comment(comment_id="c1", body="new")
HASH = texts.body_hash("new")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The posted and replaced messages and the stored hashes, in order."""
    found: list[Any] = []
    monkeypatch.setattr(clock, "now", lambda: NOW)
    parts = [Message(text=f"part {number}", blocks=[]) for number in range(2)]
    monkeypatch.setattr(messages, "comment_parts", lambda _comment: parts)

    def post(_slack: Any, _channel: str, claim: Claim, message: Message) -> str:
        found.append(("post", claim.key.sk, message.text))
        return "1.1"

    monkeypatch.setattr(posting, "post", post)
    monkeypatch.setattr(posting, "replace", lambda _s, _c, ts, one: found.append(("replace", ts, one.text)))
    monkeypatch.setattr(table, "update", lambda key, _what, **values: found.append(("hash", key.sk, values["hash"])))
    return found


def sync(rows: dict[str, dict[str, Any]]) -> Any:
    claimed: dict[str, Any] = {}

    def claim(key: Any, **frozen: Any) -> Claim | None:
        claimed[key.sk] = frozen
        return Claim(key, 1, must_look=False, row={"hash": HASH, **frozen})

    return SimpleNamespace(
        case_id="1",
        channel_id="C1",
        slack=SlackAnswers(),
        lease=SimpleNamespace(row={}),
        deadline=SimpleNamespace(check=lambda: None),
        row=lambda key: rows.get(key.sk),
        claim=claim,
        claimed=claimed,
    )


def part(number: int) -> str:
    return keys.comment("1", "c1", number).sk


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {"state": "done", "hash": "old", "channel_id": "C1", "ts": f"{number}.0", "origin": "aws", **changes}


def test_given_a_new_comment_when_copied_then_each_part_is_posted_and_its_hash_frozen(shown: list[Any]) -> None:
    own = sync({})

    comments._copy(own, COMMENT, None)

    assert shown == [("post", part(0), "part 0"), ("post", part(1), "part 1")]
    assert own.claimed == {part(number): {"origin": "aws", "hash": HASH} for number in range(2)}


def test_given_an_edit_with_fewer_parts_when_copied_then_the_surplus_messages_name_the_edit(shown: list[Any]) -> None:
    rows = {part(number): row(number) for number in range(5)} | {part(3): row(3, state="claimed")}

    comments._copy(sync(rows), COMMENT, rows[part(0)])

    assert shown[:2] == [("replace", "0.0", "part 0"), ("replace", "1.0", "part 1")]
    assert [one[1] for one in shown[2:-1]] == ["2.0", "4.0"]
    assert all("This part of the comment was removed by an edit." in one[2] for one in shown[2:-1])
    assert shown[-1] == ("hash", part(0), HASH)


def test_given_an_unchanged_comment_when_copied_then_only_a_missing_part_is_posted(shown: list[Any]) -> None:
    rows = {part(0): row(0, hash=HASH), part(1): row(1, hash=HASH, state="claimed"), part(2): row(2)}

    comments._copy(sync(rows), COMMENT, rows[part(0)])

    assert shown == [("post", part(1), "part 1")]


@pytest.mark.parametrize("code", sorted(posting.CANNOT_BE_EDITED))
def test_given_a_message_that_cannot_be_edited_when_its_comment_changes_then_new_messages_show_the_edit(
    monkeypatch: pytest.MonkeyPatch, shown: list[Any], code: str
) -> None:
    def refuse(*_arguments: object) -> None:
        raise RefusedError("Slack", "chat.update", code)

    monkeypatch.setattr(posting, "replace", refuse)
    rows = {part(number): row(number) for number in range(2)}

    comments._copy(sync(rows), COMMENT, rows[part(0)])

    names = [keys.note("1", f"edited-c1-{HASH[:16]}-0-{number}").sk for number in range(2)]
    assert shown == [("post", names[0], "part 0"), ("post", names[1], "part 1"), ("hash", part(0), HASH)]


def test_given_another_rejection_when_a_comment_changes_then_the_error_stays(
    monkeypatch: pytest.MonkeyPatch, shown: list[Any]
) -> None:
    def refuse(*_arguments: object) -> None:
        raise RefusedError("Slack", "m", "invalid_auth")

    monkeypatch.setattr(posting, "replace", refuse)
    with pytest.raises(RefusedError):
        comments._replace(sync({}), row(0), Message(text="a", blocks=[]))
    monkeypatch.setattr(posting, "post", refuse)
    with pytest.raises(RefusedError):
        comments._copy(sync({}), COMMENT, None)
    assert shown == []


@pytest.mark.parametrize(
    ("stored", "announced"),
    [({"hash": HASH}, False), ({"hash": "old"}, True), ({"hash": "old", "pending_hashes": {HASH}}, False), ({}, True)],
)
def test_given_an_own_comment_when_edited_on_the_case_then_only_a_foreign_text_is_announced(
    shown: list[Any], stored: dict[str, Any], *, announced: bool
) -> None:
    comments._announce_case_edit(sync({}), COMMENT, stored)

    assert [one[0] for one in shown] == (["post", "post", "hash"] if announced else [])


def test_given_a_comment_that_slack_rejects_when_copied_then_a_line_names_its_author_instead(
    monkeypatch: pytest.MonkeyPatch, shown: list[Any]
) -> None:
    answers: list[Any] = [RefusedError("Slack", "chat.postMessage", "invalid_blocks"), None]

    def post(_slack: Any, _channel: str, _claim: Claim, message: Message) -> str:
        if error := answers.pop(0):
            raise error
        shown.append(message.text)
        return "1.1"

    monkeypatch.setattr(posting, "post", post)

    comments._post(sync({}), COMMENT, keys.comment("1", "c1"), Message(text="a", blocks=[]), HASH)

    (text,) = shown
    assert "cannot be shown in Slack. Read it on the case." in text


@pytest.mark.parametrize(
    ("row", "seconds", "error"),
    [
        ({}, 10, RetryLaterError),
        ({"channel_id": "C1"}, 65, OutOfTimeError),
        ({"channel_id": "C1"}, 65.1, RetryLaterError),
    ],
)
def test_given_too_many_new_cases_when_a_channel_is_awaited_then_a_short_run_is_followed_by_a_longer_one(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], seconds: float, error: type[Exception]
) -> None:
    saved: list[Any] = []

    def reserve(*_arguments: object) -> float:
        raise channel_pace._throttled(seconds)

    monkeypatch.setattr(leases, "save", lambda _lease, **values: saved.append(values))
    monkeypatch.setattr(channel_pace, "_reserve", reserve)
    deadline = SimpleNamespace(check=lambda: None, remaining=lambda: 18.0)
    own: Any = SimpleNamespace(severity="High", lease=SimpleNamespace(row=row), deadline=deadline)

    with pytest.raises(error):
        channel_pace.wait(own)

    assert saved == [{"severity": "High", "channel_id": None}]


def failure() -> Failure:
    return Failure("sync-1", "Out of <sync>.", "Fix it.", retried=True, error_id="e1", transient=False)


@pytest.mark.parametrize("is_first", [True, False])
def test_given_the_same_failure_of_another_case_when_posted_then_only_the_first_has_a_message(
    monkeypatch: pytest.MonkeyPatch, *, is_first: bool
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(security_channel, "known_id", lambda: "C9")
    monkeypatch.setattr(claims, "take", lambda key, **_how: Claim(key, 1, must_look=False, row={}))
    monkeypatch.setattr(claims, "confirm", lambda claim, **values: done.append((claim.key.sk, values)))
    monkeypatch.setattr(failure_alerts, "_is_first", lambda _case_id, _failure: is_first)
    monkeypatch.setattr(posting, "post", lambda _slack, where, _claim, message: done.append((where, message.text)))
    deadline: Any = SimpleNamespace(settle_after=NOW)

    failure_alerts.post("1", "C1", failure(), deadline)

    text = "⚠️ Case 1 is out of sync with its Slack channel. Out of &lt;sync&gt;."
    assert done == [("C9", text) if is_first else (keys.note("1", "alerted-sync-1").sk, {"grouped": True})]
    found = failure_alerts._message("1", "C1", failure())
    lines = [block["text"]["text"] for block in found.blocks if "text" in block]
    assert "|1> is out of sync with its Slack channel <#C1>.*" in lines[0]
    assert "ir-router retries this automatically. Fix it." in lines[-1]
    assert "Error ID: e1" in str(found.blocks[-1])
    assert "channel.*" in str(failure_alerts._message("1", "", failure()).blocks[0])


@pytest.mark.parametrize(("code", "calls"), [("", 1), ("no_such_subteam", 1), ("missing_scope", 2)])
def test_given_a_user_group_when_read_then_it_is_cached_unless_an_operator_can_fix_the_app(
    monkeypatch: pytest.MonkeyPatch, code: str, calls: int
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    people.forget_groups()
    answer: Any = RefusedError("Slack", "usergroups.users.list", code) if code else {"users": ["U1"]}
    slack: Any = SlackAnswers(answer, answer, answer)

    found = [people._members(slack, "S1") for _ in range(2)]
    monkeypatch.setattr(clock, "now", lambda: NOW + 299.9)
    people._members(slack, "S1")
    kept = len(slack.asked)
    monkeypatch.setattr(clock, "now", lambda: NOW + 300)
    people._members(slack, "S1")
    people.forget_groups()

    assert found == [frozenset() if code else frozenset({"U1"})] * 2
    assert kept == (3 if calls > 1 else 1)
    assert len(slack.asked) == kept + 1


def test_given_lists_that_cannot_be_read_when_the_tab_is_opened_then_it_shows_the_error_id_and_is_not_fresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slack = SlackAnswers(RefusedError("Slack", "views.publish", "x"))
    opened = command(slack)

    def fail(_command: Any) -> Any:
        raise RefusedError("AWS", "ListCases", "AccessDeniedException")

    monkeypatch.setattr(home, "of_interaction", lambda *_given: opened)
    monkeypatch.setattr(home, "_blocks", fail)
    monkeypatch.setattr(home, "error_id", lambda kind: f"{kind}-7")

    home.handle_interaction({"view": {}}, None)

    ((method, arguments),) = slack.asked
    assert (method, arguments["user_id"]) == ("views.publish", "U1")
    view = arguments["view"]
    assert (view["type"], view["private_metadata"], len(view["blocks"])) == ("home", "", 1)
    assert view["blocks"][0]["text"]["text"] == (
        "❌ The approval requests and cases cannot be read now. Open this tab again later.\nError ID: api-error-7"
    )
