"""P3: alerts that no approval request shows are in the security channel, each once, with the next step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ir_router.errors import UncertainError
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, make_approver
from tests.support.commands import answers
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, asked, decide, root_call
from tests.trials.world.state_machine import StateMachine


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def shown(world: World, channel: str) -> list[dict[str, Any]]:
    """Return the alerts in the security channel, without approval requests."""
    messages = world.workspace.channel_messages(channel)
    return [one for one in messages if one.get("bot_id") and one not in approvals_in(world, channel)]


def texts(world: World, channel: str) -> list[str]:
    return [json.dumps(message["blocks"], ensure_ascii=False) for message in shown(world, channel)]


def test_given_root_at_work_when_alerted_then_the_security_channel_shows_it_once_with_the_next_steps(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    execution = machine.start(root_call(world, "CreateUser"))
    world.settle()
    (raised,) = [event for event in world.bus if event["detail-type"] == "AlertRaised"]
    world.hints.append(raised)  # EventBridge delivers at least once
    world.settle()

    (message,) = shown(world, security_channel)
    assert message["text"] == f"<@{jane.id}> 🚨 ACT now: root of account {ACCOUNT} - CRITICAL: Root user active"
    (text,) = texts(world, security_channel)
    assert "Root cannot be contained. Check now whether this was intended." in text
    assert "Open a case ..." in text
    assert f"#/v2/executions/details/{execution.arn}|Workflow>" in text
    assert "allowlist" not in text
    assert len(alerts(world)) == 1


def test_given_an_event_on_the_bus_without_an_alert_in_the_ledger_when_delivered_then_nothing_is_posted(
    world: World, security_channel: str
) -> None:
    world.hints.append({"source": "security-ir", "detail-type": "AlertRaised", "detail": {"alert": "invented"}})
    world.settle()
    assert shown(world, security_channel) == []


def test_given_medium_events_of_one_caller_when_alerted_then_slack_groups_them_like_the_e_mails_and_has_the_command(
    world: World, machine: StateMachine, security_channel: str
) -> None:
    world.environment["IR_SEVERITY_OVERRIDES"] = '{"create_access_key": "MEDIUM"}'
    support.user("backdoor", 2)
    for _ in range(3):
        machine.start(medium_key(world))
    world.settle()
    world.advance(3_601)
    machine.advance()
    world.settle()

    mails = [alert["Subject"] for alert in alerts(world)]
    assert [message["text"].removeprefix("⚠️ ") for message in shown(world, security_channel)] == mails
    first = texts(world, security_channel)[0]
    assert "If you expect such calls, add the caller to the allowlist" in first
    assert f'\\"value\\": \\"arn:aws:iam::{ACCOUNT}:user/mallory\\"' in first


def medium_key(world: World) -> Any:
    return support.key_created(world, "backdoor", "AKIABACKDOOR00000001")


def test_given_the_command_of_an_alert_when_its_payload_is_invoked_then_the_next_event_is_allowed(
    world: World, machine: StateMachine, security_channel: str
) -> None:
    world.environment["IR_SEVERITY_OVERRIDES"] = '{"create_access_key": "MEDIUM"}'
    support.user("backdoor", 1)
    support.user("mallory")
    machine.start(medium_key(world))
    world.settle()
    (message,) = shown(world, security_channel)
    (command,) = [block for block in message["blocks"] if "```" in json.dumps(block)]
    payload = command["text"]["text"].split("--payload '")[1].split("' response.json")[0]
    world.invoke("workflow", json.loads(payload) | {"reason": "deploys", "added_by": "Jane"})

    execution = machine.start(medium_key(world) | {"id": "another"})

    assert execution.path[-1:] in ([], ["Log & Exit"])
    assert len(shown(world, security_channel)) == 1


def test_given_an_alert_when_its_button_is_pressed_then_the_form_has_its_text_and_opens_the_case(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    machine.start(root_call(world, "CreateUser"))
    world.settle()
    (message,) = shown(world, security_channel)

    jane.press(security_channel, message["ts"], "alert_open_case")
    world.settle()
    (view,) = jane.views()
    form = json.dumps(view.body)
    assert "Root user active" in form
    assert "Root cannot be contained" in form
    fields = {"title": "Root", "description": "Root at work", "type": "Security Incident", "severity": "Critical"}
    jane.submit(view.id, {**fields, "start": int(world.now()) - 60})
    world.live(1)

    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    assert world.channel_of(case["caseId"])
    assert "Channel:" in answers(world, jane)[-1]


def test_given_a_protected_user_when_not_contained_then_the_security_channel_states_it_and_links_the_case(
    world: World, machine: StateMachine, security_channel: str
) -> None:
    (key,) = support.user("backdoor")
    world.environment["IR_PROTECTED_PRINCIPALS"] = json.dumps([f"arn:aws:iam::{ACCOUNT}:user/backdoor"])
    machine.start(support.key_created(world, "backdoor", key))
    world.settle()

    (text,) = texts(world, security_channel)
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    assert "NOT contained" in text
    assert f"|Case {case['caseId']}>" in text
    assert "Open a case" not in text


def test_given_a_containment_when_decided_then_only_the_request_and_its_end_are_shown(
    world: World, machine: StateMachine, security_channel: str
) -> None:
    execution, _key = support.contain(world, machine)
    machine.start(support.key_created(world, "backdoor"))  # joins the incident
    world.settle()
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    world.settle()

    assert execution.status == "SUCCEEDED"
    (text,) = texts(world, security_channel)
    assert "Approved by jane" in text
    assert "deleted (verified)" in text


def test_given_a_failed_step_when_reported_then_the_security_channel_states_what_to_do_by_hand(
    world: World, machine: StateMachine, security_channel: str
) -> None:
    def fault(task: str, _after: bool) -> None:
        if task == "immediate_containment":
            raise UncertainError("IAM", "AttachUserPolicy", "timeout")

    world.expect(UncertainError)
    machine.fault = fault
    (key,) = support.user("backdoor")
    execution = machine.start(support.key_created(world, "backdoor", key))
    world.settle()

    assert execution.status == "FAILED"
    (text,) = texts(world, security_channel)
    assert "Immediate Containment FAILED" in text
    assert "attach the deny policy by hand now" in text


def test_given_a_containment_when_released_then_the_security_channel_states_who_released_it(
    world: World, machine: StateMachine, security_channel: str
) -> None:
    support.contain(world, machine)
    world.settle()
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    world.settle()
    arn = f"arn:aws:iam::{ACCOUNT}:user/backdoor"
    world.invoke("workflow", {"task": "release", "principal": arn, "released_by": "Jane Smith", "reason": "rotated"})
    world.settle()

    _end, text = texts(world, security_channel)
    link = "<https://console.aws.amazon.com/iam/home#/users/details/backdoor|user backdoor>"
    assert f"DONE: released by Jane Smith: {link}" in text
    assert "Reason given: rotated" in text


def test_given_cases_that_cannot_be_synchronised_when_reported_then_the_security_channel_names_one_of_a_cause_once(
    world: World, jane: Person, security_channel: str
) -> None:
    world.poll()
    cases = [world.create_case(watchers=[{"email": "jane@example.com"}]) for _ in range(2)]
    world.settle()
    for case_id in cases:
        jane.archive_channel(world.channel_of(case_id))
        world.security_ir.add_comment_as(case_id, body="more")
    world.settle()
    world.live(5)

    (text,) = texts(world, security_channel)
    assert "is out of sync with its Slack channel" in text
    assert "the channel is archived" in text
    assert sum(f"|{case_id}>" in text for case_id in cases) == 1


def test_given_no_configured_channel_when_root_is_at_work_then_the_approvers_see_it(
    world: World, machine: StateMachine, jane: Person
) -> None:
    world.environment["IR_APPROVERS"] = json.dumps([jane.id])
    machine.start(root_call(world, "CreateUser"))
    world.settle()

    channel = world.workspace.channel("security-incident-security")
    assert jane.id in channel.members
    assert "Root user active" in texts(world, channel.id)[0]
