"""The permissions of each role, evaluated on the policies in the plan."""

from __future__ import annotations

import json

import pytest

from tests.terraform.deployments import BROUGHT_KEY
from tests.terraform.iam import allows, strings
from tests.terraform.root import ACCOUNT, OwnTests, Plan

TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/security-incident-ledger"
INDEX = f"{TABLE}/index/index"
DENY_POLICY = "arn:aws:iam::aws:policy/AWSDenyAll"
EARLIER_DENY_POLICY = f"arn:aws:iam::{ACCOUNT}:policy/security-incident-containment-deny"
USER = f"arn:aws:iam::{ACCOUNT}:user/backdoor-user"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/application"
FUNCTIONS = {"webhook", "slack", "sync", "operations", "workflow", "approval-handler"}

AUDITING = {"slack", "sync", "operations", "workflow", "approval-handler"}

# AWS's service authorization reference lists no resource type for these actions, so no policy can name a resource.
NAMELESS = {
    "cloudtrail:DescribeTrails",
    "organizations:ListAccounts",
    "cloudtrail:LookupEvents",
    "cloudwatch:ListDashboards",
    "lambda:ListEventSourceMappings",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "security-ir:CreateCase",
    "security-ir:ListCases",
    "security-ir:ListMemberships",
    "states:SendTaskSuccess",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


def actions(statements, effect="Allow") -> set[str]:
    return {
        action for statement in statements if statement["Effect"] == effect for action in strings(statement["Action"])
    }


def test_given_the_functions_when_planned_then_each_has_a_role_of_its_own(enforcing: Plan):
    roles = {values["name"] for values in enforcing.resources("aws_iam_role", "function").values()}

    assert set(enforcing.role_policies()) == FUNCTIONS
    assert len(roles) == len(FUNCTIONS)


def test_given_the_webhook_when_asked_for_all_it_may_do_then_it_hands_over_work_and_reads_the_signing_secret(
    enforcing: Plan,
):
    webhook = enforcing.role_policies()["webhook"]

    assert actions(webhook) == {
        "lambda:InvokeFunction",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sqs:SendMessage",
        "ssm:GetParameter",
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }
    assert not allows(
        webhook, "ssm:GetParameter", f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/SecurityIncidentResponse/slackBotToken"
    )
    for function in FUNCTIONS - {"slack"}:
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:security-incident-{function}"
        assert not allows(webhook, "lambda:InvokeFunction", arn)


def test_given_any_role_when_read_then_no_action_and_no_nameable_resource_is_a_wildcard(enforcing: Plan):
    for name in ("function", "state_machine", "events"):
        for role, statements in enforcing.role_policies(name).items():
            for statement in statements:
                assert not any("*" in action for action in strings(statement["Action"])), (role, statement)
                if "*" in strings(statement["Resource"]):
                    assert set(strings(statement["Action"])) <= NAMELESS, (role, statement)


def test_given_a_role_when_its_inline_policies_are_measured_then_they_fit_into_a_role(enforcing: Plan):
    both = [enforcing.resources("aws_iam_role_policy", name) for name in ("function", "function_key")]
    sizes: dict[str, int] = {}
    for address, values in [item for policies in both for item in policies.items()]:
        role = address.partition('["')[2].rstrip('"]')
        sizes[role] = sizes.get(role, 0) + len("".join(values["policy"].split()))

    assert set(sizes) == FUNCTIONS
    # docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: 10,240, without white space.
    assert max(sizes.values()) <= 10_240


@pytest.mark.parametrize(
    ("row", "may_read", "may_write"),
    [
        ("CASE#1234567890", {"slack", "sync", "operations"}, {"slack", "sync"}),
        ("CHANNEL#C0123456789", {"slack", "sync"}, {"slack", "sync"}),
        ("COMMAND#123.456", {"slack"}, {"slack"}),
        ("DEDUP#alert", {"sync", "workflow"}, {"sync", "operations", "workflow"}),
        ("DETECTION#event", set(), {"workflow"}),
        ("CONTAINMENT#principal", {"workflow"}, {"workflow"}),
        ("ALLOWLIST#IP", set(), {"workflow"}),
        ("APPROVAL#id", {"slack", "sync", "workflow", "approval-handler"}, {"workflow"}),
        ("AUDIT#2026-11", AUDITING, AUDITING),
        ("TOKEN#id", {"approval-handler"}, {"workflow"}),
        ("CONFIG#detections", {"operations", "workflow"}, set()),
        ("OTHER#id", set(), set()),
    ],
)
def test_given_a_row_of_the_ledger_when_asked_for_then_only_the_roles_it_belongs_to_have_it(
    enforcing: Plan, row: str, may_read: set[str], may_write: set[str]
):
    roles = enforcing.role_policies()

    def who(action: str) -> set[str]:
        return {role for role, policy in roles.items() if allows(policy, action, TABLE, dynamodb_LeadingKeys=[row])}

    assert who("dynamodb:GetItem") == may_read
    assert who("dynamodb:PutItem") == may_write


def test_given_a_task_token_when_asked_for_then_it_is_written_once_and_read_by_the_approval_handler_alone(
    enforcing: Plan,
):
    roles = enforcing.role_policies()
    every_action = {
        action for policy in roles.values() for action in actions(policy) if action.startswith("dynamodb:")
    } - {"dynamodb:DescribeTable"}

    having = {
        (role, action)
        for role, policy in roles.items()
        for action in every_action
        if allows(policy, action, TABLE, dynamodb_LeadingKeys=["TOKEN#id"])
    }

    assert having == {("workflow", "dynamodb:PutItem"), ("approval-handler", "dynamodb:GetItem")}


def test_given_a_request_for_rows_of_others_among_ones_own_when_made_then_refused(enforcing: Plan):
    slack = enforcing.role_policies()["slack"]

    assert allows(slack, "dynamodb:PutItem", TABLE, dynamodb_LeadingKeys=["CASE#1", "CASE#2"])
    assert not allows(slack, "dynamodb:PutItem", TABLE, dynamodb_LeadingKeys=["CASE#1", "TOKEN#1"])


def test_given_a_request_without_a_key_when_made_then_refused(enforcing: Plan):
    for role, policy in enforcing.role_policies().items():
        for action in ("dynamodb:Scan", "dynamodb:Query", "dynamodb:GetItem"):
            assert not allows(policy, action, TABLE), role
            assert not allows(policy, action, INDEX), role


def test_given_an_audit_row_when_asked_to_change_or_delete_it_then_no_role_may(enforcing: Plan):
    for role, policy in enforcing.role_policies().items():
        for action in ("dynamodb:UpdateItem", "dynamodb:DeleteItem"):
            assert not allows(policy, action, TABLE, dynamodb_LeadingKeys=["AUDIT#2026-11"]), (role, action)


def test_given_the_index_when_queried_then_by_the_lists_the_poller_and_the_workflow_only(enforcing: Plan):
    roles = enforcing.role_policies()

    def who(key: str) -> set[str]:
        return {
            role
            for role, policy in roles.items()
            if allows(policy, "dynamodb:Query", INDEX, dynamodb_LeadingKeys=[key])
        }

    assert who("CASE#index") == {"slack", "sync", "operations"}
    assert who("APPROVAL#open") == {"approval-handler", "slack", "sync", "workflow"}


def test_given_iam_when_asked_who_may_use_it_then_the_containment_role_alone_which_only_the_workflow_assumes(
    enforcing: Plan,
):
    ((_, role),) = enforcing.resources("aws_iam_role", "containment").items()
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role['name']}"
    (trust,) = json.loads(role["assume_role_policy"])["Statement"]

    for function, policy in enforcing.role_policies().items():
        uses = {action for action in actions(policy) if action.startswith("iam:")}
        assert all(action.startswith(("iam:Get", "iam:List")) for action in uses), function
        assert not uses or function == "operations"
        for account in (ACCOUNT, "222222222222"):
            member = arn.replace(ACCOUNT, account)
            assumes = allows(policy, "sts:AssumeRole", member, aws_ResourceOrgID="o-a1b2c3d4e5")
            assert assumes == (function == "workflow"), function
            assert not allows(policy, "sts:AssumeRole", member, aws_ResourceOrgID="o-anothers00"), function
        assert not allows(policy, "sts:AssumeRole", ROLE, aws_ResourceOrgID="o-a1b2c3d4e5"), function
    assert trust["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    workflow = f"arn:aws:iam::{ACCOUNT}:role/security-incident-workflow"
    assert trust["Condition"] == {
        "ArnEquals": {"aws:PrincipalArn": workflow},
        "StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"},
    }
    assert "sts:AssumeRole" not in actions(enforcing.containment_policy())


