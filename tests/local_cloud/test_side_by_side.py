"""Two deployments in one account, each with its own Slack workspace: apply both, use them, remove one.

Only one of them contains principals. Each function has only the permissions of its role.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ir_sandbox import cloud_trail
from ir_sandbox.cloud.deployment import Deployer, new_credentials
from ir_sandbox.cloud.launcher import LocalCloud, apply_manifest
from ir_sandbox.cloud.saved import Addresses, SlackCredentials
from ir_sandbox.cloud.terraform import Terraform
from ir_sandbox.slack import SlackWorkspace
from ir_sandbox.slack import serve as serve_slack
from tests.support.local_cloud import Ended, inventory, make_trail, run
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.local_cloud, pytest.mark.deployments]

ACCOUNT = "000000000000"
SECOND = "acme-security"
CHANNEL_PREFIX = "acme-case-"
COLD_SECONDS = 60

Json = dict[str, Any]


@dataclass
class Deployment:
    """One of the deployments, with its workspace and that workspace's user."""

    cloud: LocalCloud
    prefix: str
    workspace: SlackWorkspace
    outputs: Json
    channel_prefix: str
    webhook_url: str
    person: str
    terraform: Terraform

    def verify(self) -> Ended:
        return run(self.cloud, "verify", prefix=self.prefix, webhook_url=self.webhook_url)

    def channel(self, case_id: str) -> str | None:
        """Return the id of the case's channel in this workspace."""
        name = f"{self.channel_prefix}{case_id}"
        return next((one.id for one in list(self.workspace.store.channels.values()) if one.name == name), None)

    def texts(self, case_id: str) -> list[str]:
        channel = self.channel(case_id)
        return [str(message["text"]) for message in self.workspace.channel_messages(channel)] if channel else []

    def post(self, case_id: str, text: str) -> str:
        """Post in the case's channel as the workspace's user, once invited; return the message's timestamp."""
        person = self.workspace.person(self.person)
        channel = wait_for(lambda: self.channel(case_id))
        wait_for(lambda: person.id in self.workspace.channel(channel).members)
        return person.post(channel, text)

    def rows(self, beginning: str) -> set[tuple[str, str]]:
        """Return the keys in the deployment's ledger with a prefix."""
        pages = self.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs["table_name"])
        keys = {(row["PK"]["S"], row["SK"]["S"]) for page in pages for row in page["Items"]}
        return {key for key in keys if key[0].startswith(beginning)}

    def ended(self) -> list[str]:
        """Return the last states of the deployment's ended executions."""
        states = self.cloud.client("stepfunctions")
        arn = self.outputs["state_machine_arn"]
        ended = []
        for execution in states.list_executions(stateMachineArn=arn)["executions"]:
            if execution["status"] != "RUNNING":
                history = states.get_execution_history(executionArn=execution["executionArn"], maxResults=1000)
                ended.append(
                    [
                        event["stateEnteredEventDetails"]["name"]
                        for event in history["events"]
                        if "stateEnteredEventDetails" in event
                    ][-1]
                )
        return ended


