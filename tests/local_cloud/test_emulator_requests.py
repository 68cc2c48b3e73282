"""Validated and repeated requests; see `requests` and `connections` in `ir_sandbox.cloud.ministack_patches`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from tests.local_cloud.emulator_stack import Stack, make_stack, refusal

pytestmark = pytest.mark.local_cloud

ROLE_OF_LOGS = "arn:aws:iam::000000000000:role/logs-of-all-apis"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    yield from make_stack()


@pytest.fixture(scope="module")
def address(stack: Stack) -> str:
    return api(stack)


def api(stack: Stack) -> str:
    """A REST API in front of a function; its validator accepts JSON objects in POST requests."""
    gateway = stack.client("apigateway")
    made = gateway.create_rest_api(name=stack.name("api"))["id"]
    root = gateway.get_resources(restApiId=made)["items"][0]["id"]
    gateway.create_model(
        restApiId=made, name="Event", contentType="application/json", schema=json.dumps({"type": "object"})
    )
    validator = gateway.create_request_validator(restApiId=made, name="body", validateRequestBody=True)["id"]
    gateway.put_method(
        restApiId=made,
        resourceId=root,
        httpMethod="POST",
        authorizationType="NONE",
        requestModels={"application/json": "Event"},
        requestValidatorId=validator,
    )
    function = stack.client("lambda").get_function(FunctionName=stack.function())["Configuration"]["FunctionArn"]
    gateway.put_integration(
        restApiId=made,
        resourceId=root,
        httpMethod="POST",
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations",
    )
    gateway.create_deployment(restApiId=made, stageName="prod")
    return f"{stack.client('sts').meta.endpoint_url}/restapis/{made}/prod/_user_request_/"


def post(address: str, content_type: str, body: bytes) -> int:
    return urllib3.request("POST", address, body=body, headers={"Content-Type": content_type}, timeout=20).status


def test_given_a_model_for_json_when_a_form_is_posted_then_it_is_not_held_to_it(address: str) -> None:
    assert post(address, "application/x-www-form-urlencoded", b"command=%2Fsecurity-ir&text=status") != 400


def test_given_a_model_for_json_when_broken_json_is_posted_then_it_is_refused(address: str) -> None:
    assert post(address, "application/json", b"{") == 400
    assert post(address, "application/json", b'{"type": "event_callback"}') != 400


def test_given_an_account_without_a_role_for_logs_when_a_stage_gets_access_logs_then_it_is_refused(
    stack: Stack,
) -> None:
    gateway = stack.client("apigateway")
    api_id = gateway.create_rest_api(name="logging")["id"]
    deployment = gateway.create_deployment(restApiId=api_id)["id"]
    gateway.create_stage(restApiId=api_id, stageName="prod", deploymentId=deployment)
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/apigateway/any"
    change = {"op": "replace", "path": "/accessLogSettings/destinationArn", "value": arn}

    def log() -> Any:
        return gateway.update_stage(restApiId=api_id, stageName="prod", patchOperations=[change])

    assert log()["accessLogSettings"]["destinationArn"] == arn
    gateway.update_account(patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": ""}])
    try:
        assert refusal(log) == "BadRequestException"
    finally:
        gateway.update_account(patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": ROLE_OF_LOGS}])


def client_of(stack: Stack, service: str, program: str, call: str) -> Any:
    """A client whose calls are all attempts of the same call by a program, as an SDK sends them."""
    client = stack.client(service)

    def attempt(request: Any, **_: Any) -> None:
        request.headers["amz-sdk-invocation-id"] = call
        request.headers["User-Agent"] = f"APN/1.0 {program}"

    client.meta.events.register("before-send", attempt)
    return client


def test_given_a_write_of_terraform_whose_response_was_lost_when_repeated_then_it_gets_the_first_response(
    stack: Stack,
) -> None:
    stack.client("dynamodb").create_table(
        TableName="once",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def write(program: str, call: str, key: str) -> str:
        condition = {"ConditionExpression": "attribute_not_exists(PK)"}
        client = client_of(stack, "dynamodb", program, call)
        return str(client.put_item(TableName="once", Item={"PK": {"S": key}}, **condition)["ResponseMetadata"])

    first = write("Terraform/1.9", "call-1", "terraform")
    assert write("Terraform/1.9", "call-1", "terraform") == first
    assert refusal(lambda: write("Terraform/1.9", "call-2", "terraform")) == "ConditionalCheckFailedException"
    write("Boto3/1.40", "call-3", "function")
    assert refusal(lambda: write("Boto3/1.40", "call-3", "function")) == "ConditionalCheckFailedException"


def test_given_a_refused_call_of_terraform_when_repeated_then_it_is_executed_again(stack: Stack) -> None:
    calls = client_of(stack, "sqs", "Terraform/1.9", "call-4")
    assert refusal(lambda: calls.get_queue_url(QueueName="later")) == "AWS.SimpleQueueService.NonExistentQueue"

    stack.client("sqs").create_queue(QueueName="later")

    assert calls.get_queue_url(QueueName="later")["QueueUrl"].endswith("/later")
