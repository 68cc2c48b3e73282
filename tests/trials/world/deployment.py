"""The deployed resources that one process needs: functions, table, queues, parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
from moto.iam.models import AWSManagedPolicy, iam_backends

from ir_router import aws
from ir_router.ledger import audit, keys
from ir_router.settings import settings
from ir_router.slack import credentials, gateway, installation, signature
from ir_router.sync import members
from ir_router.workflow import accounts, alert_groups, sessions

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

ACCOUNT = "123456789012"  # moto's own
REGION = "us-east-1"
DENY_POLICY = "arn:aws:iam::aws:policy/AWSDenyAll"
EARLIER_DENY_POLICY = "security-incident-containment-deny"
"""Versions before 0.2.0 created this policy in each account and attached it."""
WORKFLOW_ROLE = "security-incident-workflow"
CONTAINMENT_ROLE = "security-incident-containment"

# The names in terraform/locals.tf. The intake has its dead letters in the failures queue.
INTAKE_QUEUE = "security-incident-intake"
FAILURES_QUEUE = "security-incident-failures"

# Deployment -> its routes and its timeout in seconds. The source is terraform/functions.tf.
DEPLOYMENTS: Mapping[str, tuple[str, int]] = {
    "webhook": ("webhook", 29),
    "slack": ("slack_event,slash_command,interaction", 60),
    "sync": ("poll,sync_case,file_transfer,approval_notice,alert_notice", 900),
    "operations": ("operations", 900),
    "workflow": ("workflow,intake", 60),
    "approval-handler": ("approval", 30),
}


def arn(service: str, resource: str) -> str:
    """Return the ARN of a resource of the account."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def environment() -> dict[str, str]:
    """Return the environment of every function. `build` adds the addresses of resources."""
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "IR_TABLE_NAME": "ledger",
        "IR_EVENT_BUS_NAME": "bus",
        "IR_SLACK_FUNCTION": "security-incident-slack",
        "IR_APPROVAL_FUNCTION": "security-incident-approval-handler",
        "IR_STATE_MACHINE_ARN": arn("states", "stateMachine:security-incident"),
        "IR_CONTAINMENT_MODE": "enforce",
        "IR_SETTLE_SECONDS": "5",
        "LOG_LEVEL": "info",
    }


def build(variables: dict[str, str]) -> None:
    """Create the resources, and add their addresses to the functions' environment `variables`."""
    _table()
    queues(variables)
    sqs = boto3.client("sqs")
    variables["IR_APPROVAL_QUEUE_URL"] = sqs.create_queue(QueueName="security-incident-approval")["QueueUrl"]
    variables["ALERTS_SEEN"] = sqs.create_queue(QueueName="alerts-seen")["QueueUrl"]
    sns = boto3.client("sns")
    variables["IR_ALERT_TOPIC_ARN"] = sns.create_topic(Name="security-incident-alerts")["TopicArn"]
    sns.subscribe(TopicArn=variables["IR_ALERT_TOPIC_ARN"], Protocol="sqs", Endpoint=arn("sqs", "alerts-seen"))
    variables["IR_ALARM_TOPIC_ARN"] = sns.create_topic(Name="security-incident-alarms")["TopicArn"]
    sns.subscribe(TopicArn=variables["IR_ALARM_TOPIC_ARN"], Protocol="sqs", Endpoint=arn("sqs", "alerts-seen"))
    variables["PAGES_SEEN"] = sqs.create_queue(QueueName="pages-seen")["QueueUrl"]
    variables["IR_PAGE_TOPIC_ARN"] = sns.create_topic(Name="security-incident-page")["TopicArn"]
    sns.subscribe(TopicArn=variables["IR_PAGE_TOPIC_ARN"], Protocol="sqs", Endpoint=arn("sqs", "pages-seen"))
    boto3.client("events").create_event_bus(Name="bus")
    client = boto3.client("iam")
    add_managed_policies(ACCOUNT)
    variables["IR_CONTAINMENT_ROLE_ARN"] = containment_role(client)


def add_managed_policies(account: str) -> None:
    """Add AWSDenyAll to the account: moto has no policy of AWS unless it loads all 1,300."""
    denying = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": ["*"], "Resource": "*"}]}
    policy = AWSManagedPolicy(  # type: ignore[abstract]
        "AWSDenyAll", account, region=REGION, path="/", document=json.dumps(denying), default_version_id="v1"
    )
    iam_backends[account]["aws"].managed_policies[policy.arn] = policy


def earlier_deny_policy(client: IAMClient) -> str:
    """Create the deny policy of versions before 0.2.0 in the client's account; return its ARN."""
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    return client.create_policy(PolicyName=EARLIER_DENY_POLICY, PolicyDocument=json.dumps(policy))["Policy"]["Arn"]


