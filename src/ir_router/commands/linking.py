"""Show an answer character by character, with the case's id as a link. Pure."""

from __future__ import annotations

import re
from typing import Any

from ir_router import links
from ir_router.slack.text import clean, length_of, remove_bidi_controls

# Longer answers stay plain text. Slack's limit for the blocks of a message is 13,200 characters.
_LONGEST = 12_000


def blocks(text: str, case_id: str, region: str) -> list[dict[str, Any]] | None:
    """Return a block that shows the text, or None if the text does not name the case.

    Args:
        text: The answer as plain text.
        case_id: The case. Its first mention becomes the link.
        region: The region of the case.
    """
    shown = remove_bidi_controls(clean(text))
    found = re.search(rf"(?<!\w){re.escape(case_id)}(?!\w)", shown) if case_id else None
    if found is None or length_of(shown) > _LONGEST:
        return None
    parts = [_words(shown[: found.start()]), _link(case_id, region), _words(shown[found.end() :])]
    elements = [part for part in parts if part["text"]]
    return [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}]


def _words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _link(case_id: str, region: str) -> dict[str, Any]:
    return {"type": "link", "url": links.case(case_id, region), "text": case_id}
