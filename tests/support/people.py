"""The people of a local account: IAM users with exactly the policies that `ir-router policies` renders for a role."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3

from ir_operator.policies.rendering import Role, policies

PREFIX, REGION = "security-incident", "us-east-1"


class Person:
    """A user of a local account."""

    def __init__(self, environment: Mapping[str, str], key: str, secret: str) -> None:
        """Use the account of `environment` with an access key."""
        self.credentials = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        self._endpoint = environment["AWS_ENDPOINT_URL"]

    def client(self, service: str) -> Any:
        """Return a client that calls as this user."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self._endpoint,
            region_name=REGION,
            aws_access_key_id=self.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.credentials["AWS_SECRET_ACCESS_KEY"],
        )

    def invoke(self, function: str, task: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer of a function of the deployment; AssertionError if it fails."""
        answer = self.client("lambda").invoke(FunctionName=f"{PREFIX}-{function}", Payload=json.dumps(task).encode())
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, found
        return found


def administrator(environment: Mapping[str, str]) -> Person:
    """Return the administrator of a local account, whose credentials are in its environment."""
    return Person(environment, environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])


@contextmanager
def person(environment: Mapping[str, str], role: Role) -> Iterator[Person]:
    """Create a user with exactly the policies of a role, and remove both at the end.

    Args:
        environment: The environment of the local account, with the credentials of its administrator.
        role: The role of `ir-router policies`. Its name is also the name of the user.
    """
    iam = administrator(environment).client("iam")
    iam.create_user(UserName=role)
    attached = []
    for number, document in enumerate(policies(role, PREFIX, REGION)):
        made = iam.create_policy(PolicyName=f"{role}-{number}", PolicyDocument=json.dumps(document))["Policy"]
        iam.attach_user_policy(UserName=role, PolicyArn=made["Arn"])
        attached.append(made["Arn"])
    key = iam.create_access_key(UserName=role)["AccessKey"]
    try:
        yield Person(environment, key["AccessKeyId"], key["SecretAccessKey"])
    finally:
        iam.delete_access_key(UserName=role, AccessKeyId=key["AccessKeyId"])
        for arn in attached:
            iam.detach_user_policy(UserName=role, PolicyArn=arn)
            iam.delete_policy(PolicyArn=arn)
        iam.delete_user(UserName=role)
