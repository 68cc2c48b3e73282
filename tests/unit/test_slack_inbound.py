"""The events that ir-router handles, and the fields that reach the queue."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.slack import inbound

OWN = "A0OWN"
APPROVAL = "0123456789abcdef0123"
SPOKEN: dict[str, Any] = {"type": "message", "channel": "C1", "user": "U1", "text": "x", "ts": "1700000000.000100"}


def edit(before: dict[str, Any], after: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a change of a message."""
    versions = {"message": SPOKEN | after, "previous_message": SPOKEN | before}
    return {"type": "message", "subtype": "message_changed", "channel": "C1", **versions, **more}


def deletion(**previous: Any) -> dict[str, Any]:
    """Return the deletion of a message."""
    return {
        "type": "message",
        "subtype": "message_deleted",
        "channel": "C1",
        "deleted_ts": SPOKEN["ts"],
        "previous_message": SPOKEN | previous,
    }


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        *(
            ({"type": kind}, True)
            for kind in (
                "member_joined_channel",
                "member_left_channel",
                "channel_id_changed",
                "channel_deleted",
                "group_deleted",
                "file_shared",
                "file_deleted",
            )
        ),
        ({"type": "reaction_added", "channel": "C1", "ts": "1.1"}, False),
        ({"type": "app_home_opened", "user": "U1", "tab": "home"}, False),
        ({"type": ["message"], "channel": "C1", "ts": "1.1"}, False),
        (SPOKEN, True),
        *((SPOKEN | {"subtype": kind}, True) for kind in ("", None, "file_share", "thread_broadcast", "me_message")),
        (SPOKEN | {"subtype": "bot_message"}, True),
        *((SPOKEN | {"subtype": kind}, False) for kind in ("channel_join", "channel_topic", 7)),
        (SPOKEN | {"channel": ""}, False),
        *((SPOKEN | {"ts": ts}, False) for ts in (None, "", "1700000000", "17000000000.1", "1.1x", 1.1)),
        *((SPOKEN | {"ts": ts}, True) for ts in ("1.1", "1700000000.123456789")),
        (SPOKEN | {"user": "USLACKBOT"}, False),
        (SPOKEN | {"app_id": OWN}, False),
        (SPOKEN | {"bot_profile": {"app_id": OWN}}, False),
        (SPOKEN | {"app_id": "A0OTHER", "bot_profile": {"app_id": 7}}, True),
        (edit({"text": "a"}, {"text": "b"}), True),
        (edit({"text": "a"}, {"text": "a", "reply_count": 1}), False),
        (edit({"text": "a"}, {"text": "b", "subtype": "channel_topic"}), False),
        (edit({"text": "a"}, {"text": "b", "user": "USLACKBOT"}), False),
        (edit({"text": "a"}, {"text": "a", "subtype": "tombstone"}), True),
        (edit({"text": "a"}, {"text": "", "subtype": "tombstone", "user": "USLACKBOT"}), True),
        (edit({"text": "a"}, {"text": "b", "ts": "x"}), False),
        (edit({}, {}) | {"previous_message": None}, True),
        (edit({}, {}) | {"message": None}, False),
        (edit({"app_id": OWN, "text": "a"}, {"text": "b"}), False),
        (edit({"text": "a"}, {"app_id": OWN, "text": "b"}), False),
        (edit({"app_id": OWN, "text": f"approval {APPROVAL}"}, {"text": "b"}), True),
        (edit({"app_id": OWN, "blocks": [{"value": APPROVAL}]}, {"text": "b"}), True),
        (edit({"app_id": OWN, "text": "approval 0123456789abcdef012"}, {"text": "b"}), False),
        (deletion(), True),
        (deletion(user="USLACKBOT"), False),
        (deletion(subtype="channel_join"), False),
        (deletion() | {"deleted_ts": None}, False),
        (deletion(app_id=OWN), False),
        (deletion(app_id=OWN, text=f"approval {APPROVAL}"), True),
    ],
)
def test_given_an_event_when_it_comes_then_it_is_wanted_or_not(event: dict[str, Any], wanted: bool) -> None:
    assert inbound.is_wanted(event, OWN) is wanted


def test_given_no_app_id_when_a_message_comes_then_it_is_wanted() -> None:
    assert inbound.is_wanted(SPOKEN | {"app_id": ""}, "")


def test_given_a_message_when_trimmed_then_only_the_fields_that_are_read_stay() -> None:
    every = dict.fromkeys(
        (
            "type", "subtype", "channel", "user", "text", "ts", "thread_ts", "bot_id", "app_id", "username",
            "deleted_ts", "event_ts", "team", "user_team", "source_team",
        ),
        "x",
    ) | {"type": "message"}  # fmt: skip
    file = dict.fromkeys(
        (
            "id", "name", "title", "mimetype", "filetype", "size", "mode", "file_access", "is_external",
            "external_url", "permalink",
        ),
        "y",
    )  # fmt: skip
    event = {
        **every,
        "client_msg_id": "z",
        "bot_profile": {"name": "bot", "app_id": "A1", "icons": {}},
        "edited": {"user": "U1"},
        "files": [file | {"thumb_64": "z"}, "broken"],
        "blocks": [{"type": "image", "image_width": 7, "files": [file | {"thumb": 1}]}],
        "attachments": [{"color": "red", "text": "a"}],
    }

    assert inbound.trimmed(event) == {
        **every,
        "bot_profile": {"name": "bot", "app_id": "A1"},
        "edited": {},
        "files": [file],
        "blocks": [{"type": "image", "files": [file]}],
        "attachments": [{"text": "a"}],
    }