def containment_role(client: IAMClient, *, organization_id: str | None = None, mode: str = "enforce") -> str:
    """Create the role of terraform/modules/account; return its ARN.

    The simulator checks the trust policy. In IAM, it checks the session policies in place of the role's permissions.
    """
    condition: dict[str, Any] = {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/{WORKFLOW_ROLE}"}}
    if organization_id is not None:
        condition["StringEquals"] = {"aws:PrincipalOrgID": organization_id}
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
        "Condition": condition,
    }
    role = client.create_role(
        RoleName=CONTAINMENT_ROLE,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        Tags=[{"Key": "ir-router-mode", "Value": mode}],
    )["Role"]
    changes = {"Effect": "Allow", "Action": "iam:UpdateAccessKey", "Resource": "*"}
    attaches = {
        "Effect": "Allow",
        "Action": ["iam:AttachUserPolicy", "iam:AttachRolePolicy"],
        "Resource": "*",
        "Condition": {"ArnEquals": {"iam:PolicyARN": DENY_POLICY}},
    }
    listed = ["events:ListRuleNamesByTarget", "events:ListRules", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
    listed.append("cloudtrail:LookupEvents")
    reads = {"Effect": "Allow", "Action": listed, "Resource": "*"}
    permissions = json.dumps({"Version": "2012-10-17", "Statement": [changes, attaches, reads]})
    client.put_role_policy(RoleName=CONTAINMENT_ROLE, PolicyName="containment", PolicyDocument=permissions)
    return role["Arn"]


def _table() -> None:
    boto3.client("dynamodb").create_table(
        TableName="ledger",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK", "index_pk", "index_sk")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": keys.INDEX,
                "KeySchema": [
                    {"AttributeName": "index_pk", "KeyType": "HASH"},
                    {"AttributeName": "index_sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(keys.INDEX_PROJECTION)},
            }
        ],
    )


def queues(variables: dict[str, str]) -> None:
    """Create the queues that functions read, with their dead-letter queues, as in terraform/queues.tf."""
    from ir_router.sync.queue import MAX_RECEIVE_COUNT

    sqs = boto3.client("sqs")
    for name, deployment in (("slack-events", "slack"), ("files", "sync")):
        dead = sqs.create_queue(QueueName=f"{name}-dlq.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        redrive = {"deadLetterTargetArn": arn("sqs", f"{name}-dlq.fifo"), "maxReceiveCount": MAX_RECEIVE_COUNT}
        visibility = 6 * DEPLOYMENTS[deployment][1]
        attributes = {
            "FifoQueue": "true",
            "RedrivePolicy": json.dumps(redrive),
            "VisibilityTimeout": str(visibility),
        }
        url = sqs.create_queue(QueueName=f"{name}.fifo", Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]
        variables[f"IR_{name.replace('-', '_').upper()}_QUEUE_URL"] = url
        variables[f"DEAD_{name}"] = dead
    sqs.create_queue(QueueName=FAILURES_QUEUE)
    redrive = {"deadLetterTargetArn": arn("sqs", FAILURES_QUEUE), "maxReceiveCount": MAX_RECEIVE_COUNT}
    visible_after = str(6 * DEPLOYMENTS["workflow"][1])
    intake = {"RedrivePolicy": json.dumps(redrive), "VisibilityTimeout": visible_after}
    variables["INTAKE_QUEUE_URL"] = sqs.create_queue(QueueName=INTAKE_QUEUE, Attributes=intake)["QueueUrl"]  # type: ignore[arg-type]


def put_parameters(bot_token: str, signing_secret: str, workspace_id: str) -> None:
    """Store the app's credentials in the parameters that the functions read."""
    ssm = boto3.client("ssm")
    root = "/SecurityIncidentResponse/"
    for name, value, kind in (
        ("slackBotToken", bot_token, "SecureString"),
        ("slackSigningSecret", signing_secret, "SecureString"),
        ("slackWorkspaceId", workspace_id, "String"),
        ("slackChannelPrefix", "aws-security-incident-response-case-", "String"),
    ):
        ssm.put_parameter(Name=root + name, Value=value, Type=kind, Overwrite=True)  # type: ignore[arg-type]
    forget_everything()


def forget_what_is_kept() -> None:
    """Clear the caches of a warm function, so that the next invocation is a cold one."""
    settings.cache_clear()
    credentials.forget()
    signature.forget()
    installation.forget()
    gateway.Names.forget()
    members.forget_team()
    sessions.forget()
    accounts.forget()
    alert_groups.forget()
    audit.forget()


def forget_everything() -> None:
    """Clear the caches and the clients, whose addresses may have changed."""
    forget_what_is_kept()
    aws.forget_clients()
    gateway.forget_clients()
