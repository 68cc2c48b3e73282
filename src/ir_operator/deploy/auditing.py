"""The sub-command audit: verify the audit with the caller's own permission to read its rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ir_operator import terminal
from ir_operator.deploy.deployment import Deployment
from ir_operator.deploy.errors import explain_aws_errors
from ir_router import aws
from ir_router.ledger import audit, audit_verification, keys, table
from ir_router.ledger.audit_verification import BrokenLink
from ir_router.settings import settings

_NEEDED = ("IR_TABLE_NAME", "IR_AUDIT_RETENTION_DAYS")


def has_records(deployment: Deployment, records: Sequence[Mapping[str, Any]]) -> bool:
    """Print and return whether the audit of the deployment has these records.

    Raises:
        OperationError: The configuration or the rows could not be read.
    """
    with reading(deployment):
        for one in records:
            chain = int(one.get("chain", audit.MAIN))
            key = keys.audit_record(str(one["month"]), int(one["sequence"]), chain)
            if (table.get(key) or {}).get("hash") != one["hash"]:
                place = f"record {one['sequence']} of {one['month']} in chain {chain}"
                terminal.line("failed", f"the audit of {deployment.prefix} has another or no {place}")
                return False
    terminal.line("ok", f"the audit of {deployment.prefix} has these {len(records)} records")
    return True


def verify(deployment: Deployment) -> bool:
    """Read the complete audit, print the result and return whether its chain is complete.

    No function of the deployment takes part, so a changed function cannot hide a change of the audit.

    Raises:
        OperationError: The configuration or the rows could not be read.
    """
    with reading(deployment):
        found = audit_verification.verify()
    if found.broken:
        terminal.line("failed", damage(found.broken))
        return False
    period = f" from {found.first_at} to {found.last_at}" if found.records else ""
    terminal.line("ok", f"the audit is complete: {found.records} records{period}")
    return True


@contextmanager
def reading(deployment: Deployment) -> Iterator[None]:
    """Let the ledger's modules read the table of the deployment, and explain errors of AWS. Raises OperationError."""
    deployed = deployment.environment("workflow")
    os.environ.update({name: deployed[name] for name in _NEEDED if name in deployed})
    os.environ["AWS_DEFAULT_REGION"] = deployment.region
    settings.cache_clear()
    aws.forget_session()
    with explain_aws_errors(f"Reading the audit of {deployment.prefix} in {deployment.region}"):
        yield


def damage(link: BrokenLink) -> str:
    """Return the place of a broken link and the reason."""
    chain = f"chain {link.chain}, " if link.chain else ""
    return f"the audit is damaged at {link.month}, {chain}record {link.sequence}: {link.why}"
