"""D8: the policies of the people who deploy, operate, decide and audit; each within IAM's limits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ir_operator import __main__ as command
from ir_operator import parser
from ir_operator.errors import CommandError
from ir_operator.policies.rendering import MOST_CHARACTERS, ROLES, Role, policies, size
from ir_operator.project import PROJECT_ROOT
from tests.terraform.iam import allows, strings

ACCOUNT = "123456789012"
LONGEST = "p" * 28
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/00000000-1111-2222-3333-444444444444"


def statements(role: Role, prefix: str = "acme", region: str = "eu-central-1") -> list[dict[str, Any]]:
    return [statement for document in policies(role, prefix, region) for statement in document["Statement"]]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("prefix", ["abc", "security-incident", LONGEST])
@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-1"])
def test_given_any_prefix_when_rendered_then_each_document_fits_and_gives_no_more_than_it_names(
    role: Role, prefix: str, region: str
) -> None:
    documents = policies(role, prefix, region)

    assert len(documents) <= (2 if role == "deployer" else 1)
    assert all(size(document) <= MOST_CHARACTERS for document in documents)
    assert "{" not in json.dumps(documents).replace('{"', "").replace("{}", "")
    for statement in statements(role, prefix, region):
        if statement["Effect"] == "Deny":
            continue
        assert all(action.split(":")[1] not in ("*", "") for action in strings(statement["Action"])), statement["Sid"]
        if statement["Resource"] == "*" and "Condition" not in statement:
            assert statement["Sid"] in ("NothingToName", "FindProtectedPrincipals")
    sids = [statement["Sid"] for statement in statements(role, prefix, region)]
    assert len(sids) == len(set(sids))


@pytest.mark.parametrize("prefix", ["ab", "Acme", "1st", "acme-", "p" * 29])
def test_given_a_prefix_that_terraform_refuses_when_rendered_then_it_is_refused(prefix: str) -> None:
    with pytest.raises(CommandError, match="is not a valid name_prefix"):
        policies("analyst", prefix, "us-east-1")


def test_given_the_options_when_compared_then_the_roles_are_those_that_can_be_rendered() -> None:
    assert parser.POLICY_ROLES == ROLES


def test_given_the_deployer_when_roles_change_then_only_those_of_the_deployment_and_only_its_policies() -> None:
    deployer = statements("deployer")
    role, other = f"arn:aws:iam::{ACCOUNT}:role/acme-operations", f"arn:aws:iam::{ACCOUNT}:role/admin"

    for action in ("iam:UpdateRoleDescription", "iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy"):
        assert allows(deployer, action, role)
        assert not allows(deployer, action, other)
    for policy in ("acme-verify", "acme-protected-8"):
        arn = f"arn:aws:iam::{ACCOUNT}:policy/{policy}"
        assert allows(deployer, "iam:AttachRolePolicy", role, iam_PolicyARN=arn)
        assert not allows(deployer, "iam:AttachRolePolicy", other, iam_PolicyARN=arn)
    assert not allows(
        deployer, "iam:AttachRolePolicy", role, iam_PolicyARN="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    passing = next(statement for statement in deployer if "iam:PassRole" in strings(statement["Action"]))
    assert passing["Condition"]["StringEquals"]["iam:PassedToService"]
    assert passing["Resource"] == "arn:aws:iam::*:role/acme-*"


def test_given_a_key_that_the_same_apply_creates_when_used_then_no_right_depends_on_its_tags() -> None:
    # Changes of tags take up to five minutes (docs.aws.amazon.com/kms/latest/developerguide/tag-authorization.html).
    deployer = statements("deployer")

    # The key that it made may be any key, so it can change none. Later the policies name the key.
    for action in ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:UntagResource"):
        assert not allows(deployer, action, KEY, aws_ResourceTag="ir-router"), action
    for action in ("kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:CreateAlias"):
        assert allows(deployer, action, KEY), action
    # docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
    for action in (
        "Encrypt",
        "Decrypt",
        "ReEncryptFrom",
        "ReEncryptTo",
        "GenerateDataKey",
        "DescribeKey",
        "CreateGrant",
    ):
        via = "dynamodb.eu-central-1.amazonaws.com"
        assert allows(deployer, f"kms:{action}", KEY, kms_ViaService=via), action
    assert not allows(deployer, "kms:Decrypt", KEY)
    assert not allows(deployer, "kms:ScheduleKeyDeletion", KEY)


def test_given_another_home_region_when_rendered_then_the_deployer_may_forward_from_us_east_1_and_no_further() -> None:
    deployer = statements("deployer")

    for region, expected in (("eu-central-1", True), ("us-east-1", True), ("eu-west-1", False)):
        rule = f"arn:aws:events:{region}:{ACCOUNT}:rule/acme-detect-root-use"
        assert allows(deployer, "events:PutRule", rule) is expected
        function = f"arn:aws:lambda:{region}:{ACCOUNT}:function:acme-operations"
        assert allows(deployer, "lambda:CreateFunction", function) is (region == "eu-central-1")


def test_given_the_members_of_an_organisation_when_applied_then_only_their_stack_set_and_its_kinds_of_resources() -> (
    None
):
    own = statements("organization")
    stack_set = f"arn:aws:cloudformation:eu-central-1:{ACCOUNT}:stackset/acme-members:0123abcd"
    template = (PROJECT_ROOT / "terraform/modules/organization/template.tf").read_text("utf-8")
    kinds = set(re.findall(r'"(AWS::\w+::\w+)"', template)) | {"AWS::CloudFormation::WaitConditionHandle"}

    for action in ("UpdateStackSet", "CreateStackInstances", "DescribeStackSetOperation"):
        assert allows(own, f"cloudformation:{action}", stack_set), action
        assert not allows(own, f"cloudformation:{action}", stack_set.replace("acme", "other")), action
    for kind in kinds:
        resource = f"arn:aws:cloudformation:eu-central-1::type/resource/{kind.replace('::', '-')}"
        assert allows(own, "cloudformation:CreateStackInstances", resource), kind
    assert len(kinds) == 6
    user = "arn:aws:cloudformation:eu-central-1::type/resource/AWS-IAM-User"
    assert not allows(own, "cloudformation:CreateStackInstances", user)
    for action in ("iam:CreateRole", "organizations:MoveAccount", "cloudformation:ActivateOrganizationsAccess"):
        assert not allows(own, action, "*"), action


def test_given_people_when_they_act_then_each_role_has_its_documented_commands_and_not_those_of_others() -> None:
    arns = {
        "operations": f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:acme-operations",
        "workflow": f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:acme-workflow",
        "decide": f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:acme-approval-handler",
        "alone": f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:acme-approval-handler:break-glass",
    }
    invokes = {
        role: {name for name, arn in arns.items() if allows(statements(role), "lambda:InvokeFunction", arn)}
        for role in ROLES
    }
    queue = f"arn:aws:sqs:eu-central-1:{ACCOUNT}:acme-approval"
    table = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/acme-ledger"

    assert invokes["deployer"] == invokes["oncall"] == {"operations"}
    assert invokes["analyst"] == {"workflow", "decide"}
    assert invokes["break-glass"] == {"alone"}
    assert invokes["auditor"] == invokes["organization"] == set()
    assert allows(statements("auditor"), "lambda:GetFunctionConfiguration", arns["workflow"])
    for action in ("sqs:GetQueueUrl", "sqs:ReceiveMessage"):
        assert [role for role in ROLES if allows(statements(role), action, queue)] == (
            ["analyst"] if action == "sqs:ReceiveMessage" else ["deployer", "analyst"]
        )
    assert allows(statements("analyst"), "kms:Decrypt", KEY, kms_ViaService="sqs.eu-central-1.amazonaws.com")
    assert allows(statements("auditor"), "dynamodb:Query", table, dynamodb_LeadingKeys=["AUDIT#2026-11"])
    assert not allows(statements("auditor"), "dynamodb:Query", table, dynamodb_LeadingKeys=["TOKEN#1"])
    parameter = f"arn:aws:ssm:eu-central-1:{ACCOUNT}:parameter/SecurityIncidentResponse/acme/slackBotToken"
    assert allows(statements("oncall"), "ssm:PutParameter", parameter)
    assert not allows(statements("oncall"), "ssm:PutParameter", parameter.replace("/acme", ""))


def test_given_the_command_when_run_then_it_prints_one_document_or_writes_a_file_for_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["policies", "--prefix", "acme", "--region", "eu-central-1", "--role", "analyst"]) == 0
    assert json.loads(capsys.readouterr().out) == policies("analyst", "acme", "eu-central-1")[0]

    assert command.main(["policies", "--prefix", "acme", "--output", str(tmp_path / "policies")]) == 0
    written = sorted((tmp_path / "policies").iterdir())
    assert [path.name for path in written] == ["acme-deployer-1.json", "acme-deployer-2.json"]
    assert [json.loads(path.read_text()) for path in written] == policies("deployer", "acme", "us-east-1")

    assert command.main(["policies", "--prefix", "Acme"]) == 1
