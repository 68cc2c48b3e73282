"""D3, D4, D6 on the local cloud: the real root, the real zip and the operator's own commands.

One deployment runs through all steps in order: apply, verify, rotate, break and fix, replay, destroy. Each function has
the permissions of its own role only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ir_sandbox import cloud_trail
from ir_sandbox.cloud.launcher import LocalCloud
from tests.support.local_cloud import inventory, make_trail, run
from tests.support.people import person
from tests.support.waiting import wait_for

pytestmark = pytest.mark.local_cloud

PARAMETERS = "/SecurityIncidentResponse/"
POLL = "security-incident-poll"
# The queues that this test fills in place of AWS's services.
FILLED = ("failures", "slack_events_dead_letter")


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(enforce_iam=True) as cloud:
        make_trail(cloud)
        yield cloud


def overwrite(cloud: LocalCloud, name: str, value: str) -> None:
    """Overwrite a parameter by hand, with its own key and description."""
    ssm = cloud.client("ssm")
    filters = [{"Key": "Name", "Option": "Equals", "Values": [PARAMETERS + name]}]
    (found,) = ssm.describe_parameters(ParameterFilters=filters)["Parameters"]
    settings = {key: found[key] for key in ("Type", "KeyId", "Tier", "Description") if key in found}
    ssm.put_parameter(Name=PARAMETERS + name, Value=value, Overwrite=True, **settings)


def rotate(cloud: LocalCloud, **credentials: str) -> None:
    """Run `make rotate`, the fix that lines about credentials name."""
    ended = run(cloud, "rotate", **credentials)
    assert ended.code == 0, "\n".join(ended.lines)


def delete_queue(cloud: LocalCloud) -> None:
    cloud.client("sqs").delete_queue(QueueUrl=cloud.outputs["queue_urls"]["approval"])


def deploy(cloud: LocalCloud) -> None:
    """Apply again, as `make deploy` does, the fix that lines about resources name."""
    terraform = cloud._deployer.terraform(cloud.emulator, cloud.credentials)
    terraform._run("apply", "-auto-approve", "-no-color", *terraform._inputs())


Change = Callable[[LocalCloud], Any]

BREAKAGES: dict[str, tuple[str, str, Change, Change]] = {
    "the token was revoked": (
        "failed   Slack token",
        "token_revoked",
        lambda cloud: cloud.slack.revoke_token(cloud.slack_app.token),
        lambda cloud: rotate(cloud, SLACK_BOT_TOKEN=cloud.slack.issue_token(cloud.slack_app)),
    ),
    "a queue was deleted": ("failed   queue approval", "does not exist", delete_queue, deploy),
    "the containment role trusts others": (
        "failed   containment role",
        "the trust policy of security-incident-containment was changed",
        lambda cloud: cloud.client("iam").update_assume_role_policy(
            RoleName="security-incident-containment", PolicyDocument='{"Version": "2012-10-17", "Statement": []}'
        ),
        deploy,
    ),
    "the signing secret is wrong": (
        "failed   signing secret",
        "does not contain a signing secret",
        lambda cloud: overwrite(cloud, "slackSigningSecret", "wrong"),
        lambda cloud: rotate(cloud, SLACK_SIGNING_SECRET=cloud.slack_app.signing_secret),
    ),
    "a scope is missing": (
        "failed   Slack scopes",
        "chat:write (post and update messages)",
        lambda cloud: cloud.slack_app.scopes.discard("chat:write"),
        lambda cloud: cloud.slack_app.scopes.add("chat:write"),
    ),
    "the schedule is off": (
        f"failed   rule {POLL}",
        "the state is DISABLED",
        lambda cloud: cloud.client("events").disable_rule(Name=POLL),
        lambda cloud: cloud.client("events").enable_rule(Name=POLL),
    ),
}


def test_given_the_deployed_system_when_verified_then_it_is_green_and_its_webhook_works(cloud: LocalCloud) -> None:
    ended = run(cloud, "verify")

    assert ended.code == 0, "\n".join(ended.lines)
    assert ended.line("ok       webhook endpoint").endswith("answers signed requests and rejects unsigned ones")
    assert ended.lines[-1].startswith("ok       verified: ")


def test_given_new_credentials_when_rotated_then_slack_and_cases_go_on_and_terraform_sees_no_change(
    cloud: LocalCloud,
) -> None:
    old = cloud.slack_app.token
    token = cloud.slack.issue_token(cloud.slack_app)

    ended = run(cloud, "rotate", "--revoke-previous", SLACK_BOT_TOKEN=token, SLACK_SIGNING_SECRET="a1" * 16)

    assert ended.code == 0, "\n".join(ended.lines)
    assert "1 revoked" in ended.line("ok       previous tokens")
    assert "the previous one is accepted until" in ended.line("ok       signing secret")
    assert not any(secret in "\n".join(ended.lines) for secret in (token, old, "a1" * 16))
    assert cloud.slack.verify_request_url(cloud.slack_app), "Slack still signs with the secret before this one"
    cloud.slack_app.signing_secret = "a1" * 16
    assert cloud.slack.verify_request_url(cloud.slack_app)
    case_id = cloud.security_ir.create_case_as(case(), "arn:aws:iam::000000000000:user/alice")
    wait_for(lambda: [name for name in channels(cloud) if name.endswith(case_id)])
    assert cloud.pending_changes() == []


@pytest.mark.parametrize("name", BREAKAGES)
def test_given_a_breakage_when_verified_then_it_is_red_for_that_until_fixed(cloud: LocalCloud, name: str) -> None:
    beginning, says, make, fix = BREAKAGES[name]

    make(cloud)
    ended = run(cloud, "verify")

    assert ended.code == 1
    assert says in ended.line(beginning)
    assert ended.lines[-1].startswith("failed   verified: ")
    # Until the fix only the broken part fails. A webhook without its secret cannot be tested.
    assert [line for line in ended.red() if not line.startswith((beginning, "failed   webhook endpoint"))] == []

    fix(cloud)
    fixed = run(cloud, "verify")
    assert fixed.code == 0, "\n".join(fixed.lines)


def test_given_all_that_was_broken_when_fixed_then_terraform_sees_no_change(cloud: LocalCloud) -> None:
    assert cloud.pending_changes() == []


def test_given_failed_work_when_replayed_then_it_is_done_and_the_verification_green_again(cloud: LocalCloud) -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:security-incident-sync:$LATEST"
    rule = "arn:aws:events:us-east-1:000000000000:rule/security-incident-events/slack-client-rule"
    event = {"source": "security-ir", "detail-type": "CaseUpdated", "id": "1", "detail": {"caseId": "1234567890"}}
    sqs = cloud.client("sqs")
    policies = {name: open_to_all(sqs, cloud.outputs["queue_urls"][name]) for name in FILLED}
    for body, attributes in (
        ({"requestContext": {"functionArn": arn}, "requestPayload": event}, {}),
        (event, {"RULE_ARN": rule, "TARGET_ARN": arn.removesuffix(":$LATEST")}),
    ):
        sqs.send_message(
            QueueUrl=cloud.outputs["queue_urls"]["failures"],
            MessageBody=json.dumps(body),
            MessageAttributes={n: {"DataType": "String", "StringValue": v} for n, v in attributes.items()},
        )
    sqs.send_message(
        QueueUrl=cloud.outputs["queue_urls"]["slack_events_dead_letter"],
        MessageBody=json.dumps({"event_id": "Ev1", "event": {"type": "message", "channel": "C0000000000"}}),
        MessageGroupId="C0000000000",
        MessageDeduplicationId="Ev1",
    )
    for name, policy in policies.items():
        sqs.set_queue_attributes(QueueUrl=cloud.outputs["queue_urls"][name], Attributes={"Policy": policy})
    red = run(cloud, "verify")
    assert "(dead letters of slack-events, queue failures)" in red.lines[-1]

    ended = run(cloud, "replay")

    # SQS did not move the message into the dead-letter queue: a sender wrote it there.
    assert ended.code == 1, "\n".join(ended.lines)
    assert "SQS did not move it here" in "\n".join(ended.lines)
    assert "2 moved" in ended.lines[-1]
    assert "1 kept" in ended.lines[-1]
    sqs.purge_queue(QueueUrl=cloud.outputs["queue_urls"]["slack_events_dead_letter"])
    wait_for(lambda: run(cloud, "verify").code == 0)


def test_given_an_incident_when_people_act_with_their_policies_only_then_it_is_decided_and_audited(
    cloud: LocalCloud,
) -> None:
    """The analyst, the auditor and on-call have exactly the policies of `ir-router policies`."""
    iam = cloud.client("iam")
    iam.create_user(UserName="backdoor")
    key = iam.create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]
    by = cloud_trail.user_identity("000000000000", "creator-of-backdoor", "AKIAEXAMPLEEXAMPLE00")
    created = cloud_trail.key_created(datetime.now(UTC), "backdoor", key, by=by)
    entry = {"Source": "aws.iam", "DetailType": "AWS API Call via CloudTrail", "Detail": json.dumps(created)}
    cloud.client("events").put_events(Entries=[entry])

    with person(cloud.environment, "analyst") as analyst:
        sqs = analyst.client("sqs")
        url = sqs.get_queue_url(QueueName="security-incident-approval")["QueueUrl"]
        (message,) = wait_for(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
        request = json.loads(message["Body"])
        assert request["incident"]["access_key_id"] == key
        assert len(analyst.invoke("approval-handler", {"task": "list_approvals"})["approvals"]) == 1
        decision = {"task_token": request["taskToken"], "decision": "approve", "analyst": "your-name"}
        assert analyst.invoke("approval-handler", decision)["status"] == "approved"
        execution = {"executionArn": request["incident"]["execution"]}
        states = cloud.client("stepfunctions")
        wait_for(lambda: states.describe_execution(**execution)["status"] == "SUCCEEDED")
        assert iam.list_access_keys(UserName="backdoor")["AccessKeyMetadata"] == []
        release = {"principal": request["containment"]["principals"][0]["principal"], "reason": "done"}
        analyst.invoke("workflow", {"task": "release", "released_by": "your-name", **release})
    assert iam.list_attached_user_policies(UserName="backdoor")["AttachedPolicies"] == []

    with person(cloud.environment, "auditor") as auditor:
        audited = run(cloud, "audit", **auditor.credentials)
        assert audited.code == 0, "\n".join(audited.lines)
        assert "the audit is complete" in "\n".join(audited.lines)

    with person(cloud.environment, "oncall") as on_call:
        for command in ("verify", "replay"):
            operated = run(cloud, command, **on_call.credentials)
            assert operated.code == 0, "\n".join(operated.lines)
        token = cloud.slack.issue_token(cloud.slack_app)
        rotated = run(cloud, "rotate", "--revoke-previous", **on_call.credentials, SLACK_BOT_TOKEN=token)
        assert rotated.code == 0, "\n".join(rotated.lines)


def test_given_the_deployed_system_when_removed_then_nothing_of_it_is_left(cloud: LocalCloud) -> None:
    terraform = cloud._deployer.terraform(cloud.emulator, cloud.credentials)
    assert len(inventory(cloud)) > 60

    terraform._run("destroy", "-auto-approve", "-no-color", *terraform._inputs())

    assert inventory(cloud) == {("EventBuses", "default")}


def open_to_all(sqs: Any, url: str) -> str:
    """Let every caller of the account send to a queue, which its policy refuses; return that policy."""
    policy: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    return policy


def case() -> dict[str, Any]:
    return {
        "title": "Suspicious API Activity Detected",
        "description": "Unusual API calls",
        "engagementType": "Security Incident",
        "reportedIncidentStartDate": time.time(),
        "resolverType": "Self",
        "impactedAccounts": ["000000000000"],
        "watchers": [],
    }


def channels(cloud: LocalCloud) -> list[str]:
    return [channel.name for channel in cloud.slack.store.channels.values()]
