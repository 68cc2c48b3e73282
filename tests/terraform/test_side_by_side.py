"""Two deployments in one account, one of which contains: neither can use the other's resources."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.terraform.iam import allows, strings
from tests.terraform.root import ACCOUNT, Plan, TerraformRoot

# One prefix starts with the other, so that a policy with a `*` in the wrong place shows.
FIRST = "security-incident"
SECOND = "security-incident-two"

USER = f"arn:aws:iam::{ACCOUNT}:user/backdoor-user"
DENY_POLICY = "arn:aws:iam::aws:policy/AWSDenyAll"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/application"

NAMES = ("name", "function_name", "alarm_name", "dashboard_name", "policy_name")

# These names are inside a resource with the deployment's name, or they are not unique.
WITHIN_ANOTHER = {
    "aws_api_gateway_model",
    "aws_api_gateway_request_validator",
    "aws_iam_role_policy",
    "aws_lambda_alias",
}

# Resources that belong to the account and not to a deployment: principals, cases, trails, the default bus. Also alarms,
# which can only be described all together.
OF_THE_ACCOUNT = {
    "*",
    f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:*",
    f"arn:aws:iam::{ACCOUNT}:user/*",
    f"arn:aws:iam::{ACCOUNT}:role/*",
    f"arn:aws:iam::{ACCOUNT}:policy/*",
    f"arn:aws:security-ir:us-east-1:{ACCOUNT}:case/*",
    f"arn:aws:security-ir:us-east-1:{ACCOUNT}:membership/*",
    "arn:aws:cloudtrail:*:*:trail/*",
}


@pytest.fixture(scope="module")
def beside(root: TerraformRoot) -> Plan:
    """Return the plan of a second deployment for another workspace, which alerts and never contains."""
    return root.plan(name_prefix=SECOND, containment_mode="off", manage_api_gateway_account=False)


def names(plan: Plan) -> set[tuple[str, str]]:
    """Return kind and name of every resource whose name must be unique in the account and region."""
    return {
        (resource["type"], resource["values"][key])
        for resource in plan.all_resources()
        for key in NAMES
        if resource["mode"] == "managed"
        and resource["type"] not in WITHIN_ANOTHER
        and resource.get("values", {}).get(key) is not None
    }


def policies(plan: Plan) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Return the statements of every role's own policy."""
    for kind in ("function", "state_machine", "events"):
        yield from plan.role_policies(kind).items()
    yield "containment", plan.containment_policy()


def resources(plan: Plan) -> set[str]:
    """Return the resources that its roles may use."""
    return {
        resource
        for _, statements in policies(plan)
        for statement in statements
        if statement["Effect"] == "Allow"
        for resource in strings(statement["Resource"])  # type: ignore[arg-type]
    }


def test_given_two_deployments_when_planned_then_no_name_or_parameter_is_both_ones(enforcing: Plan, beside: Plan):
    assert names(enforcing) & names(beside) == set()
    assert {kind for kind, _ in names(beside)} >= {
        "aws_lambda_function",
        "aws_sqs_queue",
        "aws_dynamodb_table",
        "aws_ssm_parameter",
        "aws_cloudwatch_event_rule",
        "aws_cloudwatch_event_bus",
        "aws_cloudwatch_log_group",
        "aws_cloudwatch_metric_alarm",
        "aws_sfn_state_machine",
        "aws_sns_topic",
        "aws_iam_role",
        "aws_iam_policy",
        "aws_kms_alias",
    }


def test_given_two_deployments_when_planned_then_what_the_account_has_once_is_set_by_one(enforcing: Plan, beside: Plan):
    assert len(enforcing.resources("aws_api_gateway_account")) == 1
    assert beside.resources("aws_api_gateway_account") == {}


def test_given_two_deployments_when_planned_then_their_roles_share_what_belongs_to_the_account_and_nothing_else(
    enforcing: Plan, beside: Plan
):
    assert resources(enforcing) & resources(beside) == OF_THE_ACCOUNT

    own = resources(beside) - OF_THE_ACCOUNT
    for role, statements in policies(enforcing):
        may = [statement for statement in statements if not set(strings(statement["Resource"])) & OF_THE_ACCOUNT]  # type: ignore[arg-type]
        actions = {action for statement in may for action in strings(statement["Action"])}  # type: ignore[arg-type]
        for action in actions:
            for resource in own:
                row = {"dynamodb_LeadingKeys": ["CASE#1"]} if action.startswith("dynamodb:") else {}
                assert not allows(may, action, resource, **row), (role, action, resource)


def test_given_a_deployment_that_is_off_when_asked_to_contain_then_it_has_no_right_to(beside: Plan):
    for role, statements in policies(beside):
        assert not allows(statements, "iam:AttachUserPolicy", USER, iam_PolicyARN=DENY_POLICY), role
        assert not allows(statements, "iam:AttachRolePolicy", ROLE, iam_PolicyARN=DENY_POLICY), role
        assert not allows(statements, "iam:DeleteAccessKey", USER), role


def test_given_what_one_deployment_contained_before_0_2_when_the_other_would_lift_it_then_refused(
    enforcing: Plan, beside: Plan
):
    for plan, prefix, other in ((enforcing, FIRST, SECOND), (beside, SECOND, FIRST)):
        workflow = plan.containment_policy()
        own, others = (f"arn:aws:iam::{ACCOUNT}:policy/{name}-containment-deny" for name in (prefix, other))
        assert allows(workflow, "iam:DetachUserPolicy", USER, iam_PolicyARN=own)
        assert not allows(workflow, "iam:DetachUserPolicy", USER, iam_PolicyARN=others)


def test_given_the_credentials_when_two_deployments_read_them_then_each_its_own(enforcing: Plan, beside: Plan):
    paths = {
        plan: {values["name"] for values in chosen.resources("aws_ssm_parameter").values()}
        for plan, chosen in (("first", enforcing), ("second", beside))
    }

    for function, statements in beside.role_policies().items():
        for path in paths["first"]:
            arn = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter{path}"
            assert not allows(statements, "ssm:GetParameter", arn), (function, path)
            assert not allows(statements, "ssm:GetParameter", f"{arn}:1"), (function, path)
    assert all(path.startswith(f"/SecurityIncidentResponse/{SECOND}/") for path in paths["second"])
