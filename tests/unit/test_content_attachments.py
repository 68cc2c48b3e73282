"""Secondary attachments, blocks and complete messages as plain text."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.slack.content import attachments, reader
from ir_router.slack.content.blocks import blocks
from ir_router.slack.content.reading import Reading
from tests.unit.test_content_rich_text import Names

TS = "1392734382.000100"
AT = "2014-02-18 14:39:42 UTC"


def attached(found: dict[str, Any]) -> str:
    return attachments.attachment(found, Reading(Names()))


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


@pytest.mark.parametrize(
    ("found", "forward", "unfurl", "preview"),
    [
        ({"is_share": True, "from_url": "u", "is_msg_unfurl": True}, True, False, False),
        ({"is_msg_unfurl": True, "from_url": "u"}, False, True, False),
        ({"is_msg_unfurl": True}, False, True, False),
        ({"from_url": "u"}, False, True, True),
        ({"original_url": "u"}, False, True, True),
        ({"app_unfurl_url": "u"}, False, True, True),
        ({"is_app_unfurl": True}, False, True, True),
        ({"is_share": "yes", "is_msg_unfurl": "yes"}, False, False, False),
        ({"text": "of an app"}, False, False, False),
    ],
)
def test_given_an_attachment_when_classified_then_forwards_links_and_previews_differ(
    found: dict[str, Any], forward: bool, unfurl: bool, preview: bool
) -> None:
    assert attachments.is_forward(found) is forward
    assert attachments.is_unfurl(found) is unfurl
    assert attachments.is_preview(found) is preview


@pytest.mark.parametrize(
    ("text", "shown", "result"),
    [
        ("", "blocks", "blocks"),
        ("text", " ", "text"),
        ("This content can't be displayed.", "blocks", "blocks"),
        (" [no preview available] ", "", ""),
        ("no preview available", "blocks", "blocks"),
        ("This message contains interactive elements.", "blocks", "blocks"),
        ("Not: no preview available", "", "Not: no preview available"),
        ("Alert fired", "Alert fired on host a", "Alert fired on host a"),
        ("ALERT_fired", "*alert* fired", "*alert* fired"),
        ("one two", "one", "one"),  # half of the words
        ("one two three", "one", "one two three\none"),
        ("one two three four 5", "one two three four", "one two three four 5\none two three four"),
        ("one one one", "one", "one one one\none"),
    ],
)
def test_given_a_text_beside_blocks_when_combined_then_it_is_there_only_with_words_of_its_own(
    text: str, shown: str, result: str
) -> None:
    assert attachments.combined(text, shown) == result


def test_given_an_apps_attachment_when_read_then_every_visible_part_is_there_in_order() -> None:
    found = {
        "pretext": "before <@U1>",
        "author_name": "Bot",
        "author_link": "https://a.example",
        "title": "Title",
        "title_link": "https://t.example",
        "text": "the text",
        "blocks": [{"type": "section", "text": plain("of blocks 1 2 3")}],
        "fields": [{"title": "Host", "value": "a"}, {"value": "no title"}, {"title": "no value"}],
        "actions": [{"text": "Open", "url": "https://o.example"}, {"text": "Ack"}, {"url": "https://n.example"}],
        "image_url": "https://i.example/1.png",
        "footer": "Footer",
        "ts": TS,
        "fallback": "never shown",
    }

    assert attached(found).split("\n") == [
        "before @user U1",
        "Bot (https://a.example)",
        "Title (https://t.example)",
        "the text",
        "of blocks 1 2 3",
        "Host: a",
        "no title",
        "no value",
        "[Open] (https://o.example) [Ack] ",
        "[Image] https://i.example/1.png",
        f"Footer · {AT}",
    ]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"footer": "Footer"}, "Footer"),
        ({"ts": TS, "text": "x"}, "x"),
        ({"image_url": 7, "text": "x"}, "x"),
        ({"fallback": "to <@U1>"}, "to @user U1"),
        ({"fallback": "[no preview available]"}, ""),
        ({"text": "x", "fallback": "other"}, "x"),
    ],
)
def test_given_few_parts_when_read_then_no_empty_part_is_shown(found: dict[str, Any], text: str) -> None:
    assert attached(found) == text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"is_share": True}, "Forwarded message by an unknown author"),
        ({"is_msg_unfurl": True, "author_name": "Ada", "text": "x"}, "Linked message by Ada:\nx"),
        ({"is_share": True, "author_subname": "ada", "author_id": "U1"}, "Forwarded message by ada"),
        ({"is_share": True, "author_id": "U1"}, "Forwarded message by user U1"),
        ({"is_share": True, "author_id": 7}, "Forwarded message by an unknown author"),
        ({"is_share": True, "author_name": "A" * 81},
         f"Forwarded message by {'A' * 54}… (81 characters in total)"),
        (
            {"is_share": True, "author_name": "A\nB", "footer": "Posted in\n#x", "channel_id": "C1", "ts": TS,
             "from_url": "https://f.example", "original_url": "https://g.example"},
            f"Forwarded message by A B (Posted in #x, {AT}, https://f.example)",
        ),
        (
            {"is_share": True, "author_name": "Ada", "channel_name": "ops", "channel_id": "C1",
             "original_url": "https://g.example"},
            "Forwarded message by Ada (posted in #ops, https://g.example)",
        ),
        (
            {"is_share": True, "author_name": "Ada", "footer": "", "channel_id": "C1"},
            "Forwarded message by Ada (posted in #channel-C1)",
        ),
        (
            {"is_share": True, "author_name": "Ada", "pretext": "p", "title": "t", "title_link": "https://t.example",
             "text": "x", "fields": [{"title": "a", "value": "b"}], "footer": "f"},
            "Forwarded message by Ada (f):\np\nt (https://t.example)\nx\na: b",
        ),
    ],
)  # fmt: skip
def test_given_a_message_of_another_place_when_read_then_author_place_time_and_link_are_there(
    found: dict[str, Any], text: str
) -> None:
    assert attached(found) == text


def test_given_messages_in_messages_when_read_then_each_text_is_there_once() -> None:
    found = {
        "is_share": True,
        "author_name": "Ada",
        "text": "outer words",
        "message_blocks": [
            {"message": {"text": "outer words", "attachments": [{"text": "an inner table"}]}},
            {"message": {"text": "more", "blocks": [{"type": "markdown", "text": "more in a block"}]}},
            {"team": "T1"},
        ],
        "attachments": [{"text": "nested"}],
    }

    assert attached(found) == "Forwarded message by Ada:\nouter words\nan inner table\nmore in a block\nnested"


def test_given_files_in_messages_when_listed_then_those_of_seven_levels_are_there() -> None:
    found: dict[str, Any] = {"files": [{"id": "F9"}]}
    for number in range(8, -1, -1):
        nested = "attachments" if number % 2 else "message_blocks"
        found = {"files": [{"id": f"F{number}"}], nested: [found if number % 2 else {"message": found}]}

    assert [file["id"] for file in attachments.files_of(found)] == [f"F{number}" for number in range(7)]


def test_given_files_of_forwards_when_read_then_each_new_one_is_named_once() -> None:
    forward = {"is_share": True, "files": [{"id": "F1"}, {"id": "F2"}, {"id": "F2"}, {"id": ""}, {"id": 7}, {}]}
    content = reader.read({"text": "x", "files": [{"id": "F1"}, {"name": "no id"}], "attachments": [forward]}, Names())

    assert [file["id"] for file in content.files] == ["F1"]
    assert [file["id"] for file in content.forwarded_files] == ["F2"]


def test_given_a_preview_when_read_then_it_counts_only_without_other_content() -> None:
    preview = {"from_url": "https://p.example", "text": "page"}

    assert reader.read({"text": "\nlook\n", "attachments": [preview, {"text": "own"}]}, Names()).text == "look\n\nown"
    assert reader.read({"text": "", "attachments": [preview]}, Names()).text == "page"


def test_given_content_without_text_when_read_then_each_type_is_missing_once() -> None:
    empty = {"type": "hologram", "size": "large"}
    content = reader.read(
        {"blocks": [empty, empty, {"size": "x"}, {"type": "divider", "x": 1}, {"type": "b"}]}, Names()
    )

    assert content.missing == ["hologram", "unknown type"]


AB = [{"text": plain("a")}, {"text": plain("b")}]


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"type": "section", "text": "a plain <@U1>"}, "a plain @user U1"),
        ({"type": "section", "fields": [plain("a"), plain("b")]}, "a\nb"),
        ({"type": "section", "text": {"type": "rich_text", "elements": [{"type": "rich_text_section",
          "elements": [{"type": "text", "text": "x", "style": {"bold": True}}]}]}}, "*x*"),
        ({"type": "context", "elements": [plain("a"), {"type": "image"}, plain("b")]}, "a [Image] b"),
        ({"type": "image", "alt_text": "a &amp; b", "title": plain("a & b"), "slack_file": {"url": "https://s.example"}},
         "[Image: a & b] https://s.example"),
        ({"type": "image", "image_url": "https://i.example", "slack_file": {"url": "no"}}, "[Image] https://i.example"),
        ({"type": "video", "title": plain("t"), "title_url": "https://t.example", "video_url": "https://v.example",
          "description": plain("d"), "author_name": "a", "provider_name": "p"},
         "[Video] t (https://t.example)\nd\na p"),
        ({"type": "input", "label": plain("l"), "hint": plain("h"), "element": {"type": "x", "initial_value": 7}},
         "l: 7\nh"),
        ({"type": "markdown", "text": "**a**"}, "**a**"),
        ({"type": "data_table", "caption": "c", "rows": [
            [{"type": "raw_text", "text": "n"}, {"type": "raw_number", "value": 5},
             {"type": "button", "text": plain("b"), "url": "https://b.example"}]]},
         "c\n| n | 5 | [b] (https://b.example) |\n| --- | --- | --- |"),
        ({"type": "actions", "elements": [{"type": "workflow_button", "text": plain("w")},
          {"type": "icon_button", "text": plain("i")}, {"type": "static_select", "placeholder": plain("p")}]},
         "[w] [i] [p]"),
        ({"type": "actions", "elements": [{"type": "feedback_buttons", "negative_button": {"text": plain("n")}}]},
         "[n]"),
        ({"type": "actions", "elements": [{"type": "radio_buttons", "options": AB,
          "initial_option": {"text": plain("b")}}]}, "[ ] a, [x] b"),
        ({"type": "actions", "elements": [{"type": "checkboxes", "options": AB,
          "initial_options": [{"text": plain("a")}]}]}, "[x] a, [ ] b"),
        ({"type": "actions", "elements": [{"type": "multi_static_select", "placeholder": plain("p"),
          "initial_options": AB}]}, "a, b"),
        ({"type": "new", "title": "t", "items": ["a", {"note": "n"}, ["deep"]], "id": "I1", "color": "red"},
         "t\na\nn\ndeep"),
        ({"type": "new", "points": [{"label": "mon", "value": 7}, {"label": "tue", "value": "sent"}]}, "mon\n7\ntue"),
        ({"type": "new", "rows": [{"type": "raw_number", "value": 5}, {"type": "button", "text": plain("b")},
          {"type": "any", "placeholder": plain("p")}, {"type": "mrkdwn", "text": "<@U1>"}]}, "5\n[b]\n[p]\n@user U1"),
    ],
)  # fmt: skip
def test_given_a_block_when_read_then_its_visible_text_is_there(block: dict[str, Any], text: str) -> None:
    assert blocks([block], Reading(Names())) == text


@pytest.mark.parametrize("name", ["initial_value", "initial_date", "initial_time", "initial_channel", "initial_user"])
def test_given_a_chosen_value_when_read_then_it_is_shown(name: str) -> None:
    element = {"type": "any", name: "chosen", "placeholder": plain("p")}
    assert blocks([{"type": "actions", "elements": [element]}], Reading(Names())) == "chosen"


# Slack's names for appearance and function, which users do not see.
HIDDEN = (
    "type block_id action_id style color level size width align status icon id call_id task_id external_id source "
    "app_id bot_id team_id channel_id user_id value icon_url thumbnail_url provider_icon_url image_url range"
)


def test_given_a_block_of_a_new_type_when_read_then_no_id_and_no_style_is_shown() -> None:
    found = [{"type": "new", name: "hidden", "text": "shown"} for name in HIDDEN.split()]

    assert blocks(found, Reading(Names())) == "\n".join(["shown"] * len(found))


SENT: dict[str, Any] = {"text": "a", "blocks": [{"type": "markdown", "text": "a"}], "files": [{"id": "F1"}]}


@pytest.mark.parametrize(
    ("after", "same"),
    [
        (SENT, True),
        ({**SENT, "reply_count": 2, "reactions": []}, True),
        ({**SENT, "blocks": []}, True),
        ({**SENT, "attachments": [{"from_url": "https://a.example", "text": "page"}]}, True),
        ({**SENT, "attachments": [{"text": "of an app"}]}, False),
        ({**SENT, "text": "b", "blocks": []}, False),
        ({**SENT, "blocks": [{"type": "markdown", "text": "b"}]}, False),
        ({**SENT, "files": [{"id": "F1", "mode": "tombstone"}]}, False),
        ({**SENT, "files": [{"id": "F2"}]}, False),
        ({**SENT, "subtype": "tombstone"}, False),
    ],
)
def test_given_two_versions_when_compared_then_only_what_a_person_wrote_counts(
    after: dict[str, Any], same: bool
) -> None:
    assert reader.is_same_content(reader.fingerprint(SENT), reader.fingerprint(after)) is same
