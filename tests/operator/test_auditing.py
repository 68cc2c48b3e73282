"""X8, D8: `ir-router audit` verifies the audit with an auditor's permissions, without the functions."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from ir_operator import __main__ as command
from ir_operator.policies.rendering import policies
from ir_router.ledger import audit
from tests.support.operations import Deployed, deployed_in
from tests.support.world import ACCOUNT, REGION, World
from tests.terraform.iam import allows
from tests.trials.world.incidents import asked, audit_rows, contain, decide
from tests.trials.world.state_machine import StateMachine

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


@pytest.fixture
def machine(world: World) -> StateMachine:
    return StateMachine(world)


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
    audit.append("tried", "test", {"execution": "e"})
    calls: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(BaseClient, "_make_api_call", recording(calls))

    assert command.main(["audit", *NAMED]) == 0

    (document,) = policies("auditor", "security-incident", REGION)
    table = f"arn:aws:dynamodb:{REGION}:123456789012:table/security-incident-ledger"
    function = f"arn:aws:lambda:{REGION}:123456789012:function:security-incident-workflow"
    assert command.main(["audit", "incident", "nobody", *NAMED]) == 1
    assert command.main(["audit", "incident", "e", *NAMED]) == 0
    assert {name for name, _ in calls} == {"GetFunctionConfiguration", "GetItem", "Query", "FilterLogEvents"}
    for name, parameters in calls:
        if name == "GetFunctionConfiguration":
            assert parameters["FunctionName"] == "security-incident-workflow"
            assert allows(document["Statement"], "lambda:GetFunctionConfiguration", function)
        elif name == "FilterLogEvents":
            group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{parameters['logGroupName']}:*"
            assert allows(document["Statement"], "logs:FilterLogEvents", group)
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


# One incident


@pytest.fixture
def case(
    deployed: Deployed,
    world: World,
    machine: StateMachine,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> str:
    """Contain and approve, store the functions' log lines as Lambda does, and drop the output. Return the case."""
    contain(world, machine)
    asked_for = asked(world)
    contain(world, machine, "another")
    decide(world, asked_for[0]["taskToken"], "approve")
    machine.advance()
    (case,) = {row["case_id"] for row in map(details, audit_rows()) if about(row, "user/backdoor")}
    keep_logs(caplog.records)
    capsys.readouterr()
    return str(case)


def details(row: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(row["details"]))


def about(row: dict[str, Any], principal: str) -> bool:
    return "case_id" in row and principal in json.dumps(row.get("principals"))


def keep_logs(records: Iterable[logging.LogRecord]) -> None:
    """Write the lines of the audit into the log group of the workflow, each at the time of its record."""
    times = {row["hash"]: row["at"] for row in audit_rows()}
    logs = boto3.client("logs")
    group = "/aws/lambda/security-incident-workflow"
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    lines = [vars(record) for record in records if record.name == "ir-router-audit"]
    events: list[Any] = [
        {
            "timestamp": int(datetime.fromisoformat(times[line["hash"]]).timestamp() * 1000),
            "message": json.dumps(
                {"service": line["name"]}
                | {name: line[name] for name in ("audit", "chain", "month", "sequence", "hash")}
            ),
        }
        for line in lines
    ]
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)


def test_given_an_incident_when_audited_by_case_execution_or_principal_then_its_records_are_shown_and_verified(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = ["contained", "decision_asked", "decision_recorded", "decision_received", "ended"]
    arn = f"arn:aws:iam::{ACCOUNT}:user/backdoor"
    execution = next(details(row)["execution"] for row in audit_rows() if arn in row["details"])

    for reference in (case, execution, execution.rpartition(":")[2], arn, "backdoor"):
        assert command.main(["audit", "incident", reference, "--json", *NAMED]) == 0
        found = json.loads(capsys.readouterr().out)
        assert [record["action"] for record in found["records"]] == expected, reference
        assert (found["verified"], found["cases"], found["executions"]) == (True, [case], [execution])
        assert {record["log"] for record in found["records"]} == {"confirmed"}
        assert {record["fault"] for record in found["records"]} == {None}

    assert command.main(["audit", "incident", case, *NAMED]) == 0
    text = capsys.readouterr().out
    assert f"Case       {case}  https://console.aws.amazon.com/security-ir/home?region={REGION}#/cases/{case}" in text
    assert f"Principal  {arn}" in text
    assert "decision recorded, by jane" in text
    assert re.search(r"remediation: key AKIA\w+ deleted \(verified\)", text)
    assert text.count("event name: CreateAccessKey") == 1
    assert "another" not in text
    assert text.splitlines()[-2:] == [
        f"ok       5 records; the chain of all {len(audit_rows())} records is complete",
        "ok       5 of 5 hashes are in the logs",
    ]


def test_given_a_rewritten_table_when_an_incident_is_audited_then_record_and_log_differ(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The attacker computes each hash from the decision on anew, so the chain is complete. The log has the others."""
    table = boto3.resource("dynamodb").Table("ledger")
    before: str | None = None
    for row in audit_rows():
        forged = {**row, "previous": before, "actor": row["actor"].replace("jane", "\x1b[2Jbob")}
        forged = {name: int(value) if isinstance(value, Decimal) else value for name, value in forged.items()}
        forged["hash"] = before = audit.digest(forged)
        table.put_item(Item=forged)
    head = table.get_item(Key={"PK": "AUDIT#head", "SK": "META"})["Item"]
    table.put_item(Item={**head, "chain_hash": before})

    assert command.main(["audit", *NAMED]) == 0
    capsys.readouterr()
    assert command.main(["audit", "incident", case, *NAMED]) == 1
    text = capsys.readouterr().out
    assert text.splitlines()[-1] == "failed   3 of 5 records differ from the hashes in the logs"
    assert "\x1b" not in text


def test_given_a_changed_record_or_expired_logs_when_an_incident_is_audited_then_each_record_shows_it(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    boto3.client("logs").delete_log_group(logGroupName="/aws/lambda/security-incident-workflow")
    row = next(row for row in audit_rows() if row["action"] == "decision_recorded")

    assert command.main(["audit", "incident", case, *NAMED]) == 0
    assert "warning  0 of 5 hashes are in the logs." in capsys.readouterr().out

    boto3.resource("dynamodb").Table("ledger").put_item(Item=row | {"actor": "bob"})
    assert command.main(["audit", "incident", case, "--json", *NAMED]) == 1
    found = json.loads(capsys.readouterr().out)
    faults = {record["action"]: record["fault"] for record in found["records"] if record["fault"]}
    assert faults == {"decision_recorded": "the record was changed after it was written"}
    assert command.main(["audit", "incident", "no-such-user", *NAMED]) == 1
    assert "No record of the audit of security-incident in us-east-1 names no-such-user." in capsys.readouterr().err
    assert command.main(["audit", "incident", *NAMED]) == 1
