"""Block Kit blocks as plain text.

All blocks and elements that Slack documents (https://docs.slack.dev/reference/block-kit), and the readable parts of
types that it adds later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ir_router.slack.content.reading import Reading, lines, mapping, mappings, string
from ir_router.slack.content.rich_text import rich_text
from ir_router.slack.content.tables import table
from ir_router.slack.text import link, unescape, utc

_TEXT_OBJECTS = frozenset({"plain_text", "mrkdwn"})
_RAW = frozenset({"raw_text", "raw_number"})
_BUTTONS = frozenset({"button", "workflow_button", "icon_button"})
_LISTED_CHOICES = frozenset({"radio_buttons", "checkboxes"})
_INITIAL = ("initial_option", "initial_value", "initial_date", "initial_time")
# The strings of an unknown block that describe its appearance or function. Users do not see them.
_NOT_SAID = frozenset(
    {
        "type", "block_id", "action_id", "style", "color", "level", "size", "width", "align", "status", "icon", "id",
        "call_id", "task_id", "external_id", "source", "app_id", "bot_id", "team_id", "channel_id", "user_id", "value",
        "icon_url", "thumbnail_url", "provider_icon_url", "image_url", "range",
    }
)  # fmt: skip


_NOT_SAID_ENDINGS = ("_id", "_ids", "_type", "_trace")
# An id in a list without a type, for example of collaborators.
_ID = re.compile(r"[ABCDEFGSTUW][A-Z0-9]{8,20}")


def blocks(found: object, reading: Reading) -> str:
    """Return the text of all blocks, each on a line of its own. Blocks without text go to `reading.missing`."""
    return lines(*(_block(one, reading) for one in mappings(found)))


def _block(block: Mapping[str, Any], reading: Reading) -> str:
    deeper = reading.deeper()
    if deeper is None:
        return ""
    text = _text(block, deeper)
    if not text.strip() and block.get("type") != "divider" and len(block.keys() - {"type", "block_id"}) > 0:
        reading.missing.append(string(block.get("type")) or "unknown type")
    return text


def _text(block: Mapping[str, Any], reading: Reading) -> str:
    match block.get("type"):
        case "divider":
            return ""
        case "rich_text":
            return rich_text(block, reading)
        case "section":
            fields = [reading.text_object(field) for field in mappings(block.get("fields"))]
            return lines(_object(block.get("text"), reading), *fields, _element(block.get("accessory"), reading))
        case "context":
            return " ".join(filter(None, (_element(one, reading) for one in mappings(block.get("elements")))))
        case "actions" | "context_actions":
            return " ".join(filter(None, (_element(one, reading) for one in mappings(block.get("elements")))))
        case "image":
            return _image(block, reading)
        case "call":
            return _call(block)
        case "share_shortcut":
            label, url = string(block.get("button_label")), string(block.get("url"))
            return lines(
                f"[Workflow] {link(url, string(block.get('title')) or label)}", string(block.get("description"))
            )
        case "video":
            title = link(string(block.get("title_url") or block.get("video_url")), _object(block.get("title"), reading))
            source = " ".join(filter(None, (string(block.get("author_name")), string(block.get("provider_name")))))
            return lines(f"[Video] {title}", _object(block.get("description"), reading), source)
        case "input":
            label, hint = _object(block.get("label"), reading), _object(block.get("hint"), reading)
            return lines(f"{label}: {_element(block.get('element'), reading)}", hint)
        case "markdown":
            return reading.mrkdwn(block.get("text"))
        case "table" | "data_table":
            return lines(string(block.get("caption")), table(block.get("rows"), _cell, reading))
        case _:
            return _unknown(block, reading)


def _object(value: object, reading: Reading) -> str:
    """Return a text object, a rich text in its place, or a plain string."""
    if isinstance(value, Mapping) and string(value.get("type")) not in _TEXT_OBJECTS:
        return rich_text(value, reading) if value.get("type") == "rich_text" else _unknown(value, reading)
    return reading.text_object(value) if value else ""


def _cell(cell: Mapping[str, Any], reading: Reading) -> str:
    if string(cell.get("type")) in _RAW:
        return reading.literal(cell.get("text")) or string(cell.get("value"))
    return rich_text(cell, reading) if cell.get("type") == "rich_text" else _element(cell, reading)


def _call(block: Mapping[str, Any]) -> str:
    """Return the call of another app, such as Zoom: https://docs.slack.dev/apis/web-api/using-the-calls-api."""
    call = mapping(mapping(block.get("call")).get("v1"))
    name = string(call.get("name")) or string(call.get("display_id"))
    return f"[Call] {link(string(call.get('join_url')), name)}".rstrip()


