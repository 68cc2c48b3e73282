"""Users and envelopes of other workspaces: Slack Connect, Enterprise Grid and org-wide installations."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ir_sandbox.slack.people import Person
from tests.support.commands import answers
from tests.support.sync import from_slack
from tests.support.world import World, forget_everything

ORGANISATION = "E0LC0000001"


@pytest.fixture
def grid(world: World) -> World:
    """Make the workspace one of an Enterprise Grid organisation."""
    world.workspace.store.enterprise_id = ORGANISATION
    return world


@pytest.fixture
def quirky(world: World) -> World:
    world.workspace.store.quirks.turn_on(["envelope_names_sender", "interaction_names_sender"])
    return world


def colleague_in(world: World, jane: Person, channel: str) -> Person:
    colleague = world.workspace.create_colleague("carla", real_name="Carla Colleague")
    jane.invite(channel, colleague.id)
    world.settle()
    return colleague


def stranger_in(world: World, jane: Person, channel: str) -> Person:
    world.workspace.store.channels[channel].is_ext_shared = True
    stranger = world.workspace.create_stranger("eve", real_name="Eve External")
    jane.invite(channel, stranger.id)
    world.settle()
    return stranger


def refusals(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.getMessage().startswith("slack.other_workspace_refused")]


def test_given_a_shared_channel_when_either_company_writes_then_the_case_has_both(
    quirky: World, jane: Person, channel: str, case_id: str
) -> None:
    stranger = stranger_in(quirky, jane, channel)
    jane.post(channel, "we rotated ours")
    stranger.post(channel, "hello from outside")
    quirky.settle()

    ours, theirs = from_slack(quirky, case_id)
    assert "Jane Smith" in ours
    assert "we rotated ours" in ours
    assert "Eve External" in theirs


def test_given_a_colleague_of_another_workspace_when_they_write_and_ask_then_they_are_served(
    grid: World, quirky: World, jane: Person, channel: str, case_id: str
) -> None:
    colleague = colleague_in(grid, jane, channel)
    colleague.post(channel, "I can see it too")
    assert colleague.command(channel, "/security-ir", "status").error is None
    grid.settle()

    assert "Carla Colleague" in from_slack(grid, case_id)[0]
    assert answers(grid, colleague)[-1].startswith("📋 Case Status")


@pytest.mark.parametrize("listed", [True, False])
def test_given_a_colleague_of_another_workspace_when_they_change_the_case_then_the_lists_decide(
    grid: World, quirky: World, jane: Person, channel: str, case_id: str, listed: bool
) -> None:
    colleague = colleague_in(grid, jane, channel)
    grid.environment["IR_CASE_EDITORS"] = json.dumps([colleague.id if listed else "U0NOBODY"])
    assert colleague.command(channel, "/security-ir", "update-title New title").error is None
    grid.settle()

    title = grid.security_ir.call("GetCase", {"caseId": case_id})["title"]
    assert (title == "New title") is listed
    assert ("You don't have permission" in answers(grid, colleague)[-1]) is not listed


def test_given_a_user_of_a_connected_company_when_they_change_the_case_then_they_read_that_they_may_not(
    quirky: World, jane: Person, channel: str, case_id: str
) -> None:
    stranger = stranger_in(quirky, jane, channel)
    quirky.environment["IR_CASE_EDITORS"] = json.dumps([stranger.id])
    assert stranger.command(channel, "/security-ir", "update-title Mine now").error is None
    quirky.settle()

    assert quirky.security_ir.call("GetCase", {"caseId": case_id})["title"] != "Mine now"
    assert "You don't have permission to modify this case" in answers(quirky, stranger)[-1]


def test_given_a_command_outside_of_our_channels_when_another_company_types_it_then_it_is_refused_and_logged_once(
    quirky: World, jane: Person, case_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = quirky.workspace.create_stranger("eve", real_name="Eve External")
    elsewhere = stranger.create_channel("elsewhere")
    for _ in range(2):
        assert stranger.command(elsewhere, "/security-ir", "create leaked key").error is None
        quirky.settle()

    assert answers(quirky, stranger)[-1].startswith("❌ ir-router is not set up for this workspace")
    assert stranger.views() == []
    (line,) = refusals(caplog)
    assert line.of == ("E0LC9999999", "T0LC9999999")


def test_given_an_event_of_another_installation_when_it_comes_twice_then_it_has_no_effect_and_is_logged_once(
    world: World, jane: Person, channel: str, case_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    event = {"type": "message", "channel": channel, "user": jane.id, "text": "not for you", "ts": "1.000001"}
    envelope = world.workspace.bus.envelope(world.app, event, None)
    envelope["team_id"] = envelope["context_team_id"] = envelope["authorizations"][0]["team_id"] = "T0LC9999999"
    for number in range(2):
        world.workspace.deliveries.event(world.app, {**envelope, "event_id": f"Ev{number}"})
    world.settle()

    assert from_slack(world, case_id) == []
    assert len(refusals(caplog)) == 1
    assert [delivery.state for delivery in world.workspace.deliveries.log[-2:]] == ["acknowledged"] * 2


@pytest.fixture
def org_wide(grid: World) -> World:
    """Install the app on the organisation, and configure the organisation's id."""
    grid.workspace.store.quirks.turn_on(["org_wide_installation"])
    name = "/SecurityIncidentResponse/slackWorkspaceId"
    boto3.client("ssm").put_parameter(Name=name, Value=ORGANISATION, Type="String", Overwrite=True)
    forget_everything()
    return grid


def test_given_an_org_wide_installation_when_a_case_lives_then_it_works_as_in_one_workspace(
    org_wide: World, jane: Person, channel: str, case_id: str
) -> None:
    jane.post(channel, "org event")
    assert jane.command(channel, "/security-ir", "update-title New title").error is None
    org_wide.settle()

    assert "org event" in from_slack(org_wide, case_id)[0]
    assert org_wide.security_ir.call("GetCase", {"caseId": case_id})["title"] == "New title"
    assert "out of sync" not in json.dumps(org_wide.comments(case_id))
