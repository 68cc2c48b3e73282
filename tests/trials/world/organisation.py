"""The AWS organisation of the simulator: the hub, two members with the same user names, and the policies of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3

from tests.terraform.iam import allows
from tests.trials.world.deployment import ACCOUNT, CONTAINMENT_ROLE, containment_role, deny_policy
from tests.trials.world.invocations import HttpAnswer
from tests.trials.world.wire import Wire

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

ORGANIZATION = "o-a1b2c3d4e5"
SHOP, LAB = "222222222222", "333333333333"
MEMBERS = (SHOP, LAB)
SCP = "service control policy"


class Guard(NamedTuple):
    """A policy of the organisation that denies actions: its kind as in AWS's messages, and its statements."""

    kind: str
    statements: Sequence[Mapping[str, Any]]


@dataclass
class Account:
    """An account: its name and status in AWS Organizations, and the policies that apply to it."""

    name: str
    status: str = "ACTIVE"
    guards: list[Guard] = field(default_factory=list)

    def denial(self, action: str, resource: str, **context: str) -> str | None:
        """Return the kind of the policy that denies a request, or None."""
        for guard in self.guards:
            allowed = [{"Effect": "Allow", "Action": "*", "Resource": "*"}, *guard.statements]
            if not allows(allowed, action, resource, **context):
                return guard.kind
        return None


class Organisation:
    """AWS Organizations as the hub sees it. Without members, the hub belongs to none."""

    def __init__(self, wire: Wire) -> None:
        """Start with the hub alone."""
        self._wire = wire
        self.accounts = {ACCOUNT: Account("security")}
        self.may_describe = True
        self.throttled = 0  # so many calls of AssumeRole

    def attach(self, hooks: Any) -> None:
        """Answer the calls of functions from now on."""
        hooks.register("before-call.organizations.DescribeAccount", self._describe)

    def _describe(self, params: Mapping[str, Any], **_: Any) -> Any:
        # https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeAccount.html
        with self._wire.call("organizations", "DescribeAccount"):
            asked = json.loads(params["body"])["AccountId"]
            if len(self.accounts) == 1:
                return _error("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
            if not self.may_describe:
                return _error("AccessDeniedException", "You don't have permissions to access this resource.")
            if asked not in self.accounts:
                return _error("AccountNotFoundException", "You specified an account that doesn't exist.")
            found = self.accounts[asked]
            # AWS removed `Status` on 9 September 2026.
            shown = {"Id": asked, "Name": found.name, "State": found.status}
            return HttpAnswer(200), {"Account": shown, "ResponseMetadata": {"HTTPStatusCode": 200}}


def _error(code: str, message: str) -> tuple[HttpAnswer, dict[str, Any]]:
    return HttpAnswer(400), {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }


def found(world: Any) -> None:
    """Let the hub and two members, both with the containment role, form an organisation."""
    world.environment["IR_ORGANIZATION_ID"] = ORGANIZATION
    for account, name in ((SHOP, "shop-prod"), (LAB, "lab")):
        world.organisation.accounts[account] = Account(name)
        prepare(account)


def prepare(account: str, mode: str = "enforce") -> None:
    """Apply terraform/modules/account in a member."""
    client = iam_of(account)
    deny_policy(client)
    containment_role(client, organization_id=ORGANIZATION, mode=mode)


def remove_role(account: str) -> None:
    """Delete the containment role of an account."""
    client = iam_of(account)
    client.delete_role_policy(RoleName=CONTAINMENT_ROLE, PolicyName="containment")
    client.delete_role(RoleName=CONTAINMENT_ROLE)


def iam_of(account: str) -> IAMClient:
    """Return a client with which a test acts in an account as its administrator."""
    if account == ACCOUNT:
        return boto3.client("iam")
    role = f"arn:aws:iam::{account}:role/administrator"
    given = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return boto3.client(
        "iam",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def moved(event: Any, account: str) -> Any:
    """Return an event of the hub as the same event of another account."""
    return json.loads(json.dumps(event).replace(ACCOUNT, account))


def picture(account: str) -> str:
    """Return everything that IAM has in an account, as text."""
    client = iam_of(account)
    details: dict[str, Any] = dict(client.get_account_authorization_details())
    details.pop("ResponseMetadata")
    keys = {
        user["UserName"]: client.list_access_keys(UserName=user["UserName"])["AccessKeyMetadata"]
        for user in details["UserDetailList"]
    }
    return json.dumps([details, keys], default=str, indent=1, sort_keys=True)
