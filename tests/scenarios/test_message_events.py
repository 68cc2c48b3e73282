"""R1, R7: which messages and changes are copied, in the order and the forms in which Slack sends them."""

from __future__ import annotations

from typing import Any

import pytest

from ir_sandbox.slack.faults import Fault
from ir_sandbox.slack.people import Person
from tests.support.raw_events import changed, message, send_event
from tests.support.sync import attachments, configured, from_slack, lines_with
from tests.support.world import World

HOUSEKEEPING = (
    "bot_add", "bot_remove", "channel_archive", "channel_canvas_updated", "channel_convert_to_private",
    "channel_convert_to_public", "channel_join", "channel_leave", "channel_name",
    "channel_posting_permissions", "channel_purpose", "channel_topic", "channel_unarchive",
    "ekm_access_denied", "group_archive", "group_join", "group_leave", "group_name", "group_purpose",
    "group_topic", "group_unarchive", "huddle_thread", "message_replied", "pinned_item", "unpinned_item",
    "reminder_add", "reply_broadcast", "sh_room_created", "tabbed_canvas_updated",
)  # fmt: skip


def text_of(body: str) -> str:
    """Return the text of a comment from Slack without its frame."""
    return "\n".join(body.split("\n")[1:-2])


def test_given_slacks_own_notices_when_they_are_sent_or_changed_then_the_case_has_no_comment(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    for subtype in HOUSEKEEPING:
        notice = message(world, channel, user=jane.id, subtype=subtype, text=f"{subtype} a")
        statuses = [
            send_event(world, notice),
            send_event(world, changed(world, notice, {**notice, "text": f"{subtype} b"})),
            send_event(world, changed(world, None, {**notice, "text": f"{subtype} c"})),
        ]
        assert statuses == [200, 200, 200], subtype
    world.settle()

    assert from_slack(world, case_id) == []


def test_given_a_subtype_that_slack_has_not_documented_when_it_comes_then_only_the_log_has_it(
    world: World, jane: Person, case_id: str, channel: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ir-router")
    posted = message(world, channel, user=jane.id, subtype="of_next_year", text="words")
    send_event(world, posted)
    send_event(world, changed(world, None, posted))
    send_event(world, message(world, channel, user=jane.id, subtype="channel_join", text="words"))
    world.settle()

    found = [one for one in caplog.records if one.getMessage().startswith("slack.subtype_unknown")]
    assert [(one.levelname, getattr(one, "subtype", None)) for one in found] == [("WARNING", "of_next_year")] * 2
    assert from_slack(world, case_id) == []


def test_given_slackbot_when_it_posts_then_nothing_is_copied(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    with configured(world, IR_MIRROR_BOTS="true"):
        posted = message(world, channel, user="USLACKBOT", text="I can help")
        send_event(world, posted)
        send_event(world, changed(world, None, {**posted, "text": "I can help!"}))
        world.settle()

    assert from_slack(world, case_id) == []


def test_given_edits_that_arrive_before_their_message_when_their_order_is_reversed_then_the_newest_stays(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    posted = message(world, channel, user=jane.id, text="first words")
    edits = [
        changed(world, posted, {**posted, "text": text, "edited": {"user": jane.id, "ts": posted["ts"]}})
        for text in ("second words", "third words")
    ]
    for event in (*reversed(edits), posted):
        send_event(world, event)
        world.settle()

    (body,) = from_slack(world, case_id)
    assert text_of(body) == "third words"
    assert ", edited" in body.split("\n")[0]


@pytest.mark.parametrize("tombstone", [False, True])
def test_given_a_deletion_when_the_message_arrives_after_it_then_there_is_no_comment(
    world: World, jane: Person, case_id: str, channel: str, tombstone: bool
) -> None:
    late = message(world, channel, user=jane.id, text="wrong channel")
    if tombstone:
        gone = {**late, "subtype": "tombstone", "user": "USLACKBOT", "text": "This message was deleted."}
        send_event(world, changed(world, late, gone))
    else:
        deleted = message(world, channel, subtype="message_deleted", deleted_ts=late["ts"], previous_message=late)
        send_event(world, deleted)
    world.settle()
    send_event(world, late, headers={"X-Slack-Retry-Num": "2", "X-Slack-Retry-Reason": "http_timeout"})
    send_event(world, changed(world, late, {**late, "text": "wrong channel, sorry"}))
    world.settle()

    assert from_slack(world, case_id) == []


def test_given_a_deleted_message_when_an_older_edit_arrives_then_the_mark_stays(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    sent = message(world, channel, user=jane.id, text="first")
    edit = changed(world, sent, {**sent, "text": "second"})
    send_event(world, sent)
    world.settle()
    send_event(world, message(world, channel, subtype="message_deleted", deleted_ts=sent["ts"], previous_message=sent))
    world.settle()
    send_event(world, edit)
    world.settle()

    (body,) = from_slack(world, case_id)
    assert "(This message was deleted in Slack.)" in body


def test_given_a_reply_when_its_parent_is_a_tombstone_then_slackbot_is_not_named(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    ts = jane.post(channel, "the question")
    jane.post(channel, "one", thread_ts=ts)
    jane.delete(channel, ts)
    jane.post(channel, "two", thread_ts=ts)
    world.settle()

    *_, body = from_slack(world, case_id)
    assert ", in reply to a message that was deleted in Slack (" in body
    assert "slackbot" not in "".join(from_slack(world, case_id)).lower()


def test_given_a_file_when_it_is_deleted_in_slack_then_the_comment_notes_it_and_names_the_copy(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    file_id, _ = jane.upload(channel, "secret.txt", b"12345", text="the log")
    world.settle()
    world.live(2)
    jane.delete_file(file_id)
    world.settle()

    (body,) = from_slack(world, case_id)
    stored = f"secret-{file_id}.txt"
    assert f"the log\n📎 secret.txt (deleted in Slack; the copy on the case stays: attachment {stored})" in body
    assert [one["fileName"] for one in attachments(world, case_id)] == [stored]


@pytest.mark.parametrize("names_channels", [False, True])
@pytest.mark.parametrize("text", ["the log", ""])
def test_given_a_deleted_file_when_slack_sends_only_its_own_event_then_the_comment_notes_it_and_is_not_edited(
    world: World, jane: Person, case_id: str, channel: str, names_channels: bool, text: str
) -> None:
    file_id, _ = jane.upload(channel, "secret.txt", b"12345", text=text)
    world.settle()
    event: dict[str, Any] = {"type": "file_deleted", "file_id": file_id, "event_ts": "1790000000.000009"}
    send_event(world, event | ({"channel_ids": ["C0OTHER01", channel]} if names_channels else {}))
    send_event(world, event | {"file_id": "F0UNKNOWN1"})
    world.settle()

    (body,) = from_slack(world, case_id)
    assert body.startswith("[Slack Update] Jane Smith (")
    assert f"📎 secret.txt (deleted in Slack; the copy on the case stays: attachment secret-{file_id}.txt)" in body


@pytest.mark.parametrize("edited", [False, True])
def test_given_two_files_when_both_are_deleted_then_only_a_message_that_was_edited_is_headed_so(
    world: World, jane: Person, case_id: str, channel: str, edited: bool
) -> None:
    _, ts = jane.upload_several(channel, {"a.txt": b"first", "b.txt": b"second"}, text="logs")
    world.settle()
    if edited:
        jane.edit(channel, ts, "both logs")
        world.settle()
    shown = next(one for one in world.workspace.channel_messages(channel) if one["ts"] == ts)
    for file in shown["files"]:
        jane.delete_file(file["id"])
        world.settle()

    (body,) = from_slack(world, case_id)
    assert body.startswith("[Slack Update] Jane Smith (")
    assert (f", {jane.id}), edited (20" in body) == edited
    assert body.count("(deleted in Slack; the copy on the case stays: attachment ") == 2


def test_given_a_link_to_a_canvas_when_slack_adds_the_file_to_the_message_then_it_is_named_and_is_no_edit(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    link = "https://example.slack.com/docs/T0EXAMPLE1/F0EXAMPLE9"
    posted = message(world, channel, user=jane.id, text=f"plan: <{link}>")
    canvas = {"id": "F0EXAMPLE9", "name": "Runbook", "title": "Runbook", "mode": "quip", "permalink": link}
    send_event(world, posted)
    world.settle()
    send_event(world, changed(world, posted, {**posted, "files": [canvas]}))
    world.settle()

    (body,) = from_slack(world, case_id)
    assert text_of(body) == f"plan: {link}\n📎 Runbook (in Slack only: a canvas: {link})"
    assert ", edited" not in body


def test_given_a_user_whom_slack_does_not_show_to_the_app_when_they_write_then_the_name_in_the_message_is_taken(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    known = {"avatar_hash": "g1", "display_name": "vera", "real_name": "Vera\nVendor", "team": "T0OTHER01"}
    for user, profile in (("U0UNSEEN1", known), ("U0UNSEEN2", {}), (jane.id, {"real_name": "Mallory"})):
        send_event(world, message(world, channel, user=user, text="hello", user_profile=profile))
        world.settle()

    heads = [body.split("\n")[0].partition(" (20")[0] for body in from_slack(world, case_id)]
    assert heads == [
        "[Slack Update] Vera Vendor (U0UNSEEN1)",
        "[Slack Update] U0UNSEEN2",
        f"[Slack Update] Jane Smith ({jane.user.email}, {jane.id})",
    ]


@pytest.mark.parametrize("mirrored", [False, True])
def test_given_an_app_when_it_posts_with_a_users_token_then_the_message_is_the_users(
    world: World, jane: Person, case_id: str, channel: str, mirrored: bool
) -> None:
    with configured(world, IR_MIRROR_BOTS=str(mirrored).lower()):
        event = message(
            world, channel, user=jane.id, text="from my phone", bot_id="B0OTHER01", app_id="A0OTHER01",
            bot_profile={"id": "B0OTHER01", "app_id": "A0OTHER01", "name": "Client"},
        )  # fmt: skip
        send_event(world, event)
        world.settle()

    (body,) = from_slack(world, case_id)
    assert body.startswith("[Slack Update] Jane Smith (")
    assert text_of(body) == "from my phone"


def test_given_the_apps_own_messages_when_slack_sends_them_in_any_form_then_none_is_copied(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    app = world.app
    with configured(world, IR_MIRROR_BOTS="true"):
        forms: list[dict[str, Any]] = [
            {"user": app.bot_user_id, "bot_id": app.bot_id, "app_id": app.app_id},
            {"user": app.bot_user_id, "bot_id": app.bot_id},
            {"user": app.bot_user_id},
            {"user": jane.id, "bot_id": app.bot_id},
            {"subtype": "bot_message", "bot_id": app.bot_id},
            {"subtype": "bot_message", "bot_id": app.bot_id, "username": "Security IR"},
            {"bot_id": app.bot_id, "bot_profile": {"app_id": app.app_id, "name": "ir-router"}},
        ]
        for form in forms:
            own = message(world, channel, text="my own words", **form)
            send_event(world, own)
            send_event(world, changed(world, None, {**own, "text": "my own new words"}))
        world.settle()

    assert from_slack(world, case_id) == []


def test_given_what_the_app_posted_and_shared_when_its_author_cannot_be_told_then_the_ledger_knows_it(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.security_ir.add_comment_as(case_id, body="seen in use")
    world.security_ir.add_attachment_as(case_id, file_name="report.pdf", content=b"pdf")
    world.live(2)
    own = [one for one in world.workspace.channel_messages(channel) if one.get("bot_id") == world.app.bot_id]
    assert [file["name"] for one in own for file in one.get("files", [])] == ["report.pdf"]
    for method in ("users.info", "auth.test"):
        world.workspace.faults.add(Fault(method, "error", times=None, error="team_access_not_granted"))
    for one in own:
        kept = {name: one[name] for name in ("text", "blocks", "files", "ts") if name in one}
        send_event(world, message(world, channel, user="U0NOBODY01") | kept)
        send_event(world, message(world, channel, subtype="bot_message", bot_id="B0NOBODY01") | kept)
    send_event(world, message(world, channel, user="U0NOBODY02", text="a real message"))
    with configured(world, IR_MIRROR_BOTS="true"):
        world.settle()

    (body,) = from_slack(world, case_id)
    assert text_of(body) == "a real message"


def test_given_a_post_without_an_answer_when_its_event_names_no_known_author_then_it_waits_for_the_ledger(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.workspace.faults.add(Fault("chat.postMessage", "answer_lost"))
    world.security_ir.add_comment_as(case_id, body="seen in use")
    world.settle(patience=5)
    (own,) = [one for one in world.workspace.channel_messages(channel) if "seen in use" in str(one)]
    world.workspace.faults.add(Fault("users.info", "error", times=None, error="team_access_not_granted"))
    kept = {name: own[name] for name in ("text", "blocks", "ts")}
    send_event(world, message(world, channel, user="U0NOBODY01") | kept)
    world.advance(2)
    send_event(world, message(world, channel, user="U0NOBODY02", text="a real message"))
    world.settle(patience=5)
    assert from_slack(world, case_id) == []

    world.live(10)
    (body,) = from_slack(world, case_id)
    assert text_of(body) == "a real message"
    assert len(lines_with(world, case_id, "seen in use")) == 1


BOTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "pull request": (
        {
            "bot_profile": {"name": "GitHub", "app_id": "A0OTHER01"},
            "text": "",
            "attachments": [
                {
                    "id": 1,
                    "fallback": "[acme/shop] Pull request opened by ada",
                    "pretext": "Pull request opened by <https://github.com/ada|ada>",
                    "title": "#12 Rotate &lt;old&gt; keys",
                    "title_link": "https://github.com/acme/shop/pull/12",
                    "text": "Removes *two* keys",
                    "fields": [{"title": "Reviewers", "value": "bob", "short": True}],
                    "footer": "<https://github.com/acme/shop|acme/shop>",
                }
            ],
        },
        (
            "Pull request opened by ada (https://github.com/ada)",
            "#12 Rotate <old> keys (https://github.com/acme/shop/pull/12)",
            "Removes *two* keys",
            "Reviewers: bob",
            "acme/shop (https://github.com/acme/shop)",
        ),
    ),
    "page": (
        {
            "username": "Pager",
            "text": "Triggered: root key used",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": "Incident 17"}},
                {"type": "section", "text": {"type": "mrkdwn", "text": "*Triggered:* root key used"}},
                {"type": "context", "elements": [{"type": "mrkdwn", "text": "Service: accounts"}]},
            ],
        },
        ("Incident 17", "*Triggered:* root key used", "Service: accounts"),
    ),
    "monitor": (
        {
            "username": "Monitors",
            "text": "",
            "attachments": [
                {
                    "id": 1,
                    "blocks": [
                        {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Metric*\nsign-ins"},
                                                       {"type": "plain_text", "text": "value 7"}]},
                    ],
                    "fallback": "[no preview available]",
                }
            ],
        },
        ("*Metric*", "sign-ins", "value 7"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOTS)
def test_given_mirrored_bots_when_they_post_then_title_fields_text_and_name_arrive_once(
    world: World, jane: Person, case_id: str, channel: str, kind: str
) -> None:
    fields, expected = BOTS[kind]
    with configured(world, IR_MIRROR_BOTS="true"):
        ids = {"subtype": "bot_message", "bot_id": "B0OTHER01", "app_id": "A0OTHER01"}
        send_event(world, message(world, channel, **ids, **fields))
        world.settle()

    (body,) = from_slack(world, case_id)
    assert text_of(body).split("\n") == list(expected)
    assert body.startswith(f"[Slack Update] {fields.get('username') or fields['bot_profile']['name']} (")
    assert lines_with(world, case_id, expected[0]) == []
