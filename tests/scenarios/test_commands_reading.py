"""S11: commands that read the case, and the answer of every command outside a case channel."""

from __future__ import annotations

from datetime import UTC, datetime

from ir_router.ledger import audit
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
    # Slack cannot replace the first answer to a command, so there is none.
    assert [message["via"] for message in world.workspace.ephemerals(jane.id)] == ["response_url"]


def test_given_an_incident_with_a_history_when_asked_for_details_then_the_specified_block_shows_it(
    world: World,
) -> None:
    # Midday, so that no event of the scenario falls into the next day.
    world.advance((12 - datetime.fromtimestamp(world.now(), UTC).hour) % 24 * 3600)
    world.advance(60 - world.now() % 60)
    began = world.now()

    def wait_until(minutes: int) -> None:
        """So many minutes after the beginning, however slow the machine was."""
        world.advance(began + minutes * 60 - world.now())

    case_id, jane = case_with_channel(world)
    john = world.workspace.create_user("john.doe", real_name="John Doe")
    jane.invite(world.channel_of(case_id), john.id)
    world.settle()

    def clock_time() -> str:
        return f"{datetime.fromtimestamp(world.now(), UTC):%H:%M}"

    created = clock_time()
    user = "arn:aws:iam::123456789012:user/backdoor-user"
    contained = {"execution": "execution-1", "outcome": "contained", "principals": [{"principal": user}]}
    audit.append("contained", "ir-router workflow", {**contained, "case_id": case_id})
    audit.append("contained", "ir-router workflow", {**contained, "execution": "other", "case_id": "9999999999"})
    wait_until(75)
    analysed = clock_time()
    type_command(world, jane, case_id, "update-status In Progress")
    decision = {"execution": "execution-1", "kind": "remediate", "decision": "approve"}
    audit.append("decision_received", "Alice Approver", decision)
    audit.append("decision_received", "Alice Approver", {**decision, "execution": "other"})
    wait_until(150)
    resolved = clock_time()
    type_command(world, john, case_id, "update-status Resolved")
    type_command(world, jane, case_id, "update-title Stolen key")
    for number in range(27):
        world.security_ir.call("CreateCaseComment", {"caseId": case_id, "body": f"Finding {number}"})
    for number in range(3):
        jane.post(world.channel_of(case_id), f"Seen {number}")
    type_command(world, jane, case_id, "comment for AWS alone")
    world.settle()
    wait_until(210)
    closed = clock_time()
    type_command(world, jane, case_id, "close")
    jane.press(world.channel_of(case_id), world.workspace.ephemerals(jane.id)[-1]["ts"], "close_confirm")
    world.settle()
    world.advance(3600)

    (answer,) = type_command(world, jane, case_id, "incident-details")

    assert answer == (
        "📊 Case Summary\n"
        f"Case ID: {case_id}\n"
        "Title: Stolen key\n"
        "Status: Resolved (Post-incident Activities) → Closed\n"
        "Severity: High\n"
        "Duration: 3 hours 30 minutes\n"
        "\n"
        "Key Events:\n"
        f"• {created} - Case created\n"
        f"• {created} - Contained: backdoor-user\n"
        f"• {analysed} - Status updated to In Progress (Detection and Analysis) (Jane Smith)\n"
        f"• {analysed} - Remediation approved (Alice Approver)\n"
        f"• {resolved} - Status updated to Resolved (Post-incident Activities) (John Doe)\n"
        f"• {resolved} - Title updated (Jane Smith)\n"
        f"• {closed} - Case closed (Jane Smith)\n"
        "\n"
        "Comments: 31 total (27 from AWS Security IR, 4 from Slack)\n"
        "Attachments: 0 files\n"
        "Watchers: 1 user"
    )


def test_given_more_events_than_are_shown_when_asked_for_details_then_the_newest_ten_and_how_many_more(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)
    for number in range(12):
        world.advance(3 * 3600)
        newest = moment(datetime.fromtimestamp(world.now(), UTC))[:16]
        world.security_ir.call("UpdateCase", {"caseId": case_id, "title": f"Title {number}"})
    world.settle()

    (answer,) = type_command(world, jane, case_id, "incident-details")

    events = answer.split("Key Events:\n")[1].split("\n\n")[0].split("\n")
    assert events[0] == "• … 3 earlier"
    assert len(events) == 11
    assert events[-1] == f"• {newest} - Title updated"


def test_given_a_warm_function_when_commands_run_then_they_stay_within_their_budget_of_calls(world: World) -> None:
    case_id, jane = case_with_channel(world)
    type_command(world, jane, case_id, "status")
    type_command(world, jane, case_id, "update-title Warm")

    def calls_of(text: str) -> list[str]:
        world.wire.calls.clear()
        type_command(world, jane, case_id, text)
        return [f"{call.service} {call.operation}" for call in world.wire.calls if call.deployment == "slack"]

    assert calls_of("status") == [
        "dynamodb PutItem",  # the command's claim
        "dynamodb GetItem",  # channel to case
        "security-ir GetCase",
        "security-ir ListTagsForResource",
        "slack response_url",
        "events PutEvents",
        "dynamodb UpdateItem",  # done
    ]
    changing = calls_of("update-title Warmer")
    assert [call for call in changing if call.startswith("security-ir")] == [
        "security-ir GetCase",
        "security-ir UpdateCase",
        "security-ir CreateCaseComment",
    ]
    assert len(changing) <= 16
