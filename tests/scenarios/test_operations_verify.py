"""D6: the verification reports each fault, its cause and its fix, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from ir_router import __version__
from ir_router.errors import UnknownEventError
from ir_router.ledger import keys, table
from ir_router.ops import handler, names, slack_app
from ir_sandbox.slack.faults import Fault
from tests.support.operations import Deployed, deployed_in
from tests.support.world import HttpAnswer, World, forget_everything

ROOT = "/SecurityIncidentResponse/"


@pytest.fixture
def deployed(world: World) -> Iterator[Deployed]:
    with deployed_in(world) as deployed:
        yield deployed


def put(name: str, value: str) -> None:
    boto3.client("ssm").put_parameter(Name=ROOT + name, Value=value, Overwrite=True)


def test_given_a_complete_deployment_when_verified_then_every_line_is_ok(deployed: Deployed) -> None:
    answer = deployed.verify()

    assert deployed.red() == {}
    assert answer["ok"] is True
    assert {line["state"] for line in answer["checks"]} == {"ok"}


def test_given_an_organisation_when_verified_then_the_rules_for_members_are_verified_too(deployed: Deployed) -> None:
    table.put(keys.configuration("lists"), {"organization_id": "o-a1b2c3d4e5"})
    bus, name = "security-incident-detections", "security-incident-detect-create-access-key"
    events = boto3.client("events")
    events.create_event_bus(Name=bus)
    for rule in list(names.rules(members=True)):
        if rule.bus == bus or rule.target == "members":
            deployed.put_rule(rule)

    assert deployed.red() == {}

    events.disable_rule(Name=name, EventBusName=bus)
    assert deployed.red() == {f"rule {name} of {bus}": "the state is DISABLED, expected ENABLED"}


def test_given_an_api_without_access_log_when_verified_then_the_line_about_requests_warns(
    deployed: Deployed, world: World
) -> None:
    world.environment["IR_API_ACCESS_LOGS"] = "false"

    lines = {line["name"]: line["state"] for line in deployed.verify()["checks"] if line["state"] != "ok"}

    assert lines == {"Slack's requests": "warning"}


def test_given_a_previous_bot_token_when_verified_then_it_is_red_until_slack_refuses_it(
    deployed: Deployed, world: World
) -> None:
    old = world.app.token
    put("slackBotToken", world.workspace.issue_token(world.app))

    assert deployed.red() == {"previous Slack token": "the bot token of version 1 still works"}

    world.workspace.revoke_token(old)
    assert deployed.red() == {}


def test_given_a_complete_deployment_when_verified_then_nothing_is_changed(deployed: Deployed, world: World) -> None:
    world.wire.calls.clear()

    deployed.verify()

    verbs = {call.operation for call in world.wire.calls if call.service != "slack"}
    assert all(verb.startswith(("Get", "Describe", "List", "Filter", "Query")) for verb in verbs), verbs
    assert {call.operation for call in world.wire.calls if call.service == "slack"} <= {
        "conversations.members",
        "auth.test",
        "conversations.info",
        "users.lookupByEmail",
    }


def test_given_a_complete_deployment_when_verified_then_no_secret_is_in_answer_or_log(
    deployed: Deployed, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "ir-router")
    shown = json.dumps(deployed.verify()) + "".join(str(vars(record)) for record in caplog.records)

    assert "verify.completed" in shown, "the log is searched"
    assert world.app.token not in shown
    assert world.app.signing_secret not in shown


def test_given_requests_signed_with_another_secret_when_verified_then_the_secret_is_said_to_be_wrong(
    deployed: Deployed, world: World
) -> None:
    case_id = world.create_case()
    world.settle()
    channel = world.channel_of(case_id)
    person = deployed.team[0]
    right = world.app.signing_secret
    put("slackSigningSecret", "0" * 32)
    world.advance(25 * 3600)  # the previous secret is accepted for a day
    forget_everything()

    person.post(channel, "does anybody see this?")
    world.workspace.deliveries.deliver_due()
    deployed.poll()

    line = deployed.lines()["Slack's requests"]
    assert line["state"] == "failed"
    assert "the signing secret does not belong to this app" in line["detail"]
    assert "make rotate" in line["mend"]

    put("slackSigningSecret", right)
    world.advance(25 * 3600)
    forget_everything()
    person.post(channel, "and this?")
    world.workspace.deliveries.deliver_due()
    deployed.poll()

    assert deployed.red() == {}
    assert "accepted" in deployed.lines()["Slack's requests"]["detail"]


def test_given_a_fresh_rotation_when_slack_still_signs_with_the_old_secret_then_until_when_that_works_is_said(
    deployed: Deployed, world: World
) -> None:
    put("slackSigningSecret", "0" * 32)
    forget_everything()

    assert world.workspace.verify_request_url(world.app)

    line = deployed.lines()["Slack's requests"]
    assert line["ok"]
    assert "the previous signing secret also works until" in line["detail"]


def test_given_secrets_older_than_90_days_when_verified_then_it_warns_and_stays_green(
    deployed: Deployed, world: World
) -> None:
    world.advance(91 * 86_400)
    deployed.poll()

    answer = deployed.verify()

    line = next(line for line in answer["checks"] if line["name"] == "age of secrets")
    assert (line["state"], answer["ok"]) == ("warning", True)
    assert "91 days old" in line["detail"]
    assert "make rotate" in line["mend"]


def test_given_no_slack_app_yet_when_verified_then_its_lines_wait_and_nothing_is_red(deployed: Deployed) -> None:
    for name in ("slackBotToken", "slackSigningSecret", "slackWorkspaceId"):
        put(name, "not-configured")
    forget_everything()

    answer = deployed.verify()

    states = {line["name"]: line["state"] for line in answer["checks"]}
    assert {name for name, state in states.items() if state == "waiting"} == {
        "bot token",
        "signing secret",
        "workspace id",
        "Slack token",
    }
    assert "failed" not in states.values()
    assert answer["ok"] is False
    assert answer["probe"] is None
    assert answer["version"] == __version__


def test_given_slack_out_of_reach_when_verified_then_that_is_said_and_not_a_wrong_token(
    deployed: Deployed, world: World
) -> None:
    world.workspace.faults.add(Fault("auth.test", "status", status=503))

    line = deployed.lines()["Slack token"]

    assert line["state"] == "failed"
    assert "HTTP 503" in line["detail"]
    assert "make rotate" not in line["mend"]


def test_given_no_membership_when_verified_then_it_says_so(deployed: Deployed, world: World) -> None:
    client = boto3.client("security-ir")
    membership = client.list_memberships()["items"][0]["membershipId"]
    client.cancel_membership(membershipId=membership)

    lines = deployed.lines()

    assert lines["membership"]["state"] == "failed"
    assert "Cancelled" in lines["membership"]["detail"]


def test_given_dry_run_and_no_approver_when_verified_then_it_only_warns(deployed: Deployed, world: World) -> None:
    world.environment.update(IR_CONTAINMENT_MODE="dry_run", IR_APPROVERS='["gone@example.com"]')

    assert deployed.lines()["approvers"]["state"] == "warning"


def test_given_a_user_group_as_approvers_when_verified_then_its_members_count(deployed: Deployed, world: World) -> None:
    somebody = world.workspace.create_user("somebody")
    group = world.workspace.create_user_group("responders", [somebody.id])
    world.environment["IR_APPROVERS"] = json.dumps([group.id, somebody.id, "gone@example.com"])

    line = deployed.lines()["approvers"]

    assert line["state"] == "failed"
    assert line["detail"].startswith(
        "2 of 3 of slack_approvers can decide; these cannot: gone@example.com (not in this"
    )


def test_given_functions_of_two_versions_when_verified_then_it_warns(deployed: Deployed) -> None:
    boto3.client("lambda").delete_function(FunctionName="security-incident-slack")
    deployed.put_function("slack", "another version")

    line = deployed.lines()["one version"]

    assert line["state"] == "warning"
    assert "slack run" in line["detail"]


@pytest.mark.parametrize("changed", [{"ActionsEnabled": False}, {"AlarmActions": []}])
def test_given_an_alarm_without_a_recipient_when_verified_then_it_warns(
    deployed: Deployed, changed: dict[str, Any]
) -> None:
    deployed.put_alarm("security-incident-api-5xx", **changed)

    line = deployed.lines()["alarms"]

    assert line["state"] == "warning"
    assert line["detail"] == "1 alarm does not notify the alert topic: security-incident-api-5xx"


def test_given_a_trail_of_writes_only_when_verified_then_reads_are_said_to_be_missed(deployed: Deployed) -> None:
    deployed.select(ReadWriteType="WriteOnly", IncludeManagementEvents=True)

    line = deployed.lines()["trail in us-east-1"]

    assert line["state"] == "warning"
    assert "reconnaissance" in line["detail"]


def test_given_a_role_without_a_right_when_verified_then_the_line_names_the_call(deployed: Deployed) -> None:
    def refuse(**_: Any) -> Any:
        return HttpAnswer(403), {"Error": {"Code": "AccessDeniedException", "Message": "no"}}

    boto3.DEFAULT_SESSION.events.register("before-call.cloudtrail.DescribeTrails", refuse)  # type: ignore[union-attr]

    line = deployed.lines()["trail"]

    assert line["state"] == "failed"
    assert "has no permission to call DescribeTrails" in line["detail"]


def test_given_a_key_that_may_not_be_used_when_verified_then_the_lines_of_token_and_app_are_red(
    deployed: Deployed,
) -> None:
    def refuse(**_: Any) -> Any:
        return HttpAnswer(400), {"Error": {"Code": "AccessDeniedException", "Message": "no"}}

    forget_everything()
    boto3.DEFAULT_SESSION.events.register("before-call.ssm.GetParameter", refuse)  # type: ignore[union-attr]

    lines = deployed.lines()

    assert {lines[name]["state"] for name in ("bot token", "signing secret", "Slack token")} == {"failed"}
    assert "AccessDeniedException" in lines["Slack token"]["detail"]
    assert deployed.verify()["probe"] is None


def test_given_an_operation_that_is_none_when_asked_then_the_answer_names_those_there_are(world: World) -> None:
    with pytest.raises(UnknownEventError, match="verify, watch, start_oversized, replay, resync"):
        handler.handle({"task": "reboot"}, None)


def test_given_the_scopes_when_compared_then_the_specifications_that_are_used_are_among_them() -> None:
    assert {"channels:manage", "chat:write", "commands", "files:read", "users:read.email"} <= set(
        slack_app.wanted_scopes()
    )
