"""Messages made from any text of AWS and users: Slack accepts them, and they contain no active text."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ir_router.cases.changes import FieldChange
from ir_router.cases.models import Attachment, Case, Comment
from ir_router.slack import messages
from ir_router.slack.messages import Message
from ir_sandbox.slack.blocks import check_blocks

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
OURS = re.compile(
    r"<!date\^\d+\^\{date_short_pretty\} \{time\}\|[0-9: -]+ UTC>|<https://console\.aws\.amazon\.com/[^<>|]*\|[^<>]*>"
)

hostile = st.one_of(
    st.text(st.characters(), max_size=200),
    st.sampled_from(
        ["<!channel> <@U1> <!subteam^S1>", "&" * 9_000, "😀" * 9_000, "<https://evil.example|click>" * 300]
    ),
    st.sampled_from(
        ["", " ", "\n\n", "\u202egpj.exe", "\u200fمرحبا", "\x00\x1b[2J", "\ud83d", "word " * 8_000, "x" * 40_000]
    ),
)


def built(text: str) -> list[Message]:
    """Return every kind of message, with this text in place of all outside text."""
    case = Case(
        case_id="1234567890" + text[:40],
        case_arn="arn",
        title=text,
        description=text,
        case_status=text,
        created_date=AT,
    )
    comment = Comment(comment_id="1", body=text, creator=text, created_date=AT, last_updated_date=AT)
    member: dict[str, Any] = {"shown": text, "removed": False}
    change = FieldChange("name", "Title", text, text, text)
    return [
        messages.notice(case, text, "us-east-1"),
        *messages.comment_parts(comment),
        messages.changes([change], {change.name: text}),
        messages.changes([change] * 11, {change.name: text}),
        messages.changes([change, replace(change, name="other")], {change.name: text}),
        messages.joined([member]),
        messages.joined([member] * 32),
        messages.left([member, {**member, "removed": True}] * 16),
        messages.not_in_workspace([member] * 32),
        messages.failure(text, True, text, "sync-error-1"),
        messages.line(text),
        messages.failed_scan(text),
        messages.file_uploaded(text, text),
        messages.file_not_copied(text, text),
        messages.attachment_empty(text),
        messages.attachment_too_large(text, 10**9, messages.console_link(text[:40], "us-east-1")),
    ]


def texts(value: Any) -> list[str]:
    """Return every mrkdwn text of a message's blocks."""
    if isinstance(value, dict):
        own = [value["text"]] if value.get("type") == "mrkdwn" else []
        return own + [text for inner in value.values() for text in texts(inner)]
    return [text for inner in value for text in texts(inner)] if isinstance(value, list) else []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hostile)
def test_given_any_text_when_it_is_said_then_slack_takes_it_and_nothing_in_it_acts(text: str) -> None:
    for message in built(text):
        check_blocks(message.blocks)
        assert len(message.text) <= 40_000
        for shown in (message.text, *texts(message.blocks)):
            assert shown.encode("utf-8").decode("utf-8").strip()
            assert not re.search(r"[<>]", OURS.sub("", shown)), shown


@pytest.mark.parametrize("name", ["example.com", "`<!channel>`.txt"])
def test_given_a_files_name_when_it_is_shared_then_it_is_shown_as_code(name: str) -> None:
    attachment = Attachment(
        attachment_id="a", file_name=name, attachment_status="Verified", creator="x", created_date=AT
    )

    text = messages.new_attachment(attachment)

    assert text.startswith("📎 New attachment from AWS Security IR case\n")
    assert text.count("`") == 2
    assert "<!channel>" not in text


@given(hostile)
def test_given_any_severity_when_it_is_in_the_topic_then_slack_keeps_it_as_it_was_set(severity: str) -> None:
    topic = messages.topic("Submitted", severity)

    assert not re.search(r"[&<>\n]|\s\s", topic)
    assert len(topic) <= 250