@dataclass
class Account:
    """The account with both deployments."""

    cloud: LocalCloud
    first: Deployment
    second: Deployment
    before: set[tuple[str, str]]

    def comments(self, case_id: str) -> list[str]:
        pages = self.cloud.client("security-ir").get_paginator("list_comments").paginate(caseId=case_id)
        return [item["body"] for page in pages for item in page["items"]]

    def commented(self, case_id: str, text: str) -> bool:
        return any(text in body for body in self.comments(case_id))

    def case(self, title: str) -> str:
        """Create a case with a watcher of each workspace."""
        answer = self.cloud.client("security-ir").create_case(
            title=title,
            description="Unusual API calls",
            engagementType="Security Incident",
            reportedIncidentStartDate=datetime.now(UTC),
            resolverType="Self",
            impactedAccounts=[ACCOUNT],
            watchers=[{"email": f"{one.person}@example.com"} for one in (self.first, self.second)],
        )
        return str(answer["caseId"])

    def cases(self) -> int:
        pages = self.cloud.client("security-ir").get_paginator("list_cases").paginate()
        return sum(len(page["items"]) for page in pages)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Apply the second deployment while the first one runs."""
    with ExitStack() as running:
        cloud = running.enter_context(LocalCloud(enforce_iam=True))
        make_trail(cloud)
        before = inventory(cloud)
        workspace = running.enter_context(SlackWorkspace(team_id="T0LC0000002", team_name="Acme"))
        running.enter_context(serve_slack(workspace))
        deployer, credentials = second_deployer(cloud, workspace, tmp_path_factory.mktemp("second"))
        terraform = deployer.terraform(cloud.emulator, credentials)
        terraform.apply(lambda _: None)
        outputs = terraform.outputs()
        url = cloud.emulator_url(str(outputs["SlackWebhookUrl"]))
        install(workspace, outputs, credentials, url)
        first = cloud._deployer.terraform(cloud.emulator, cloud.credentials)
        yield Account(
            cloud,
            Deployment(
                cloud,
                "security-incident",
                cloud.slack,
                cloud.outputs,
                "aws-security-incident-response-case-",
                cloud.webhook_url,
                "jane.smith",
                first,
            ),
            Deployment(cloud, SECOND, workspace, outputs, CHANNEL_PREFIX, url, "ann.acme", terraform),
            before,
        )


def second_deployer(cloud: LocalCloud, workspace: SlackWorkspace, folder: Path) -> tuple[Deployer, SlackCredentials]:
    """Return the second deployment's Terraform inputs: another prefix and workspace, no containment."""
    addresses = Addresses(
        aws=cloud.emulator.url.removeprefix("http://"),
        security_ir=cloud.security_ir_url.removeprefix("http://"),
        slack=workspace.base_url.removeprefix("http://"),
    )
    variables = {
        "name_prefix": SECOND,
        "containment_mode": "off",
        "manage_api_gateway_account": False,
        "slack_channel_prefix": CHANNEL_PREFIX,
    }
    made = new_credentials()
    credentials = SlackCredentials(made.bot_token, made.signing_secret, workspace.team_id)
    return Deployer(folder, addresses, cloud._deployer._package, variables), credentials


def install(workspace: SlackWorkspace, outputs: Json, credentials: SlackCredentials, url: str) -> None:
    """Install the deployment's Slack app from its manifest, and add the workspace's user."""
    app = workspace.create_app()
    apply_manifest(app, json.loads(outputs["slack_app_manifest"]))
    workspace.issue_token(app, credentials.bot_token)
    app.signing_secret, app.request_url = credentials.signing_secret, url
    workspace.create_user("ann.acme", real_name="Ann Acme")
    patience = workspace.deliveries.acknowledge_seconds
    workspace.configure(acknowledge_seconds=COLD_SECONDS)
    assert workspace.verify_request_url(app)
    workspace.configure(acknowledge_seconds=patience)


def created(user: str, key: str) -> Json:
    """Return the CloudTrail record of a key that another user creates for a user."""
    creator = cloud_trail.user_identity(ACCOUNT, f"creator-of-{user}", "AKIAEXAMPLE000000001")
    return cloud_trail.key_created(datetime.now(UTC), user, key, by=creator)


def test_given_both_when_verified_then_both_are_green_and_nothing_is_left_to_apply(account: Account) -> None:
    for deployment in (account.first, account.second):
        ended = deployment.verify()
        assert ended.code == 0, "\n".join(ended.lines)
        assert ended.line("ok       webhook endpoint").endswith("answers signed requests and rejects unsigned ones")
    assert account.second.terraform.changes() == []


def test_given_the_state_of_the_second_when_searched_then_its_credentials_are_not_in_it(account: Account) -> None:
    state = account.second.terraform.state
    assert state is not None
    (app,) = account.second.workspace.store.apps.values()

    written = "".join(file.read_text("utf-8") for file in state.parent.glob("*.tfstate*"))

    assert CHANNEL_PREFIX in written, "the search finds what is there"
    assert app.token not in written
    assert app.signing_secret not in written


