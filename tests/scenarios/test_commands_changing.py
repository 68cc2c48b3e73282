"""S11, S13: commands that change the case: the specified answers, the case and channel afterwards, and permissions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ir_router.cases.limits import COMMENT_LIMIT
from ir_router.ledger import keys, table
from ir_router.slack.text import length_of
from ir_sandbox.slack.people import Person
from tests.support.commands import answers, case, case_with_channel, identified, now, type_command
from tests.support.world import World
from tests.trials.world.incidents import audit_rows


def press(world: World, person: Person, case_id: str, action_id: str) -> None:
    """Press a button of the last answer that has it."""
    shown = [m for m in world.workspace.ephemerals(person.id) if action_id in str(m.get("blocks"))]
    person.press(world.channel_of(case_id), shown[-1]["ts"], action_id)
    world.settle()


def executed(case_id: str) -> list[tuple[str, Any]]:
    """Return the recorded author and outcome of each change."""
    rows = [row for row in audit_rows() if row["action"] == "command_executed" and case_id in row["details"]]
    return [(row["actor"], json.loads(row["details"])) for row in rows]


def test_given_every_command_that_changes_a_case_when_carried_out_then_who_did_it_is_on_record_without_a_text(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)
    commands = [
        "update-status In Progress",
        "update-title Secret title",
        "update-description Secret description",
        "add-watcher john.doe@example.com",
        "remove-watcher john.doe@example.com",
        "comment Secret comment",
    ]
    for text in commands:
        type_command(world, jane, case_id, text)
    type_command(world, jane, case_id, "close")
    press(world, jane, case_id, "close_confirm")

    names = [text.partition(" ")[0] for text in commands] + ["close"]
    ids = {"case_id": case_id, "channel_id": world.channel_of(case_id), "slack_user_id": jane.id}
    assert executed(case_id) == [(identified(jane), {"command": name, "outcome": "done", **ids}) for name in names]
    first = keys.slack_change(case_id, "")
    kept = list(table.query(first.pk, first.sk))
    assert {row["slack_user_id"] for row in kept} == {jane.id}


def test_given_commands_that_change_nothing_when_answered_then_nothing_is_on_record(world: World) -> None:
    case_id, jane = case_with_channel(world)

    for text in ("status", "close", "update-status Open", "update-status Closed", "update-title", "update-status x"):
        type_command(world, jane, case_id, text)
    press(world, jane, case_id, "close_keep")

    assert executed(case_id) == []


def test_given_a_refusal_by_aws_when_a_case_is_changed_then_that_is_on_record(world: World) -> None:
    case_id, jane = case_with_channel(world)
    world.security_ir.faults.refuse("AccessDeniedException", "UpdateCase")

    type_command(world, jane, case_id, "update-title x")

    ((_, details),) = executed(case_id)
    assert (details["command"], details["outcome"]) == ("update-title", "failed")


def texts(world: World, case_id: str) -> list[str]:
    return [message["text"] for message in world.said(case_id)]


def test_given_a_watcher_when_updating_the_status_then_answer_case_channel_topic_and_comment_agree(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)

    (answer,) = type_command(world, jane, case_id, "update-status Resolved")

    lines = answer.split("\n")
    assert lines[:2] == ['✅ Case status updated to "Resolved"', "Updated by: @jane.smith"]
    assert lines[2].startswith("Timestamp: 20")
    assert lines[2].endswith(" UTC")
    assert len(lines) == 3
    assert case(world, case_id)["caseStatus"] == "Post-incident Activities"
    assert (
        "[AWS Security IR Update] *Status*: Open (Submitted) → Resolved (Post-incident Activities), by Jane Smith"
        in texts(world, case_id)
    )
    topic = world.workspace.channel(world.channel_of(case_id)).topic["value"]
    assert topic == "Status: Resolved (Post-incident Activities) | Severity: High"
    change = "Status changed from Open (Submitted) to Resolved (Post-incident Activities)"
    wanted = f"{change} by {identified(jane)} from Slack."
    assert sum(wanted in text for text in world.comments(case_id)) == 1


def test_given_either_vocabulary_when_updating_the_status_then_it_is_understood_and_answered_in_kind(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)
    recovery = "Containment, Eradication and Recovery"

    for typed, shown, status in (
        ('"In Progress"', "In Progress", "Detection and Analysis"),
        ("containment", f"In Progress ({recovery})", recovery),
        ("“in   progress”", "In Progress", "Detection and Analysis"),
        ("Post-Incident activities", "Resolved (Post-incident Activities)", "Post-incident Activities"),
        ("Detection and Analysis", "In Progress (Detection and Analysis)", "Detection and Analysis"),
        ("«\u00a0Resolved\u00a0»", "Resolved", "Post-incident Activities"),
        ("*in-progress*", "In Progress (Detection and Analysis)", "Detection and Analysis"),
        ("\u200eContainment, Eradication, &amp; Recovery\u200f", f"In Progress ({recovery})", recovery),
        ("`Detection & Analysis`", "In Progress (Detection and Analysis)", "Detection and Analysis"),
    ):
        (answer,) = type_command(world, jane, case_id, f"UPDATE-STATUS {typed}")
        assert answer.split("\n")[0] == f'✅ Case status updated to "{shown}"'
        assert case(world, case_id)["caseStatus"] == status


def test_given_a_command_copied_from_a_formatted_text_when_typed_then_it_is_understood(world: World) -> None:
    case_id, jane = case_with_channel(world)

    for typed in (
        "\ufeffstatus",
        "`status`",
        "*Status*",
        "`/security-ir status`",
        "security-ir status\u200b",
        "status?",
    ):
        (answer,) = type_command(world, jane, case_id, typed)
        assert answer.startswith("📋 Case Status"), typed
    (answer,) = type_command(world, jane, case_id, "update-title: \u2060New title\u200b")
    assert case(world, case_id)["title"] == "New title"


@pytest.mark.parametrize("name", ["update-title", "update-description", "comment"])
def test_given_a_text_of_invisible_characters_when_changing_a_case_then_it_counts_as_missing(
    world: World, name: str
) -> None:
    case_id, jane = case_with_channel(world)
    before = case(world, case_id)

    (answer,) = type_command(world, jane, case_id, f"{name} \u200b\u2060 \ufeff")

    assert answer == type_command(world, jane, case_id, name)[0]
    assert case(world, case_id) == before


def test_given_wrong_or_impossible_statuses_when_updating_then_each_has_its_own_answer(world: World) -> None:
    case_id, jane = case_with_channel(world)

    assert type_command(world, jane, case_id, "update-status Paused") == [
        "❌ Invalid status. Valid options: Open, In Progress, Resolved, Closed"
    ]
    assert type_command(world, jane, case_id, "update-status") == [
        "❌ Please specify a status. Usage: /security-ir update-status <status>"
    ]
    assert type_command(world, jane, case_id, 'update-status ""') == [
        "❌ Please specify a status. Usage: /security-ir update-status <status>"
    ]
    assert type_command(world, jane, case_id, "update-status open") == [
        '✅ Case status is already "Open"\nNothing was changed'
    ]
    assert type_command(world, jane, case_id, "update-status Ready to Close") == [
        "❌ Only AWS can set Ready to Close. Valid options: Open, In Progress, Resolved, Closed"
    ]
    type_command(world, jane, case_id, "update-status In Progress")
    (answer,) = type_command(world, jane, case_id, "update-status Open")
    assert answer == (
        "❌ AWS Security Incident Response does not allow a status change from In Progress (Detection and Analysis) "
        "to Open (Submitted)\n"
        "Allowed now: In Progress (Containment, Eradication and Recovery), "
        "Resolved (Post-incident Activities)"
    )
    assert case(world, case_id)["caseStatus"] == "Detection and Analysis"


def test_given_a_title_when_updated_then_old_and_new_are_shown_and_the_channel_is_notified(world: World) -> None:
    case_id, jane = case_with_channel(world)

    (answer,) = type_command(world, jane, case_id, "update-title Critical <b>Security</b> Breach\n& more")

    assert answer == (
        "✅ Case title updated\n"
        'Old title: "Suspicious API Activity Detected"\n'
        'New title: "Critical <b>Security</b> Breach & more"\n'
        "Updated by: @jane.smith\n"
        f"Timestamp: {answer.split('Timestamp: ')[1]}"
    )
    assert case(world, case_id)["title"] == "Critical <b>Security</b> Breach & more"
    assert any(
        "*Title*: Suspicious API Activity Detected → Critical &lt;b&gt;" in text for text in texts(world, case_id)
    )


def test_given_a_description_when_updated_then_white_space_survives_and_the_old_one_is_on_the_case(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)
    text = "Updated findings:\n  1. key used from 192.0.2.1\n\n  2. *nothing* else"

    (answer,) = type_command(world, jane, case_id, f"update-description {text}")

    assert answer.startswith(
        f'✅ Case description updated\nNew description: "{text}"\nUpdated by: @jane.smith\nTimestamp: 20'
    )
    assert case(world, case_id)["description"] == text
    assert any("Unusual API calls detected from unknown IP addresses" in text for text in world.comments(case_id))
    again = type_command(world, jane, case_id, f"update-description {text}")
    assert again == [f'✅ Case description is already "{text}"\nNothing was changed']


@pytest.mark.parametrize("crash", [False, True], ids=["", "crash"])
@pytest.mark.parametrize("character", ["x", "漢", "😀"])
def test_given_the_longest_description_when_updated_then_all_of_the_old_one_is_on_the_case_once(
    world: World, character: str, *, crash: bool
) -> None:
    before = character * 7_996 + " end"
    case_id, jane = case_with_channel(world, description=before)
    if crash:
        world.security_ir.faults.lose_answer("CreateCaseComment", times=3)

    type_command(world, jane, case_id, "update-description short")
    world.live(3)

    written = [text for text in world.comments(case_id) if "(ir-router update-description-" in text]
    assert len(written) == (2 if character == "😀" else 1)
    assert all(length_of(text) <= COMMENT_LIMIT for text in written)
    whole = "".join(text.rpartition("\n\n(ir-router ")[0].split("] ", 1)[1] for text in written)
    whole = whole.replace("(part 1 of 2) ", "").replace("(part 2 of 2) ", "")
    assert whole == f"Description changed by {identified(jane)} from Slack. Before:\n\n{before}"
    assert not any("(ir-router" in line["text"] for line in world.said(case_id))


def test_given_texts_over_the_limit_when_updating_then_the_limit_is_named_and_nothing_changes(world: World) -> None:
    case_id, jane = case_with_channel(world)
    before = case(world, case_id)

    limit = "AWS Security Incident Response allows at most"
    assert type_command(world, jane, case_id, "update-title " + "x" * 301) == [
        f"❌ The title has 301 characters; {limit} 300\nNothing was changed"
    ]
    assert type_command(world, jane, case_id, "update-description " + "x" * 8001) == [
        f"❌ The description has 8,001 characters; {limit} 8,000\nNothing was changed"
    ]
    assert case(world, case_id) == before


def test_given_an_open_case_when_closed_then_it_asks_first_and_the_button_closes_once(world: World) -> None:
    case_id, jane = case_with_channel(world)

    (question,) = type_command(world, jane, case_id, "close")
    assert question == (
        f"Close case {case_id}? A closed case cannot be reopened.\n"
        "Title: Suspicious API Activity Detected\nStatus: Open (Submitted)"
    )
    assert case(world, case_id)["caseStatus"] == "Submitted"

    press(world, jane, case_id, "close_confirm")
    (answer,) = answers(world, jane)

    assert answer == (
        "🔒 Case closed successfully\n"
        f"Case ID: {case_id}\n"
        "Closed by: @jane.smith\n"
        f"Timestamp: {answer.split('Timestamp: ')[1].split(chr(10))[0]}\n"
        "Channel will remain active for reference"
    )
    assert case(world, case_id)["caseStatus"] == "Closed"
    topic = world.workspace.channel(world.channel_of(case_id)).topic["value"]
    assert topic == "Status: Closed | Severity: High"
    assert "[AWS Security IR Update] *Status*: Open (Submitted) → Closed, by Jane Smith" in texts(world, case_id)
    assert sum(f"{identified(jane)} is closing this case from Slack." in text for text in world.comments(case_id)) == 1


def test_given_the_question_when_kept_open_then_it_goes_away_and_nothing_is_closed(world: World) -> None:
    case_id, jane = case_with_channel(world)
    type_command(world, jane, case_id, "update-status closed")

    press(world, jane, case_id, "close_keep")

    assert answers(world, jane) == []
    assert case(world, case_id)["caseStatus"] == "Submitted"


def test_given_a_button_pressed_twice_when_both_presses_arrive_then_the_first_outcome_stays(world: World) -> None:
    case_id, jane = case_with_channel(world)
    type_command(world, jane, case_id, "close")
    shown = world.workspace.ephemerals(jane.id)[-1]

    for _ in range(2):
        jane.press(world.channel_of(case_id), shown["ts"], "close_confirm")
    world.settle()

    assert [answer.split("\n")[0] for answer in answers(world, jane)] == ["🔒 Case closed successfully"]
    assert len([call for call in world.security_ir.calls.all() if call.operation == "CloseCase"]) == 1


def test_given_a_closed_case_when_changed_or_closed_then_the_answers_say_so(world: World) -> None:
    case_id, jane = case_with_channel(world)
    world.security_ir.call("CloseCase", {"caseId": case_id})
    world.settle()

    (again,) = type_command(world, jane, case_id, "close")
    assert again.startswith(f"🔒 Case is already closed\nCase ID: {case_id}\nClosed: 20")
    for typed in ("update-status Resolved", "update-title x", "update-description x", "add-watcher a@example.com",
                  "remove-watcher a@example.com", "comment x"):  # fmt: skip
        (answer,) = type_command(world, jane, case_id, typed)
        assert answer.startswith("❌ Case is closed and cannot be changed or reopened\nClosed: 20"), typed
    assert "Status: Closed" in type_command(world, jane, case_id, "status")[0]


def test_given_an_aws_supported_case_when_its_status_is_updated_then_closing_is_offered_instead(world: World) -> None:
    case_id, jane = case_with_channel(world, resolverType="AWS")

    (answer,) = type_command(world, jane, case_id, "update-status Resolved")

    assert answer.startswith("❌ Only AWS can set the status of this case, because it is AWS-supported")
    press(world, jane, case_id, "close_confirm")
    assert case(world, case_id)["caseStatus"] == "Closed"


REFUSED = "❌ You don't have permission to modify this case\nContact your administrator or case owner for access"


def test_given_people_without_permission_when_they_change_the_case_then_they_are_refused(world: World) -> None:
    case_id, jane = case_with_channel(
        world,
        watchers=[
            {"email": "jane.smith@example.com"},
            {"email": "guest@example.com"},
            {"email": "single@example.com"},
        ],
    )
    channel = world.channel_of(case_id)
    mallory = world.workspace.create_user("mallory")
    guest = world.workspace.create_user("guest", is_restricted=True)
    single = world.workspace.create_user("single", is_ultra_restricted=True)
    jane.invite(channel, mallory.id, guest.id, single.id)
    world.settle()
    before = case(world, case_id)

    for person in (mallory, guest, single):
        for typed in ("update-status Resolved", "update-title x", "close", "comment x"):
            assert type_command(world, person, case_id, typed) == [REFUSED], (person.user.name, typed)
        assert type_command(world, person, case_id, "status")[0].startswith("📋 Case Status\n")

    assert case(world, case_id) == before
    records = [
        json.loads(row["details"])
        for row in table.query(f"AUDIT#{now(world)[:7]}")
        if row["action"] == "command_refused"
    ]
    assert [record["reason"] for record in records] == ["not_listed"] * 4 + ["guest"] * 8
    assert [record["slack_user_id"] for record in records] == [mallory.id] * 4 + [guest.id] * 4 + [single.id] * 4
    assert {record["case_id"] for record in records} == {case_id}


def test_given_a_stranger_of_another_organisation_when_they_change_the_case_then_they_are_refused(
    world: World,
) -> None:
    case_id, _ = case_with_channel(world)
    eve = world.workspace.create_stranger("eve")
    world.environment["IR_CASE_EDITORS"] = f'["{eve.id}"]'

    assert type_command(world, eve, case_id, "update-title x") == [REFUSED]


def test_given_a_user_on_a_list_when_they_change_the_case_then_they_may(world: World) -> None:
    case_id, jane = case_with_channel(world)
    sam = world.workspace.create_user("sam")
    group = world.workspace.create_user_group("responders", [sam.id])
    john = world.workspace.create_user("john.doe")  # a member of the response team
    jane.invite(world.channel_of(case_id), sam.id, john.id)
    world.settle()

    for number, (person, editors) in enumerate(
        ((john, "[]"), (sam, f'["{sam.id}"]'), (sam, '["SAM@example.com"]'), (sam, f'["{group.id}"]'))
    ):
        world.environment["IR_CASE_EDITORS"] = editors
        (answer,) = type_command(world, person, case_id, f"update-title By somebody named {number}")
        assert answer.startswith("✅ Case title updated"), (answer, editors)
    world.environment["IR_CASE_EDITORS"] = "[]"
    assert type_command(world, sam, case_id, "update-title x") == [REFUSED]
