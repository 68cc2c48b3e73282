"""The hourly check of the organisation's members: each that is not ready is named with the fix, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from ir_router import aws
from ir_router.ledger import keys, table
from ir_router.workflow import detections
from tests.support.operations import Deployed, deployed_in
from tests.support.world import World
from tests.trials.world import organisation
from tests.trials.world.deployment import CONTAINMENT_ROLE, DENY_POLICY
from tests.trials.world.organisation import LAB, ORGANIZATION, SCP, SHOP, Guard, client_of, iam_of

SHOP_LINE, LAB_LINE = f"member shop-prod ({SHOP})", f"member lab ({LAB})"
RULE = "security-incident-detect-create-access-key"
UPDATE = "security-incident-detect-access-key-reactivated"
STOP = "security-incident-detect-root-use"
QUEUE = "security-incident-forwarding-failures"


@pytest.fixture(autouse=True)
def members(world: World) -> None:
    organisation.found(world)
    for account in (SHOP, LAB):
        organisation.forward(account)


@pytest.fixture
def deployed(world: World, members: None) -> Iterator[Deployed]:
    with deployed_in(world) as deployed:
        table.put(keys.configuration("lists"), {"organization_id": ORGANIZATION})
        yield deployed


def check(world: World) -> list[str]:
    found: list[str] = world.invoke("workflow", {"task": "check_members"})["not_ready"]
    return found


def lines(deployed: Deployed) -> dict[str, dict[str, Any]]:
    return {name: line for name, line in deployed.lines().items() if name.startswith("member") and name != "membership"}


def test_given_members_that_are_ready_when_checked_then_verify_shows_them_and_the_accounts_without_the_role(
    world: World, deployed: Deployed
) -> None:
    assert lines(deployed)["members"]["detail"] == "not checked yet"
    organisation.remove_role(LAB)
    world.organisation.accounts["444444444444"] = organisation.Account("closed", status="SUSPENDED")

    assert check(world) == []

    world.advance(600)
    (line,) = lines(deployed).values()
    assert (line["name"], line["state"]) == ("members", "ok")
    assert line["detail"] == (f"1 of 1 member ready 10 minutes ago. Accounts that ir-router cannot act in: lab ({LAB})")

    organisation.prepare_role(LAB)
    world.advance(3600)
    assert check(world) == []
    assert lines(deployed)["members"]["detail"].endswith(
        "2 of 2 members ready 0 minutes ago. All active accounts of the organisation are members"
    )


def test_given_each_fault_of_a_member_when_checked_then_one_message_names_it_with_the_fix_and_its_end(
    world: World, deployed: Deployed
) -> None:
    check(world)
    organisation.remove_role(LAB)
    iam, events, sqs = iam_of(SHOP), client_of("events", SHOP), client_of("sqs", SHOP)
    permissions = iam.get_role_policy(RoleName=CONTAINMENT_ROLE, PolicyName="containment")["PolicyDocument"]
    earlier = json.dumps(permissions).replace(DENY_POLICY, f"arn:aws:iam::{SHOP}:policy/earlier")
    iam.put_role_policy(RoleName=CONTAINMENT_ROLE, PolicyName="containment", PolicyDocument=earlier)
    events.disable_rule(Name=RULE)
    events.remove_targets(Rule=UPDATE, Ids=["hub"])
    events.remove_targets(Rule=STOP, Ids=["hub"])
    events.delete_rule(Name=STOP)
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"], MessageBody="{}")
    iam.tag_role(RoleName=CONTAINMENT_ROLE, Tags=[{"Key": "ir-router-regions", "Value": "us-east-1 eu-west-1"}])

    assert check(world) == [SHOP, LAB]

    found = lines(deployed)
    assert found["members"]["detail"].startswith("0 of 2 members ready")
    assert found[LAB_LINE]["detail"].startswith(f"lab ({LAB}) cannot be reached: AWS denied the role")
    assert "apply terraform/modules/account in that account" in found[LAB_LINE]["detail"]
    detail = found[SHOP_LINE]["detail"]
    for part in (
        "its role cannot attach the deny policy AWSDenyAll, so nothing can be contained",
        f"rules in us-east-1 are missing: {STOP}",
        f"rules in us-east-1 are without the hub as target: {UPDATE}",
        f"rules in us-east-1 are changed or of another version: {RULE}",
        f"events that did not reach the hub wait in the queue {QUEUE} in us-east-1",
        "no rule in eu-west-1 forwards events to the hub",
        f"the queue {QUEUE} in eu-west-1 is missing",
    ):
        assert part in detail
    assert found[SHOP_LINE]["mend"].startswith("Apply terraform/modules/account of this version of ir-router")
    assert deployed.verify()["ok"] is False
    for _ in range(2):
        assert set(world.invoke("operations", {"task": "watch", "now": True})["differences"]) >= {SHOP_LINE, LAB_LINE}
    messages = world.workspace.channel_messages(deployed.security_channel)
    (report,) = [str(message) for message in messages if message.get("bot_id")]
    assert SHOP_LINE in report
    assert LAB_LINE in report

    organisation.prepare_role(LAB)
    world.organisation.accounts[SHOP].status = "SUSPENDED"
    assert check(world) == []
    assert set(lines(deployed)) == {"members"}


def test_given_a_role_of_an_older_version_when_checked_then_the_fix_is_to_apply_the_module(
    world: World, deployed: Deployed
) -> None:
    old = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "iam:Get*", "Resource": "*"},
                {
                    "Effect": "Allow",
                    "Action": "iam:AttachUserPolicy",
                    "Resource": "*",
                    "Condition": {"ArnEquals": {"iam:PolicyARN": DENY_POLICY}},
                },
            ],
        }
    )
    iam_of(SHOP).put_role_policy(RoleName=CONTAINMENT_ROLE, PolicyName="containment", PolicyDocument=old)

    assert check(world) == [SHOP]
    line = lines(deployed)[SHOP_LINE]
    assert "no permission for ListRules: it is older than this version of ir-router" in line["detail"]
    module = "Apply terraform/modules/account of this version of ir-router in the account"
    assert line["mend"] == f"{module}, or update its stack."


@pytest.mark.parametrize(
    ("action", "operation"),
    [("iam:GetRolePolicy", "GetRolePolicy"), ("events:ListRules", "ListRules"), ("sqs:GetQueueUrl", "GetQueueUrl")],
)
def test_given_a_missing_permission_when_checked_then_it_hides_no_problem_of_the_other_checks(
    world: World, deployed: Deployed, action: str, operation: str
) -> None:
    iam, sqs = iam_of(SHOP), client_of("sqs", SHOP)
    client_of("events", SHOP).disable_rule(Name=RULE)
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"], MessageBody="{}")
    permissions: Any = iam.get_role_policy(RoleName=CONTAINMENT_ROLE, PolicyName="containment")["PolicyDocument"]
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    if action.startswith("iam"):
        world.organisation.accounts[SHOP].guards.append(Guard(SCP, [statement]))
    denied = json.dumps({**permissions, "Statement": [*permissions["Statement"], statement]})
    iam.put_role_policy(RoleName=CONTAINMENT_ROLE, PolicyName="containment", PolicyDocument=denied)

    assert check(world) == [SHOP]

    detail = lines(deployed)[SHOP_LINE]["detail"]
    assert detail.count(f"its role has no permission for {operation}: ") == 1
    assert ("changed or of another version" in detail) == (operation != "ListRules")
    assert ("did not reach the hub" in detail) == (operation != "GetQueueUrl")


def test_given_a_hub_that_may_not_list_accounts_when_checked_then_known_members_are_and_a_late_check_is_reported(
    world: World, deployed: Deployed
) -> None:
    check(world)
    world.organisation.may_describe = False
    client_of("events", SHOP).disable_rule(Name=RULE)

    assert check(world) == [SHOP]
    line = lines(deployed)["members"]
    assert line["state"] == "warning"
    assert "AWS does not list the accounts of the organisation" in line["detail"]

    world.advance(4 * 3600)
    assert lines(deployed)["members"]["detail"] == "last checked 4 hours ago"
    assert "members" in world.invoke("operations", {"task": "watch", "now": True})["differences"]


@pytest.mark.parametrize(
    "dies", [("organizations", "ListAccounts"), ("eventbridge", "ListRules"), ("dynamodb", "PutItem")]
)
def test_given_a_check_that_dies_when_it_runs_once_more_then_nothing_is_missed(
    world: World, dies: tuple[str, str]
) -> None:
    client_of("events", LAB).disable_rule(Name=RULE)
    world.wire.kill_on(*dies, "before")
    world.try_invoke("workflow", {"task": "check_members"})
    assert world.wire.died_at is not None
    world.wire.spare()

    assert check(world) == [LAB]


def test_given_more_members_than_time_when_checked_then_the_next_run_continues(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for account in (SHOP, LAB):
        client_of("events", account).disable_rule(Name=RULE)
    monkeypatch.setattr("ir_router.workflow.members._RESERVE_SECONDS", 59.9)
    real = detections.entries

    def slow_entries() -> list[dict[str, Any]]:
        world.advance(1)
        return real()

    monkeypatch.setattr(detections, "entries", slow_entries)

    assert check(world) == [SHOP]
    assert check(world) == [SHOP, LAB]


def test_given_an_account_that_does_not_answer_when_checked_then_its_earlier_result_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_of("events", SHOP).disable_rule(Name=RULE)
    check(world)
    world.organisation.throttled = 3
    assert check(world) == [SHOP]

    def silent(*_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://events.us-east-1.amazonaws.com")

    monkeypatch.setattr(aws, "client_of_session", silent)
    assert check(world) == [SHOP]
