"""Findings and the last message of a channel: the complete texts, the buttons, and when the channel is archived."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases.changes import digest
from ir_router.cases.comments import set_apart
from ir_router.cases.models import Investigation
from ir_router.errors import IrRouterError, RetryLaterError
from ir_router.ledger import claims, keys
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import messages
from ir_router.slack.text import clean, quoted, shorten, split
from ir_router.sync import (
    archiving,
    findings,
    posting,
)
from tests.support.journal import Journal, refused
from tests.support.synchronising import case_of, syncing

NOW = 50_000.0
AWS = "AWS Security Incident Response"
KEY = keys.report("1")
FULL = "in this channel: the case accepts no further attachments"


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return Journal(monkeypatch)


def finding(number: int, **changes: Any) -> Investigation:
    values: dict[str, Any] = {"title": "T" * 300, "content": "c", "last_updated": datetime(2026, 1, 2, tzinfo=UTC)}
    return Investigation(investigation_id=f"I{number}", **{**values, **changes})


def test_given_findings_when_synchronised_then_each_new_one_is_posted_and_all_are_kept(journal: Journal) -> None:
    own = syncing(journal, findings=None)
    found = [finding(1), finding(2)]
    journal.replace(security_ir, "findings", found)
    journal.replace(own, "claim", None, "taken")
    journal.replace(posting, "post")

    findings.synchronise(own)

    assert own.findings is found
    assert journal.calls == [
        ("findings", "1"),
        ("claim", keys.note("1", f"finding-{digest('I1')}")),
        ("claim", keys.note("1", f"finding-{digest('I2')}")),
        ("post", own.slack, "C1", "taken", findings._message(found[1])),
    ]


@pytest.mark.parametrize("length", [300, 301])
def test_given_a_finding_when_shown_then_title_parts_and_buttons_are_complete(length: int) -> None:
    one = finding(7, title="T" * length, content="x" * 2_901)

    message = findings._message(one)

    assert message.text == f"{messages.TAG} AWS's automated finding: {quoted(one.title, 300)}"
    heading, title, first, second, actions = message.blocks
    shown = (
        f"{messages.TAG} *AWS's automated finding* {messages.at(one.last_updated)}. No person at AWS has checked it."
    )
    assert heading == messages.context(shown)
    assert title == messages.literal(shorten(one.title, 300))
    parts = split(set_apart(clean(one.content)), 2_900)
    assert [first, second] == [messages.literal(part) for part in parts]
    assert actions == {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": action,
                "text": {"type": "plain_text", "text": text},
                "value": "I7",
            }
            for action, text in (("feedback_useful", "Useful ..."), ("feedback_not_useful", "Not useful ..."))
        ],
    }


@pytest.mark.parametrize(("action", "name"), [("feedback_useful", "Useful"), ("feedback_not_useful", "Not useful")])
def test_given_a_rating_when_its_form_is_opened_then_it_names_the_rating_and_returns_its_origin(
    action: str, name: str
) -> None:
    def plain(text: str) -> dict[str, str]:
        return {"type": "plain_text", "text": text}

    form = findings.form({"case": "1"}, action)

    assert json.loads(form.pop("private_metadata")) == {"case": "1"}
    assert form == {
        "type": "modal",
        "callback_id": "feedback_form",
        "title": plain("Rate AWS's finding"),
        "submit": plain("Send to AWS"),
        "close": plain("Cancel"),
        "blocks": [
            messages.plain(f"Rating: {name}"),
            {
                "type": "input",
                "block_id": "comment",
                "optional": True,
                "label": plain("Comment for AWS"),
                "element": {
                    "type": "plain_text_input",
                    "action_id": "comment",
                    "multiline": True,
                    "max_length": 1_000,
                },
            },
        ],
    }


# The archive


@pytest.mark.parametrize(
    ("days", "status", "changes", "done", "due"),
    [
        (2.5, "Closed", {"closed_date": NOW - 216_000}, False, 0),
        (2.5, "Closed", {"closed_date": NOW - 215_999}, False, NOW + 1),
        (1, "Closed", {"last_updated_date": NOW - 86_400}, False, 0),
        (1, "Closed", {"closed_date": NOW - 86_399, "last_updated_date": NOW - 86_400}, False, NOW + 1),
        (1, "Closed", {}, False, NOW + 86_400),
        (0, "Closed", {"closed_date": 0}, False, None),
        (1, "Acknowledged", {"closed_date": 0}, False, None),
        (1, "Closed", {"closed_date": 0}, True, None),
    ],
)
@pytest.mark.parametrize(
    ("answer", "logged", "passes"),
    [
        ({}, 0, False),
        (refused("already_archived"), 0, False),
        (refused("restricted_action"), 1, False),
        (RetryLaterError("Slack", "m", "x", 1), 0, True),
    ],
)
def test_given_a_closed_case_when_its_time_has_come_then_the_channel_gets_a_last_message_and_is_archived_once(
    monkeypatch: pytest.MonkeyPatch,
    journal: Journal,
    days: float,
    status: str,
    changes: dict[str, float],
    done: bool,
    due: float | None,
    answer: Any,
    logged: int,
    passes: bool,
) -> None:
    dates = {name: datetime.fromtimestamp(value, UTC) for name, value in changes.items()}
    own = syncing(journal, case=case_of(case_status=status, **dates))
    monkeypatch.setattr(archiving, "settings", lambda: SimpleNamespace(archive_channels_after_days=days))
    warned: list[Any] = []
    monkeypatch.setattr(logger, "warning", lambda *_given, **more: warned.append(more))
    own.is_done = lambda key: done and key == keys.note("1", "archived")
    journal.replace(own, "claim", "last", "taken")
    journal.replace(own.slack, "read", answer)
    journal.replace(posting, "post")
    journal.replace(claims, "confirm")

    if passes and due == 0:
        with pytest.raises(IrRouterError):
            archiving.synchronise(own)
    else:
        archiving.synchronise(own)
    if due != 0:
        assert journal.calls == ([("revisit", due)] if due else [])
        return
    text = (
        f"This case has been closed for {days:g} days, so ir-router archives this channel now. Its messages stay "
        "readable, and the case stays in the AWS console."
    )
    archived = [
        ("claim", keys.note("1", "archived")),
        ("read", "conversations.archive", {"channel": "C1"}),
        *([] if passes else [("confirm", "taken")]),
    ]
    last = ("claim", keys.note("1", "last-message"))
    assert journal.taken() == [last, ("post", own.slack, "C1", "last", messages.line(text)), *archived]
    assert len(warned) == logged
    journal.replace(own, "claim", None)
    archiving.synchronise(own)
    assert [name for name, *_ in journal.calls] == ["claim", "claim"]
