"""T4: `ir-router report verify` with the audit of the deployment, with an auditor's permissions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest

from ir_operator import __main__ as command
from ir_router.ledger import audit, leases, reports
from tests.support.operations import deployed_in
from tests.support.sync import attachment_contents
from tests.support.world import REGION, World
from tests.trials.world.incidents import asked, audit_rows, contain, decide
from tests.trials.world.state_machine import StateMachine

NAMED = ["--prefix", "security-incident", "--region", REGION]

Verify = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def files(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Yield the page and the JSON file of the report about a decided incident."""
    # The command sets them, and monkeypatch restores them.
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name in ("IR_TABLE_NAME", "IR_AUDIT_RETENTION_DAYS"):
        monkeypatch.delenv(name, raising=False)
    with deployed_in(world) as deployed:
        deployed.set_environment(IR_TABLE_NAME="ledger", IR_AUDIT_RETENTION_DAYS="30")
        machine = StateMachine(world)
        contain(world, machine)
        decide(world, asked(world)[0]["taskToken"], "approve")
        machine.advance()
        world.live(2)
        ((case_id, _),) = world.security_ir.snapshot()["cases"].items()
        world.become("slack")
        reports.request(case_id, world.now(), "Jane Smith")
        leases.add_hint(case_id)
        world.live(3)
        contents = attachment_contents(world, case_id)
        for name in ("report-1.html", "report-1.json"):
            (tmp_path / name).write_bytes(contents[name])
        yield [tmp_path / "report-1.html", tmp_path / "report-1.json"]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    """Return a function that verifies a file and returns the exit code and the lines."""

    def run(file: Path, *options: str) -> tuple[int, list[str]]:
        capsys.readouterr()
        code = command.main(["report", "verify", str(file), *options])
        return code, capsys.readouterr().out.splitlines()

    return run


def test_given_a_report_when_verified_with_the_deployment_then_its_records_are_in_the_audit(
    files: list[Path], verify: Verify
) -> None:
    page, json_file = files
    complete = f"ok       the audit is complete: {len(audit_rows())} records"

    code, lines = verify(page, *NAMED)
    assert code == 0
    assert lines[1] == "ok       the audit of security-incident has these 1 records"
    assert lines[2].startswith(complete)

    code, lines = verify(json_file, *NAMED)
    assert code == 0
    # The records of the incident before the report, and the record of the report itself
    assert f"has these {len(audit_rows())} records" in lines[2]
    assert lines[3].startswith(complete)


@pytest.mark.parametrize("action", ["report_made", "decision_recorded"])
def test_given_another_record_in_the_audit_when_verified_with_the_deployment_then_the_file_is_refused(
    files: list[Path], verify: Verify, action: str
) -> None:
    """The file agrees with itself, so the offline check accepts it."""
    _, json_file = files
    row = next(row for row in audit_rows() if row["action"] == action)
    forged: dict[str, Any] = {name: int(one) if isinstance(one, Decimal) else one for name, one in row.items()}
    forged["actor"] = "someone else"
    boto3.resource("dynamodb").Table("ledger").put_item(Item=forged | {"hash": audit.digest(forged)})

    code, lines = verify(json_file, *NAMED)
    assert code == 1
    place = f"record {row['sequence']} of {row['month']} in chain 0"
    assert lines[-1] == f"failed   the audit of security-incident has another or no {place}"
    assert verify(json_file)[0] == 0


def test_given_damage_elsewhere_in_the_audit_when_verified_with_the_deployment_then_the_code_is_1(
    files: list[Path], verify: Verify
) -> None:
    page, _ = files
    row = next(row for row in audit_rows() if row["action"] == "contained")
    boto3.resource("dynamodb").Table("ledger").put_item(Item=row | {"actor": "someone else"})

    code, lines = verify(page, *NAMED)
    assert code == 1
    assert "has these 1 records" in lines[1]
    assert lines[2].startswith("failed   the audit is damaged at ")


def test_given_a_changed_byte_when_verified_with_the_deployment_then_the_file_is_refused_before_any_call(
    files: list[Path], verify: Verify
) -> None:
    page, _ = files
    content = page.read_bytes()
    page.write_bytes(content.replace(b"Timeline", b"Timelime"))
    assert verify(page, "--prefix", "no-such-deployment") == (
        1,
        ["failed   the file was changed after the report was made"],
    )
