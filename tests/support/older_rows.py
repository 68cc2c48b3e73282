"""Rewrite a case's rows as older versions of ir-router wrote them, for tests of an upgrade."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from ir_router.ledger import keys, table
from ir_router.security_ir import gateway
from tests.support.world import World

# The fields of the models in the versions whose digests covered all fields.
_ROW_FIELDS = (
    "case_id",
    "last_updated_date",
    "title",
    "case_arn",
    "engagement_type",
    "case_status",
    "created_date",
    "closed_date",
    "resolver_type",
    "pending_action",
)
_CASE_FIELDS = (
    "case_id",
    "case_arn",
    "case_status",
    "title",
    "description",
    "engagement_type",
    "reported_incident_start_date",
    "actual_incident_start_date",
    "impacted_aws_regions",
    "threat_actor_ip_addresses",
    "pending_action",
    "impacted_accounts",
    "watchers",
    "created_date",
    "closure_code",
    "resolver_type",
    "impacted_services",
    "closed_date",
)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def write_as_before(world: World, case_id: str, *, without: Sequence[str] = ()) -> None:
    """Write digests of all fields of the models, and remove the values of fields that were not followed.

    Args:
        world: The simulator.
        case_id: A case in sync with its channel.
        without: Ledger attributes of followed fields that the older version did not know.
    """
    world.become("sync")
    case = gateway.get_case(case_id)
    row = {name: getattr(case, name) for name in _ROW_FIELDS}
    row |= {name: int(value.timestamp()) for name, value in row.items() if name.endswith("_date") and value}
    values: dict[str, Any] = {"row_digest": _digest(row)}
    stored = table.get(keys.case(case_id)) or {}
    if "fingerprint" in stored:
        dumped = case.model_dump(mode="json")
        _, *others = str(stored["fingerprint"]).split(".")
        values["fingerprint"] = ".".join((_digest({name: dumped[name] for name in _CASE_FIELDS}), *others))
    table.update(keys.case(case_id), "SET " + ", ".join(f"{name} = :{name}" for name in values), **values)
    _remove(case_id, without)


def _remove(case_id: str, attributes: Sequence[str]) -> None:
    """Remove the fields from the case's row and from the rows of its messages."""
    for row in list(table.query(keys.case(case_id).pk) if attributes else ()):
        kept = {name: value for name, value in row.items() if name not in ("PK", "SK", *attributes)}
        if "fields" in kept:
            kept["fields"] = {name: value for name, value in kept["fields"].items() if name not in attributes}
        table.put(keys.Key(row["PK"], row["SK"]), kept)
