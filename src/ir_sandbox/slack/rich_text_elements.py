"""Check rich text blocks.

https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
"""

from __future__ import annotations

from ir_sandbox.slack.block_elements import Checker
from ir_sandbox.slack.model import Json

_PARTS = frozenset({"rich_text_section", "rich_text_list", "rich_text_quote", "rich_text_preformatted"})
# The required field of each inline element.
_INLINE = {
    "broadcast": "range",
    "channel": "channel_id",
    "color": "value",
    "date": "format",
    "emoji": "name",
    "link": "url",
    "text": "text",
    "user": "user_id",
    "usergroup": "usergroup_id",
}
_STYLES = frozenset({"bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"})


def check_rich_text(checker: Checker, block: Json, pointer: str) -> None:
    """Check the parts of a `rich_text` block and their elements."""
    for index, part in enumerate(checker.items(block.get("elements"), f"{pointer}/elements", most=None)):
        place = f"{pointer}/elements/{index}"
        if part.get("type") not in _PARTS:
            checker.error(f"unsupported type: {part.get('type')}", f"{place}/type")
        elif part["type"] == "rich_text_list":
            _check_list(checker, part, place)
        else:
            _check_inline(checker, part, place)


def _check_list(checker: Checker, part: Json, pointer: str) -> None:
    if part.get("style") not in ("bullet", "ordered"):
        checker.error("must be a valid enum value: bullet, ordered", f"{pointer}/style")
    for index, item in enumerate(checker.items(part.get("elements"), f"{pointer}/elements", most=None)):
        place = f"{pointer}/elements/{index}"
        if item.get("type") != "rich_text_section":
            checker.error(f"unsupported type: {item.get('type')}", f"{place}/type")
        else:
            _check_inline(checker, item, place)


def _check_inline(checker: Checker, part: Json, pointer: str) -> None:
    if part.get("elements") == []:
        return  # Slack's clients write an empty line this way
    for index, element in enumerate(checker.items(part.get("elements"), f"{pointer}/elements", most=None)):
        place = f"{pointer}/elements/{index}"
        required = _INLINE.get(str(element.get("type")))
        if required is None:
            checker.error(f"unsupported type: {element.get('type')}", f"{place}/type")
            continue
        checker.string(element.get(required), f"{place}/{required}", 13_200)
        style = element.get("style", {})
        if not isinstance(style, dict) or not style.keys() <= _STYLES:
            checker.error("unexpected style", f"{place}/style")