def test_given_a_detection_when_both_see_it_then_the_one_that_contains_does_so_once_and_the_other_alerts(
    account: Account,
) -> None:
    iam, events = account.cloud.client("iam"), account.cloud.client("events")
    iam.create_user(UserName="backdoor-user")
    key = iam.create_access_key(UserName="backdoor-user")["AccessKey"]["AccessKeyId"]
    cases = account.cases()

    events.put_events(
        Entries=[
            {
                "Source": "aws.iam",
                "DetailType": "AWS API Call via CloudTrail",
                "Detail": json.dumps(created("backdoor-user", key)),
            }
        ]
    )

    def policies() -> list[str]:
        attached = iam.list_attached_user_policies(UserName="backdoor-user")["AttachedPolicies"]
        return [policy["PolicyName"] for policy in attached]

    wait_for(policies)
    assert wait_for(account.second.ended) == ["Alerted"] or account.second.ended() == ["Done"]
    wait_for(lambda: account.first.rows("TOKEN#"))
    assert policies() == ["AWSDenyAll"]
    assert [one["Status"] for one in iam.list_access_keys(UserName="backdoor-user")["AccessKeyMetadata"]] == [
        "Inactive"
    ]
    assert len(account.first.rows("CONTAINMENT#arn:")) == 1
    assert len(account.first.rows("APPROVAL#")) == 1
    for beginning in ("CONTAINMENT#", "APPROVAL#", "TOKEN#"):
        assert account.second.rows(beginning) == set(), beginning
    assert account.cases() == cases + 1


def test_given_a_case_when_a_user_writes_in_each_workspace_then_the_case_has_each_once_and_each_ledger_its_own(
    account: Account,
) -> None:
    case_id = account.case("Seen by both")
    said = {one.prefix: f"from {one.prefix}" for one in (account.first, account.second)}

    sent = {one.prefix: one.post(case_id, said[one.prefix]) for one in (account.first, account.second)}

    wait_for(lambda: all(account.commented(case_id, text) for text in said.values()))
    # Each workspace shows the other one's message as a comment on the case and adds no response.
    wait_for(lambda: any(said[SECOND] in text for text in account.first.texts(case_id)))
    wait_for(lambda: any(said["security-incident"] in text for text in account.second.texts(case_id)))
    time.sleep(5)
    bodies = account.comments(case_id)
    for one, other in ((account.first, account.second), (account.second, account.first)):
        assert sum(said[one.prefix] in body for body in bodies) == 1
        assert sum(said[other.prefix] in text for text in one.texts(case_id)) == 1
        own = (f"CASE#{case_id}", f"SLACK#{sent[one.prefix]}#0")
        assert own in one.rows("CASE#")
        assert own not in other.rows("CASE#")
    assert sum("was created for this case" in body for body in bodies) == 2


def test_given_the_token_of_one_when_revoked_and_rotated_then_the_other_is_green_all_the_time(account: Account) -> None:
    second = account.second
    (app,) = second.workspace.store.apps.values()
    second.workspace.revoke_token(app.token)

    red = second.verify()

    assert red.code == 1
    assert "token_revoked" in red.line("failed   Slack token")
    assert account.first.verify().code == 0

    token = second.workspace.issue_token(app)
    mended = run(account.cloud, "rotate", prefix=SECOND, webhook_url=second.webhook_url, SLACK_BOT_TOKEN=token)

    assert mended.code == 0, "\n".join(mended.lines)
    assert f"/SecurityIncidentResponse/{SECOND}/slackBotToken" in mended.line("ok       bot token")
    assert second.terraform.changes() == []


def test_given_one_when_it_is_removed_then_nothing_of_it_is_left_and_the_other_is_complete(account: Account) -> None:
    terraform = account.second.terraform

    terraform._run("destroy", "-auto-approve", "-no-color", *terraform._inputs())

    assert inventory(account.cloud) - account.before == set()
    assert account.before - inventory(account.cloud) == set()
    ended = account.first.verify()
    assert ended.code == 0, "\n".join(ended.lines)
    case_id = account.case("Seen by one")
    account.first.post(case_id, "still here")
    wait_for(lambda: account.commented(case_id, "still here"))
    assert account.first.terraform.changes() == []