def test_given_no_organisation_when_asked_who_assumes_roles_then_only_that_of_the_own_account(dry_run: Plan):
    (role,) = dry_run.resources("aws_iam_role", "containment").values()
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role['name']}"
    (trust,) = json.loads(role["assume_role_policy"])["Statement"]
    policy = dry_run.role_policies()["workflow"]

    assert allows(policy, "sts:AssumeRole", arn)
    assert not allows(policy, "sts:AssumeRole", arn.replace(ACCOUNT, "222222222222"))
    assert "StringEquals" not in trust["Condition"]
    assert not any(action.startswith("organizations:") for action in actions(policy))


@pytest.mark.parametrize(("kind", "principal"), [("User", USER), ("Role", ROLE)])
def test_given_enforce_when_containing_then_the_one_deny_policy_and_no_other(
    enforcing: Plan, kind: str, principal: str
):
    containment = enforcing.containment_policy()
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"

    for action in (f"iam:Attach{kind}Policy", f"iam:Detach{kind}Policy"):
        assert allows(containment, action, principal, iam_PolicyARN=DENY_POLICY)
        assert not allows(containment, action, principal, iam_PolicyARN=administrator)
        assert not allows(containment, action, principal)
    assert allows(containment, f"iam:Detach{kind}Policy", principal, iam_PolicyARN=EARLIER_DENY_POLICY)
    assert not allows(containment, f"iam:Attach{kind}Policy", principal, iam_PolicyARN=EARLIER_DENY_POLICY)
    assert not allows(containment, f"iam:Put{kind}Policy", principal)


