"""The accepted findings of the checkers, each with its reason. Remove a finding from these lists when it is fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Accepted(NamedTuple):
    """The reason why a check's finding is accepted, and the only resources for which it is."""

    reason: str
    resources: frozenset[str]


def accepted(reason: str, *resources: str) -> Accepted:
    """Return an entry of the list."""
    return Accepted(reason, frozenset(resources))


FUNCTIONS = "aws_lambda_function.this"
STAGE = "aws_api_gateway_stage.prod"

ACCEPTED: Mapping[str, Accepted] = {
    "CKV_AWS_26": accepted(
        "they carry texts of alarms and nothing of any incident; a disabled key must not silence the essential alarms, "
        "our key is of the home region, and CloudWatch may not use AWS's own key for SNS",
        "aws_sns_topic.alarms",
        "aws_sns_topic.forwarding_alarms",
    ),
    "CKV_AWS_59": accepted(
        "Slack cannot sign for AWS: the function verifies Slack's own signature", "aws_api_gateway_method.post_events"
    ),
    "CKV_AWS_73": accepted("tracing is a variable (xray_tracing), off by default because each trace costs", STAGE),
    "CKV_AWS_115": accepted(
        "reserved concurrency fails in accounts with the initial quota of 10; the API's throttling and the queues' "
        "maximum concurrency bound what the functions use",
        FUNCTIONS,
    ),
    "CKV_AWS_116": accepted("an on-failure destination keeps more than a function's own DLQ does", FUNCTIONS),
    "CKV_AWS_117": accepted("in a VPC Slack needs a NAT gateway, and the functions reach nothing private", FUNCTIONS),
    "CKV_AWS_120": accepted("every request is another event: nothing to cache", STAGE),
    "CKV_AWS_173": accepted("environments hold names and switches, and are encrypted with AWS's own key", FUNCTIONS),
    "CKV_AWS_225": accepted("every request is another event: nothing to cache", "aws_api_gateway_method_settings.all"),
    "CKV_AWS_285": accepted(
        "the executions' data holds task tokens: it stays out of the logs", "aws_sfn_state_machine.response"
    ),
    "CKV_AWS_338": accepted(
        "access logs are kept one week as specified",
        "aws_cloudwatch_log_group.access",
    ),
    "CKV2_AWS_4": accepted("the API's execution logs would hold bodies, and so message text", STAGE),
    "CKV2_AWS_34": accepted(
        "neither is a secret, and both are read by people",
        "aws_ssm_parameter.channel_prefix",
        "aws_ssm_parameter.workspace_id",
    ),
    "CKV2_AWS_51": accepted("Slack presents no client certificate; its signature is verified", STAGE),
    "CKV2_AWS_53": accepted("OPTIONS has no body to validate", "aws_api_gateway_method.options_events"),
    "CKV2_AWS_77": accepted("a web ACL is the deployer's to bring (web_acl_arn), and no Java runs here", STAGE),
}

# Lines in the format of parliament's findings: policy, issue, action.
ACCEPTED_OF_PARLIAMENT: Mapping[str, str] = {
    'aws_iam_role_policy.function["operations"] RESOURCE_MISMATCH states:DescribeExecution': (
        "it takes the action to need an express execution as well; AWS asks for either, and ours is a standard one"
    ),
    'aws_iam_role_policy.function["operations"] RESOURCE_MISMATCH states:ListExecutions': (
        "it takes the action to need a map run as well; AWS asks for either, and the workflow has no map"
    ),
    'aws_iam_role_policy.function["approval-handler"] RESOURCE_MISMATCH states:DescribeExecution': (
        "it takes the action to need an express execution as well; AWS asks for either, and ours is a standard one"
    ),
    'aws_iam_role_policy.function["workflow"] RESOURCE_MISMATCH states:DescribeExecution': (
        "it takes the action to need an express execution as well; AWS asks for either, and ours is a standard one"
    ),
    'aws_iam_role_policy.function["sync"] UNKNOWN_ACTION security-ir:ListInvestigations': (
        "its list of actions is older than this one, which botocore's model has"
    ),
    'aws_iam_role_policy.function["slack"] UNKNOWN_ACTION security-ir:SendFeedback': (
        "its list of actions is older than this one, which botocore's model has"
    ),
}
