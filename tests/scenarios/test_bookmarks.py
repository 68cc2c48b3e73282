"""The bookmarks in the channel of a case: the case in the console, the approval request and the report."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.ledger import leases, reports
from ir_sandbox.slack.people import Person
from tests.support.approvals import case_channel
from tests.support.world import World
from tests.trials.world.state_machine import Execution
from tests.trials.world.wire import Side


def bookmarks(world: World, channel: str) -> list[tuple[str, str]]:
    return [(str(one["title"]), str(one["link"])) for one in world.workspace.store.channels[channel].bookmarks]


def message(world: World, channel: str, part: str) -> str:
    """Return the end of the permalink of the newest message that contains the text."""
    found = [one for one in world.workspace.channel_messages(channel) if part in str(one)]
    return "/p" + str(found[-1]["ts"]).replace(".", "")


def make_report(world: World, case_id: str) -> None:
    world.become("slack")
    reports.request(case_id, world.now(), "Jane Smith")
    leases.add_hint(case_id)
    world.live(3)


def test_given_a_case_when_synchronised_then_the_console_is_bookmarked_once(
    world: World, case_id: str, channel: str
) -> None:
    world.live(3)
    ((title, link),) = bookmarks(world, channel)
    assert title == "Case in the AWS console"
    assert link.endswith(f"#/cases/{case_id}")


def test_given_an_incident_with_two_reports_when_synchronised_then_each_bookmark_leads_to_the_newest_message(
    world: World, contained: tuple[Execution, str]
) -> None:
    channel = case_channel(world)
    ((case_id, _),) = world.security_ir.snapshot()["cases"].items()
    world.live(2)
    make_report(world, case_id)
    make_report(world, case_id)
    found = dict(bookmarks(world, channel))
    assert list(found) == ["Case in the AWS console", "Approval request", "Report"]
    assert found["Report"].endswith(message(world, channel, "Report 2 about this case"))
    assert found["Approval request"].endswith(message(world, channel, "approval_approve"))


@pytest.mark.parametrize("scope", ["bookmarks:write", "bookmarks:read"])
def test_given_an_app_without_a_scope_when_a_case_arrives_then_the_rest_is_complete_and_a_later_attempt_adds_it(
    world: World, jane: Person, scope: str
) -> None:
    world.app.scopes.discard(scope)
    case_id = world.create_case(watchers=[{"email": jane.user.email, "name": "Jane Smith"}])
    world.settle()
    world.live(3)
    channel = world.channel_of(case_id)
    assert len(bookmarks(world, channel)) == (scope == "bookmarks:read")
    assert jane.user.id in world.workspace.store.channels[channel].members
    assert not any("out of sync" in str(one.get("text")) for one in world.workspace.channel_messages(channel))
    calls = len([one for one in world.wire.calls if one.operation == "bookmarks.add"])
    world.live(30)
    assert len([one for one in world.wire.calls if one.operation == "bookmarks.add"]) - calls <= 5
    world.app.scopes.add(scope)
    world.live(35)
    assert len(bookmarks(world, channel)) == 1


def test_given_a_bookmark_that_a_user_removed_when_the_message_changes_then_it_stays_away(
    world: World, case_id: str, channel: str
) -> None:
    make_report(world, case_id)
    world.workspace.store.channels[channel].bookmarks.clear()
    make_report(world, case_id)
    assert bookmarks(world, channel) == []


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("operation", ["bookmarks.add", "bookmarks.edit"])
def test_given_a_crash_at_a_call_when_continued_then_each_bookmark_is_there_once(
    world: World, case_id: str, channel: str, operation: str, side: Side
) -> None:
    if operation == "bookmarks.edit":
        make_report(world, case_id)
    world.wire.kill_on("slack", operation, side)
    make_report(world, case_id)
    world.live(6)
    assert world.wire.died_at is not None
    found = bookmarks(world, channel)
    assert [title for title, _ in found] == ["Case in the AWS console", "Report"]
    assert found[1][1].endswith(message(world, channel, "about this case is complete"))


def test_given_a_users_bookmark_with_the_same_title_when_an_earlier_attempt_is_looked_for_then_it_is_not_touched(
    world: World, case_id: str, channel: str, jane: Person
) -> None:
    own, changed = "https://example.com/notes", "https://example.com/final"
    jane.add_bookmark(channel, "Report", own)
    world.wire.kill_on("slack", "bookmarks.add", "after")
    make_report(world, case_id)
    jane.add_bookmark(channel, "Report", changed)
    world.live(6)
    assert world.wire.died_at is not None
    links = [link for title, link in bookmarks(world, channel) if title == "Report"]
    assert [one for one in links if one in (own, changed)] == [own, changed]
    (added,) = (one for one in links if one not in (own, changed))
    assert added.endswith(message(world, channel, "about this case is complete"))


def test_given_two_bookmarks_of_ir_router_when_an_earlier_attempt_is_looked_for_then_one_stays(
    world: World, case_id: str, channel: str
) -> None:
    world.wire.kill_on("slack", "bookmarks.add", "after")
    make_report(world, case_id)
    found = world.workspace.store.channels[channel].bookmarks
    found.append({**found[-1], "id": "Bk2"})
    world.live(6)
    assert [title for title, _ in bookmarks(world, channel)] == ["Case in the AWS console", "Report"]
    assert "Bk2" not in [one["id"] for one in found]


def test_given_a_replaced_channel_when_synchronised_then_the_new_one_has_the_bookmark(
    world: World, jane: Person
) -> None:
    world.environment["IR_CHANNEL_VISIBILITY"] = "public"
    case_id = world.create_case(watchers=[{"email": jane.user.email, "name": "Jane Smith"}])
    world.settle()
    world.live(2)
    channel = world.channel_of(case_id)
    del world.workspace.store.channels[channel]
    world.security_ir.add_comment_as(case_id, body="a comment in the meantime")
    world.live(4)
    replaced: Any = world.channel_of(case_id)
    assert replaced != channel
    assert len(bookmarks(world, replaced)) == 1
