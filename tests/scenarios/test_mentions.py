"""P2: the right person's phone rings: requests, reminders and CRITICAL alerts mention, once for each."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ir_router.errors import RefusedError
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, case_channel, make_approver
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import root_call
from tests.trials.world.state_machine import StateMachine


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def mentioning(world: World, channel: str) -> list[str]:
    """Return the texts of the app's messages in a channel that mention a user, a group or the active members."""
    said = [one for one in world.workspace.channel_messages(channel) if one.get("bot_id")]
    return [one["text"] for one in said if re.match(r"<(@|!here|!subteam)", one["text"])]


def test_given_a_request_when_shown_then_one_message_mentions_the_approvers_and_the_other_channel_does_not(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    support.contain(world, machine)
    world.settle()

    (text,) = mentioning(world, security_channel)
    assert text.startswith(f"<@{jane.id}> 🔐 Approval needed")
    assert mentioning(world, case_channel(world)) == []
    assert len(approvals_in(world, case_channel(world))) == 1


def test_given_no_decision_when_time_passes_then_each_reminder_mentions_once_and_links_the_request(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    support.contain(world, machine)
    world.settle()
    counts = []
    for minutes in (5, 6, 50, 7 * 60, 12 * 60):
        world.advance(minutes * 60)
        for _ in range(2):
            world.poll()
            world.settle()
        counts.append(len([text for text in mentioning(world, security_channel) if "Still waiting" in text]))

    assert counts == [0, 1, 2, 3, 4]
    assert mentioning(world, case_channel(world)) == []
    (request,) = approvals_in(world, security_channel)[:1]
    reminders = [text for text in mentioning(world, security_channel) if "Still waiting" in text]
    assert "made 10 min ago" in reminders[0]
    assert "made 20 h ago" in reminders[-1]
    assert all(
        f"/archives/{security_channel}/p{request['ts'].replace('.', '')}|Open the request>" in one for one in reminders
    )


@pytest.mark.parametrize(
    ("mention", "shown"),
    [
        (["here"], "<!here> "),
        ([], ""),
        (["jane@example.com"], "<@JANE> "),
        (["GROUP", "JANE"], "<!subteam^GROUP> <@JANE> "),
    ],
)
def test_given_slack_mention_when_a_request_is_shown_then_it_mentions_exactly_these(
    world: World, machine: StateMachine, jane: Person, security_channel: str, mention: list[str], shown: str
) -> None:
    group = world.workspace.create_user_group("oncall", [jane.id])
    ids = {"JANE": jane.id, "GROUP": group.id}
    world.environment["IR_MENTION"] = json.dumps([ids.get(who, who) for who in mention])
    support.contain(world, machine)
    world.settle()

    for name, value in ids.items():
        shown = shown.replace(name, value)
    (message,) = approvals_in(world, security_channel)
    assert message["text"].startswith(f"{shown}🔐 Approval needed")


def test_given_a_security_channel_that_rejects_the_message_when_shown_then_the_cases_channel_mentions(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    world.expect(RefusedError)
    jane.archive_channel(security_channel)
    support.contain(world, machine)
    world.settle()
    world.live(3)

    (text,) = mentioning(world, case_channel(world))
    assert text.startswith(f"<@{jane.id}> 🔐")


def test_given_root_at_work_when_alerted_then_the_alert_mentions_and_its_hourly_count_does_not(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    machine.start(root_call(world, "ListUsers", readOnly=True))
    machine.start(root_call(world, "ListRoles", readOnly=True))
    world.settle()
    world.advance(3_601)
    machine.advance()
    world.settle()

    texts: list[Any] = [one["text"] for one in world.workspace.channel_messages(security_channel) if one.get("bot_id")]
    assert len(texts) == 2
    (mentioned,) = mentioning(world, security_channel)
    assert mentioned.startswith(f"<@{jane.id}> 🚨 ACT now: root of account ")


def test_given_a_medium_alert_when_posted_then_no_phone_rings(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    world.environment["IR_SEVERITY_OVERRIDES"] = '{"create_access_key": "MEDIUM"}'
    support.user("backdoor")
    machine.start(support.key_created(world, "backdoor", "AKIABACKDOOR00000001"))
    world.settle()
    assert mentioning(world, security_channel) == []
