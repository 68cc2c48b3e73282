"""Attacks that use an entry of protected_principals for another principal than the one that it means."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ir_router.workflow import protection
from tests.support.world import ACCOUNT, World
from tests.terraform.iam import allows
from tests.terraform.root import Plan
from tests.trials.world import incidents as support
from tests.trials.world.incidents import iam_state
from tests.trials.world.state_machine import StateMachine

ENTRY = f"arn:aws:iam::{ACCOUNT}"


def lists(plan: Plan) -> dict[str, Any]:
    """Return the lists that the plan writes into the ledger."""
    rows = plan.resources("aws_dynamodb_table_item", "lists").values()
    (row,) = (json.loads(values["item"]) for values in rows)
    return {name: json.loads(row[name]["S"]) for name in ("protected_principals", "protected_entries")}


@pytest.mark.parametrize(
    ("arn", "protected"),
    [
        ("role/break-glass-1", True),
        ("role/vault/break-glass-2", True),  # the entry names no path
        ("user/admins/founder", True),
        ("user/not-yet", True),
        ("role/break-glass-mallory", False),  # created after the deployment, for the sake of its name
        ("role/x/break-glass-1", False),
        ("user/founder", False),  # IAM would not deny it either
        ("role/emergency-mallory", False),
        ("user/backdoor", False),
        ("role/deploy", False),
    ],
)
def test_given_a_plan_when_a_principal_is_contained_then_code_and_iam_protect_those_that_existed_at_the_plan(
    enforcing: Plan, arn: str, *, protected: bool
) -> None:
    kind, name = arn.partition("/")[0], arn.rpartition("/")[2]
    principal: Any = {"kind": kind, "name": name, "arn": f"{ENTRY}:{arn}", "account": ACCOUNT}
    deny_policy = f"{ENTRY}:policy/security-incident-deny-all"
    action = f"iam:Attach{kind.title()}Policy"
    policy = [one for one in enforcing.containment_policy() if one["Effect"] == "Deny"]
    allowed = [*policy, {"Effect": "Allow", "Action": [action], "Resource": "*"}]

    refused = protection.refusal(principal, ACCOUNT, lists(enforcing)["protected_principals"])

    assert (refused is not None) is protected
    assert allows(allowed, action, f"{ENTRY}:{arn}", iam_PolicyARN=deny_policy) is not protected


def test_given_a_plan_when_verified_then_each_entry_has_the_principals_that_it_protects(enforcing: Plan) -> None:
    assert lists(enforcing)["protected_entries"] == {
        f"{ENTRY}:role/break-glass-*": [f"{ENTRY}:role/break-glass-1", f"{ENTRY}:role/vault/break-glass-2"],
        f"{ENTRY}:role/emergency-*": [],
        f"{ENTRY}:user/founder": [f"{ENTRY}:user/admins/founder"],
        f"{ENTRY}:user/not-yet": [],
    }


def test_given_a_user_who_takes_the_name_of_a_protected_one_on_another_path_when_a_key_is_made_then_it_is_contained(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_PROTECTED_PRINCIPALS"] = json.dumps([f"{ENTRY}:user/founder"])
    iam = boto3.client("iam")
    iam.create_user(UserName="founder", Path="/mallory/")
    key = iam.create_access_key(UserName="founder")["AccessKey"]["AccessKeyId"]

    machine.start(support.key_created(world, "founder", key))

    assert iam_state(world, "founder").denied


def test_given_entries_when_verified_then_the_line_names_their_principals_and_those_without_any(world: World) -> None:
    entries = {
        f"{ENTRY}:role/break-glass-*": [f"{ENTRY}:role/break-glass-{number}" for number in range(5)],
        f"{ENTRY}:user/gone": [],
    }
    item = {"PK": "CONFIG#lists", "SK": "META", "protected_entries": json.dumps(entries)}
    boto3.resource("dynamodb").Table("ledger").put_item(Item=item)

    checks = world.invoke("operations", {"task": "verify"})["checks"]

    (line,) = [check for check in checks if check["name"] == "protected principals"]
    assert line["state"] == "warning"
    assert "no user or role matches user/gone" in line["detail"]
    assert "role/break-glass-*: role/break-glass-0, role/break-glass-1, role/break-glass-2 and 2 more" in line["detail"]
