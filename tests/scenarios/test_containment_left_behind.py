"""Item 12: possible leftovers of an attacker are listed after the containment and before a release."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto.iam.models import iam_backends

from ir_router.workflow import left_behind
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, asked, contain, decide
from tests.trials.world.outages import Outage, struck_by
from tests.trials.world.state_machine import StateMachine

DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
SSH_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ== mallory"
LIST = "check possible leftovers since"


def comments(world: World) -> list[str]:
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    return [body for body in world.comments(case["caseId"]) if LIST in body]


def leave_everything(name: str) -> None:
    """Create one of each kind of credential and policy, as an attacker does."""
    iam = boto3.client("iam")
    iam.create_login_profile(UserName=name, Password="Secret-1234567890")
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="mallory")["VirtualMFADevice"]["SerialNumber"]
    iam.enable_mfa_device(
        UserName=name, SerialNumber=device, AuthenticationCode1="123456", AuthenticationCode2="654321"
    )
    iam.upload_ssh_public_key(UserName=name, SSHPublicKeyBody=SSH_KEY)
    iam.create_service_specific_credential(UserName=name, ServiceName="codecommit.amazonaws.com")
    iam.put_user_policy(UserName=name, PolicyName="hidden", PolicyDocument=DOCUMENT)
    arn = iam.create_policy(PolicyName="everything", PolicyDocument=DOCUMENT)["Policy"]["Arn"]
    iam.attach_user_policy(UserName=name, PolicyArn=arn)


KINDS = (
    "console password of backdoor, 20",
    "MFA device arn:aws:iam::123456789012:mfa/mallory, 20",
    "SSH key APKA",
    "service-specific credential ACCAEXAMPLE000000000 for codecommit.amazonaws.com, 20",
    "inline policy hidden",
    "attached policy arn:aws:iam::123456789012:policy/everything",
    "document of policy arn:aws:iam::123456789012:policy/everything, 20",
)


def test_given_credentials_of_every_kind_when_contained_then_the_case_lists_them_once(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    other = boto3.client("iam").create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]
    created = support.key_created(world, "backdoor", key)
    leave_everything("backdoor")

    machine.start(created)
    world.advance(60)
    machine.advance()
    world.verify_containments()

    (listed,) = comments(world)
    assert listed.startswith(f"user backdoor: {LIST} ")
    assert all(kind.replace("123456789012", ACCOUNT) in listed for kind in KINDS), listed
    assert f"access key {other}, 20" in listed
    assert key not in listed
    assert "inline policy hidden: IAM does not date it" in listed
    assert "policy/everything: attached before the containment, IAM does not date it" in listed


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_things_that_were_left_after_the_containment_when_decided_then_the_result_lists_them(
    world: World, machine: StateMachine, decision: str
) -> None:
    execution, _key = contain(world, machine)
    assert comments(world) == []
    leave_everything("backdoor")

    decide(world, asked(world)[0]["taskToken"], decision)
    machine.advance()

    assert execution.status == "SUCCEEDED"
    told = str(alerts(world)[-1]["Message"])
    assert "May be left behind - user backdoor: " in told
    assert all(kind.replace("123456789012", ACCOUNT) in told for kind in KINDS), told
    assert "inline policy hidden: added since the containment" in told
    assert "policy/everything: attached since the containment" in told


@pytest.mark.parametrize("operation", ["GetUser", "GetPolicy", "ListAttachedUserPolicies"])
def test_given_a_read_that_fails_when_decided_then_the_result_names_the_checks_to_make_by_hand(
    world: World, machine: StateMachine, operation: str
) -> None:
    execution, _key = contain(world, machine)
    leave_everything("backdoor")
    reading = left_behind.read

    def read(row: Any, context: Any) -> Any:
        with struck_by(world, Outage("iam", operation, "throttling", 600.0)):
            return reading(row, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(left_behind, "read", read)
        decide(world, asked(world)[0]["taskToken"], "deny")
        machine.advance()

    assert execution.status == "SUCCEEDED"
    told = str(alerts(world)[-1]["Message"])
    (unread,) = re.findall(r"NOT read: (.*?)\. Check this by hand", told)
    assert (
        unread
        == {
            "GetUser": "all credentials and policies (ClientError)",
            "GetPolicy": "document of a policy (Throttling)",
            "ListAttachedUserPolicies": "attached policy (Throttling), document of a policy (Throttling)",
        }[operation]
    )
    assert ("policy/everything: attached since the containment" in told) is (operation == "GetPolicy")


def test_given_a_kept_containment_when_released_then_the_answer_and_the_case_list_what_may_be_left(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)
    world.advance(86_401)
    machine.advance()
    leave_everything("backdoor")
    principal = f"arn:aws:iam::{ACCOUNT}:user/backdoor"

    answer = world.invoke(
        "workflow", {"task": "release", "principal": principal, "released_by": "Ann", "reason": "known user"}
    )

    assert all(any(kind.replace("123456789012", ACCOUNT) in one for one in answer["left_behind"]) for kind in KINDS)
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    assert any("May be left behind: " in body for body in world.comments(case["caseId"]))


def test_given_things_that_are_older_when_contained_then_they_are_not_listed_but_what_has_no_date_is(
    world: World, machine: StateMachine
) -> None:
    (old,) = support.user("backdoor")
    iam = boto3.client("iam")
    iam.create_login_profile(UserName="backdoor", Password="Secret-1234567890")
    stored: Any = iam_backends[ACCOUNT]["aws"].users["backdoor"]
    stored.access_keys[0].create_date = stored.password_date = datetime(2020, 1, 1, tzinfo=UTC)

    machine.start(support.key_created(world, "backdoor"))

    (listed,) = comments(world)
    assert old not in listed
    assert "console password of backdoor, created earlier: IAM does not date a change of the password" in listed


def test_given_a_role_when_contained_then_its_policies_are_listed(world: World, machine: StateMachine) -> None:
    support.role("deploy")
    boto3.client("iam").put_role_policy(RoleName="deploy", PolicyName="hidden", PolicyDocument=DOCUMENT)

    machine.start(support.finding("deploy", 8.0, user_type="AssumedRole"))

    (listed,) = comments(world)
    assert "inline policy hidden: IAM does not date it" in listed


READS = (
    "ListMFADevices",
    "ListSSHPublicKeys",
    "ListSigningCertificates",
    "ListServiceSpecificCredentials",
    "GetLoginProfile",
    "ListUserPolicies",
    "GetPolicy",
)


@pytest.mark.parametrize("error", ["AccessDenied", "Throttling", "silence"])
def test_given_reads_that_fail_when_contained_then_the_list_names_them_and_people_are_asked(
    world: World, machine: StateMachine, error: str
) -> None:
    (key,) = support.user("backdoor")
    leave_everything("backdoor")

    def fail(model: Any, **_: Any) -> None:
        if error == "silence":
            raise ReadTimeoutError(endpoint_url="https://iam.amazonaws.com")
        answer: Any = {"Error": {"Code": error}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(answer, model.name)

    for operation in READS:
        if operation != "GetPolicy":  # the containment itself reads the deny policy
            boto3.DEFAULT_SESSION.events.register(f"before-call.iam.{operation}", fail)  # type: ignore[union-attr]

    execution = machine.start(support.key_created(world, "backdoor", key))

    assert execution.steps[-1] == "Wait for Analyst"
    assert len(asked(world)) == 1
    if error != "AccessDenied":  # the reads are repeated for a quarter of an hour
        assert comments(world) == []
        world.advance(901)
        world.verify_containments()
    (listed,) = comments(world)
    name = "ReadTimeoutError" if error == "silence" else error
    unread = listed.partition("NOT read: ")[2]
    for what in ("MFA device", "SSH key", "signing certificate", "service-specific credential", "console password"):
        assert f"{what} ({name})" in unread
    assert f"inline policy ({name})" in unread
    assert os.environ["IR_CONTAINMENT_MODE"] == "enforce"


def test_given_a_finding_when_its_first_activity_was_earlier_then_the_list_begins_there(
    world: World, machine: StateMachine
) -> None:
    (key, other) = support.user("backdoor", keys=2)
    found = support.finding("backdoor", 8.0)
    found["detail"]["resource"]["accessKeyDetails"] |= {"accessKeyId": key}
    found["detail"]["resource"]["accessKeyDetails"].pop("principalId")
    seen = datetime.fromtimestamp(world.now(), UTC).isoformat()
    found["detail"]["service"] |= {"eventFirstSeen": "2026-01-02T03:04:05Z", "eventLastSeen": seen}

    machine.start(found)

    (listed,) = comments(world)
    assert f"{LIST} 2026-01-02 03:04:05 UTC" in listed
    assert f"access key {other}, 20" in listed
