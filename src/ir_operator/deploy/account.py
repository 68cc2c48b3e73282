"""Look at the AWS account before Terraform changes it: existing resources, quotas and names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import boto3

from ir_operator import terminal
from ir_operator.deploy.errors import OperationError, explain_aws_errors

_ROLE = "aws_api_gateway_account.logs[0]"
_LOG_POLICY = "aws_cloudwatch_log_resource_policy.slack_notifications"

_MOST_LOG_POLICIES = 10
"""docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html: for each region, not adjustable."""


@dataclass(frozen=True)
class Variables:
    """The variables of a deployment that depend on the account.

    Attributes:
        region: The home region.
        lambda_architecture: The architecture of the functions.
        manage_api_gateway_account: Whether Terraform sets the role for API logs.
        api_access_logs: Whether the API writes an access log.
        parameters: The names of the SSM parameters, by their names in Terraform.
    """

    region: str
    lambda_architecture: str
    manage_api_gateway_account: bool
    api_access_logs: bool
    parameters: dict[str, str]


def options(variables: Variables, addresses: Collection[str]) -> list[str]:
    """Return the options for Terraform that the account requires, and print the reason.

    Args:
        variables: The variables of the deployment.
        addresses: The addresses of the resources in its Terraform state.

    Raises:
        OperationError: AWS would refuse the deployment, or it would change resources of other systems.
    """
    _check_log_policies(variables, addresses)
    _check_parameters(variables, addresses)
    return _role_options(variables, addresses)


def _role_options(variables: Variables, addresses: Collection[str]) -> list[str]:
    manage = ["-var=manage_api_gateway_account=true"]
    if _ROLE in addresses:
        return manage
    if not variables.manage_api_gateway_account and not variables.api_access_logs:
        return []
    role = _read(variables.region, "apigateway", "get_account").get("cloudwatchRoleArn")
    if role and variables.manage_api_gateway_account:
        raise OperationError(
            f"APIs in {variables.region} already write their logs with {role}. Terraform would replace this role for "
            "all of them. Nothing was done. Remove manage_api_gateway_account from your variables."
        )
    if role or variables.manage_api_gateway_account:
        return []
    terminal.line("ok", f"{variables.region} has no role for API logs yet, so Terraform creates it")
    return manage


def _check_log_policies(variables: Variables, addresses: Collection[str]) -> None:
    if _LOG_POLICY in addresses:
        return
    found = _read(variables.region, "logs", "describe_resource_policies").get("resourcePolicies", [])
    if len(found) >= _MOST_LOG_POLICIES:
        names = ", ".join(sorted(policy["policyName"] for policy in found))
        raise OperationError(
            f"{variables.region} has {len(found)} resource policies of CloudWatch Logs ({names}). AWS allows "
            f"{_MOST_LOG_POLICIES}, and ir-router needs one. Nothing was done. Merge or delete one: "
            f"aws logs delete-resource-policy --region {variables.region} --policy-name NAME."
        )


def _check_parameters(variables: Variables, addresses: Collection[str]) -> None:
    missing = {
        name: resource
        for resource, name in variables.parameters.items()
        if f"aws_ssm_parameter.{resource}" not in addresses
    }
    if not missing:
        return
    found = _read(variables.region, "ssm", "get_parameters", Names=sorted(missing)).get("Parameters", [])
    if found:
        names = sorted(parameter["Name"] for parameter in found)
        imports = "; ".join(f"terraform import aws_ssm_parameter.{missing[name]} {name}" for name in names)
        raise OperationError(
            f"These SSM parameters exist in {variables.region}, but not in the Terraform state: {', '.join(names)}. "
            "Another integration may use them. Nothing was done. Set another name_prefix, or adopt them: set the three "
            f"Slack credentials, then run in the folder terraform: {imports}."
        )


def _read(region: str, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """Return the answer of a read; an empty one, with a warning, if it fails. Terraform then shows AWS's own error."""
    try:
        with explain_aws_errors(f"Looking at the account ({service})"):
            client: Any = boto3.client(service, region_name=region)  # type: ignore[call-overload]
            return dict(getattr(client, operation)(**parameters))
    except OperationError as error:
        terminal.line("warning", str(error))
        return {}
