"""The sub-command audit incident: show the audit records of one incident, each with its verification."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ir_operator import terminal
from ir_operator.deploy import audit_witness, auditing
from ir_operator.deploy.audit_witness import Witness
from ir_operator.deploy.deployment import Deployment
from ir_operator.deploy.errors import OperationError
from ir_router import links
from ir_router.ledger import audit, audit_incident, audit_verification
from ir_router.ledger.audit_incident import Incident
from ir_router.ledger.audit_verification import Verification
from ir_router.ledger.table import Row

_WITNESS: dict[Witness, str] = {
    "confirmed": "its hash is in the log",
    "different": "THE LOG HAS ANOTHER HASH",
    "absent": "not in the log",
}
_INDENT = " " * 4


def show(deployment: Deployment, reference: str, *, as_json: bool) -> bool:
    """Print the records of an incident, and return whether its records and the complete audit are unchanged.

    Args:
        deployment: The deployment.
        reference: Id of a case, ARN or name of an execution, or ARN or name of a principal.
        as_json: Whether to print one JSON object.

    Raises:
        OperationError: No record names the incident, or the rows or logs could not be read.
    """
    rows: list[Row] = []
    with auditing.reading(deployment):
        verification = audit_verification.verify(rows.append)
        found = audit_incident.find(rows, reference)
        witnesses = audit_witness.compare(deployment, found.records)
    if not found.records:
        raise OperationError(
            f"No record of the audit of {deployment.prefix} in {deployment.region} names {reference}. Use the id of a "
            "case, or the ARN or name of an execution, a user or a role."
        )
    faults = {(link.chain, link.month, link.sequence): link.why for link in verification.links}
    if as_json:
        print(json.dumps(_as_json(found, verification, witnesses, faults), indent=2, ensure_ascii=False))
    else:
        _print(deployment, found, verification, witnesses, faults)
    return verification.broken is None and "different" not in witnesses


def _as_json(
    found: Incident, verification: Verification, witnesses: list[Witness], faults: dict[tuple[int, str, int], str]
) -> dict[str, Any]:
    return {
        "cases": found.cases,
        "executions": found.executions,
        "principals": found.principals,
        "verified": verification.broken is None and "different" not in witnesses,
        "broken": [vars(link) for link in verification.links],
        "records": [
            {
                **{name: value for name, value in row.items() if name not in ("PK", "SK")},
                "details": audit_incident.details_of(row),
                "chain": row.get("chain", audit.MAIN),
                "fault": faults.get(_place(row)),
                "log": witness,
            }
            for row, witness in zip(found.records, witnesses, strict=True)
        ],
    }


def _print(
    deployment: Deployment,
    found: Incident,
    verification: Verification,
    witnesses: list[Witness],
    faults: dict[tuple[int, str, int], str],
) -> None:
    for case in found.cases:
        print(f"Case       {case}  {links.case(case, deployment.region)}")
    for execution in found.executions:
        print(f"Execution  {execution}  {links.execution(execution)}".rstrip())
    for principal in found.principals:
        print(f"Principal  {principal}")
    shown: set[str] = set()
    for row, witness in zip(found.records, witnesses, strict=True):
        at = f"{datetime.fromisoformat(row['at']):%Y-%m-%d %H:%M:%S} UTC"
        print(f"\n{at}  {row['action'].replace('_', ' ')}, by {_text(row['actor'])}")
        for line in _details(audit_incident.details_of(row)):
            if line not in shown:  # one fact once: the later records of an execution repeat those of the first
                print(f"{_INDENT}{line}")
                shown.add(line)
        chain = f", chain {row['chain']}" if row.get("chain") else ""
        state = faults.get(_place(row)) or "unchanged"
        print(f"{_INDENT}[record {row['sequence']} of {row['month']}{chain}: {state}; {_WITNESS[witness]}]")
    print()
    count = len(found.records)
    if verification.broken:
        terminal.line("failed", auditing.damage(verification.broken))
    else:
        terminal.line("ok", f"{count} records; the chain of all {verification.records} records is complete")
    confirmed = witnesses.count("confirmed")
    if "different" in witnesses:
        terminal.line("failed", f"{witnesses.count('different')} of {count} records differ from the hashes in the logs")
    elif confirmed < count:
        detail = f"{confirmed} of {count} hashes are in the logs. Lines older than log_retention_days are deleted"
        terminal.line("warning", detail)
    else:
        terminal.line("ok", f"{count} of {count} hashes are in the logs")


def _place(row: Row) -> tuple[int, str, int]:
    return int(row.get("chain", audit.MAIN)), row["month"], int(row["sequence"])


def _details(details: dict[str, Any]) -> Iterator[str]:
    """Yield the facts of a record, one line each, without those that have no value."""
    for name, value in details.items():
        text = _text(value)
        if text:
            yield f"{name.replace('_', ' ')}: {text}"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        if "what" in value and "verified" in value:  # an action in IAM
            error = f": {value['error']}" if value.get("error") else ""
            return f"{value['what']} ({'verified' if value['verified'] else f'NOT verified{error}'})"
        parts = [f"{name.replace('_', ' ')} {text}" for name, one in value.items() if (text := _text(one))]
        return "; ".join(parts)
    if isinstance(value, list):
        return ", ".join(text for one in value if (text := _text(one)))
    if value is None or value is False:
        return ""
    return "yes" if value is True else terminal.printable(str(value))
