"""Post each finding of AWS's investigating agent once, with buttons that rate it.

A step of the case's synchronisation. AWS publishes no event for a finding, so the deep check looks for them.
"""

from __future__ import annotations

import json
from typing import Any

from ir_router.cases.changes import digest
from ir_router.cases.comments import set_apart
from ir_router.cases.models import Investigation
from ir_router.ledger import keys
from ir_router.ledger.keys import Key
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import messages
from ir_router.slack.messages import Message
from ir_router.slack.text import clean, quoted, shorten, split
from ir_router.sync import posting
from ir_router.sync.case_sync import CaseSync

# The action ids of the buttons, which `commands/feedback.py` serves, and AWS's names of the ratings.
USEFUL, NOT_USEFUL = "feedback_useful", "feedback_not_useful"
FORM, COMMENT = "feedback_form", "comment"
# botocore's model: FeedbackComment.
COMMENT_LENGTH = 1_000
_TITLE_LENGTH = 300
_PART_LENGTH = 2_900
_LABEL = "AWS's automated finding"


def synchronise(sync: CaseSync) -> None:
    """Post the findings that the channel lacks, oldest first."""
    found = security_ir.findings(sync.case_id)
    for finding in found:
        claim = sync.claim(key_of(sync.case_id, finding.investigation_id))
        if claim is not None:
            posting.post(sync.slack, sync.channel_id, claim, _message(finding))
    sync.findings = found


def key_of(case_id: str, investigation_id: str) -> Key:
    """Return the key of the message with a finding."""
    return keys.note(case_id, f"finding-{digest(investigation_id)}")


def form(origin: dict[str, str], action_id: str) -> dict[str, Any]:
    """Return the form for a rating with an optional comment. Slack returns the hidden `origin` with it."""
    element = {
        "type": "plain_text_input",
        "action_id": COMMENT,
        "multiline": True,
        "max_length": COMMENT_LENGTH,
    }
    return {
        "type": "modal",
        "callback_id": FORM,
        "private_metadata": json.dumps(origin),
        "title": _plain("Rate AWS's finding"),
        "submit": _plain("Send to AWS"),
        "close": _plain("Cancel"),
        "blocks": [
            messages.plain(f"Rating: {_name(action_id)}"),
            {
                "type": "input",
                "block_id": COMMENT,
                "optional": True,
                "label": _plain("Comment for AWS"),
                "element": element,
            },
        ],
    }


def _message(finding: Investigation) -> Message:
    title = shorten(finding.title, _TITLE_LENGTH)
    heading = f"{messages.TAG} *{_LABEL}* {messages.at(finding.last_updated)}. No person at AWS has checked it."
    parts = split(set_apart(clean(finding.content)), _PART_LENGTH)
    blocks = [
        messages.context(heading),
        messages.literal(title),
        *(messages.literal(part) for part in parts),
        {
            "type": "actions",
            "elements": [_button(USEFUL, finding), _button(NOT_USEFUL, finding)],
        },
    ]
    return Message(text=f"{messages.TAG} {_LABEL}: {quoted(finding.title, _TITLE_LENGTH)}", blocks=blocks)


def _button(action_id: str, finding: Investigation) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": action_id,
        "text": _plain(f"{_name(action_id)} ..."),
        "value": finding.investigation_id,
    }


def _name(action_id: str) -> str:
    return "Useful" if action_id == USEFUL else "Not useful"


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}
