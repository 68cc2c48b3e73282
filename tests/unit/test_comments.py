"""The message of a comment: measured and replaced only if Slack shows the comment."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases.models import Comment
from ir_router.errors import RefusedError
from ir_router.ledger import keys
from ir_router.ledger.claims import Claim
from ir_router.slack import messages
from ir_router.sync import comments, posting

KEY = keys.comment("1234567890", "c-1", 0)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {"posted": [], "replaced": [], "measured": []}
    monkeypatch.setattr(clock, "now", lambda: 1_000.0)
    monkeypatch.setattr(comments, "measure", lambda *metric: found["measured"].append(metric))
    monkeypatch.setattr(
        posting, "replace", lambda _slack, _channel, ts, part: found["replaced"].append((ts, part.text))
    )
    return found


def posted(
    monkeypatch: pytest.MonkeyPatch, seen: dict[str, list[Any]], *, code: str = "", earlier: str = "h", hints: int = 1
) -> None:
    def post(_slack: Any, _channel: str, _claim: Any, part: Any) -> str:
        seen["posted"].append(part.text)
        if code and len(seen["posted"]) == 1:
            raise RefusedError("Slack", "chat.postMessage", code)
        return "7.1"

    monkeypatch.setattr(posting, "post", post)
    claim = Claim(KEY, 1, must_look=False, row={"hash": earlier})
    sync: Any = SimpleNamespace(
        claim=lambda *_, **__: claim,
        slack=None,
        channel_id="C1",
        lease=SimpleNamespace(row={"synced_hints": hints} if hints else {}),
    )
    comment = Comment(comment_id="c-1", created_date=datetime.fromtimestamp(940, UTC), creator="Jane", body="text")
    comments._post(sync, comment, KEY, messages.line("text"), "h")


@pytest.mark.parametrize("earlier", ["h", "older"])
def test_given_a_comment_that_slack_cannot_show_when_posted_then_a_line_replaces_it_and_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, seen: dict[str, list[Any]], earlier: str
) -> None:
    posted(monkeypatch, seen, code="msg_too_long", earlier=earlier)
    assert len(seen["posted"]) == 2
    assert "Jane" in seen["posted"][1]
    assert (seen["measured"], seen["replaced"]) == ([], [])


def test_given_a_comment_when_posted_then_its_delay_is_measured_except_in_the_first_synchronisation(
    monkeypatch: pytest.MonkeyPatch, seen: dict[str, list[Any]]
) -> None:
    posted(monkeypatch, seen)
    assert (seen["measured"], seen["replaced"]) == ([("CommentToMessageSeconds", 60.0, "Seconds")], [])
    seen["measured"].clear()
    posted(monkeypatch, seen, hints=0, earlier="older")
    assert seen["measured"] == []
    assert [ts for ts, _ in seen["replaced"]] == ["7.1"]
