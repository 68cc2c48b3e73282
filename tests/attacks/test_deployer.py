"""Attacks with the documented policies of a deployer or an on-call engineer on other keys and other deployments."""

from __future__ import annotations

from typing import Any

import pytest

from ir_operator.errors import CommandError
from ir_operator.policies.rendering import ROLES, Role, policies
from tests.terraform.iam import allows, strings

ACCOUNT = "123456789012"
OWN = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-1111-2222-3333-444444444444"
OTHER = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/99999999-1111-2222-3333-444444444444"
CHANGES = ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource")


def statements(role: Role, prefix: str = "acme", key: str | None = OWN) -> list[dict[str, Any]]:
    return [
        one for document in policies(role, prefix, "us-east-1", [key] if key else []) for one in document["Statement"]
    ]


@pytest.mark.parametrize("role", ROLES)
def test_given_another_key_when_it_has_the_tag_of_ir_router_then_no_policy_changes_deletes_or_decrypts_with_it(
    role: Role,
) -> None:
    """A deployer who can tag a new key can tag any key, so no permission follows from a tag."""
    for via in ("dynamodb", "lambda", "sns", "sqs", "ssm"):
        context = {
            "kms_ViaService": f"{via}.us-east-1.amazonaws.com",
            "aws_ResourceTag/application": "ir-router",
            "aws_RequestTag/application": "ir-router",
        }
        for action in (*CHANGES, "kms:Decrypt", "kms:Encrypt", "kms:CreateGrant", "kms:GenerateDataKey"):
            assert not allows(statements(role), action, OTHER, **context), action


def test_given_the_first_deployment_when_it_may_create_a_key_then_it_can_change_and_delete_none() -> None:
    tagged = {"aws_ResourceTag/application": "ir-router"}

    for action in ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:UntagResource"):
        assert not allows(statements("deployer", key=None), action, OTHER, **tagged), action
        assert allows(statements("deployer"), action, OWN), action


def test_given_a_deployment_whose_prefix_begins_with_this_one_when_deployed_then_its_resources_are_refused() -> None:
    """`acme-*` is also the name of every resource of `acme-security`. Only the tags differ."""
    names = {
        "lambda:UpdateFunctionCode": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:acme-security-workflow",
        "iam:PutRolePolicy": f"arn:aws:iam::{ACCOUNT}:role/acme-security-workflow",
        "dynamodb:DeleteTable": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/acme-security-ledger",
        "events:PutTargets": f"arn:aws:events:us-east-1:{ACCOUNT}:rule/acme-security-poll",
        "sqs:SetQueueAttributes": f"arn:aws:sqs:us-east-1:{ACCOUNT}:acme-security-failures",
        "sns:Subscribe": f"arn:aws:sns:us-east-1:{ACCOUNT}:acme-security-alerts",
        "states:UpdateStateMachine": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:acme-security-response",
        "lambda:TagResource": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:acme-security-workflow",
    }

    for action, arn in names.items():
        tags = {"aws_ResourceTag/application": "ir-router"}
        assert not allows(
            statements("deployer"), action, arn, **tags, **{"aws_ResourceTag/deployment": "acme-security"}
        )
        assert allows(statements("deployer"), action, arn, **tags, **{"aws_ResourceTag/deployment": "acme"}), action


def test_given_the_default_deployment_when_on_call_then_the_credentials_and_logs_of_others_are_out_of_reach() -> None:
    """The parameters of `acme` are below those of the default deployment."""
    on_call = statements("oncall", "security-incident")
    root = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/SecurityIncidentResponse"
    logs = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws"

    for action in ("ssm:GetParameter", "ssm:PutParameter"):
        assert allows(on_call, action, f"{root}/slackBotToken")
        assert not allows(on_call, action, f"{root}/acme/slackBotToken")
        assert not allows(statements("deployer", "security-incident"), action, f"{root}/acme/slackBotToken")
    assert allows(on_call, "logs:GetLogEvents", f"{logs}/lambda/security-incident-sync:x")
    assert not allows(on_call, "logs:GetLogEvents", f"{logs}/lambda/security-incident-b-sync:x")
    assert not allows(on_call, "logs:GetLogEvents", f"{logs}/apigateway/acme-SlackWebhookApi:x")


def test_given_the_policies_of_people_when_read_then_only_the_deployer_has_wildcards_in_names() -> None:
    for role in ("oncall", "analyst", "auditor"):
        for statement in statements(role):
            arns = [arn for arn in strings(statement["Resource"]) if arn != "*"]
            assert not [arn for arn in arns if "-*" in arn or "/*S" in arn], statement["Sid"]


@pytest.mark.parametrize("key", ["", "*", "alias/mine", f"{OWN}*", "arn:aws:kms:us-east-1:123456789012:key/*"])
def test_given_a_key_with_a_wildcard_when_rendered_then_it_is_refused(key: str) -> None:
    with pytest.raises(CommandError, match="is not the ARN of a KMS key"):
        policies("deployer", "acme", "us-east-1", [key])
