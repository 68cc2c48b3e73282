"""C3: each API that switches a part of ir-router off, or that eases a containment, raises the alarm."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.support.detection_events.makers import role
from tests.support.world import ACCOUNT, World
from tests.trials.world.incidents import IamState, alerts, call, contain, event, iam_state, user, user_identity
from tests.trials.world.state_machine import StateMachine

PREFIX = "security-incident"
FUNCTION = f"{PREFIX}-workflow"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:{PREFIX}-alerts"
QUEUE = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/{PREFIX}-failures"
LEDGER = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{PREFIX}-ledger"
TOKEN = "/SecurityIncidentResponse/slackBotToken"
LOGS = f"/aws/lambda/{FUNCTION}"

ROUTES: list[tuple[str, str, dict[str, Any]]] = [
    ("states", "StopExecution", {"executionArn": f"arn:aws:states:r:{ACCOUNT}:execution:{PREFIX}-response:e"}),
    ("lambda", "PutFunctionEventInvokeConfig", {"functionName": FUNCTION, "maximumRetryAttempts": 0}),
    ("lambda", "PutFunctionConcurrency20171031", {"functionName": FUNCTION, "reservedConcurrentExecutions": 0}),
    ("lambda", "AddPermission20150331v2", {"functionName": f"{PREFIX}-approval-handler", "principal": "999988887777"}),
    ("lambda", "CreateFunctionUrlConfig", {"functionName": FUNCTION, "authType": "NONE"}),
    ("lambda", "CreateEventSourceMapping20150331", {"functionName": FUNCTION, "eventSourceArn": "arn:aws:sqs:r:1:q"}),
    ("sns", "AddPermission", {"topicArn": TOPIC, "label": "x"}),
    ("sns", "Subscribe", {"topicArn": TOPIC, "protocol": "https", "endpoint": "https://198.51.100.7/"}),
    ("sns", "PutDataProtectionPolicy", {"resourceArn": TOPIC, "dataProtectionPolicy": "{}"}),
    ("sqs", "SetQueueAttributes", {"queueUrl": QUEUE, "attributes": {"MessageRetentionPeriod": "60"}}),
    ("sqs", "AddPermission", {"queueUrl": QUEUE, "label": "x"}),
    ("dynamodb", "UpdateTable", {"tableName": f"{PREFIX}-ledger", "deletionProtectionEnabled": False}),
    ("dynamodb", "UpdateTable", {"tableName": LEDGER}),
    ("dynamodb", "UpdateTimeToLive", {"tableName": f"{PREFIX}-ledger"}),
    ("dynamodb", "UpdateContinuousBackups", {"tableName": f"{PREFIX}-ledger"}),
    ("dynamodb", "PutResourcePolicy", {"resourceArn": LEDGER, "policy": "{}"}),
    ("events", "PutPermission", {"eventBusName": f"{PREFIX}-events", "principal": "*"}),
    ("events", "RemovePermission", {"eventBusName": f"{PREFIX}-detections", "statementId": "members"}),
    ("events", "UpdateEventBus", {"name": f"{PREFIX}-events"}),
    ("ssm", "PutParameter", {"name": TOKEN, "overwrite": True, "type": "SecureString"}),
    ("ssm", "PutParameter", {"name": f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter{TOKEN}", "overwrite": True}),
    ("ssm", "DeleteParameter", {"name": "/SecurityIncidentResponse/slackSigningSecret"}),
    ("ssm", "DeleteParameters", {"names": ["/shop/price", TOKEN]}),
    ("monitoring", "DeleteAlarms", {"alarmNames": ["shop", f"{PREFIX}-failures"]}),
    ("monitoring", "DisableAlarmActions", {"alarmNames": [f"{PREFIX}-failures"]}),
    ("monitoring", "SetAlarmState", {"alarmName": f"{PREFIX}-failures", "stateValue": "OK"}),
    ("monitoring", "PutMetricAlarm", {"alarmName": f"{PREFIX}-failures", "actionsEnabled": False}),
    ("logs", "DeleteLogGroup", {"logGroupName": LOGS}),
    ("logs", "DeleteLogStream", {"logGroupName": LOGS, "logStreamName": "2026/01/15/[1]0"}),
    ("logs", "PutRetentionPolicy", {"logGroupName": LOGS, "retentionInDays": 1}),
    ("iam", "TagRole", {"roleName": f"{PREFIX}-containment", "tags": [{"key": "ir-router-mode", "value": "off"}]}),
    ("iam", "TagRole", {"roleName": f"{PREFIX}-containment", "tags": [{"key": "IR-Router-Mode", "value": "off"}]}),
    ("iam", "UntagRole", {"roleName": f"{PREFIX}-containment", "tagKeys": ["ir-router-mode"]}),
    ("iam", "UpdateRole", {"roleName": f"{PREFIX}-containment", "maxSessionDuration": 3600}),
    ("iam", "CreatePolicyVersion", {"policyArn": f"arn:aws:iam::{ACCOUNT}:policy/{PREFIX}-verify"}),
    ("iam", "SetDefaultPolicyVersion", {"policyArn": f"arn:aws:iam::{ACCOUNT}:policy/{PREFIX}-protected-2"}),
    ("cloudformation", "DeleteStackInstances", {"stackSetName": f"{PREFIX}-members", "regions": ["us-east-1"]}),
    ("cloudformation", "UpdateStackSet", {"stackSetName": f"{PREFIX}-members"}),
]


@pytest.mark.parametrize(
    ("service", "name", "request_"),
    ROUTES,
    ids=[f"{service}-{name}-{n}" for n, (service, name, _) in enumerate(ROUTES)],
)
def test_given_a_call_that_changes_a_part_of_ir_router_when_started_then_it_is_reported_as_tampering(
    world: World, machine: StateMachine, service: str, name: str, request_: dict[str, Any]
) -> None:
    record = call(world, name, service=service, requestParameters=request_)

    machine.start(event(record, source=f"aws.{service}"))

    (alert,) = alerts(world)
    assert "HIGH: Tampering: " in alert["Subject"]
    assert name in alert["Message"]


@pytest.mark.parametrize(
    ("service", "name", "request_"),
    [
        ("ssm", "PutParameter", {"name": "/SecurityIncidentResponse/slackChannelPrefix", "overwrite": True}),
        ("ssm", "PutParameter", {"name": "/SecurityIncidentResponse/other/slackBotToken", "overwrite": True}),
        ("iam", "TagRole", {"roleName": f"{PREFIX}-containment", "tags": [{"key": "team", "value": "x"}]}),
        ("iam", "UntagRole", {"roleName": f"{PREFIX}-containment", "tagKeys": ["team"]}),
    ],
)
def test_given_an_ordinary_change_near_a_part_of_ir_router_when_started_then_it_is_no_tampering(
    world: World, machine: StateMachine, service: str, name: str, request_: dict[str, Any]
) -> None:
    record = call(world, name, service=service, requestParameters=request_)

    execution = machine.start(event(record, source=f"aws.{service}"))

    assert execution.path[-1] == "Logged"
    assert alerts(world) == []


@pytest.mark.parametrize(
    ("service", "name", "request_"),
    [
        ("sqs", "SetQueueAttributes", {"queueUrl": QUEUE, "attributes": {"MaximumMessageSize": "1048576"}}),
    ],
)
def test_given_a_change_by_ir_router_itself_when_started_then_it_is_no_tampering(
    world: World, machine: StateMachine, service: str, name: str, request_: dict[str, Any]
) -> None:
    caller = role(f"{PREFIX}-operations", account=ACCOUNT)
    record = call(world, name, service=service, requestParameters=request_, userIdentity=caller)

    execution = machine.start(event(record, source=f"aws.{service}"))

    assert execution.path[-1] == "Logged"
    assert alerts(world) == []


EASED: list[tuple[str, dict[str, Any]]] = [
    ("DetachUserPolicy", {"policyArn": "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"}),
    ("DeleteUserPolicy", {"policyName": "restrict"}),
    ("UpdateSSHPublicKey", {"sSHPublicKeyId": "APKAEXAMPLE", "status": "Active"}),
    ("UpdateSigningCertificate", {"certificateId": "CERT", "status": "Active"}),
    ("UpdateServiceSpecificCredential", {"serviceSpecificCredentialId": "ACCA", "status": "Active"}),
    ("RemoveUserFromGroup", {"groupName": "restricted"}),
    ("UpdateUser", {"newPath": "/hidden/"}),
]


@pytest.mark.parametrize(("name", "request_"), EASED, ids=[name for name, _ in EASED])
def test_given_a_contained_user_when_a_call_eases_its_limits_then_the_call_joins_the_incident(
    world: World, machine: StateMachine, name: str, request_: dict[str, Any]
) -> None:
    _execution, key = contain(world, machine)
    boto3.client("iam").update_access_key(UserName="backdoor", AccessKeyId=key, Status="Active")
    before = len(alerts(world))
    world.advance(30)

    machine.start(event(call(world, name, requestParameters={"userName": "backdoor", **request_})))

    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    assert any(name in json.dumps(alert) for alert in alerts(world)[before:])


def test_given_a_contained_user_when_another_caller_renames_it_then_the_call_joins_the_incident(
    world: World, machine: StateMachine
) -> None:
    _execution, key = contain(world, machine)
    iam = boto3.client("iam")
    iam.update_user(UserName="backdoor", NewUserName="innocent")
    iam.update_access_key(UserName="innocent", AccessKeyId=key, Status="Active")
    user("backdoor")  # another user with the old name
    alerts(world)
    world.advance(30)

    machine.start(
        event(call(world, "UpdateUser", requestParameters={"userName": "backdoor", "newUserName": "innocent"}))
    )

    assert iam_state(world, "innocent") == IamState({key: "Inactive"}, denied=True)
    assert not iam_state(world, "backdoor").denied
    assert any("UpdateUser" in json.dumps(alert) for alert in alerts(world))


REMOVED: list[tuple[str, dict[str, Any]]] = [
    ("DetachUserPolicy", {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
    ("DeleteUserPolicy", {"policyName": "grant"}),
    ("RemoveUserFromGroup", {"groupName": "admins"}),
    ("UpdateSSHPublicKey", {"sSHPublicKeyId": "APKAEXAMPLE", "status": "Inactive"}),
    ("UpdateServiceSpecificCredential", {"serviceSpecificCredentialId": "ACCA", "status": "Inactive"}),
]
ADDED: list[tuple[str, dict[str, Any]]] = [
    ("PutUserPolicy", {"policyName": "grant", "policyDocument": "{}"}),
    ("UpdateSSHPublicKey", {"sSHPublicKeyId": "APKAEXAMPLE", "status": "Active"}),
    ("DetachUserPolicy", {"policyArn": "arn:aws:iam::aws:policy/AWSDenyAll"}),
]


@pytest.mark.parametrize(
    ("name", "request_", "of_responder"),
    [*((*one, False) for one in REMOVED), *((*one, True) for one in ADDED)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_given_contain_actor_when_a_responder_removes_rights_of_a_contained_user_then_the_responder_stays_free(
    world: World, machine: StateMachine, name: str, request_: dict[str, Any], of_responder: bool
) -> None:
    contain(world, machine)
    (key,) = user("responder")
    world.environment["IR_CONTAIN_ACTOR"] = "true"
    alerts(world)
    world.advance(30)

    record = call(
        world,
        name,
        requestParameters={"userName": "backdoor", **request_},
        userIdentity=user_identity("responder", key),
    )
    machine.start(event(record))

    assert iam_state(world, "responder").denied is of_responder
    assert iam_state(world, "backdoor").denied
    assert any(name in json.dumps(alert) for alert in alerts(world))


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("DeleteRolePolicy", {"policyName": "restrict"}),
        ("DetachRolePolicy", {"policyArn": f"arn:aws:iam::{ACCOUNT}:policy/restrict"}),
    ],
)
def test_given_a_role_that_is_not_contained_when_its_policies_change_then_it_is_only_recorded(
    world: World, machine: StateMachine, name: str, request_: dict[str, Any]
) -> None:
    execution = machine.start(event(call(world, name, requestParameters={"roleName": "app", **request_})))

    assert execution.path[-1] == "Logged"
    assert alerts(world) == []


def test_given_a_policy_that_grants_all_actions_when_created_then_it_is_alerted(
    world: World, machine: StateMachine
) -> None:
    document = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    request = {"policyName": "helper", "policyDocument": document}

    machine.start(event(call(world, "CreatePolicy", requestParameters=request)))

    (alert,) = alerts(world)
    assert "MEDIUM: " in alert["Subject"]
