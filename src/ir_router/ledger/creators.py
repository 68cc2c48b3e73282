"""Creators of access keys: the containments that an approval request offers, and the analysts' requests for them.

The row of an approval request has the offers in `creators`, by the creator's id. A requested offer has the attribute
`creator_<id>` with the analyst and the time, and later `creator_result_<id>` with the outcome as text. Permission and
decision of the same execution are two approval requests, so both rows receive the result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NotRequired, TypedDict

from ir_router import clock
from ir_router.ledger import approvals, audit, keys, table
from ir_router.ledger.table import ConditionFailedError, Row, TransactionFailedError

# The `decision` of a request to the approval handler that contains a creator.
CONTAIN: Final = "contain_creator"


class Offer(TypedDict):
    """The creator of a key.

    `note` states the active credentials. `does` is the effect of the offered containment, and `facts` are those of the
    incident that it starts; both are missing if ir-router may not contain this creator.
    """

    who: str
    arn: str
    note: str
    does: NotRequired[str]
    facts: NotRequired[dict[str, Any]]


def id_of(kind: str, arn: str) -> str:
    """Return the creator's id in a row. It is short, and valid in the name of an attribute."""
    return hashlib.sha256(f"{kind}|{arn}".encode()).hexdigest()[:12]


def of(row: Mapping[str, Any]) -> dict[str, Offer]:
    """Return all creators of a request, by id; empty for a row of an earlier version."""
    return dict(row.get("creators") or {})


def requested(row: Mapping[str, Any], creator_id: str) -> Mapping[str, Any] | None:
    """Return who requested a containment and when (`analyst`, `requested_at`), or None."""
    found: Mapping[str, Any] | None = row.get(f"creator_{creator_id}")
    return found


def requested_row(row: Row, creator_id: str) -> Row | None:
    """Return the request with the analyst's request: this one, or after a permission the second one. Else None."""
    if requested(row, creator_id) is not None:
        return row
    second = approvals.get(approvals.id_of(row["execution"], "remediate")) if row["kind"] == "contain" else None
    return second if second is not None and requested(second, creator_id) is not None else None


def result(row: Mapping[str, Any], creator_id: str) -> str:
    """Return the outcome of a requested containment; empty until the workflow reports it."""
    return str(row.get(f"creator_result_{creator_id}") or "")


def offered(row: Mapping[str, Any]) -> dict[str, Offer]:
    """Return the creators whose containment an analyst can request now.

    A denial found the event harmless. After a permission to contain, the second request has the offers.
    """
    decision = row.get("decision")
    if decision == "deny" or (decision == "approve" and row["kind"] == "contain"):
        return {}
    return {name: one for name, one in of(row).items() if "facts" in one and not result(row, name)}


def request(row: Row, creator_id: str, analyst: Mapping[str, Any]) -> bool:
    """Record an analyst's request together with its audit record. Return False if it was requested before."""
    offer = of(row)[creator_id]
    change = table.update_item(
        keys.approval(row["approval_id"]),
        f"SET #creator_{creator_id} = :request",
        f"attribute_exists(PK) AND attribute_not_exists(#creator_{creator_id})",
        request={"analyst": dict(analyst), "requested_at": clock.now()},
    )
    details = {
        "approval_id": row["approval_id"],
        "execution": row["execution"],
        "principal": offer["arn"],
        "via": analyst.get("via"),
        "slack_user_id": analyst.get("slack_user_id"),
        "case_id": row.get("case_id"),
    }
    try:
        audit.append("creator_containment_requested", str(analyst.get("name", "")), details, together_with=[change])
    except TransactionFailedError:
        return False
    return True


def add(approval_id: str, creators: Mapping[str, Offer]) -> None:
    """Replace the creators of a request that no analyst has decided. Offers only ever become more."""
    try:
        table.update(
            keys.approval(approval_id),
            "SET creators = :creators",
            "#state = :pending",
            creators=dict(creators),
            pending=approvals.PENDING,
        )
    except ConditionFailedError:
        return


def carried_over(execution: str) -> dict[str, Any]:
    """Return the attributes about creators that a permission request of the same execution has."""
    row = approvals.get(approvals.id_of(execution, "contain")) or {}
    return {name: value for name, value in row.items() if name.startswith("creator_")}


def note_result(execution: str, creator_id: str, text: str) -> list[str]:
    """Record the outcome in each request of the execution that has it requested; return the ids of these requests."""
    noted = []
    for kind in approvals.KINDS:
        approval_id = approvals.id_of(execution, kind)
        try:
            table.update(
                keys.approval(approval_id),
                f"SET #creator_result_{creator_id} = :text",
                f"attribute_exists(#creator_{creator_id})",
                text=text,
            )
        except ConditionFailedError:
            continue
        noted.append(approval_id)
    return noted
