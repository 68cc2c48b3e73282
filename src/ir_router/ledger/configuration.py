"""The configuration that Terraform writes to the ledger, because it is too large for environment variables."""

from __future__ import annotations

import json
from typing import Any

from ir_router.errors import NotConfiguredError
from ir_router.ledger import keys, table
from ir_router.settings import settings


def extra_detections() -> list[dict[str, Any]]:
    """Return the entries of the deployment's own file of detections. Raises NotConfiguredError if they are missing."""
    row = table.get(keys.configuration("detections"))
    if row is None:
        raise NotConfiguredError("The ledger lacks the extra detections. Run make deploy: Terraform writes them.")
    entries: list[dict[str, Any]] = json.loads(row["entries"])
    return entries


def protected_entries() -> dict[str, list[str]]:
    """Return the entries of protected_principals with the ARNs that each protects since the last deployment."""
    row = table.get(keys.configuration("lists")) or {}
    entries: dict[str, list[str]] = json.loads(row.get("protected_entries", "{}"))
    return entries


def organization_id() -> str | None:
    """Return the variable organization_id, or None. The environment of -operations has no room for it."""
    row = table.get(keys.configuration("lists")) or {}
    return str(row["organization_id"]) if row.get("organization_id") else None


def workflow_key_arn() -> str:
    """Return the ARN of the KMS key of the workflow. Raises NotConfiguredError if it is missing."""
    row = table.get(keys.configuration("kms_key")) or {}
    if "workflow_arn" not in row:
        raise NotConfiguredError("The ledger lacks the key of the workflow. Run make deploy: Terraform writes it.")
    return str(row["workflow_arn"])


def kms_key_arns() -> list[str]:
    """Return the ARNs of the deployment's KMS keys; none without a ledger or in one of an earlier version."""
    row = table.get(keys.configuration("kms_key")) if settings().table_name else None
    return [str(row[name]) for name in ("arn", "workflow_arn") if name in row] if row else []
