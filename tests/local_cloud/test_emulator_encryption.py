"""The emulator's Step Functions with a customer-managed key; see `ir_sandbox.cloud.ministack_patches.encryption`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ir_sandbox.cloud.emulator import Emulator
from tests.local_cloud.emulator_stack import Stack, refusal
from tests.local_cloud.test_emulator_authorization import policy, user_with

pytestmark = pytest.mark.local_cloud

DEFINITION = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
CONTEXT = "kms:EncryptionContext:aws:states:stateMachineArn"
TRUST = policy("Allow", "sts:AssumeRole", "*", {}).replace('"Resource": "*"', '"Principal": {"AWS": "*"}')


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Emulator(enforce_iam=True) as emulator:
        yield Stack(emulator)


class Machine:
    """An encrypted state machine whose role may use the key, or may not."""

    def __init__(self, stack: Stack, *, role_may: bool = True) -> None:
        name = stack.name("encrypted")
        self.states = stack.client("stepfunctions")
        self.key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
        self.arn = f"arn:aws:states:us-east-1:000000000000:stateMachine:{name}"
        iam = stack.client("iam")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        if role_may:
            may = use_of_key(self.key, self.arn, ["kms:Decrypt", "kms:GenerateDataKey"])
            iam.put_role_policy(RoleName=name, PolicyName="key", PolicyDocument=may)
        self.request = {"name": name, "definition": DEFINITION, "roleArn": role}
        self.request |= {"encryptionConfiguration": {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": self.key}}
        self.states.create_state_machine(**self.request)

    def start(self) -> str:
        return str(self.states.start_execution(stateMachineArn=self.arn)["executionArn"])


def use_of_key(key: str, machine: str, actions: list[str]) -> str:
    statement = {"Effect": "Allow", "Action": actions, "Resource": key}
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [statement | {"Condition": {"StringEquals": {CONTEXT: machine}}}]}
    )


def reads(states: Any, machine: Machine, execution: str) -> dict[str, Callable[[], Any]]:
    return {
        "definition": lambda: states.describe_state_machine(stateMachineArn=machine.arn),
        "execution": lambda: states.describe_execution(executionArn=execution),
        "history": lambda: states.get_execution_history(executionArn=execution),
    }


@pytest.mark.parametrize("read", ["definition", "execution", "history"])
def test_given_a_reader_without_the_key_when_reading_then_refused_until_the_key_is_granted_for_that_machine(
    stack: Stack, read: str
) -> None:
    machine = Machine(stack)
    execution = machine.start()
    without = user_with(stack, policy("Allow", "states:*", "*", {}))("stepfunctions")

    def reader(context: str) -> Any:
        statements = json.loads(policy("Allow", "states:*", "*", {}))["Statement"]
        statements += json.loads(use_of_key(machine.key, context, ["kms:Decrypt"]))["Statement"]
        return user_with(stack, json.dumps({"Version": "2012-10-17", "Statement": statements}))("stepfunctions")

    assert refusal(reads(without, machine, execution)[read]) == "KmsAccessDeniedException"
    assert refusal(reads(reader(f"{machine.arn}2"), machine, execution)[read]) == "KmsAccessDeniedException"
    reads(reader(machine.arn), machine, execution)[read]()


def test_given_a_reader_without_the_key_when_asking_for_metadata_only_then_the_status_comes_without_the_input(
    stack: Stack,
) -> None:
    machine = Machine(stack)
    states = user_with(stack, policy("Allow", "states:*", "*", {}))("stepfunctions")

    found = states.describe_execution(executionArn=machine.start(), includedData="METADATA_ONLY")

    assert found["status"] in ("RUNNING", "SUCCEEDED")
    assert "input" not in found
    definition = states.describe_state_machine(stateMachineArn=machine.arn, includedData="METADATA_ONLY")["definition"]
    assert definition == "{}"


def test_given_a_role_that_may_not_use_the_key_when_an_execution_is_started_then_refused(stack: Stack) -> None:
    assert refusal(Machine(stack, role_may=False).start) == "KmsAccessDeniedException"


def test_given_a_disabled_key_when_an_execution_is_started_or_read_then_refused(stack: Stack) -> None:
    machine = Machine(stack)
    execution = machine.start()
    stack.client("kms").disable_key(KeyId=machine.key)

    assert refusal(machine.start) == "KmsInvalidStateException"
    assert refusal(lambda: machine.states.get_execution_history(executionArn=execution)) == "KmsInvalidStateException"


def test_given_an_unknown_key_when_a_machine_is_created_then_refused(stack: Stack) -> None:
    machine = Machine(stack)
    unknown = {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "arn:aws:kms:us-east-1:000000000000:key/none"}
    request = {**machine.request, "name": stack.name("wrong"), "encryptionConfiguration": unknown}

    assert refusal(lambda: machine.states.create_state_machine(**request)) == "InvalidEncryptionConfiguration"


def test_given_a_deployer_without_the_key_when_creating_a_machine_then_refused(stack: Stack) -> None:
    machine = Machine(stack)
    states = user_with(
        stack, policy("Allow", "states:*", "*", {}).replace('"states:*"', '["states:*", "iam:PassRole"]')
    )("stepfunctions")

    request = {**machine.request, "name": stack.name("refused")}

    assert refusal(lambda: states.create_state_machine(**request)) == "KmsAccessDeniedException"
