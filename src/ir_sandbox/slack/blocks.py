"""Check Block Kit blocks and raise Slack's error messages for invalid blocks.

The limits come from Slack's reference page of each block, element and composition object.
"""

from __future__ import annotations

import copy
import json
from typing import Literal

from ir_sandbox.slack.block_elements import Checker
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.rich_text_elements import check_rich_text
from ir_sandbox.slack.store import random_word

Surface = Literal["message", "modal", "home"]

MOST_BLOCKS = {"message": 50, "modal": 100, "home": 100}
# The sum over all blocks of a message. Undocumented; measured in github.com/slackapi/bolt-js/issues/2509.
MOST_TEXT_OF_A_MESSAGE = 13_200

SECTION_TEXT = 3000
HEADER_TEXT = 150


def check_blocks(value: object, surface: Surface = "message") -> list[Json]:
    """Check blocks and add missing block ids and action ids.

    Args:
        value: The blocks, as a list or as a JSON string.
        surface: Where the blocks are shown; the limits depend on it.

    Returns:
        A checked copy of the blocks.

    Raises:
        SlackError: `invalid_blocks`, `invalid_blocks_format` or `msg_blocks_too_long`.
    """
    blocks = _parse(value)
    checker = Checker()
    if len(blocks) > MOST_BLOCKS[surface]:
        checker.error(f"no more than {MOST_BLOCKS[surface]} items allowed", "/blocks")
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        pointer = f"/blocks/{index}"
        _check_block(checker, block, pointer, surface)
        block_id = block.get("block_id")
        if block_id is None:
            block["block_id"] = random_word(5)
        elif not isinstance(block_id, str) or len(block_id) > 255:
            checker.error("must be less than 256 characters", f"{pointer}/block_id")
        elif block_id in seen:
            checker.error(f"block_id {block_id} already exists", f"{pointer}/block_id")
        else:
            seen.add(block_id)
    if checker.errors:
        raise SlackError(
            "invalid_blocks",
            errors=checker.errors,
            response_metadata={"messages": [f"[ERROR] {message}" for message in checker.errors]},
        )
    if surface == "message" and _characters(blocks) > MOST_TEXT_OF_A_MESSAGE:
        raise SlackError("msg_blocks_too_long")
    return blocks


def _parse(value: object) -> list[Json]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise SlackError("invalid_blocks_format") from None
    if not isinstance(value, list) or not all(isinstance(block, dict) for block in value):
        raise SlackError("invalid_blocks_format")
    return copy.deepcopy(value)


def _characters(value: object) -> int:
    if isinstance(value, dict):
        own = value.get("text")
        return (len(own) if isinstance(own, str) else 0) + sum(
            _characters(part) for part in value.values() if isinstance(part, dict | list)
        )
    return sum(_characters(part) for part in value) if isinstance(value, list) else 0


def _check_block(checker: Checker, block: Json, pointer: str, surface: Surface) -> None:
    kind = block.get("type")
    match kind:
        case "divider":
            pass
        case "section":
            _check_section(checker, block, pointer)
        case "header":
            checker.text(block.get("text"), f"{pointer}/text", HEADER_TEXT, plain=True)
        case "context":
            _check_context(checker, block, pointer)
        case "actions":
            checker.elements(block.get("elements"), f"{pointer}/elements", most=25)
        case "input":
            _check_input(checker, block, pointer)
        case "image":
            _check_image(checker, block, pointer)
        case "rich_text":
            check_rich_text(checker, block, pointer)
        case "markdown" if surface == "message":
            checker.string(block.get("text"), f"{pointer}/text", 12_000)
        case _:
            checker.error(f"unsupported type: {kind}", f"{pointer}/type")


def _check_section(checker: Checker, block: Json, pointer: str) -> None:
    if "text" not in block and "fields" not in block:
        checker.error("missing required field: text", pointer)
    if "text" in block:
        checker.text(block["text"], f"{pointer}/text", SECTION_TEXT)
    if "fields" in block:
        for index, field in enumerate(checker.items(block["fields"], f"{pointer}/fields", most=10)):
            checker.text(field, f"{pointer}/fields/{index}", 2000)
    if "accessory" in block:
        checker.element(block["accessory"], f"{pointer}/accessory")


def _check_context(checker: Checker, block: Json, pointer: str) -> None:
    for index, element in enumerate(checker.items(block.get("elements"), f"{pointer}/elements", most=10)):
        place = f"{pointer}/elements/{index}"
        if element.get("type") == "image":
            _check_image(checker, element, place)
        else:
            checker.text(element, place, SECTION_TEXT)


def _check_input(checker: Checker, block: Json, pointer: str) -> None:
    checker.text(block.get("label"), f"{pointer}/label", 2000, plain=True)
    if "hint" in block:
        checker.text(block["hint"], f"{pointer}/hint", 2000, plain=True)
    checker.element(block.get("element"), f"{pointer}/element")


def _check_image(checker: Checker, block: Json, pointer: str) -> None:
    if "image_url" not in block and "slack_file" not in block:
        checker.error("missing required field: image_url", pointer)
    if "image_url" in block:
        checker.string(block["image_url"], f"{pointer}/image_url", 3000)
    checker.string(block.get("alt_text"), f"{pointer}/alt_text", 2000)
    if "title" in block:
        checker.text(block["title"], f"{pointer}/title", 2000, plain=True)
