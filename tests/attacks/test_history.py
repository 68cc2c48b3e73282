"""Attacks by a reader of the execution history: who can decrypt it, and which personal data and secrets it contains."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ir_router.ledger import approvals
from tests.support.world import World
from tests.terraform.iam import allows
from tests.terraform.root import ACCOUNT, Plan
from tests.trials.world import incidents as support
from tests.trials.world.state_machine import StateMachine

MACHINE = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:security-incident-response"
OWNER, REASON = "ann@example.com", "Ann Example was on holiday"
CONTEXT = "kms_EncryptionContext:aws:states:stateMachineArn"


def test_given_a_reader_of_the_history_without_the_key_when_it_reads_then_step_functions_cannot_decrypt(
    enforcing: Plan,
) -> None:
    (machine,) = enforcing.resources("aws_sfn_state_machine").values()
    (encryption,) = machine["encryption_configuration"]
    key = encryption["kms_key_id"]
    context = {CONTEXT: MACHINE, "kms_ViaService": "states.us-east-1.amazonaws.com"}
    (own,) = enforcing.role_policies("state_machine_key").values()
    others = enforcing.role_policies("function_key")

    assert encryption["type"] == "CUSTOMER_MANAGED_KMS_KEY"
    assert all(allows(own, action, key, **context) for action in ("kms:Decrypt", "kms:GenerateDataKey"))
    assert not allows(own, "kms:Decrypt", key, **{CONTEXT: f"{MACHINE}-2"})
    assert {role for role, policy in others.items() if allows(policy, "kms:Decrypt", key, **context)} == {"operations"}


class History:
    """All that the states pass on: Step Functions writes it into the execution history."""

    def __init__(self, world: World) -> None:
        self.entries: list[str] = []
        self._invoke = world.invoke

    def invoke(self, function: str, payload: Any, **more: Any) -> Any:
        answer = self._invoke(function, payload, **more)
        if function == "workflow":
            self.entries += [json.dumps(payload), json.dumps(answer)]
        return answer


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_owners_and_a_reason_when_an_incident_is_decided_then_the_history_contains_neither(
    world: World, machine: StateMachine, monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    history = History(world)
    monkeypatch.setattr(world, "invoke", history.invoke)
    (key,) = support.user("backdoor")
    boto3.client("iam").tag_user(UserName="backdoor", Tags=[{"Key": "slack-email", "Value": OWNER}])
    machine.start(support.key_created(world, "backdoor", key))
    another = machine.start(support.key_created(world, "backdoor"))
    request = support.asked(world)[0]
    approval = approvals.get(request["approvalId"])

    support.decide(world, request["taskToken"], decision, notes=REASON, joined_events=1)
    machine.advance()

    assert another.path[-1] == "Done"
    assert approval is not None
    assert approval["owners"] == [OWNER]
    rows = {row["action"]: json.loads(row["details"]) for row in support.audit_rows()}
    assert OWNER in rows["contained"]["owner_tags"].values()
    assert rows["ended"]["decision"]["notes"] == REASON
    assert any(REASON in alert["Message"] for alert in support.alerts(world))
    passed_on = [*history.entries, *(json.dumps(one.output) for one in machine.tokens.values())]
    assert [entry for entry in passed_on if OWNER in entry or REASON in entry] == []
