"""The bookmarks of channels, by the rules of https://docs.slack.dev/reference/methods/bookmarks.add."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from ir_sandbox.slack import Person
from ir_sandbox.slack.testing import LocalSlack

LINK = "https://example.com/case"


def add(client: WebClient, channel: str, **changes: Any) -> dict[str, Any]:
    fields = {"title": "Case", "type": "link", "link": LINK, **changes}
    answer: Any = client.bookmarks_add(channel_id=channel, **fields).data
    return dict(answer["bookmark"])


def listed(client: WebClient, channel: str) -> list[tuple[str, str]]:
    return [(one["title"], one["link"]) for one in client.bookmarks_list(channel_id=channel)["bookmarks"]]


def test_given_a_channel_when_bookmarks_are_added_edited_and_removed_then_the_list_shows_it(
    client: WebClient, channel: str
) -> None:
    first, second = add(client, channel), add(client, channel, title="Report")
    assert add(client, channel)["id"] not in (first["id"], second["id"])  # Slack accepts the same link again
    client.bookmarks_edit(channel_id=channel, bookmark_id=second["id"], link="https://example.org")
    client.bookmarks_remove(channel_id=channel, bookmark_id=first["id"])
    assert listed(client, channel) == [("Report", "https://example.org"), ("Case", LINK)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"link": "ftp://example.com"}, "invalid_link"),
        ({"link": None}, "invalid_link"),
        ({"type": "file"}, "invalid_bookmark_type"),
        ({"emoji": "no emoji"}, "invalid_emoji"),
    ],
)
def test_given_an_invalid_bookmark_when_added_then_it_is_refused(
    client: WebClient, channel: str, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(SlackApiError, match=code):
        add(client, channel, **changes)


def test_given_100_bookmarks_or_an_unknown_one_when_called_then_it_is_refused(
    slack: LocalSlack, client: WebClient, channel: str
) -> None:
    with pytest.raises(SlackApiError, match="not_found"):
        client.bookmarks_edit(channel_id=channel, bookmark_id="Bk1", title="x")
    bookmark = add(client, channel)
    slack.workspace.store.channels[channel].bookmarks *= 100
    with pytest.raises(SlackApiError, match="too_many_bookmarks"):
        add(client, channel)
    client.conversations_archive(channel=channel)
    with pytest.raises(SlackApiError, match="is_archived"):
        client.bookmarks_remove(channel_id=channel, bookmark_id=bookmark["id"])


def test_given_bookmarks_of_the_app_and_of_a_user_when_listed_then_each_has_the_user_that_changed_it_last(
    slack: LocalSlack, client: WebClient, channel: str, jane: Person
) -> None:
    app_user = str(client.auth_test()["user_id"])
    added, changed = add(client, channel), add(client, channel)
    own = jane.add_bookmark(channel, "Case", LINK)
    jane.edit_bookmark(channel, changed["id"], title="Notes")
    listed_ones = client.bookmarks_list(channel_id=channel)["bookmarks"]
    assert [(one["id"], one["last_updated_by_user_id"], one["app_id"]) for one in listed_ones] == [
        (added["id"], app_user, None),
        (changed["id"], jane.id, None),
        (own, jane.id, None),
    ]
    jane.remove_bookmark(channel, added["id"])
    assert [title for title, _ in listed(client, channel)] == ["Notes", "Case"]


@pytest.mark.parametrize(
    ("quirk", "code", "is_added"),
    [
        ("bookmarks.full", "too_many_bookmarks", False),
        ("bookmarks.not_available", "not_implemented", False),
        ("bookmarks.permission_denied", "permission_denied", False),
        ("bookmarks.fails_after_effect", "fatal_error", True),
    ],
)
def test_given_a_quirk_of_bookmarks_when_one_is_added_then_slack_returns_its_code(
    slack: LocalSlack, client: WebClient, channel: str, quirk: str, code: str, is_added: bool
) -> None:
    slack.workspace.store.quirks.turn_on([quirk])
    with pytest.raises(SlackApiError, match=code):
        add(client, channel)
    slack.workspace.store.quirks.turn_all_off()
    assert listed(client, channel) == ([("Case", LINK)] if is_added else [])
