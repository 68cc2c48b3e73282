"""Messages in the channel of a case."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from ir_router.cases.changes import FieldChange
from ir_router.cases.models import Case, Comment
from ir_router.slack import messages
from ir_router.slack.messages import Message

_AT = datetime(2026, 1, 15, 12, 30, 59, tzinfo=UTC)
_CASE = Case(
    case_id="1234567890",
    case_arn="arn",
    title="A <title> & more",
    description=" a\x00 description ",
    case_status="Submitted",
    created_date=_AT,
)
_TITLE = FieldChange("title", "Title", "old", "a & b", "a & b")
_STATUS = FieldChange("status", "Status", "", "y" * 401, "y")


def texts() -> dict[str, Any]:
    """Return each message by its situation."""
    members = [{"shown": f"user {number}"} for number in range(6)]
    fixed: list[dict[str, Any]] = [{"shown": "a", "fix": "Invite <a>."}, {"shown": "b"}]
    some: list[dict[str, Any]] = [{"shown": "a & b"}, {"shown": "c", "removed": True}]
    comment = Comment(
        comment_id="1", creator="arn:aws:iam::1:user/jane", body="one\n[Slack Update] two", created_date=_AT
    )
    found: dict[str, Any] = {
        "blocks": [
            messages.section("*a*"),
            messages.plain("a\u202e*b*" + "x" * 3_000),
            messages.context("a"),
            messages.literal("a\u202eb"),
            messages.literal(" \x00"),
        ],
        "sections": messages.sections(["a", "x" * 2_998, "b", " "]),
        "sections beyond the limit": [
            {"length": len(block["text"]["text"]), "end": block["text"]["text"][-30:]}
            for block in messages.sections(["x" * 2_399] * 5 + ["y"] * 7)
        ],
        "empty sections": messages.sections([" "]),
        "links and times": [
            messages.console_link("12/3", "eu-west-1"),
            messages.at(None),
            messages.at(_AT),
            messages.topic("Submitted", "a<b>&c\nd"),
            messages.topic("Submitted", "x" * 300),
        ],
        "authors": [
            messages.author(creator)
            for creator in (
                None,
                "",
                "arn:aws:iam::1:user/jane",
                "arn:aws:iam::1:root",
                "arn:x/",
                "arn:x:y",
                "security-ir.amazonaws.com",
                "1",
            )
        ],
        "notice": messages.notice(_CASE, "High", "eu-west-1"),
        "notice with a long title": messages.notice(
            _CASE.model_copy(update={"title": "t" * 151, "description": "d" * 8_001}), "x" * 201, "eu-west-1"
        ),
        "notice without title": messages.notice(
            _CASE.model_copy(update={"title": "", "description": " ", "created_date": None}), "High", "us-east-1"
        ),
        "comment": messages.comment_parts(comment),
        "edited comment": messages.comment_parts(
            comment.model_copy(update={"last_updated_date": _AT + timedelta(days=1), "creator": None, "body": ""})
        ),
        "unedited comment": messages.comment_parts(comment.model_copy(update={"last_updated_date": _AT})),
        "long comment": messages.comment_parts(comment.model_copy(update={"body": "word & " * 500})),
        "one change": messages.changes([_TITLE], {"title": "Jane\nSmith"}),
        "one change by nobody known": messages.changes([_STATUS], {}),
        "two changes by one user": messages.changes([_TITLE, _STATUS], {"title": "Jane", "status": "Jane"}),
        "two changes by two users": messages.changes([_TITLE, _STATUS], {"title": "Jane", "status": "Bob"}),
        "two changes, one by a user": messages.changes([_TITLE, _STATUS], {"title": "Jane"}),
        "many changes": messages.changes([_STATUS] * 30, {}).text,
        "joined": messages.joined(members[:5]),
        "many joined": messages.joined(members),
        "came back": messages.came_back(members[:1]),
        "left": messages.left(some),
        "removed": messages.left(some[1:]),
        "not in the workspace": messages.not_in_workspace(fixed),
        "outside": messages.outside(members[:2]),
        "failure": messages.failure("It <failed>.", True, "Fix & wait.", "sync-1"),
        "last failure": messages.failure("It failed.", False, "", "sync-1"),
        "line": messages.line("a <b>"),
        "failed scan": messages.failed_scan("a`b.exe"),
    }
    return {name: shown(value) for name, value in found.items()}


def shown(value: Any) -> str:
    """Return a message as its text and a line for each block, and a list as a line for each element."""
    if isinstance(value, Message):
        return "\n".join((value.text, *map(shown, value.blocks)))
    if isinstance(value, list):
        return "\n".join(map(shown, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