def _image(image: Mapping[str, Any], reading: Reading) -> str:
    names = dict.fromkeys((_object(image.get("title"), reading), unescape(string(image.get("alt_text")))))
    url = string(image.get("image_url")) or string(mapping(image.get("slack_file")).get("url"))
    if not url:
        reading.missing.append("image")
    return " ".join(filter(None, (f"[Image: {', '.join(filter(None, names))}]".replace("[Image: ]", "[Image]"), url)))


def _element(value: object, reading: Reading) -> str:
    """Return the visible text of an element: a text, a label with its link, the choice of a menu."""
    element = mapping(value)
    kind = string(element.get("type"))
    if kind in _TEXT_OBJECTS:
        return reading.text_object(element)
    if kind in _BUTTONS:
        url = string(element.get("url"))
        return f"[{_object(element.get('text'), reading)}]" + (f" ({url})" if url else "")
    if kind == "feedback_buttons":
        both = (mapping(element.get(name)).get("text") for name in ("positive_button", "negative_button"))
        return " ".join(f"[{_object(text, reading)}]" for text in both if text)
    if kind == "image":
        return _image(element, reading)
    chosen = [reading.text_object(one.get("text")) for one in mappings(element.get("initial_options"))]
    chosen += [
        reading.text_object(value.get("text")) if isinstance(value, Mapping) else string(value)
        for value in (element.get(name) for name in _INITIAL)
        if value
    ]
    chosen += filter(None, [utc(string(element.get("initial_date_time")))])
    for name in ("user", "channel", "conversation"):
        several = element.get(f"initial_{name}s")
        ids = [element.get(f"initial_{name}"), *(several if isinstance(several, list) else [])]
        chosen += [_name(string(one), reading) for one in ids if string(one)]
    if kind in _LISTED_CHOICES:
        options = [reading.text_object(option.get("text")) for option in mappings(element.get("options"))]
        return ", ".join(f"[{'x' if option in chosen else ' '}] {option}" for option in options)
    if any(chosen):
        return ", ".join(filter(None, chosen))
    if "placeholder" in element:
        return f"[{_object(element.get('placeholder'), reading)}]"
    return _unknown(element, reading)


def _name(slack_id: str, reading: Reading) -> str:
    if slack_id[:1] in ("U", "W"):
        return f"@{reading.lookup.real_name(slack_id)}"
    return f"#{reading.lookup.channel(slack_id)}" if slack_id[:1] in ("C", "G") else slack_id


def _unknown(value: object, reading: Reading) -> str:
    """Return all readable text of a block or element of any type, in the order in which it is written."""
    deeper = reading.deeper()
    if deeper is None:
        return ""
    if isinstance(value, list):
        return lines(*(_known_or_not(one, deeper) for one in value))
    return lines(
        *(
            deeper.mrkdwn(inner) if isinstance(inner, str) else _known_or_not(inner, deeper)
            for name, inner in mapping(value).items()
            if name not in _NOT_SAID
            and not name.endswith(_NOT_SAID_ENDINGS)
            and isinstance(inner, str | Mapping | list)
        ),
        # The value of a chart's data point. A string is the value that an option sends to its app.
        "" if isinstance(number := mapping(value).get("value"), str) else string(number),
    )


def _known_or_not(value: object, reading: Reading) -> str:
    if isinstance(value, str):
        return "" if _ID.fullmatch(value) else reading.mrkdwn(value)
    kind = string(mapping(value).get("type"))
    if kind in _TEXT_OBJECTS:
        return reading.text_object(value)
    if kind in _RAW:
        return _cell(mapping(value), reading)
    if kind in _BUTTONS or "placeholder" in mapping(value):
        return _element(value, reading)
    if isinstance(value, Mapping) and kind:
        return _text(value, reading)
    return _unknown(value, reading)
