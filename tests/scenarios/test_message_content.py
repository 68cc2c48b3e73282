"""R1: every part of a message that a person sees is on the case, once, or is named with a link."""

from __future__ import annotations

from typing import Any

import pytest

from ir_sandbox.slack.people import Person
from tests.support.raw_events import changed, message, send_event
from tests.support.sync import attachments, calls, from_slack, lines_with
from tests.support.world import World

TABLE = {
    "type": "table",
    "rows": [
        [{"type": "raw_text", "text": "host"}, {"type": "raw_text", "text": "port"}],
        [
            {"type": "raw_text", "text": "build-7"},
            {
                "type": "rich_text",
                "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "8443 & 9"}]}],
            },
        ],
    ],
}


def text_of(body: str) -> str:
    """Return the text of a comment from Slack without its frame."""
    return "\n".join(body.split("\n")[1:-2])


def section(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text_section", "elements": list(elements)}


def words(text: str, **style: bool) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"style": style} if style else {})}


def rich(*elements: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "rich_text", "block_id": "r1", "elements": list(elements)}]


def copied(world: World, case_id: str, event: dict[str, Any]) -> str:
    """Send the event and return the text of the newest comment from Slack."""
    before = len(from_slack(world, case_id))
    assert send_event(world, event) == 200
    world.settle()
    bodies = from_slack(world, case_id)
    assert len(bodies) == before + 1
    return text_of(bodies[-1])