@pytest.mark.parametrize(
    "name",
    [
        "author_icon", "bot_id", "callback_id", "color", "footer_icon", "image_bytes", "image_height", "image_width",
        "mrkdwn_in", "service_icon", "thumb_height", "thumb_url", "thumb_width", "video_html",
    ],
)  # fmt: skip
def test_given_a_field_that_no_user_sees_when_trimmed_then_it_is_left_out(name: str) -> None:
    assert inbound.trimmed(SPOKEN | {"attachments": [{name: "x"}]})["attachments"] == [{}]


def test_given_a_change_when_trimmed_then_its_new_version_its_old_files_and_its_approvals_stay() -> None:
    ids = [f"{number:020x}" for number in range(6)]
    event = edit(
        {"files": [{"id": "F1", "thumb": 1}], "text": " ".join(f"approval {one}" for one in reversed(ids))},
        {"text": "b", "client_msg_id": "z"},
    )

    assert inbound.trimmed(event) == {
        "type": "message",
        "subtype": "message_changed",
        "channel": "C1",
        "message": SPOKEN | {"text": "b"},
        "approvals": ids[:5],
        "previous_message": {"ts": SPOKEN["ts"], "files": [{"id": "F1"}]},
    }
    assert "approvals" not in inbound.trimmed(SPOKEN | {"text": f"approval {APPROVAL}"})


def test_given_a_message_that_is_too_long_for_the_queue_when_trimmed_then_its_content_is_read_from_the_history() -> (
    None
):
    overhead = len('[{}, {"blocks": [""]}]') + sum(len(f'"{name}": "{value}", ') for name, value in SPOKEN.items()) - 2
    fits = inbound.trimmed(SPOKEN | {"blocks": ["x" * (200_000 - overhead)]})
    large = inbound.trimmed(SPOKEN | {"blocks": ["x" * (200_001 - overhead)]})

    assert "content_in_history" not in fits
    assert large == SPOKEN | {"text": "", "content_in_history": True}


def test_given_parts_that_are_nested_deep_when_trimmed_then_sixty_levels_are_read() -> None:
    value: Any = "end"
    for _ in range(70):
        value = [value]
    levels, kept = 0, inbound.trimmed(SPOKEN | {"blocks": value})["blocks"]
    while isinstance(kept, list):
        levels, kept = levels + 1, kept[0]
    assert (levels, kept) == (61, None)


@pytest.mark.parametrize(
    ("event", "channel", "kept"),
    [
        (
            {"type": "file_shared", "channel_id": "C2", "file_id": "F1", "x": 1},
            "C2",
            {"channel_id": "C2", "file_id": "F1"},
        ),
        ({"type": "channel_id_changed", "old_channel_id": "C3"}, "C3", {"old_channel_id": "C3"}),
        (
            {"type": "file_deleted", "file_id": "F1", "channel_ids": ["C4", 7, "C5"]},
            "C4",
            {"file_id": "F1", "channel_ids": ["C4", "C5"]},
        ),
        ({"type": "file_deleted", "file_id": "F1", "channel_ids": []}, "F1", {"file_id": "F1"}),
        ({"type": "file_deleted", "channel_ids": "C1"}, "none", {"channel_ids": "C1"}),
    ],
)
def test_given_an_event_of_another_kind_when_trimmed_then_its_texts_and_channels_stay(
    event: dict[str, Any], channel: str, kept: dict[str, Any]
) -> None:
    assert inbound.channel_of(event) == channel
    assert inbound.trimmed(event) == {"type": event["type"], **kept}
    assert len(inbound.channel_ids({"channel_ids": [f"C{number}" for number in range(101)]})) == 100


# The subtypes of https://docs.slack.dev/reference/events/message#subtypes, and those that clients of Slack report.
# They are repeated here, because a misspelled one raises a warning for each message of that kind.
KNOWN_SUBTYPES = (
    "app_conversation_join", "app_conversation_leave", "assistant_app_thread", "bot_add", "bot_disable", "bot_enable",
    "bot_message", "bot_remove", "channel_archive", "channel_canvas_updated", "channel_convert_to_private",
    "channel_convert_to_public", "channel_join", "channel_leave", "channel_name", "channel_posting_permissions",
    "channel_purpose", "channel_topic", "channel_unarchive", "document_mention", "ekm_access_denied", "file_comment",
    "file_mention", "file_share", "group_archive", "group_join", "group_leave", "group_name", "group_purpose",
    "group_topic", "group_unarchive", "huddle_thread", "joiner_notification", "joiner_notification_for_inviter",
    "me_message", "message_changed", "message_deleted", "message_replied", "pinned_item", "reminder_add",
    "reminder_delete", "reply_broadcast", "sh_room_created", "sh_room_shared", "slackbot_response",
    "tabbed_canvas_updated", "thread_broadcast", "tombstone", "unpinned_item",
)  # fmt: skip


@pytest.mark.parametrize("subtype", KNOWN_SUBTYPES)
def test_given_a_subtype_that_slack_documents_when_it_comes_or_changes_then_it_counts_as_known(subtype: str) -> None:
    assert inbound.unknown_subtype(SPOKEN | {"subtype": subtype}) is None
    assert inbound.unknown_subtype(edit({}, {"subtype": subtype})) is None
    assert inbound.unknown_subtype(SPOKEN | {"subtype": f"{subtype}_2"}) == f"{subtype}_2"
    assert inbound.unknown_subtype(edit({}, {"subtype": f"{subtype}_2"})) == f"{subtype}_2"
