"""D3, D4, D6 on the deployed system: the real root, the real zip, the person's commands as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ir_local.build.project import PROJECT_ROOT
from ir_local.cloud.launcher import LocalCloud

pytestmark = [pytest.mark.local_cloud, pytest.mark.timeout(600)]

PARAMETERS = "/SecurityIncidentResponse/"
POLL = "security-incident-poll"


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as cloud:
        cloud.client("s3").create_bucket(Bucket="trail-of-the-account")
        trail = cloud.client("cloudtrail")
        trail.create_trail(Name="everything", S3BucketName="trail-of-the-account", IsMultiRegionTrail=True)
        trail.start_logging(Name="everything")
        yield cloud


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    lines: list[str]

    def line(self, beginning: str) -> str:
        return next(line for line in self.lines if line.startswith(beginning))


def run(cloud: LocalCloud, action: str, *options: str, **environment: str) -> Ended:
    """`python -m ir_local.deploy`, with nothing in its environment but this cloud."""
    named = ("--prefix", "security-incident", "--region", "us-east-1", "--webhook-url", cloud.webhook_url)
    answer = subprocess.run(
        [sys.executable, "-m", "ir_local.deploy", action, *options, *named],
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "src", **cloud.environment, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Ended(answer.returncode, (answer.stdout + answer.stderr).splitlines())


def wait_for(look: Callable[[], Any], seconds: float = 60) -> Any:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing found in {seconds} s"
        time.sleep(0.5)
    return found


def put(cloud: LocalCloud, name: str, value: str) -> None:
    cloud.client("ssm").put_parameter(Name=PARAMETERS + name, Value=value, Type="SecureString", Overwrite=True)


def reinstall(cloud: LocalCloud) -> None:
    put(cloud, "slackBotToken", cloud.slack.issue_token(cloud.slack_app))


def delete_queue(cloud: LocalCloud) -> None:
    cloud.client("sqs").delete_queue(QueueUrl=cloud.outputs["queue_urls"]["approval"])


def make_queue(cloud: LocalCloud) -> None:
    cloud.client("sqs").create_queue(QueueName="security-incident-approval")


Change = Callable[[LocalCloud], Any]

BREAKAGES: dict[str, tuple[str, str, Change, Change]] = {
    "the token was revoked": (
        "failed   Slack token",
        "token_revoked",
        lambda cloud: cloud.slack.revoke_token(cloud.slack_app.token),
        reinstall,
    ),
    "a queue was deleted": ("failed   queue approval", "does not exist", delete_queue, make_queue),
    "the signing secret is wrong": (
        "failed   signing secret",
        "does not hold a signing secret",
        lambda cloud: put(cloud, "slackSigningSecret", "wrong"),
        lambda cloud: put(cloud, "slackSigningSecret", cloud.slack_app.signing_secret),
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
    red = [line[:40] for line in ended.lines if line.startswith("failed ")][:-1]
    assert [line for line in red if not line.startswith((beginning, "failed   door"))] == []

    mend(cloud)
    assert run(cloud, "verify").code == 0


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
