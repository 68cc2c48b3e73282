"""The fourth job: a user of another account is contained there, from a finding in another region, and restored."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from ir_sandbox.cloud.accounts import ACCOUNTS, HUB, ORGANIZATION_ID
from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.cloud.member import Member
from ir_sandbox.demo.containment_job import ContainmentJob
from ir_sandbox.demo.incidents import Key
from ir_sandbox.demo.report import Report
from ir_sandbox.slack.model import Json, View
from ir_sandbox.slack.people import Person

VARIABLES = {"organization_id": ORGANIZATION_ID}
"""The Terraform variables of a hub with members."""

REGION = "eu-west-1"
"""The region of the finding. The hub is in us-east-1."""

FORM_SECONDS = 10
"""The time after which a person presses a button once more. Slack opens no form three seconds after the press."""


class MemberJob(ContainmentJob):
    """Acts as GuardDuty in the member and as the analyst; checks IAM of both accounts, the case, SNS and Slack."""

    def __init__(self, cloud: LocalCloud, report: Report) -> None:
        """Use the running cloud `cloud`, whose hub has `VARIABLES`; add the checks to `report`."""
        super().__init__(cloud, report)
        self._hub_iam = self._iam

    def run(self) -> None:
        """Make an account a member, contain a user of it, and restore the user."""
        self._report.title("A user of the member shop-prod, contained there and restored")
        with Member(dict(self._cloud.environment), self._cloud.outputs) as member:
            self._member = member
            # The inherited reads and actions concern the member.
            self._iam = member.client("iam")
            self._report.check(
                "the member's second plan shows no changes", lambda: not member.pending_changes(), within=0
            )
            self._denied_in_member()

    def _denied_in_member(self) -> None:
        check = self._report.check
        jane = self._cloud.slack.person("jane.smith")
        key, namesake = self._new_keys("carol")
        shown = f"{ACCOUNTS[self._member.account]} ({self._member.account})"
        execution = self._found_by_guardduty(key)
        check("the execution's input has the member and its region", lambda: self._came_from_member(execution))
        check("the key is inactive in the member", lambda: self._keys(key.user) == {key.id: "Inactive"})
        check("the member's deny policy is attached", lambda: self._policies(key.user) == [self._deny_policy()])
        check("the hub's user of the same name is untouched", lambda: self._is_untouched_in_hub(namesake))
        check("the alert names the account", lambda: self._alerts.seen(key.user, shown))
        check("the case's impacted account is the member", lambda: self._has_case(key))
        asked = check("the approval request is in the case's channel", lambda: self._buttons(key, jane))
        if asked is None:
            return
        channel, ts, action_id = asked
        self.snapshots.append(("a user of another account", "Approve or deny", self._message(channel, ts)))
        view = check("Deny opens a form for the reason", lambda: self._form(jane, channel, ts, action_id))
        if view is None:
            return
        block = next(block for block in view.body["blocks"] if block["type"] == "input")
        jane.submit(view.id, {block["block_id"]: "False positive - migration of the shop"})
        check("the key is active again in the member", lambda: self._keys(key.user) == {key.id: "Active"})
        check("the member's deny policy is detached", lambda: not self._policies(key.user))
        check("the execution succeeded", lambda: self._status(execution) == "SUCCEEDED")
        check("the hub's user of the same name is still untouched", lambda: self._is_untouched_in_hub(namesake))
        self._remember("a user of another account, denied", execution)

    # Actions

    def _new_keys(self, name: str) -> tuple[Key, Key]:
        """Create a user with a key in the member, and one of the same name in the hub."""
        key = self._new_key(name)
        self._hub_iam.create_user(UserName=key.user)
        return key, Key(key.user, self._hub_iam.create_access_key(UserName=key.user)["AccessKey"]["AccessKeyId"])

    def _found_by_guardduty(self, key: Key) -> str:
        """Put a finding on the member's default bus as GuardDuty does; return the ARN of its execution."""
        before = set(self._executions())
        entry = {
            "Source": "aws.guardduty",
            "DetailType": "GuardDuty Finding",
            "Detail": json.dumps(finding(self._member.account, REGION, key)),
        }
        self._member.client("events", REGION).put_events(Entries=[entry])
        name = f"a finding in {REGION} of the member starts the state machine of the hub"
        return self._report.check(name, lambda: next(iter(set(self._executions()) - before), None)) or ""

    def _form(self, jane: Person, channel: str, ts: str, action_id: str) -> View | None:
        """Press a button, as a person does once more if nothing happens: the first press can start a function."""
        jane.press(channel, ts, action_id)
        deadline = time.monotonic() + FORM_SECONDS
        while time.monotonic() < deadline:
            if views := jane.views():
                return views[0]
            time.sleep(0.1)
        return None

    # Reading AWS and Slack

    def _came_from_member(self, execution: str) -> bool:
        found = json.loads(self._states.describe_execution(executionArn=execution)["input"])
        return (found["account"], found["region"]) == (self._member.account, REGION)

    def _deny_policy(self) -> str:
        return "arn:aws:iam::aws:policy/AWSDenyAll"

    def _is_untouched_in_hub(self, key: Key) -> bool:
        keys = self._hub_iam.list_access_keys(UserName=key.user)["AccessKeyMetadata"]
        attached = self._hub_iam.list_attached_user_policies(UserName=key.user)["AttachedPolicies"]
        return [(one["AccessKeyId"], one["Status"]) for one in keys] == [(key.id, "Active")] and not attached

    def _has_case(self, key: Key) -> bool:
        client = self._cloud.client("security-ir")
        cases = [client.get_case(caseId=item["caseId"]) for item in client.list_cases()["items"]]
        (case,) = [case for case in cases if key.user in case["title"] + case["description"]]
        return bool(case["impactedAccounts"] == [self._member.account] != [HUB])

    def _message(self, channel: str, ts: str) -> list[Json]:
        return [one for one in self._cloud.slack.channel_messages(channel) if one["ts"] == ts]


def finding(account: str, region: str, key: Key) -> dict[str, Any]:
    """Return the detail of a HIGH finding about an access key.

    The fields are those of docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html.
    """
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
    number = f"{key.id.lower()}{'0' * 32}"[:32]
    detector = f"arn:aws:guardduty:{region}:{account}:detector/0123456789abcdef0123456789abcdef"
    return {
        "schemaVersion": "2.0",
        "accountId": account,
        "region": region,
        "partition": "aws",
        "id": number,
        "arn": f"{detector}/finding/{number}",
        "type": "CredentialAccess:IAMUser/AnomalousBehavior",
        "severity": 8,
        "title": f"User {key.user} uses its access key in an unusual way",
        "description": "APIs commonly used to obtain passwords were invoked with the key.",
        "createdAt": now,
        "updatedAt": now,
        "resource": {
            "resourceType": "AccessKey",
            "accessKeyDetails": {
                "accessKeyId": key.id,
                "principalId": "AIDAEXAMPLEEXAMPLE00",
                "userName": key.user,
                "userType": "IAMUser",
            },
        },
        "service": {
            "serviceName": "guardduty",
            "detectorId": "0123456789abcdef0123456789abcdef",
            "eventFirstSeen": now,
            "eventLastSeen": now,
            "archived": False,
            "count": 1,
            "resourceRole": "TARGET",
            "action": {
                "actionType": "AWS_API_CALL",
                "awsApiCallAction": {
                    "api": "GetPasswordData",
                    "serviceName": "ec2.amazonaws.com",
                    "callerType": "Remote IP",
                    "remoteIpDetails": {"ipAddressV4": "198.51.100.7"},
                },
            },
        },
    }
