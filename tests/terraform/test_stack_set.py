"""The template of modules/organization creates the resources of modules/account and modules/region in each member.

Two differences are intended: each region has its own forwarding role, and the ids of targets.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ir_operator.project import PROJECT_ROOT
from ir_operator.terraform import plugin_mirror, terraform_program
from ir_sandbox.cloud.terraform import own_environment
from ir_sandbox.http import RunningServer
from tests.terraform.root import ACCOUNT, Plan, TerraformRoot, aws

HUB = "999999999999"
REGIONS = ("us-east-1", "eu-west-1")
MODULES = {"us-east-1": "us_east_1", "eu-west-1": "ireland"}
MODES = ("dry_run", "enforce", "off")
PREFIXES = ("security-incident", "a-prefix-of-28-letters-xxxxx")

Json = dict[str, Any]

ROOT = """
variable "name_prefix" {}
variable "mode" {}
locals {
  hub        = "HUB"
  bus        = "arn:aws:events:eu-west-1:${local.hub}:event-bus/${var.name_prefix}-detections"
  workflow   = "arn:aws:iam::${local.hub}:role/${var.name_prefix}-workflow"
  severities = ["LOW", "MEDIUM", "HIGH", "CRITICAL"]
}
provider "aws" { region = "us-east-1" }
provider "aws" {
  alias  = "ireland"
  region = "eu-west-1"
}
module "account" {
  source               = "./terraform/modules/account"
  name_prefix          = var.name_prefix
  workflow_role_arn    = local.workflow
  organization_id      = "o-a1b2c3d4e5"
  containment_mode     = var.mode
  detections_bus_arn   = local.bus
  watched_regions      = ["us-east-1", "eu-west-1"]
  protected_principals = ["arn:aws:iam::ACCOUNT:role/not-yet", "arn:aws:iam::ACCOUNT:user/founders/first"]
}
module "us_east_1" {
  source      = "./terraform/modules/region"
  name_prefix = var.name_prefix
  bus_arn     = local.bus
  role_arn    = module.account.forwarding_role_arn
  severities  = local.severities
}
module "ireland" {
  source      = "./terraform/modules/region"
  providers   = { aws = aws.ireland }
  name_prefix = var.name_prefix
  bus_arn     = local.bus
  role_arn    = module.account.forwarding_role_arn
  severities  = local.severities
}
module "organization" {
  source               = "./terraform/modules/organization"
  name_prefix          = var.name_prefix
  organization_id      = "o-a1b2c3d4e5"
  workflow_role_arn    = local.workflow
  detections_bus_arn   = local.bus
  member_ous           = { ou-ab12-11111111 = var.mode }
  watched_regions      = ["us-east-1", "eu-west-1"]
  severities           = local.severities
  protected_principals = ["arn:aws:iam::*:role/not-yet", "arn:aws:iam::*:user/founders/first"]
}
"""


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TerraformRoot]:
    """Return an initialised root that has a member by modules and by StackSet."""
    folder = tmp_path_factory.mktemp("members")
    shutil.copytree(PROJECT_ROOT / "terraform" / "modules", folder / "terraform" / "modules")
    (folder / "src").symlink_to(PROJECT_ROOT / "src")
    (folder / "main.tf").write_text(ROOT.replace("HUB", HUB).replace("ACCOUNT", ACCOUNT))
    with RunningServer(aws) as server:
        environment = own_environment() | {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": server.url,
        }
        root = TerraformRoot(terraform_program(), folder, environment)
        mirror = plugin_mirror()
        answer = root.run("init", "-input=false", "-no-color", *([f"-plugin-dir={mirror}"] if mirror else []))
        assert answer.returncode == 0, answer.stderr
        yield root


def planned(root: TerraformRoot, prefix: str, mode: str) -> Plan:
    """Plan the root."""
    variables = [f"-var=name_prefix={prefix}", f"-var=mode={mode}"]
    answer = root.run("plan", "-input=false", "-no-color", "-out=plan", *variables)
    assert answer.returncode == 0, answer.stderr
    return Plan(json.loads(root.run("show", "-json", "plan").stdout), b"")


class Stack:
    """The resources that CloudFormation makes of a template in one account and region."""

    def __init__(self, template: Json, account: str, region: str, mode: str) -> None:
        """Evaluate the template."""
        self._conditions = template["Conditions"]
        defaults = {name: one["Default"] for name, one in template["Parameters"].items() if "Default" in one}
        self._values = defaults | {"AWS::AccountId": account, "AWS::Region": region, "ContainmentMode": mode}
        self._resources = template["Resources"]
        self.resources = {
            name: {**resource, "Properties": self._value(resource.get("Properties", {}))}
            for name, resource in self._resources.items()
            if "Condition" not in resource or self._true(resource["Condition"])
        }

    def properties(self, kind: str) -> list[Json]:
        """Return the properties of all resources of a kind."""
        found = [resource["Properties"] for resource in self.resources.values() if resource["Type"] == f"AWS::{kind}"]
        return sorted(found, key=lambda one: json.dumps(one, sort_keys=True))

    def role(self, name: str) -> Json:
        """Return the properties of a role."""
        (found,) = [one for one in self.properties("IAM::Role") if one["RoleName"] == name]
        return found

    def _true(self, name: str) -> bool:
        return bool(self._value(self._conditions[name]))

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(one) for one in value if not self._is_left_out(one)]
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            return {name: self._value(one) for name, one in value.items()}
        ((name, argument),) = value.items()
        match name:
            case "Fn::Sub":
                for placeholder, text in self._values.items():
                    argument = argument.replace(f"${{{placeholder}}}", text)
                assert "${" not in argument
                return argument
            case "Ref":
                return self._values.get(argument, f"ref:{argument}")
            case "Fn::GetAtt":
                return f"attribute:{'.'.join(argument)}"
            case "Fn::If":
                return self._value(argument[1] if self._true(argument[0]) else argument[2])
            case "Fn::Equals":
                return self._value(argument[0]) == self._value(argument[1])
            case "Fn::Not":
                return not self._value(argument[0])
            case "Fn::And":
                return all(self._value(one) for one in argument)
            case "Condition" if isinstance(argument, str):
                return self._true(argument)
        return {name: self._value(argument)}

    def _is_left_out(self, value: Any) -> bool:
        return (
            isinstance(value, dict)
            and "Fn::If" in value
            and not self._true(value["Fn::If"][0])
            and value["Fn::If"][2] == {"Ref": "AWS::NoValue"}
        )


def template_of(plan: Plan) -> Json:
    """Return the template of the planned StackSet."""
    (stack_set,) = plan.resources("aws_cloudformation_stack_set").values()
    assert len(stack_set["template_body"]) <= 51_200  # docs.aws.amazon.com: quotas of CloudFormation
    found: Json = json.loads(stack_set["template_body"])
    return found


def addresses(plan: Plan) -> list[str]:
    """Return the addresses of all planned resources."""
    return [resource["address"] for resource in plan.all_resources() if resource["mode"] == "managed"]


def count(found: Iterable[str], kind: str) -> int:
    """Return how many of the addresses in modules are of a kind."""
    return sum(address.split(".")[2] == kind for address in found)


@dataclass(frozen=True)
class Member:
    """One member, planned by the modules and by the StackSet."""

    plan: Plan
    stacks: dict[str, Stack]
    prefix: str
    mode: str

    @property
    def first(self) -> Stack:
        """The stack of the region that has the resources of IAM."""
        return self.stacks["us-east-1"]

    def by_modules(self, module: str, kind: str) -> list[Json]:
        """Return the planned resources of a kind in a module."""
        found = self.plan.resources(f"aws_{kind}")
        return [values for address, values in found.items() if address.startswith(f"module.{module}.")]

    def role(self, name: str) -> tuple[Json, dict[str, Json]]:
        """Return a role of the modules, with its inline policies by name."""
        (role,) = [role for role in self.by_modules("account", "iam_role") if role["name"] == name]
        inline = [one for one in self.by_modules("account", "iam_role_policy") if one["role"] == name]
        return role, {policy["name"]: json.loads(policy["policy"]) for policy in inline}


@pytest.fixture(scope="module", params=[*[(PREFIXES[0], mode) for mode in MODES], (PREFIXES[1], "enforce")], ids=str)
def member(request: pytest.FixtureRequest, members: TerraformRoot) -> Member:
    """Return a member for each mode and prefix."""
    prefix, mode = request.param
    plan = planned(members, prefix, mode)
    template = template_of(plan)
    return Member(plan, {region: Stack(template, ACCOUNT, region, mode) for region in REGIONS}, prefix, mode)


def test_given_a_member_when_made_by_the_stack_set_then_its_containment_role_is_that_of_the_module(
    member: Member,
) -> None:
    role, inline = member.role(f"{member.prefix}-containment")
    made = member.first.role(role["name"])
    policy = with_regions(inline["containment"], f"{member.prefix}-forwarding")

    assert made == {
        "RoleName": role["name"],
        "Description": role["description"],
        "AssumeRolePolicyDocument": json.loads(role["assume_role_policy"]),
        "ManagedPolicyArns": ["ref:Protected1"],
        "Policies": [{"PolicyName": "containment", "PolicyDocument": policy}],
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(role["tags"].items())],
    }
    assert len(member.by_modules("account", "iam_role_policy_attachment")) == len(made["ManagedPolicyArns"])
    allowed = [one["Action"] for one in policy["Statement"] if one["Effect"] == "Allow"]
    assert (["iam:AttachUserPolicy"] in allowed) is (member.mode == "enforce")


def test_given_a_member_when_made_by_the_stack_set_then_each_region_has_the_forwarding_role(member: Member) -> None:
    role, inline = member.role(f"{member.prefix}-forwarding")

    for region, stack in member.stacks.items():
        assert stack.role(f"{role['name']}-{region}") == {
            "RoleName": f"{role['name']}-{region}",
            "Description": role["description"],
            "AssumeRolePolicyDocument": json.loads(role["assume_role_policy"]),
            "Policies": [{"PolicyName": name, "PolicyDocument": policy} for name, policy in inline.items()],
        }


def test_given_a_member_when_made_by_the_stack_set_then_its_managed_policies_are_those_of_the_module(
    member: Member,
) -> None:
    made = {one.pop("ManagedPolicyName"): one for one in member.first.properties("IAM::ManagedPolicy")}

    assert made == {
        policy["name"]: {"Description": policy["description"], "PolicyDocument": json.loads(policy["policy"])}
        for policy in member.by_modules("account", "iam_policy")
    }
    assert len(made) == 1


def test_given_a_member_when_made_by_the_stack_set_then_its_rules_are_those_of_the_module(member: Member) -> None:
    for region, stack in member.stacks.items():
        rules = {rule["name"]: rule for rule in member.by_modules(MODULES[region], "cloudwatch_event_rule")}
        targets = {one["rule"]: one for one in member.by_modules(MODULES[region], "cloudwatch_event_target")}

        assert len(rules) > 40
        assert {one.pop("Name"): one for one in stack.properties("Events::Rule")} == {
            name: {
                "Description": rule["description"],
                "EventPattern": json.loads(rule["event_pattern"]),
                "State": rule["state"],
                "Targets": [
                    {
                        "Id": "hub",
                        "Arn": targets[name]["arn"],
                        "RoleArn": "attribute:ForwardingRole.Arn",
                        "DeadLetterConfig": {"Arn": "attribute:Failures.Arn"},
                    }
                ],
            }
            for name, rule in rules.items()
        }


def test_given_a_member_when_made_by_the_stack_set_then_its_queue_is_that_of_the_module(member: Member) -> None:
    for region, stack in member.stacks.items():
        (queue,) = member.by_modules(MODULES[region], "sqs_queue")

        assert stack.properties("SQS::Queue") == [
            {
                "QueueName": queue["name"],
                "MessageRetentionPeriod": queue["message_retention_seconds"],
                "SqsManagedSseEnabled": queue["sqs_managed_sse_enabled"],
            }
        ]
        assert stack.properties("SQS::QueuePolicy") == [
            {"Queues": ["ref:Failures"], "PolicyDocument": json.loads(queue["policy"])}
        ]


def test_given_a_member_when_made_by_the_stack_set_then_it_has_no_other_resources(member: Member) -> None:
    modules = [address for address in addresses(member.plan) if "module.organization" not in address]
    kinds = Counter(resource["Type"] for stack in member.stacks.values() for resource in stack.resources.values())

    # The forwarding role of the second region; inline policies, targets and attachments are properties.
    assert kinds["AWS::IAM::Role"] == count(modules, "aws_iam_role") + 1
    assert kinds["AWS::IAM::ManagedPolicy"] == count(modules, "aws_iam_policy")
    assert kinds["AWS::Events::Rule"] == count(modules, "aws_cloudwatch_event_rule")
    assert kinds["AWS::SQS::Queue"] == kinds["AWS::SQS::QueuePolicy"] == count(modules, "aws_sqs_queue")
    assert kinds["AWS::CloudFormation::WaitConditionHandle"] == len(REGIONS)
    assert len(kinds) == 6
    assert {address.split(".")[2] for address in modules} == {
        "aws_cloudwatch_event_rule",
        "aws_cloudwatch_event_target",
        "aws_iam_policy",
        "aws_iam_role",
        "aws_iam_role_policy",
        "aws_iam_role_policy_attachment",
        "aws_sqs_queue",
    }


def test_given_the_hub_in_a_unit_when_the_stack_set_reaches_it_then_nothing_is_created_there(
    members: TerraformRoot,
) -> None:
    template = template_of(planned(members, PREFIXES[0], "enforce"))

    for region in REGIONS:
        assert list(Stack(template, HUB, region, "enforce").resources) == ["Placeholder"]


def with_regions(policy: Json, role: str) -> Json:
    """Return the policy with the forwarding roles of the regions in place of the account's one."""
    text = json.dumps(policy)
    own = f'"arn:aws:iam::{ACCOUNT}:role/{role}"'
    assert own in text
    each = ", ".join(f'"arn:aws:iam::{ACCOUNT}:role/{role}-{region}"' for region in sorted(REGIONS))
    found: Json = json.loads(text.replace(own, each))
    return found
