"""D3, D4, D6 on the deployed system: the real root, the real zip, the person's commands as a person runs them.

One life, in this order: applied, verified, rotated, broken on purpose and mended, replayed, removed. Each function has
the rights of its own role only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ir_local.cloud.launcher import LocalCloud
from tests.support.local_cloud import inventory, make_trail, run, wait_for

pytestmark = [pytest.mark.local_cloud, pytest.mark.timeout(600)]

PARAMETERS = "/SecurityIncidentResponse/"
POLL = "security-incident-poll"
DENY_POLICY = "arn:aws:iam::000000000000:policy/security-incident-containment-deny"


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(enforce_iam=True) as cloud:
        make_trail(cloud)
        yield cloud


def overwrite(cloud: LocalCloud, name: str, value: str) -> None:
    """As somebody would by hand, with the parameter's own key and description."""
    ssm = cloud.client("ssm")
    filters = [{"Key": "Name", "Option": "Equals", "Values": [PARAMETERS + name]}]
    (found,) = ssm.describe_parameters(ParameterFilters=filters)["Parameters"]
    settings = {key: found[key] for key in ("Type", "KeyId", "Tier", "Description") if key in found}
    ssm.put_parameter(Name=PARAMETERS + name, Value=value, Overwrite=True, **settings)


def rotate(cloud: LocalCloud, **credentials: str) -> None:
    """What each line about a credential says: `make rotate`."""
    ended = run(cloud, "rotate", **credentials)
    assert ended.code == 0, "\n".join(ended.lines)


def delete_queue(cloud: LocalCloud) -> None:
    cloud.client("sqs").delete_queue(QueueUrl=cloud.outputs["queue_urls"]["approval"])


def deploy(cloud: LocalCloud) -> None:
    """What each line about a resource says: `make deploy`."""
    terraform = cloud._deployer.terraform(cloud.emulator, cloud.credentials)
    terraform._run("apply", "-auto-approve", "-no-color", *terraform._inputs())


def put_deny_policy(cloud: LocalCloud, resource: str) -> None:
    """A new version of the policy that contains."""
    statement = {"Sid": "ContainedByIrRouter", "Effect": "Deny", "Action": "*", "Resource": resource}
    cloud.client("iam").create_policy_version(
        PolicyArn=DENY_POLICY,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        SetAsDefault=True,
    )


Change = Callable[[LocalCloud], Any]

BREAKAGES: dict[str, tuple[str, str, Change, Change]] = {
    "the token was revoked": (
        "failed   Slack token",
        "token_revoked",
        lambda cloud: cloud.slack.revoke_token(cloud.slack_app.token),
        lambda cloud: rotate(cloud, SLACK_BOT_TOKEN=cloud.slack.issue_token(cloud.slack_app)),
    ),
    "a queue was deleted": ("failed   queue approval", "does not exist", delete_queue, deploy),
    "the deny policy was emptied": (
        "failed   deny policy",
        "does not deny everything",
        lambda cloud: put_deny_policy(cloud, "arn:aws:s3:::nothing"),
        lambda cloud: put_deny_policy(cloud, "*"),
    ),
    "the signing secret is wrong": (
        "failed   signing secret",
        "does not hold a signing secret",
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
        "it is DISABLED",
        lambda cloud: cloud.client("events").disable_rule(Name=POLL),
        lambda cloud: cloud.client("events").enable_rule(Name=POLL),
    ),
}


def test_given_the_deployed_system_when_verified_then_it_is_green_and_its_door_works(cloud: LocalCloud) -> None:
    ended = run(cloud, "verify")

    assert ended.code == 0, "\n".join(ended.lines)
    assert ended.line("ok       door").endswith("answers signed requests and refuses unsigned ones")
    assert ended.lines[-1].startswith("ok       verified: ")


def test_given_new_credentials_when_rotated_then_slack_and_cases_go_on_and_terraform_sees_no_change(
    cloud: LocalCloud,
) -> None:
    old = cloud.slack_app.token
    token = cloud.slack.issue_token(cloud.slack_app)

    ended = run(cloud, "rotate", SLACK_BOT_TOKEN=token, SLACK_SIGNING_SECRET="a1" * 16)

    assert ended.code == 0, "\n".join(ended.lines)
    assert "the one before it is accepted until" in ended.line("ok       signing secret")
    assert not any(secret in "\n".join(ended.lines) for secret in (token, old, "a1" * 16))
    assert cloud.slack.verify_request_url(cloud.slack_app), "Slack still signs with the secret before this one"
    cloud.slack_app.signing_secret = "a1" * 16
    assert cloud.slack.verify_request_url(cloud.slack_app)
    cloud.slack.revoke_token(old)
    case_id = cloud.security_ir.create_case_as(case(), "arn:aws:iam::000000000000:user/alice")
    wait_for(lambda: [name for name in channels(cloud) if name.endswith(case_id)])
    assert cloud.pending_changes() == []


@pytest.mark.parametrize("name", BREAKAGES)
def test_given_a_breakage_when_verified_then_it_is_red_for_that_until_mended(cloud: LocalCloud, name: str) -> None:
    beginning, says, make, mend = BREAKAGES[name]

    make(cloud)
    ended = run(cloud, "verify")

    assert ended.code == 1
    assert says in ended.line(beginning)
    assert ended.lines[-1].startswith("failed   verified: ")
    # Until it is mended, only what is broken is red (a door without its secret is not to be had).
    assert [line for line in ended.red() if not line.startswith((beginning, "failed   door"))] == []

    mend(cloud)
    mended = run(cloud, "verify")
    assert mended.code == 0, "\n".join(mended.lines)


def test_given_all_that_was_broken_when_mended_then_terraform_sees_no_change(cloud: LocalCloud) -> None:
    assert cloud.pending_changes() == []


def test_given_failed_work_when_replayed_then_it_is_done_and_the_verification_green_again(cloud: LocalCloud) -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:security-incident-sync:$LATEST"
    rule = "arn:aws:events:us-east-1:000000000000:rule/security-incident-events/slack-client-rule"
    event = {"source": "security-ir", "detail-type": "CaseUpdated", "id": "1", "detail": {"caseId": "1234567890"}}
    sqs = cloud.client("sqs")
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
    red = run(cloud, "verify")
    assert "(dead letters of slack-events, queue failures)" in red.lines[-1]

    ended = run(cloud, "replay")

    assert ended.code == 0, "\n".join(ended.lines)
    assert ended.lines[-1] == "ok       replayed: 3 moved"
    wait_for(lambda: run(cloud, "verify").code == 0)


def test_given_the_deployed_system_when_removed_then_nothing_of_it_is_left(cloud: LocalCloud) -> None:
    terraform = cloud._deployer.terraform(cloud.emulator, cloud.credentials)
    assert len(inventory(cloud)) > 60

    terraform._run("destroy", "-auto-approve", "-no-color", *terraform._inputs())

    assert inventory(cloud) == {("EventBuses", "default")}


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
