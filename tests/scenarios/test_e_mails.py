"""P7: the subject of an e-mail states the required action and the principal, and the body has the commands."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, asked, decide, iam_state
from tests.trials.world.state_machine import Execution, StateMachine

TITLE = "HIGH: Access key created"
CASE_LINE = r"Case: (\S+) https://console\.aws\.amazon\.com/security-ir/home\?region=\S+#/cases/\1"


def payload_of(text: str, beginning: str) -> dict[str, Any]:
    """Return the payload of the command in a line that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(beginning)]
    found = re.search(r"--payload '(.+)' response.json", line)
    assert found is not None
    payload: dict[str, Any] = json.loads(found[1])
    return payload


def test_given_a_containment_when_alerted_then_the_subject_asks_for_the_decision_and_the_command_decides(
    world: World, machine: StateMachine
) -> None:
    execution, _key = support.contain(world, machine)
    (alert,) = alerts(world)

    assert alert["Subject"] == f"DECIDE within 24 h: user backdoor contained - {TITLE}"
    assert f"#/v2/executions/details/{execution.arn}" in alert["Message"]
    assert re.search(CASE_LINE, alert["Message"])
    assert "docs/" not in alert["Message"]

    answer = world.invoke("approval-handler", payload_of(alert["Message"], "To deny") | {"analyst": "Jane"})
    assert answer["status"] == "denied"
    machine.advance()
    assert not iam_state(world, "backdoor").denied


@pytest.mark.parametrize(
    ("decision", "subject"),
    [
        ("approve", f"DONE: approved by jane, user backdoor stays contained - {TITLE}"),
        ("deny", f"DONE: denied by jane, user backdoor restored - {TITLE}"),
    ],
)
def test_given_a_decision_when_carried_out_then_the_subject_states_the_result_before_the_title(
    world: World, machine: StateMachine, decision: str, subject: str
) -> None:
    support.contain(world, machine)
    alerts(world)
    decide(world, asked(world)[0]["taskToken"], decision)
    machine.advance()

    (alert,) = alerts(world)
    assert alert["Subject"] == subject
    assert ("To release it, run: aws lambda invoke" in alert["Message"]) is (decision == "approve")


def test_given_no_decision_when_the_deadline_passes_then_the_subject_asks_for_a_review(
    world: World, machine: StateMachine
) -> None:
    support.contain(world, machine)
    alerts(world)
    world.advance(86_401)
    machine.advance()
    (alert,) = alerts(world)
    assert alert["Subject"].startswith("REVIEW: no decision, user backdoor stays contained until you release it - HIGH")


def test_given_a_long_name_when_decided_then_the_result_is_not_cut(world: World, machine: StateMachine) -> None:
    name = "a-user-with-a-name-of-sixty-four-characters-" + "x" * 20
    support.contain(world, machine, name)
    (alert,) = alerts(world)
    assert re.match(r"DECIDE within 24 h: user a-user-with-a-name-of-sixty-four\S*\.\.\. contained", alert["Subject"])
    decide(world, asked(world)[0]["taskToken"], "deny", "An Analyst With A Very Long Name Indeed")
    machine.advance()
    (alert,) = alerts(world)
    assert " restored" in alert["Subject"]
    assert len(alert["Subject"]) <= 100


def test_given_the_hourly_limit_when_reached_then_the_subject_asks_for_a_decision_now(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "1"
    support.contain(world, machine)
    alerts(world)
    execution: Execution = support.contain(world, machine, "second")[0]
    (alert,) = alerts(world)
    assert alert["Subject"] == f"DECIDE now: user second NOT contained yet - {TITLE}"
    assert execution.status == "RUNNING"


def test_given_the_security_channel_when_alerted_then_the_body_links_it_and_the_principals(
    world: World, machine: StateMachine, security_channel: str
) -> None:
    support.contain(world, machine)
    (alert,) = alerts(world)
    lines = alert["Message"].splitlines()
    assert f"Slack: https://slack.com/app_redirect?channel={security_channel}" in lines
    assert "IAM: user backdoor https://console.aws.amazon.com/iam/home#/users/details/backdoor" in lines


def test_given_a_finding_of_another_account_when_alerted_then_no_link_leads_to_our_user_of_that_name(
    world: World, machine: StateMachine
) -> None:
    support.user("backdoor")
    found = support.finding("backdoor", 8.0, accountId="444455556666")
    machine.start({**found, "account": "444455556666"})
    (alert,) = alerts(world)
    assert "444455556666" in alert["Message"]
    assert "user backdoor" in alert["Message"]
    assert "users/details" not in alert["Message"]


def test_given_the_channel_that_ir_router_made_when_alerted_then_the_body_links_it(
    world: World, machine: StateMachine
) -> None:
    jane = world.workspace.create_user("jane.smith", email="jane.smith@example.com", real_name="Jane Smith")
    world.environment["IR_APPROVERS"] = json.dumps([jane.id])
    support.contain(world, machine)
    assert "Slack: " not in alerts(world)[0]["Message"]  # there is no channel yet
    world.settle()
    support.contain(world, machine, "second")
    (channel,) = [one.id for one in world.workspace.store.channels.values() if one.name.endswith("-security")]
    assert f"\nSlack: https://slack.com/app_redirect?channel={channel}\n" in alerts(world)[-1]["Message"]