def test_given_enforce_when_containing_a_user_then_keys_are_disabled_and_deleted(enforcing: Plan):
    containment = enforcing.containment_policy()

    for action in ("iam:ListAccessKeys", "iam:UpdateAccessKey", "iam:DeleteAccessKey"):
        assert allows(containment, action, USER)
    assert not allows(containment, "iam:CreateAccessKey", USER)
    assert not allows(containment, "iam:DeleteUser", USER)


def test_given_managed_policies_when_planned_then_each_is_attached_to_its_role(enforcing: Plan):
    for name, role in {"verify": "operations", "protected": "containment"}.items():
        attached = enforcing.resources("aws_iam_role_policy_attachment", name).values()
        assert len(attached) == len(enforcing.resources("aws_iam_policy", name)) == 1
        assert {values["role"] for values in attached} == {f"security-incident-{role}"}


@pytest.mark.parametrize(
    "principal",
    [f"arn:aws:iam::{ACCOUNT}:role/break-glass-1", f"arn:aws:iam::{ACCOUNT}:user/admins/founder"]
    + [
        f"arn:aws:iam::{ACCOUNT}:role/security-incident-{name}"
        for name in (*sorted(FUNCTIONS), "containment", "state-machine", "event-rules", "api-logs")
    ],
)
def test_given_a_protected_principal_or_a_role_of_our_own_when_contained_then_iam_refuses(
    enforcing: Plan, principal: str
):
    containment = enforcing.containment_policy()

    for action in (
        "iam:AttachRolePolicy",
        "iam:AttachUserPolicy",
        "iam:DeleteAccessKey",
        "iam:DetachRolePolicy",
        "iam:DetachUserPolicy",
        "iam:UpdateAccessKey",
    ):
        assert not allows(containment, action, principal, iam_PolicyARN=DENY_POLICY)


