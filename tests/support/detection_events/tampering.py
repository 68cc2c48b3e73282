"""Changes to ir-router's own parts and to containments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.detection_events.makers import (
    AWS,
    CONTAINMENT_ROLES,
    EARLIER,
    IMPOSTORS,
    OWN,
    QUEUES,
    by,
    call,
    federated,
    mapping_changed,
    role,
)

EVENTS: Mapping[str, tuple[list[Any], list[Any]]] = {
    "deny_policy_changed": (
        [call("CreatePolicyVersion", policyArn=EARLIER, setAsDefault=True), call("DeletePolicy", policyArn=EARLIER)],
        [call("CreatePolicyVersion", policyArn=f"{OWN}/other"), call("GetPolicy", policyArn=EARLIER)],
    ),
    "deny_policy_detached": (
        [
            call("DetachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSDenyAll"),
            call("DetachUserPolicy", userName="bob", policyArn="arn:aws-cn:iam::aws:policy/AWSDenyAll"),
            call("DetachRolePolicy", who=role("admin"), roleName="app", policyArn=f"{AWS}/AWSDenyAll"),
            call("DetachUserPolicy", userName="bob", policyArn=EARLIER),
            *by(IMPOSTORS, "DetachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSDenyAll"),
        ],
        [
            *by(CONTAINMENT_ROLES, "DetachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSDenyAll"),
            call("DetachUserPolicy", userName="bob", policyArn=f"{OWN}/AWSDenyAll"),
        ],
    ),
    "rule_of_ir_router_changed": (
        [
            call("DisableRule", "events", name="security-incident-detect-root-use"),
            call("RemoveTargets", "events", rule="security-incident-poll", ids=["x"]),
        ],
        [call("DisableRule", "events", name="nightly"), call("DescribeRule", "events", name="security-incident-poll")],
    ),
    "part_of_ir_router_changed": (
        [
            call("UpdateFunctionCode20150331v2", "lambda", functionName="security-incident-workflow"),
            call("DeleteFunction20150331", "lambda", functionName="arn:aws:lambda:r:1:function:security-incident-sync"),
            call(
                "DeleteStateMachine",
                "states",
                stateMachineArn="arn:aws:states:r:1:stateMachine:security-incident-response",
            ),
            call("Unsubscribe", "sns", subscriptionArn="arn:aws:sns:r:1:security-incident-alerts:1"),
            call(
                "SetSubscriptionAttributes",
                "sns",
                subscriptionArn="arn:aws:sns:r:1:security-incident-alerts:1",
                attributeName="FilterPolicy",
            ),
            call("Unsubscribe", "sns", subscriptionArn="arn:aws:sns:r:1:security-incident-page:1"),
            call("DeleteTopic", "sns", topicArn="arn:aws:sns:r:1:security-incident-alarms"),
            call("UpdateAlias20150331", "lambda", functionName="security-incident-workflow", name="live"),
            call("StopExecution", "states", executionArn="arn:aws:states:r:1:execution:security-incident-response:e"),
            call("AddPermission20150331v2", "lambda", functionName="security-incident-approval-handler"),
            call("PutFunctionEventInvokeConfig", "lambda", functionName="security-incident-workflow"),
            call("AddPermission", "sns", topicArn="arn:aws:sns:r:1:security-incident-alerts"),
            call("DeleteStackInstances", "cloudformation", stackSetName="security-incident-members:1a2b"),
            mapping_changed("UpdateEventSourceMapping20150331", "security-incident-sync"),
            mapping_changed("DeleteEventSourceMapping20150331", "security-incident-workflow"),
            call("DisableRule", "events", name="security-incident-detect-rule-of-ir-router-changed"),
            call("StopLogging", "cloudtrail", name="arn:aws:cloudtrail:r:1:trail/security-incident-trail"),
            call("PutEventSelectors", "cloudtrail", trailName="security-incident-trail"),
        ],
        [
            call("UpdateFunctionCode20150331v2", "lambda", functionName="shop"),
            call("StopExecution", "states", executionArn="arn:aws:states:r:1:execution:orders:e"),
            call(
                "StartExecution", "states", stateMachineArn="arn:aws:states:r:1:stateMachine:security-incident-response"
            ),
            call("DeleteStackInstances", "cloudformation", stackSetName="baseline"),
            mapping_changed("UpdateEventSourceMapping20150331", "shop"),
            call("SetSubscriptionAttributes", "sns", subscriptionArn="arn:aws:sns:r:1:orders:1"),
        ],
    ),
    "data_of_ir_router_changed": (
        [
            call("DeleteTable", "dynamodb", tableName="security-incident-ledger"),
            call("UpdateTable", "dynamodb", tableName="arn:aws:dynamodb:r:1:table/security-incident-ledger"),
            call("PutResourcePolicy", "dynamodb", resourceArn="arn:aws:dynamodb:r:1:table/security-incident-ledger"),
            call("PurgeQueue", "sqs", queueUrl=f"{QUEUES}/security-incident-intake"),
            call("RemovePermission", "sqs", queueUrl=f"{QUEUES}/security-incident-intake"),
            call("SetQueueAttributes", "sqs", queueUrl=f"{QUEUES}/security-incident-failures"),
            *(
                call("SetQueueAttributes", "sqs", caller, queueUrl=f"{QUEUES}/security-incident-failures")
                for caller in (role("security-incident-workflow"), federated("security-incident-operations"))
            ),
            call(
                "DeleteQueue",
                "sqs",
                role("security-incident-operations"),
                queueUrl=f"{QUEUES}/security-incident-intake",
            ),
        ],
        [
            call("DeleteTable", "dynamodb", tableName="orders"),
            call("SetQueueAttributes", "sqs", queueUrl=f"{QUEUES}/orders"),
            # make deploy, and the next hourly task
            call(
                "SetQueueAttributes",
                "sqs",
                role("security-incident-operations"),
                queueUrl=f"{QUEUES}/security-incident-failures",
            ),
        ],
    ),
    "credential_of_ir_router_changed": (
        [
            call("PutParameter", "ssm", name="/SecurityIncidentResponse/slackBotToken", overwrite=True),
            call("PutParameter", "ssm", name="arn:aws:ssm:r:1:parameter/SecurityIncidentResponse/slackSigningSecret"),
            call("PutParameter", "ssm", name="/SecurityIncidentResponse/security-incident/slackBotToken"),
            call("DeleteParameter", "ssm", name="/SecurityIncidentResponse/slackWorkspaceId"),
            call("DeleteParameters", "ssm", names=["/shop/price", "/SecurityIncidentResponse/slackSigningSecret"]),
        ],
        [
            call("PutParameter", "ssm", name="/SecurityIncidentResponse/slackChannelPrefix"),
            call("PutParameter", "ssm", name="/SecurityIncidentResponse/other/slackBotToken"),
            call(
                "DeleteParameters", "ssm", names=["arn:aws:ssm:r:1:parameter/SecurityIncidentResponse/b/slackBotToken"]
            ),
            call("PutParameter", "ssm", name="/shop/price"),
            call("GetParameter", "ssm", name="/SecurityIncidentResponse/slackBotToken"),
        ],
    ),
    "monitoring_of_ir_router_changed": (
        [
            call("DeleteAlarms", "monitoring", alarmNames=["shop", "security-incident-failures-waiting"]),
            call("SetAlarmState", "monitoring", alarmName="security-incident-failures-waiting", stateValue="OK"),
            call("DeleteLogGroup", "logs", logGroupName="/aws/lambda/security-incident-workflow"),
            call("PutRetentionPolicy", "logs", logGroupName="/aws/vendedlogs/states/security-incident-response"),
        ],
        [
            call("DeleteAlarms", "monitoring", alarmNames=["shop"]),
            call("DeleteLogGroup", "logs", logGroupName="/aws/lambda/shop"),
            call("CreateLogStream", "logs", logGroupName="/aws/lambda/security-incident-workflow"),
        ],
    ),
    "role_of_ir_router_changed": (
        [
            call("PutRolePolicy", roleName="security-incident-workflow", policyName="x"),
            call("DeleteRolePermissionsBoundary", roleName="security-incident-operations"),
            call("DetachRolePolicy", roleName="security-incident-forwarding-eu-west-1", policyArn="x"),
            call("UntagRole", roleName="security-incident-containment", tagKeys=["team", "IR-Router-Mode"]),
            call("TagRole", roleName="security-incident-containment", tags=[{"key": "ir-router-regions", "value": ""}]),
            call("CreatePolicyVersion", policyArn=f"{OWN}/security-incident-verify", setAsDefault=True),
            call("SetDefaultPolicyVersion", policyArn=f"{OWN}/security-incident-protected-2", versionId="v1"),
        ],
        [
            call("CreatePolicyVersion", policyArn=f"{OWN}/app-verify", setAsDefault=True),
            call("PutRolePolicy", roleName="app"),
            call("TagRole", roleName="security-incident-workflow", tags=[{"key": "cost-center", "value": "7"}]),
            call("UntagRole", roleName="security-incident-containment", tagKeys=["cost-center"]),
            call("UntagRole", roleName="security-incident-containment"),
            call("UntagRole", roleName="app", tagKeys=["ir-router-mode"]),
            call("GetRole", roleName="security-incident-workflow"),
        ],
    ),
}
