"""C3: a containment stays after its incident has ended: it is verified later, and people are mentioned."""

from __future__ import annotations

import json

import boto3
import pytest

from ir_router.ledger import approvals
from tests.support.approvals import case_channel, make_approver
from tests.support.undoing import mentions, reports, undo
from tests.support.world import ACCOUNT, World
from tests.trials.world import FunctionDiedError
from tests.trials.world import incidents as support
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.encryption import Key
from tests.trials.world.incidents import alerts, asked, contain, decide, iam_state
from tests.trials.world.outages import Outage, struck_by
from tests.trials.world.state_machine import StateMachine
from tests.trials.world.unexpected import RAISED_WHEN_SERVICES_FAIL


@pytest.mark.parametrize("end", ["approve", "time-out"])
def test_given_an_incident_that_has_ended_when_undone_then_the_next_hour_re_applies_it(
    world: World, machine: StateMachine, end: str
) -> None:
    other, key = support.user("backdoor", keys=2)
    machine.start(support.key_created(world, "backdoor", key))
    if end == "approve":
        decide(world, asked(world)[-1]["taskToken"], "approve")
    else:
        world.advance(86_401)
    machine.advance()
    alerts(world)
    undo(world, "backdoor", other)
    assert world.verify_containments() == {"verified": 0, "failed": 0}

    world.advance(3_601)
    assert world.verify_containments() == {"verified": 1, "failed": 0}

    state = iam_state(world, "backdoor")
    assert (state.keys[other], state.denied) == ("Inactive", True)
    (report,) = reports(world)
    assert "The incident has ended. The containment stays until you release it." in report["Message"]
    assert world.verify_containments() == {"verified": 0, "failed": 0}
    world.advance(3_601)
    assert world.verify_containments() == {"verified": 1, "failed": 0}
    assert reports(world) == []


def test_given_an_approved_containment_when_a_month_passes_then_it_is_verified_once_a_day_until_its_release(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)
    decide(world, asked(world)[-1]["taskToken"], "approve")
    machine.advance()
    for _hour in range(24):
        world.advance(3_601)
        assert world.verify_containments() == {"verified": 1, "failed": 0}
    world.advance(30 * 86_400)
    world.verify_containments()
    world.advance(43_200)
    assert world.verify_containments() == {"verified": 0, "failed": 0}
    world.advance(43_201)
    assert world.verify_containments() == {"verified": 1, "failed": 0}

    principal = f"arn:aws:iam::{ACCOUNT}:user/backdoor"
    world.invoke("workflow", {"task": "release", "principal": principal, "released_by": "Ann", "reason": "known"})
    world.advance(86_401)
    world.verify_containments()
    world.advance(86_401)
    assert world.verify_containments() == {"verified": 0, "failed": 0}
    assert not iam_state(world, "backdoor").denied


@pytest.mark.parametrize(("service", "operation"), [("slack", "chat.postMessage"), ("dynamodb", "PutItem")])
def test_given_an_outage_of_ten_minutes_when_an_ended_incident_is_undone_then_the_approvers_are_mentioned_after_it(
    world: World, machine: StateMachine, security_channel: str, service: str, operation: str
) -> None:
    world.unexpected.allow(*RAISED_WHEN_SERVICES_FAIL)
    jane = make_approver(world)
    contain(world, machine)
    world.settle()
    decide(world, asked(world)[-1]["taskToken"], "approve")
    machine.advance()
    world.live(2)
    boto3.client("iam").detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
    world.advance(3_601)

    with struck_by(world, Outage(service, operation, "server error", 600.0)):
        world.live(12)
    places = (case_channel(world), security_channel)
    world.live(2)

    (mention,) = mentions(world, places[0])
    assert mention.startswith(f"<@{jane.id}> user backdoor contained again")
    assert mentions(world, places[1]) == [mention]
    assert approvals.open_ids() == []
    world.live(5)
    assert [mentions(world, place) for place in places] == [[mention]] * 2


@pytest.mark.parametrize("dies", [False, True])
def test_given_no_ledger_when_a_containment_is_undone_then_it_is_repaired_at_once_and_the_approvers_are_mentioned_once(
    world: World, machine: StateMachine, security_channel: str, dies: bool
) -> None:
    """The function also dies once after its last call: a retry must not mention people a second time."""
    world.unexpected.allow(*RAISED_WHEN_SERVICES_FAIL)
    jane, key = make_approver(world), Key(world)
    execution, other = contain(world, machine)
    world.live(2)
    before = iam_state(world, "backdoor")
    undo(world, "backdoor", other)
    undone_at, repaired = world.now(), []

    def watch(task: str, after: bool) -> None:
        if after and task == "contain_without_ledger":
            repaired.append((world.now(), iam_state(world, "backdoor")))
        if after and task == "contain_with_ledger" and dies and len(repaired) == 1:
            repaired.append((world.now(), iam_state(world, "backdoor")))
            raise FunctionDiedError("after its last call")

    machine.fault = watch
    detached = support.call(
        world,
        "DetachUserPolicy",
        userIdentity=support.user_identity("eve", "AKIAEVE0000000000001"),
        requestParameters={"userName": "backdoor", "policyArn": DENY_POLICY},
    )
    key.disable(300)
    machine.start(support.event(detached))
    world.live(7)
    places = (case_channel(world), security_channel)

    moment, state = repaired[0]
    assert (state, moment - undone_at < 60) == (before, True)
    (mention,) = mentions(world, places[0])
    assert mention.startswith(f"<@{jane.id}> user backdoor contained again")
    assert mentions(world, places[1]) == [mention]
    world.live(5)
    assert [mentions(world, place) for place in places] == [[mention]] * 2
    (row,) = [json.loads(one["details"]) for one in support.audit_rows() if one["action"] == "containment_reapplied"]
    assert (row["undone"]["deny_policy"], row["undone"]["active_keys"]) == (True, [other])
    decide(world, asked(world)[-1]["taskToken"], "deny")
    machine.advance()
    assert execution.status == "SUCCEEDED"