def test_given_every_role_of_the_deployment_when_deployed_then_the_workflow_knows_that_it_is_protected(
    own_tests: OwnTests,
):
    (row,) = (json.loads(values["item"]) for address, values in own_tests.applied.items() if "lists" in address)
    roles = [values["name"] for address, values in own_tests.applied.items() if "aws_iam_role." in address]

    assert len(roles) == 9
    for role in roles:
        assert f"arn:aws:iam::{ACCOUNT}:role/{role}" in json.loads(row["protected_principals"]["S"])


def test_given_dry_run_when_asked_to_contain_then_iam_refuses_but_lets_an_earlier_containment_be_lifted(dry_run: Plan):
    containment = dry_run.containment_policy()

    assert not allows(containment, "iam:AttachUserPolicy", USER, iam_PolicyARN=DENY_POLICY)
    assert not allows(containment, "iam:AttachRolePolicy", ROLE, iam_PolicyARN=DENY_POLICY)
    assert not allows(containment, "iam:DeleteAccessKey", USER)
    for policy in (DENY_POLICY, EARLIER_DENY_POLICY):
        assert allows(containment, "iam:DetachUserPolicy", USER, iam_PolicyARN=policy)
    assert allows(containment, "iam:UpdateAccessKey", USER)


def test_given_task_tokens_when_asked_who_may_answer_with_them_then_the_approval_handler_alone(enforcing: Plan):
    for role, policy in enforcing.role_policies().items():
        assert allows(policy, "states:SendTaskSuccess", "*") == (role == "approval-handler")


def test_given_the_encryption_key_when_used_then_only_through_the_services_that_hold_the_data(enforcing: Plan):
    for role, statements in enforcing.role_policies("function_key").items():
        services = {
            "dynamodb": role != "webhook",
            "sqs": True,
            "ssm": role in ("webhook", "slack", "sync", "operations"),
            "sns": role in ("sync", "workflow"),
        }
        for service, expected in services.items():
            via = f"{service}.us-east-1.amazonaws.com"
            assert allows(statements, "kms:Decrypt", BROUGHT_KEY, kms_ViaService=via) == expected, (role, service)
        assert not allows(statements, "kms:Decrypt", BROUGHT_KEY), role
        assert not allows(statements, "kms:Decrypt", f"{BROUGHT_KEY}0", kms_ViaService="sqs.us-east-1.amazonaws.com")


def test_given_a_queue_or_topic_when_used_without_tls_then_refused_for_every_caller(enforcing: Plan):
    found = {
        f"arn:aws:sqs:us-east-1:{ACCOUNT}:{values['name']}": ("sqs:SendMessage", values["policy"])
        for values in enforcing.resources("aws_sqs_queue").values()
    }
    for name in ("alerts", "page"):
        (topic_policy,) = enforcing.resources("aws_sns_topic_policy", name).values()
        topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:security-incident-{name}"
        found[topic] = ("sns:Publish", topic_policy["policy"])

    assert len(found) == 9
    for arn, (action, policy) in found.items():
        somebody = {"Effect": "Allow", "Action": action, "Resource": arn}
        statements = [somebody, *json.loads(policy)["Statement"]]
        assert allows(statements, action, arn, aws_SecureTransport="true"), arn
        assert not allows(statements, action, arn, aws_SecureTransport="false"), arn


def test_given_no_export_bucket_when_planned_then_no_role_has_a_permission_in_s3(
    dry_run: Plan, enforcing: Plan
) -> None:
    def of_s3(plan: Plan) -> set[tuple[str, str]]:
        return {
            (role, action)
            for role, statements in plan.role_policies().items()
            for statement in statements
            for action in strings(statement["Action"])
            if action.startswith("s3:")
        }

    assert of_s3(dry_run) == set()
    assert of_s3(enforcing) == {("workflow", "s3:PutObject"), ("workflow", "s3:PutObjectRetention")}
