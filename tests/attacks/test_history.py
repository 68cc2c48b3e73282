"""Attacks by a reader of the execution history: who can decrypt it, and which personal data and secrets it contains."""

from __future__ import annotations

from tests.terraform.iam import allows
from tests.terraform.root import ACCOUNT, Plan

MACHINE = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:security-incident-response"
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
