"""Members of the organisation on the local cloud: one is contained and restored, and a template equals the modules."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ir_operator.project import PROJECT_ROOT
from ir_sandbox.cloud.accounts import HUB, ORGANIZATION_ID
from ir_sandbox.cloud.emulator import Emulator
from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.cloud.member import Member
from ir_sandbox.cloud.terraform import Terraform
from ir_sandbox.demo.member_job import VARIABLES, MemberJob
from ir_sandbox.demo.report import Report
from tests.support.waiting import wait_for

pytestmark = pytest.mark.local_cloud

BY_TEMPLATE = "333333333333"
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2", "sa-east-1")
OUTPUTS = {
    "detections_bus_arn": f"arn:aws:events:us-east-1:{HUB}:event-bus/security-incident-detections",
    "workflow_role_arn": f"arn:aws:iam::{HUB}:role/security-incident-workflow",
}
ROLE, QUEUE = "security-incident-containment", "security-incident-forwarding-failures"

Json = dict[str, Any]


@pytest.mark.deployments
def test_given_a_user_of_a_member_when_contained_and_restored_then_both_accounts_are_seen() -> None:
    report = Report()
    with LocalCloud(enforce_iam=True, variables=VARIABLES) as cloud:
        MemberJob(cloud, report).run()
        assert cloud.pending_changes() == []

    assert [(check.name, check.detail) for check in report.checks if not check.ok] == []
    assert len(report.checks) == 14


def test_given_two_accounts_in_four_regions_when_made_by_modules_and_template_then_they_are_the_same(
    tmp_path: Path,
) -> None:
    with Emulator(schedules=False) as emulator, Member(emulator.environment, OUTPUTS, REGIONS) as by_modules:
        assert by_modules.pending_changes() == []
        by_template = Member(emulator.environment, OUTPUTS, REGIONS, account=BY_TEMPLATE)
        template = template_for(emulator, tmp_path)
        for region in REGIONS:
            create_stack(by_template.client("cloudformation", region), template)

        assert account_state(by_template) == account_state(by_modules)
        for region in REGIONS:
            assert region_state(by_template, region) == region_state(by_modules, region)

        # The hub is in one of the units.
        hub = Member(emulator.environment, OUTPUTS, REGIONS, account=HUB)
        create_stack(hub.client("cloudformation"), template)
        assert hub.client("iam").list_roles()["Roles"] == hub.client("events").list_rules()["Rules"] == []


def template_for(emulator: Emulator, folder: Path) -> str:
    """Return the template that modules/organization plans."""
    shutil.copytree(PROJECT_ROOT / "terraform" / "modules", folder / "terraform" / "modules")
    (folder / "src").symlink_to(PROJECT_ROOT / "src")
    module = {
        "source": "./terraform/modules/organization",
        "organization_id": ORGANIZATION_ID,
        "member_ous": {"r-ab12": "enforce"},
        "watched_regions": list(REGIONS),
        **OUTPUTS,
    }
    (folder / "main.tf.json").write_text(json.dumps({"module": {"organization": module}}))
    terraform = Terraform(folder, emulator.environment)
    terraform.init()
    terraform._run("plan", "-input=false", "-out=plan")
    (found,) = [
        change["change"]["after"]["template_body"]
        for change in json.loads(terraform._run("show", "-json", "plan"))["resource_changes"]
        if change["type"] == "aws_cloudformation_stack_set"
    ]
    return str(found)


def create_stack(cloud_formation: Any, template: str) -> None:
    """Create the stack as StackSets does, and wait for it."""
    cloud_formation.create_stack(
        StackName="StackSet-members",
        TemplateBody=template,
        Parameters=[{"ParameterKey": "ContainmentMode", "ParameterValue": "enforce"}],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )

    def status() -> str:
        return str(cloud_formation.describe_stacks(StackName="StackSet-members")["Stacks"][0]["StackStatus"])

    wait_for(lambda: not status().endswith("IN_PROGRESS"))
    assert status() == "CREATE_COMPLETE"


def account_state(member: Member) -> Json:
    """Return the roles and policies of ir-router in an account, with `ACCOUNT` for its id."""
    iam = member.client("iam")
    role = iam.get_role(RoleName=ROLE)["Role"]
    attached = iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]
    inline = iam.get_role_policy(RoleName=ROLE, PolicyName="containment")["PolicyDocument"]
    for statement in inline["Statement"]:
        # The template has a forwarding role for each region.
        if statement["Sid"] == "NeverTouchOwnRoles":
            statement["Resource"] = sorted({forwarding_once(arn) for arn in statement["Resource"]})
    documents = {
        policy["PolicyName"]: iam.get_policy_version(PolicyArn=policy["Arn"], VersionId="v1")["PolicyVersion"][
            "Document"
        ]
        for policy in iam.list_policies(Scope="Local")["Policies"]
    }
    roles = {forwarding_once(one["RoleName"]) for one in iam.list_roles()["Roles"]}
    found = {
        "trust": role["AssumeRolePolicyDocument"],
        "description": role["Description"],
        "tags": sorted((tag["Key"], tag["Value"]) for tag in role["Tags"] if not tag["Key"].startswith("aws:")),
        "inline": inline,
        "attached": sorted(policy["PolicyName"] for policy in attached),
        "policies": documents,
        "roles": sorted(roles),
    }
    return without_account(found, member)


def region_state(member: Member, region: str) -> Json:
    """Return the rules with their targets and roles, and the queue, with `ACCOUNT` for the account's id."""
    events, iam, sqs = (member.client(service, region) for service in ("events", "iam", "sqs"))
    rules = {}
    for rule in events.list_rules()["Rules"]:
        (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        name = target["RoleArn"].rpartition("/")[2]
        rules[rule["Name"]] = {
            "rule": (rule["Description"], rule["State"], json.loads(rule["EventPattern"])),
            "target": (target["Arn"], target["DeadLetterConfig"]["Arn"], sorted(target.keys())),
            "trust": iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"],
            "role": iam.get_role_policy(RoleName=name, PolicyName="forwarding")["PolicyDocument"],
        }
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    kept = {name: queue[name] for name in ("QueueArn", "MessageRetentionPeriod", "SqsManagedSseEnabled")}
    assert len(rules) > 20
    return without_account({"rules": rules, "queue": kept, "policy": json.loads(queue["Policy"])}, member)


def forwarding_once(text: str) -> str:
    """Return the name or ARN of a role without the region of the template's forwarding roles."""
    for region in REGIONS:
        text = text.removesuffix(f"-{region}")
    return text


def without_account(found: Json, member: Member) -> Json:
    shown: Json = json.loads(json.dumps(found).replace(member.account, "ACCOUNT"))
    return shown
