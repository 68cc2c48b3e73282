"""Block Kit's limits in the local Slack: the accepted blocks, and the messages of `invalid_blocks`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ir_sandbox.slack.model import Json
from ir_sandbox.slack.testing import LocalSlack, error_of, local_slack

DIVIDER = {"type": "divider"}
INPUT = {"type": "plain_text_input", "action_id": "a"}


@pytest.fixture(scope="module")
def slack() -> Iterator[LocalSlack]:
    with local_slack() as running:
        running.client().conversations_create(name="c")
        yield running


def plain(text: str = "x") -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = "x") -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str = "x", **fields: object) -> Json:
    return {"type": "section", "text": mrkdwn(text), **fields}


def button(**fields: object) -> Json:
    return {"type": "button", "text": plain(), "action_id": "a", **fields}


def select(**fields: object) -> Json:
    return {"type": "static_select", "action_id": "s", "options": [{"text": plain(), "value": "v"}], **fields}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


CONFIRM = {"title": plain(), "text": plain(), "confirm": plain(), "deny": plain()}
GOOD = {
    "50 blocks": [DIVIDER] * 50,
    "section text 3,000": [section("x" * 3000)],
    "section fields": [{"type": "section", "fields": [mrkdwn("x" * 2000)] * 5}],
    "header 150": [{"type": "header", "text": plain("x" * 150)}],
    "button value 2,000": [actions(button(value="x" * 2000, style="danger", confirm=CONFIRM))],
    "25 elements": [actions(*(button(action_id=str(number)) for number in range(25)))],
    "context": [
        {"type": "context", "elements": [mrkdwn(), {"type": "image", "image_url": "https://e", "alt_text": "e"}]}
    ],
    "accessory": [section(accessory=select(placeholder=plain(), initial_option={"text": plain(), "value": "v"}))],
    "groups of options": [
        actions(
            {
                "type": "static_select",
                "action_id": "a",
                "option_groups": [{"label": plain(), "options": select()["options"]}],
            }
        )
    ],
    "overflow": [section(accessory={"type": "overflow", "options": select()["options"]})],
    "image": [{"type": "image", "image_url": "https://e.example/i.png", "alt_text": "i", "title": plain()}],
    "input": [{"type": "input", "label": plain(), "hint": plain(), "element": {**INPUT, "max_length": 3000}}],
    "pickers": [actions({"type": "users_select", "action_id": "u"}, {"type": "datepicker", "action_id": "d"})],
    "markdown": [{"type": "markdown", "text": "**x**"}],
    "rich text": [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]}],
}
BAD = {
    "51 blocks": ([DIVIDER] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
    "section text 3,001": (
        [section("x" * 3001)],
        "must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
    ),
    "empty section text": ([section("")], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
    "section without text": ([{"type": "section"}], "missing required field: text [json-pointer:/blocks/0]"),
    "text is no object": ([{"type": "section", "text": "x"}], "must be an object [json-pointer:/blocks/0/text]"),
    "11 fields": (
        [{"type": "section", "fields": [mrkdwn()] * 11}],
        "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
    ),
    "header 151": (
        [{"type": "header", "text": plain("x" * 151)}],
        "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
    ),
    "header in mrkdwn": (
        [{"type": "header", "text": mrkdwn()}],
        "must be a valid enum value: plain_text [json-pointer:/blocks/0/text/type]",
    ),
    "button value 2,001": (
        [actions(button(value="x" * 2001))],
        "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
    ),
    "button text 76": (
        [actions(button(text=plain("x" * 76)))],
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
    ),
    "button style": (
        [actions(button(style="green"))],
        "must be a valid enum value: primary, danger [json-pointer:/blocks/0/elements/0/style]",
    ),
    "26 elements": (
        [actions(*(button(action_id=str(number)) for number in range(26)))],
        "no more than 25 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "no elements": ([actions()], "no fewer than 1 items allowed [json-pointer:/blocks/0/elements]"),
    "same action_id": (
        [actions(button(), button())],
        "`action_id` a already exists [json-pointer:/blocks/0/elements/1/action_id]",
    ),
    "same block_id": (
        [{**DIVIDER, "block_id": "b"}, {**DIVIDER, "block_id": "b"}],
        "block_id b already exists [json-pointer:/blocks/1/block_id]",
    ),
    "block_id 256": (
        [{**DIVIDER, "block_id": "b" * 256}],
        "must be less than 256 characters [json-pointer:/blocks/0/block_id]",
    ),
    "action_id 256": (
        [actions(button(action_id="b" * 256))],
        "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]",
    ),
    "option value 151": (
        [actions(select(options=[{"text": plain(), "value": "v" * 151}]))],
        "must be less than 151 characters [json-pointer:/blocks/0/elements/0/options/0/value]",
    ),
    "101 options": (
        [actions(select(options=select()["options"] * 101))],
        "no more than 100 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    "initial option": (
        [actions(select(initial_option={"text": plain(), "value": "other"}))],
        "initial_option does not match any of the options [json-pointer:/blocks/0/elements/0/initial_option]",
    ),
    "confirm": (
        [actions(button(confirm={**CONFIRM, "text": plain("x" * 301)}))],
        "must be less than 301 characters [json-pointer:/blocks/0/elements/0/confirm/text/text]",
    ),
    "context 11": (
        [{"type": "context", "elements": [mrkdwn()] * 11}],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "image without alt_text": (
        [{"type": "image", "image_url": "https://e.example"}],
        "missing required field: alt_text [json-pointer:/blocks/0]",
    ),
    "unknown element": (
        [actions({"type": "slider", "action_id": "a"})],
        "unsupported type: slider [json-pointer:/blocks/0/elements/0/type]",
    ),
    "input without label": (
        [{"type": "input", "element": INPUT}],
        "missing required field: label [json-pointer:/blocks/0]",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_given_blocks_within_the_limits_when_posted_then_accepted(slack, name):
    assert slack.client().chat_postMessage(channel="c", text="x", blocks=GOOD[name])["ok"]


@pytest.mark.parametrize("name", BAD)
def test_fact_limits_of_blocks(slack, name):
    """PLATFORM_FACTS: section text 3,000; 50 blocks; header 150; button value 2,000 (others: Slack's reference)."""
    blocks, message = BAD[name]
    answer = error_of(slack.client().chat_postMessage, channel="c", text="x", blocks=blocks)
    assert answer["error"] == "invalid_blocks"
    assert message in answer["errors"]
    assert f"[ERROR] {message}" in answer["response_metadata"]["messages"]


def test_given_much_text_in_many_blocks_when_posted_then_msg_blocks_too_long(slack):
    answer = error_of(slack.client().chat_postMessage, channel="c", text="x", blocks=[section("x" * 3000)] * 5)
    assert answer["error"] == "msg_blocks_too_long"
