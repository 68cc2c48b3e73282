"""Find the owners of principals, who may not decide about them.

Their addresses stay out of the execution history: a row of the ledger has them for each execution.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ir_router import clock
from ir_router.errors import IrRouterError
from ir_router.ledger import keys, table
from ir_router.settings import settings
from ir_router.workflow import actor_incidents, iam, identity, invocation
from ir_router.workflow.incident import ContainmentResult, Incident, PrincipalResult

_KEPT_SECONDS = 7 * 86_400  # longer than an execution can run


def tags_of(incident: Incident, results: list[PrincipalResult], context: Any) -> dict[str, str]:
    """Return the owner tags by ARN: those of the principals, and that of the actor, who may be the cause."""
    known = [result["principal"] for result in results if result["outcome"] != "refused"]
    if incident["actor"]["account"] == invocation.contained_account(incident, context):
        actor = identity.actor_of(incident)
        known += [actor] if actor else []
    by_arn = {principal["arn"]: principal for principal in known}
    return {arn: iam.tags(principal).get(settings().owner_tag, "").strip() for arn, principal in by_arn.items()}


def addresses(incident: Incident, tags: Mapping[str, str]) -> list[str]:
    """Return the sorted e-mail addresses of the owners, who may not decide.

    Owners are named by tag, and by the session name of an IAM Identity Center role. Callers choose the names of other
    sessions, so a caller could name any approver there.
    """
    actor = incident["actor"]
    owners = set(tags.values())
    session = actor["caller_arn"].rpartition("/")[2] if actor_incidents.IDENTITY_CENTER in actor["arn"] else ""
    if "@" in session:
        owners.add(session)
    return sorted(owners - {""})


def kept_apart(containment: ContainmentResult, execution: str) -> ContainmentResult:
    """Store the owners and the values of their tags, and return the containment without them.

    Without a tag there is no address, and nothing changes.
    """
    tags = dict(containment.get("owner_tags", {}))
    joined = {
        part["principal"]["arn"]: dict(part["owner_tags"]) for part in containment["principals"] if "owner_tags" in part
    }
    if not any([*containment["owners"], *_values(tags), *(value for one in joined.values() for value in _values(one))]):
        return containment
    row = {"owners": containment["owners"], "owner_tags": tags, "joined": joined}
    table.put(keys.execution_owners(execution), {**row, "expires_at": int(clock.now()) + _KEPT_SECONDS})
    without: dict[str, Any] = {name: value for name, value in containment.items() if name != "owner_tags"}
    parts = [
        {name: value for name, value in part.items() if name != "owner_tags"} for part in containment["principals"]
    ]
    return cast(ContainmentResult, {**without, "owners": [], "principals": parts, "owners_apart": True})


def restored(containment: ContainmentResult, execution: str) -> ContainmentResult:
    """Return the containment with its owners. Raises IrRouterError if they are not stored."""
    if not containment.get("owners_apart"):
        return containment
    row = table.get(keys.execution_owners(execution))
    if row is None:
        raise IrRouterError(f"the ledger has no owners of the execution {execution}")
    parts: list[PrincipalResult] = [_with_tags(part, row["joined"]) for part in containment["principals"]]
    return {**containment, "owners": list(row["owners"]), "owner_tags": dict(row["owner_tags"]), "principals": parts}


def _with_tags(part: PrincipalResult, joined: Mapping[str, Mapping[str, str]]) -> PrincipalResult:
    tags = joined.get(part["principal"]["arn"])
    return part if tags is None else {**part, "owner_tags": dict(tags)}


def _values(tags: Mapping[str, str]) -> list[str]:
    return [value for value in tags.values() if value]
