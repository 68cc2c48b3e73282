"""API Gateway's request validation: see `ir_local.cloud.ministack_patches.requests`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import urllib3

from tests.local_cloud.emulator_stack import Stack, make_stack

pytestmark = pytest.mark.local_cloud


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    for stack in make_stack():
        yield api(stack)


def api(stack: Stack) -> str:
    """A REST API whose POST takes JSON objects by its validator, in front of a function."""
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
