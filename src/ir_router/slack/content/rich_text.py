"""Rich text as plain text, in the form of Slack's own `text` of the same message.

Elements: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.slack.content.reading import Reading, mapping, mappings, string
from ir_router.slack.text import link, utc

_BULLETS = ("•", "◦", "▪︎")
_INDENT = "    "
# The order in which Slack nests the marks of a styled text.
_MARKS = (("code", "`"), ("strike", "~"), ("italic", "_"), ("bold", "*"))
# The values of an unknown element that a person would see, in this order.
_VISIBLE = ("text", "fallback", "label", "title", "name", "value", "url")


def rich_text(block: Mapping[str, Any], reading: Reading) -> str:
    """Return a `rich_text` block: each section, list, quotation and code block starts on a line of its own."""
    parts = (_part(part, reading) for part in mappings(block.get("elements")))
    return "\n".join(part for part in parts if part is not None)


def _part(part: Mapping[str, Any], reading: Reading) -> str | None:
    match part.get("type"):
        case "rich_text_list":
            text = _list(part, reading)
        case "rich_text_quote":
            return _quoted(_inline(part, reading))
        case "rich_text_preformatted":
            text = f"```\n{_inline(part, reading, styled=False)}\n```"
        case _:
            return _inline(part, reading) if "elements" in part else _one(part, reading, styled=True)
    # A list or code with a border is part of a quotation.
    return _quoted(text) if part.get("border") else text


def _inline(part: Mapping[str, Any], reading: Reading, *, styled: bool = True) -> str:
    """Return the inline elements of a part without the line end that starts the next part."""
    text = "".join(_one(element, reading, styled=styled) for element in mappings(part.get("elements")))
    return text.removesuffix("\n")


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.split("\n"))


def _list(part: Mapping[str, Any], reading: Reading) -> str:
    indent, offset = _number(part.get("indent")), _number(part.get("offset"))
    ordered = part.get("style") == "ordered"
    items = []
    for index, item in enumerate(mappings(part.get("elements")), start=offset + 1):
        mark = f"{_ordinal(index, indent)}." if ordered else _BULLETS[min(indent, len(_BULLETS) - 1)]
        text = _part(item, reading) or ""
        items.append(f"{_INDENT * indent}{mark} " + text.replace("\n", f"\n{_INDENT * indent}{' ' * (len(mark) + 1)}"))
    return "\n".join(items)


def _number(value: object) -> int:
    return min(value, 100_000) if isinstance(value, int) and value > 0 else 0


def _ordinal(number: int, indent: int) -> str:
    """Return Slack's number of an item: 1, 2 on the first level, a, b on the second, i, ii on the third."""
    if indent % 3 == 1:
        letters = ""
        while number > 0:
            number, letter = divmod(number - 1, 26)
            letters = chr(ord("a") + letter) + letters
        return letters
    if indent % 3 == 2 and number < 4000:
        roman = ""
        for value, sign in zip(
            (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
            ("m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"),
            strict=True,
        ):
            roman += sign * (number // value)
            number %= value
        return roman
    return str(number)


def _one(element: Mapping[str, Any], reading: Reading, *, styled: bool) -> str:
    text = _plain(element, reading)
    if not styled:
        return text
    style = mapping(element.get("style"))
    core = text.strip()
    if not core or "\n" in core:
        return text
    marked = core
    for name, mark in _MARKS:
        if style.get(name) is True:
            marked = f"{mark}{marked}{mark}"
    return text.replace(core, marked, 1)


def _plain(element: Mapping[str, Any], reading: Reading) -> str:
    lookup = reading.lookup
    match element.get("type"):
        case "text":
            return reading.literal(element.get("text"))
        case "link":
            return link(reading.literal(element.get("url")), reading.literal(element.get("text")))
        case "user":
            return "@" + lookup.real_name(string(element.get("user_id")))
        case "usergroup":
            return "@" + lookup.group(string(element.get("usergroup_id"))).removeprefix("@")
        case "channel":
            return "#" + lookup.channel(string(element.get("channel_id")))
        case "team":
            return "@" + string(element.get("team_id"))
        case "broadcast":
            return "@" + string(element.get("range"))
        case "emoji":
            tone = element.get("skin_tone")
            return f":{string(element.get('name'))}:" + (f":skin-tone-{tone}:" if isinstance(tone, int) else "")
        case "date":
            return string(element.get("fallback")) or utc(string(element.get("timestamp")))
        case "color":
            return string(element.get("value"))
        case _:
            if "elements" in element:
                deeper = reading.deeper()
                return _inline(element, deeper) if deeper else ""
            return _unknown(element, reading)


def _unknown(element: Mapping[str, Any], reading: Reading) -> str:
    """Return the visible text of an element of another type. One without text goes to `reading.missing`."""
    text = next((text for name in _VISIBLE if (text := reading.text_object(element.get(name)))), "")
    if not text:
        reading.missing.append(string(element.get("type")) or "unknown type")
    return text
