"""The AWS organisation of the simulator: the hub, two members with the same user names, and the policies of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import boto3

from ir_router.workflow import detections
from tests.terraform.iam import allows
from tests.trials.world.deployment import ACCOUNT, CONTAINMENT_ROLE, REGION, add_managed_policies, containment_role
from tests.trials.world.invocations import HttpAnswer
from tests.trials.world.wire import Wire

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

ORGANIZATION = "o-a1b2c3d4e5"
SHOP, LAB = "222222222222", "333333333333"
NAMES = {SHOP: "shop-prod", LAB: "lab"}
"""The accounts with their names."""
MEMBERS = (SHOP, LAB)
SCP = "service control policy"
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/security-incident-detections"
_PAGE = 2


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
        hooks.register("before-call.organizations.ListAccounts", self._list)

    def _describe(self, params: Mapping[str, Any], **_: Any) -> Any:
        # https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeAccount.html
        with self._wire.call("organizations", "DescribeAccount"):
            asked = json.loads(params["body"])["AccountId"]
            if (refused := self._refusal()) is not None:
                return refused
            if asked not in self.accounts:
                return _error("AccountNotFoundException", "You specified an account that doesn't exist.")
            return _answer({"Account": self._shown(asked)})

    def _list(self, params: Mapping[str, Any], **_: Any) -> Any:
        # A page can have fewer accounts than MaxResults:
        # https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html
        with self._wire.call("organizations", "ListAccounts"):
            if (refused := self._refusal()) is not None:
                return refused
            first = int(json.loads(params["body"]).get("NextToken", "0"))
            page = [self._shown(account) for account in list(self.accounts)[first : first + _PAGE]]
            more = {"NextToken": str(first + _PAGE)} if first + _PAGE < len(self.accounts) else {}
            return _answer({"Accounts": page, **more})

    def _refusal(self) -> Any:
        if len(self.accounts) == 1:
            return _error("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
        if not self.may_describe:
            return _error("AccessDeniedException", "You don't have permissions to access this resource.")
        return None

    def _shown(self, account: str) -> dict[str, str]:
        # AWS removed `Status` on 9 September 2026.
        found = self.accounts[account]
        return {"Id": account, "Name": found.name, "State": found.status}


def _answer(content: Mapping[str, Any]) -> tuple[HttpAnswer, dict[str, Any]]:
    return HttpAnswer(200), {**content, "ResponseMetadata": {"HTTPStatusCode": 200}}


def _error(code: str, message: str) -> tuple[HttpAnswer, dict[str, Any]]:
    return HttpAnswer(400), {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }


def found(world: Any) -> None:
    """Let the hub and two members, both with the containment role, form an organisation."""
    world.environment["IR_ORGANIZATION_ID"] = ORGANIZATION
    for account, name in NAMES.items():
        world.organisation.accounts[account] = Account(name)
        prepare(account)


def prepare(account: str, mode: str = "enforce") -> None:
    """Apply terraform/modules/account in a member."""
    add_managed_policies(account)
    prepare_role(account, mode)


def prepare_role(account: str, mode: str = "enforce") -> None:
    """Create the containment role of a member."""
    containment_role(iam_of(account), organization_id=ORGANIZATION, mode=mode)


def forward(account: str, region: str = REGION) -> None:
    """Apply terraform/modules/region in a region of a member."""
    client_of("sqs", account, region).create_queue(QueueName="security-incident-forwarding-failures")
    events = client_of("events", account, region)
    for entry in detections.entries():
        if entry["severity"] in ("HIGH", "CRITICAL") or entry.get("tampering"):
            name = f"security-incident-detect-{entry['id'].replace('_', '-')}"
            all_calls = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
            state = all_calls if entry.get("read_only_calls") else "ENABLED"
            events.put_rule(Name=name, EventPattern=json.dumps(entry["pattern"]), State=state)
            role = f"arn:aws:iam::{account}:role/security-incident-forwarding"
            events.put_targets(Rule=name, Targets=[{"Id": "hub", "Arn": BUS, "RoleArn": role}])


def remove_role(account: str) -> None:
    """Delete the containment role of an account."""
    client = iam_of(account)
    client.delete_role_policy(RoleName=CONTAINMENT_ROLE, PolicyName="containment")
    client.delete_role(RoleName=CONTAINMENT_ROLE)


def iam_of(account: str) -> IAMClient:
    """Return a client with which a test acts in an account as its administrator."""
    client: IAMClient = client_of("iam", account)
    return client


def client_of(service: Literal["events", "iam", "sqs"], account: str, region: str = REGION) -> Any:
    """Return a client of a service with which a test acts in an account as its administrator."""
    if account == ACCOUNT:
        return boto3.client(service, region_name=region)
    role = f"arn:aws:iam::{account}:role/administrator"
    given = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return boto3.client(
        service,
        region_name=region,
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
