"""X8, D8: `ir-router audit` verifies the audit with an auditor's permissions, without the functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from ir_operator import __main__ as command
from ir_operator.policies.rendering import policies
from ir_router.ledger import audit
from tests.support.operations import Deployed, deployed_in
from tests.support.world import REGION, World
from tests.terraform.iam import allows
from tests.trials.world.incidents import audit_rows

NAMED = ["--prefix", "security-incident", "--region", REGION]


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    # The command sets them, and monkeypatch restores them.
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name in ("IR_TABLE_NAME", "IR_AUDIT_RETENTION_DAYS"):
        monkeypatch.delenv(name, raising=False)
    with deployed_in(world) as deployed:
        deployed.set_environment(IR_TABLE_NAME="ledger", IR_AUDIT_RETENTION_DAYS="30")
        yield deployed


def write(world: World, count: int) -> None:
    world.invoke("workflow", {"task": "allowlist_list"})
    for number in range(count):
        audit.append("tried", "test", {"number": number})


def test_given_an_audit_when_verified_then_the_records_and_their_times_are_printed(
    deployed: Deployed, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    write(world, 3)
    rows = audit_rows()
    capsys.readouterr()

    assert command.main(["audit", *NAMED]) == 0

    expected = f"the audit is complete: {len(rows)} records from {rows[0]['at']} to {rows[-1]['at']}"
    assert capsys.readouterr().out.splitlines() == [f"ok       {expected}"]


def test_given_a_changed_record_when_verified_then_it_is_named_and_the_code_is_1(
    deployed: Deployed, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    write(world, 3)
    row = audit_rows()[1]
    boto3.resource("dynamodb").Table("ledger").put_item(Item=row | {"actor": "someone else"})
    capsys.readouterr()

    assert command.main(["audit", *NAMED]) == 1

    damage = f"{row['month']}, record {int(row['sequence'])}: the record was changed after it was written"
    assert capsys.readouterr().out.splitlines() == [f"failed   the audit is damaged at {damage}"]


def test_given_the_command_when_it_runs_then_the_policy_of_auditors_allows_each_call(
    deployed: Deployed, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(world, 2)
    calls: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(BaseClient, "_make_api_call", recording(calls))

    assert command.main(["audit", *NAMED]) == 0

    (document,) = policies("auditor", "security-incident", REGION)
    table = f"arn:aws:dynamodb:{REGION}:123456789012:table/security-incident-ledger"
    function = f"arn:aws:lambda:{REGION}:123456789012:function:security-incident-workflow"
    assert {name for name, _ in calls} == {"GetFunctionConfiguration", "GetItem", "Query"}
    for name, parameters in calls:
        if name == "GetFunctionConfiguration":
            assert parameters["FunctionName"] == "security-incident-workflow"
            assert allows(document["Statement"], "lambda:GetFunctionConfiguration", function)
        else:
            values = parameters.get("Key", {}).get("PK") or parameters["ExpressionAttributeValues"][":pk"]
            partition = [values["S"]]
            assert allows(document["Statement"], f"dynamodb:{name}", table, dynamodb_LeadingKeys=partition), partition


def recording(calls: list[tuple[str, dict[str, Any]]]) -> Any:
    """Return a replacement for botocore's method that notes each call first."""
    original: Any = vars(BaseClient)["_make_api_call"]

    def call(self: Any, operation_name: str, api_params: dict[str, Any]) -> Any:
        calls.append((operation_name, api_params))
        return original(self, operation_name, api_params)

    return call
