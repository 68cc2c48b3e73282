"""S11: commands that read the case, and what every command answers outside a case channel."""

from __future__ import annotations

from tests.support.commands import case, case_with_channel, moment, type_command
from tests.support.world import World


def test_given_a_case_when_asked_for_its_status_then_the_specified_block_is_shown(world: World) -> None:
    case_id, jane = case_with_channel(world)

    (answer,) = type_command(world, jane, case_id, "status")

    assert answer == (
        "📋 Case Status\n"
        f"ID: {case_id}\n"
        "Status: Open (Submitted)\n"
        "Severity: High\n"
        "Title: Suspicious API Activity Detected\n"
        "Description: Unusual API calls detected from unknown IP addresses\n"
        f"Created: {moment(case(world, case_id)['createdDate'])}\n"
        f"Last Updated: {moment(case(world, case_id)['lastUpdatedDate'])}\n"
        "Watchers: 1 user"
    )
    acknowledged = [message["text"] for message in world.workspace.ephemerals(jane.id) if message["via"] == "command"]
    assert acknowledged == ["⏳ Reading the case…"]