def test_given_rich_text_of_every_kind_when_it_is_copied_then_the_comment_reads_as_in_slack(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    group = world.workspace.create_user_group("responders", [jane.id])
    elements = (
        section(
            words("Look "), words("now", bold=True), words(" & "), words("never", strike=True), words(" at "),
            {"type": "link", "url": "https://example.com/a?b=1&c=2", "text": "the page"}, words("\n"),
        ),
        {
            "type": "rich_text_list", "style": "ordered", "indent": 0, "offset": 1,
            "elements": [section(words("second")), section(words("third"))],
        },
        {"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": [section(words("inner"))]},
        {"type": "rich_text_quote", "elements": [words("he said\nso")]},
        {"type": "rich_text_preformatted", "elements": [words("if a < b && c:\n  run()")]},
        section(
            {"type": "user", "user_id": jane.id}, words(" "), {"type": "usergroup", "usergroup_id": group.id},
            words(" "), {"type": "broadcast", "range": "here"}, words(" "), {"type": "channel", "channel_id": channel},
            words(" "), {"type": "emoji", "name": "+1", "skin_tone": 3}, words(" "),
            {"type": "date", "timestamp": 1392734382, "format": "{date}"}, words(" "),
            {"type": "color", "value": "#D00000"},
        ),
    )  # fmt: skip
    name = world.workspace.channel(channel).name

    text = copied(world, case_id, message(world, channel, user=jane.id, text="Look now", blocks=rich(*elements)))

    assert text == (
        "Look *now* & ~never~ at the page (https://example.com/a?b=1&c=2)\n"
        "2. second\n3. third\n    ◦ inner\n> he said\n> so\n```\nif a < b && c:\n  run()\n```\n"
        f"@Jane Smith @responders @here #{name} :+1::skin-tone-3: 2014-02-18 14:39:42 UTC #D00000"
    )


@pytest.mark.parametrize("escaped", [True, False])
def test_given_rich_text_with_or_without_entities_when_it_is_copied_then_the_text_decides(
    world: World, jane: Person, case_id: str, channel: str, escaped: bool
) -> None:
    shown = "a &lt; b" if escaped else "typed &lt;"
    text = "a &lt; b" if escaped else "typed &amp;lt;"
    event = message(world, channel, user=jane.id, text=text, blocks=rich(section(words(shown))))

    assert copied(world, case_id, event) == ("a < b" if escaped else "typed &lt;")


@pytest.mark.parametrize("text", ["Hosts so far:", ""])
def test_given_a_pasted_table_when_it_is_copied_then_every_cell_is_in_the_comment(
    world: World, jane: Person, case_id: str, channel: str, text: str
) -> None:
    pasted = [{"id": 1, "blocks": [TABLE], "fallback": "[no preview available]"}]
    event = message(world, channel, user=jane.id, text=text, attachments=pasted)

    table = "| host | port |\n| --- | --- |\n| build-7 | 8443 & 9 |"
    assert copied(world, case_id, event) == (f"{text}\n{table}" if text else table)


def test_given_a_table_when_a_cell_is_corrected_then_the_comment_is_edited(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    before = message(world, channel, user=jane.id, text="Hosts", attachments=[{"id": 1, "blocks": [TABLE]}])
    copied(world, case_id, before)
    corrected = {**TABLE, "rows": [TABLE["rows"][0], [{"type": "raw_text", "text": "build-8"}]]}
    after = {**before, "attachments": [{"id": 1, "blocks": [corrected]}]}
    send_event(world, changed(world, before, after))
    world.settle()

    (body,) = from_slack(world, case_id)
    assert ", edited (20" in body
    assert "build-8" in body
    assert "build-7" not in body


FORWARD = {
    "ts": "1789996400.000100",
    "is_msg_unfurl": True,
    "is_share": True,
    "from_url": "https://example.slack.com/archives/C0OTHER0001/p1789996400000100",
    "author_id": "U0OTHER0001",
    "author_name": "Ada Green",
    "footer": "Posted in #build",
    "id": 1,
}


def test_given_a_forwarded_message_when_it_is_copied_then_author_place_time_and_words_are_there_once(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    said = "Revoke &lt;all&gt; of it"
    blocks = rich(section(words("Revoke <all> of it")))
    forward = {**FORWARD, "text": said, "fallback": f"[21 Sep] ada: {said}", "message_blocks": [
        {"team": "T1", "channel": "C0OTHER0001", "message": {"blocks": blocks}}
    ]}  # fmt: skip

    text = copied(world, case_id, message(world, channel, user=jane.id, text="", attachments=[forward]))

    assert text == (
        "Forwarded message by Ada Green (Posted in #build, 2026-09-21 13:13:20 UTC, "
        "https://example.slack.com/archives/C0OTHER0001/p1789996400000100):\nRevoke <all> of it"
    )


def test_given_an_apps_alert_when_it_is_forwarded_then_the_comment_has_its_blocks(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Root &amp; key"}},
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": "*Recon* by AKIA123"},
            "fields": [{"type": "mrkdwn", "text": "*Account*\n111122223333"}],
            "accessory": {"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": "https://a.example"},
        },
        {"type": "divider"},
    ]
    forward = {**FORWARD, "text": "", "fallback": "[21 Sep] Alerts: ", "message_blocks": [
        {"message": {"text": "This content can't be displayed.", "blocks": blocks}}
    ]}  # fmt: skip

    text = copied(world, case_id, message(world, channel, user=jane.id, text="look", attachments=[forward]))

    assert text.endswith("):\nRoot & key\n*Recon* by AKIA123\n*Account*\n111122223333\n[Open] (https://a.example)")
    assert text.startswith("look\nForwarded message by Ada Green")


def test_given_a_forwarded_message_with_a_file_when_it_is_copied_then_the_file_is_copied_too(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    other = jane.create_channel("build")
    jane.invite(other, world.app.bot_user_id)
    file_id, ts = jane.upload(other, "keys.txt", b"found keys")

    jane.forward(channel, other, ts, "see")
    world.live(15)

    assert f"📎 keys.txt (attachment keys-{file_id}.txt)" in from_slack(world, case_id)[0]
    assert [one["fileName"] for one in attachments(world, case_id)] == [f"keys-{file_id}.txt"]


def test_given_a_message_of_blocks_only_when_it_is_copied_then_the_comment_has_their_text(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Findings"}},
        {"type": "image", "alt_text": "graph", "title": {"type": "plain_text", "text": "Traffic"},
         "image_url": "https://img.example/1.png"},
        {"type": "context", "elements": [{"type": "image", "alt_text": "logo", "image_url": "https://img.example/2.png"},
                                         {"type": "mrkdwn", "text": "by <@" + jane.id + ">"}]},
        {"type": "markdown", "text": "**loud** [x](https://x.example)"},
        {"type": "video", "title": {"type": "plain_text", "text": "Replay"}, "video_url": "https://v.example",
         "alt_text": "replay", "thumbnail_url": "https://v.example/t.png"},
        {"type": "actions", "elements": [
            {"type": "button", "text": {"type": "plain_text", "text": "Ack"}, "action_id": "a"},
            {"type": "static_select", "placeholder": {"type": "plain_text", "text": "Choose"}, "options": []}]},
        {"type": "input", "label": {"type": "plain_text", "text": "Why"},
         "element": {"type": "plain_text_input", "initial_value": "test"}},
        {"type": "context_actions", "elements": [{"type": "feedback_buttons",
         "positive_button": {"text": {"type": "plain_text", "text": "Good"}, "value": "1"},
         "negative_button": {"text": {"type": "plain_text", "text": "Bad"}, "value": "0"}}]},
        {"type": "brand_new", "headline": {"type": "plain_text", "text": "From next year"}, "rows": [
            {"note": "deep words"}]},
    ]  # fmt: skip

    text = copied(world, case_id, message(world, channel, user=jane.id, text="", blocks=blocks))

    assert text.split("\n") == [
        "Findings",
        "[Image: Traffic, graph] https://img.example/1.png",
        "[Image: logo] https://img.example/2.png by @Jane Smith",
        "**loud** [x](https://x.example)",
        "[Video] Replay (https://v.example)",
        "[Ack] [Choose]",
        "Why: test",
        "[Good] [Bad]",
        "From next year",
        "deep words",
    ]


def test_given_content_without_text_when_it_is_copied_then_the_comment_names_it_with_a_link(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    event = message(world, channel, user=jane.id, text="", blocks=[{"type": "hologram", "size": "large"}])

    text = copied(world, case_id, event)

    assert text.startswith("(In Slack only: content that has no text (hologram). Read it at https://")
    assert channel in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "see  now\n(In Slack only: content that has no text (list_record). Read it at https://"),
        ("see  now", "see  now\n(In Slack only: content that has no text (list_record). Read it at https://"),
        ("see *Row 5* now", "see *Row 5* now"),
        ("see Containment now", "see Containment now"),
    ],
)
def test_given_rich_text_with_an_unknown_element_when_it_is_copied_then_its_words_or_its_type_are_there(
    world: World, jane: Person, case_id: str, channel: str, text: str, expected: str
) -> None:
    unknown = {"type": "list_record", "list_id": "F0LIST00001", "record_id": "Rec001"}
    blocks = rich(section(words("see "), unknown, words(" now")))

    shown = copied(world, case_id, message(world, channel, user=jane.id, text=text, blocks=blocks))

    assert shown.startswith(expected)
    assert ("In Slack only" in shown) == ("In Slack only" in expected)


def test_given_every_form_of_a_mention_when_it_is_copied_then_it_is_readable(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    group = world.workspace.create_user_group("responders", [jane.id])
    text = (
        f"page <!subteam^{group.id}> in <#{channel}|> <!channel> at <!date^1392734382^{{date_num}}|2014-02-18> "
        "or <!date^1392734382^{date_num}> <tel:+15550100|+1 555 0100> <http://example.com|example.com> "
        "<https://example.com/very/long|https://example.com/ve…> 1 &lt; 2 &amp;amp; <b>"
    )

    shown = copied(world, case_id, message(world, channel, user=jane.id, text=text))

    assert shown == (
        f"page @responders in #{world.workspace.channel(channel).name} @channel at 2014-02-18 or "
        "2014-02-18 14:39:42 UTC +1 555 0100 http://example.com https://example.com/very/long 1 < 2 &amp; <b>"
    )


def test_given_a_link_that_unfurls_when_slack_reports_it_then_it_is_no_edit(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    sent = message(world, channel, user=jane.id, text="<https://example.com/x>")
    copied(world, case_id, sent)
    preview = {"id": 1, "from_url": "https://example.com/x", "title": "X", "text": "a page", "fallback": "X"}
    quoted = {**FORWARD, "is_share": False, "text": "quoted words"}
    send_event(world, changed(world, sent, {**sent, "attachments": [preview]}))
    send_event(world, changed(world, None, {**sent, "attachments": [preview, quoted], "reply_count": 2}))
    world.settle()

    (body,) = from_slack(world, case_id)
    assert text_of(body) == "https://example.com/x"
    assert "edited" not in body


def test_given_a_change_without_the_previous_message_when_the_text_is_new_then_it_is_an_edit(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    sent = message(world, channel, user=jane.id, text="old", blocks=rich(section(words("old"))))
    copied(world, case_id, sent)
    plain = {name: value for name, value in sent.items() if name != "blocks"}
    send_event(world, changed(world, None, plain))
    world.settle()
    (unchanged,) = from_slack(world, case_id)
    send_event(world, changed(world, None, {**plain, "text": "new"}))
    world.settle()

    assert "edited" not in unchanged
    (body,) = from_slack(world, case_id)
    assert text_of(body) == "new"
    assert ", edited (" in body


def test_given_a_long_message_with_blocks_when_the_queue_cannot_hold_it_then_it_is_read_from_the_history(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    long = "漢" * 20_000 + " " + "字" * 19_000
    with_rest = long + " end"
    world.wire.calls.clear()
    ts = jane.post(channel, with_rest)
    world.settle()

    assert "conversations.history" in calls(world, "slack")
    bodies = from_slack(world, case_id)
    assert "".join(text_of(body) for body in bodies) == with_rest
    assert all(f"(Slack {channel}/{ts}" in body for body in bodies)
    assert lines_with(world, case_id, "漢漢漢") == []
