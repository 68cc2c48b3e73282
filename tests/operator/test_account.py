"""D1: `make deploy` looks at the account first, and neither breaks nor replaces resources of other systems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from ir_operator.deploy import account
from ir_operator.deploy.account import Variables
from ir_operator.deploy.errors import OperationError

REGION = "eu-central-1"
NAME = "/SecurityIncidentResponse/slackBotToken"
MANAGE = ["-var=manage_api_gateway_account=true"]
MANAGED = ["aws_api_gateway_account.logs[0]"]
ROLE = "arn:aws:iam::123456789012:role/logs-of-all-apis"


class Gateway:
    """Replaces the client of API Gateway, because moto's needs a further package."""

    role: str | None = None

    def get_account(self) -> dict[str, Any]:
        return {"cloudwatchRoleArn": self.role} if self.role else {}


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    make = boto3.client

    def client_of(service: str, **options: Any) -> Any:
        return Gateway() if service == "apigateway" else make(service, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Gateway, "role", None)
    monkeypatch.setattr(boto3, "client", client_of)
    with mock_aws():
        yield


def variables(*, manage: bool = False, logs: bool = True) -> Variables:
    return Variables(
        region=REGION,
        lambda_architecture="arm64",
        manage_api_gateway_account=manage,
        api_access_logs=logs,
        parameters={"bot_token": NAME},
    )


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("role", "manage", "logs", "addresses", "expected"),
    [
        (False, False, True, [], MANAGE),
        (False, True, True, [], []),
        (False, False, False, [], []),
        (True, False, True, [], []),
        (True, False, True, MANAGED, MANAGE),
        (True, True, True, MANAGED, MANAGE),
    ],
)
def test_given_an_account_when_looked_at_then_terraform_sets_the_role_for_logs_only_if_there_is_none(
    role: bool, manage: bool, logs: bool, addresses: list[str], expected: list[str]
) -> None:
    if role:
        Gateway.role = ROLE

    assert account.options(variables(manage=manage, logs=logs), addresses) == expected


def test_given_a_role_of_other_apis_when_terraform_would_replace_it_then_it_is_refused() -> None:
    Gateway.role = ROLE

    with pytest.raises(OperationError, match=rf"write their logs with {ROLE}.*Remove manage_api_gateway_account"):
        account.options(variables(manage=True), [])


def test_given_ten_resource_policies_when_deployed_first_then_the_quota_is_explained() -> None:
    logs, document = client("logs"), '{"Version": "2012-10-17", "Statement": []}'
    Gateway.role = ROLE
    for number in range(9):
        logs.put_resource_policy(policyName=f"policy-{number}", policyDocument=document)
    assert account.options(variables(), []) == []
    logs.put_resource_policy(policyName="policy-9", policyDocument=document)

    with pytest.raises(OperationError, match=r"eu-central-1 has 10 resource policies .*policy-0.*AWS allows 10"):
        account.options(variables(), [])
    assert account.options(variables(), ["aws_cloudwatch_log_resource_policy.slack_notifications"]) == []


def test_given_parameters_of_another_integration_when_deployed_first_then_adopting_and_renaming_are_explained() -> None:
    Gateway.role = ROLE
    client("ssm").put_parameter(Name=NAME, Value="xoxb", Type="String")

    with pytest.raises(OperationError, match=rf"name_prefix.*terraform import aws_ssm_parameter.bot_token {NAME}"):
        account.options(variables(), [])
    assert account.options(variables(), ["aws_ssm_parameter.bot_token"]) == []


def test_given_a_right_that_is_missing_when_looked_at_then_a_warning_and_terraform_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Refusing:
        def __getattr__(self, operation: str) -> Any:
            def call(**_: Any) -> None:
                raise ClientError({"Error": {"Code": "AccessDeniedException"}}, operation)

            return call

    monkeypatch.setattr(boto3, "client", lambda *_, **__: Refusing())

    assert account.options(variables(manage=True), []) == []
    assert capsys.readouterr().out.count("your credentials may not call") == 3
