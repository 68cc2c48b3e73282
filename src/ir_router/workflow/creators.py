"""The creator of an access key that belongs to another principal: its active credentials, and its containment.

ir-router contains the owner of the key by itself. The creator is contained only if an analyst requests it, or with the
variable `contain_actor`. The requested containment is an execution of its own, which treats the creator like the
subject of any other HIGH event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from ir_router.errors import InvalidInputError, RefusedError
from ir_router.ledger import approvals, creators
from ir_router.ledger.creators import Offer
from ir_router.observability import logger
from ir_router.workflow import accounts, notices, principals, protection, wording
from ir_router.workflow.incident import CreatorRequest, Facts, Incident, Principal, PrincipalResult
from ir_router.workflow.outcomes import OUTCOMES

# The input of an execution that contains a creator. Only the request that the ledger has makes it valid.
DETAIL_TYPE = "Creator Containment Requested"
TITLE = "Creator of an access key of another principal"

_STEPS = {
    "user": "If you do not trust this user, disable its access keys and delete its login profile now.",
    "role": "If you do not trust this session, revoke the sessions of the role now (IAM console: Revoke sessions).",
    "root": "Sign in as root, delete its access keys, change its password and check its MFA devices.",
}
_OTHER = "Check now who this is."


def creates_key_of_another(incident: Incident) -> bool:
    """Whether the event is a new access key that its owner did not create."""
    created = incident["event_name"] == "CreateAccessKey" and bool(incident["access_key_id"])
    return created and "requested" not in incident and not principals.same_name(incident["actor"], incident["subject"])


def of_incident(
    incident: Incident, results: Sequence[PrincipalResult], account: str, protected: Iterable[str]
) -> dict[str, Offer]:
    """Return the creator by its id; empty if the owner created the key, or if the creator is contained too.

    Args:
        incident: The incident.
        results: The results of its containment.
        account: The account in which the event can cause a containment, 12 digits.
        protected: The variable protected_principals.
    """
    actor = incident["actor"]
    if not creates_key_of_another(incident):
        return {}
    contained = [part["principal"] for part in results if OUTCOMES[part["outcome"]].contained]
    if any(principals.same_name(one, actor) for one in contained):
        return {}
    creator = accounts.placed(principals.principal_of(actor), incident)
    refused = protection.refusal(creator, account, protected, event_account=incident["account"])
    offer: Offer = {"who": wording.name_of(creator), "arn": creator["arn"], "note": note(incident, refused)}
    if refused is None:
        offer["does"] = _does(creator)
        offer["facts"] = _facts(incident)
    return {creators.id_of(creator["kind"], creator["arn"]): offer}


def note(incident: Incident, refused: str | None = None) -> str:
    """Return the sentences about the creator's credentials that still work. `refused`: why it cannot be contained."""
    actor = incident["actor"]
    key = principals.own_key(actor)
    active = f"access key {key} and all other credentials" if key else "credentials"
    return (
        f"NOT contained: {wording.caller(incident)}, who created the key. The creator's {active} still work. "
        f"{(refused if actor['kind'] != 'root' else None) or _STEPS.get(actor['kind'], _OTHER)}"
    )


def _does(creator: Principal) -> str:
    who = wording.name_of(creator)
    change, before = "attaches the deny policy and disables its access keys", ""
    if creator["kind"] == "role":
        change = "attaches the deny policy, so that all its sessions and everything that uses the role stop"
        before = " For a role that AWS services assume, it requests permission first."
    return f"contains {who}: {change}. ir-router then sends a separate approval request about {who}.{before}"


def _facts(incident: Incident) -> dict[str, Any]:
    """Return the facts of the incident that contains the creator: the same event, with the creator as its subject."""
    actor = incident["actor"]
    kept = {name: incident[name] for name in Facts.__annotations__ if name in incident}  # type: ignore[literal-required]
    created = f"Created key: {incident['access_key_id']} of {wording.name_of(incident['subject'])}"
    return {
        **kept,
        "subject": principals.principal_of(actor),
        "access_key_id": principals.own_key(actor),
        "details": [created, *incident.get("details", [])],
    }


def start_of(approval_id: str, creator_id: str) -> dict[str, Any]:
    """Return the input of the execution that contains a creator."""
    return {
        "source": "ir-router",
        "detail-type": DETAIL_TYPE,
        "detail": {"approval_id": approval_id, "creator": creator_id},
    }


def is_start(event: object) -> bool:
    """Whether the input of an execution requests the containment of a creator."""
    return isinstance(event, Mapping) and event.get("detail-type") == DETAIL_TYPE


def read(event: Mapping[str, Any]) -> tuple[Facts, CreatorRequest]:
    """Return the facts and the analyst's request. Raises InvalidInputError if the ledger has no such request."""
    detail = principals.mapping(event.get("detail"))
    approval_id, creator_id = principals.string(detail.get("approval_id")), principals.string(detail.get("creator"))
    row = approvals.get(approval_id) if approval_id else None
    requested = creators.requested(row, creator_id) if row else None
    offer = creators.of(row).get(creator_id) if row else None
    if row is None or requested is None or offer is None or "facts" not in offer:
        raise InvalidInputError("No analyst requested the containment of this creator.")
    return cast("Facts", offer["facts"]), {
        "execution": str(row["execution"]),
        "creator": creator_id,
        "by": str(requested["analyst"]["name"]),
        "via": requested["analyst"]["via"],
        "case_id": row.get("case_id"),
    }


def report(incident: Incident, stage: str, text: str) -> None:
    """Show the outcome of a requested containment in the requests that offered it, and on their case.

    Args:
        incident: The creator's incident. Any other incident is ignored.
        stage: Identifies the comment on the case; a retry with the same stage writes nothing new.
        text: The outcome.
    """
    if "requested" not in incident:
        return
    request = incident["requested"]
    noted = creators.note_result(request["execution"], request["creator"], text)
    for approval_id in noted:
        notices.publish("ApprovalRequested", {"approval_id": approval_id, "creator": request["creator"]})
    if not request["case_id"]:
        return
    about = f"Creator of the key, containment requested by {wording.cut(request['by'])}: {text}"
    try:
        notices.comment(request["case_id"], f"creator-{incident['execution']['id']}-{stage}", about)
    except RefusedError as error:
        # A retry cannot help: a closed case accepts no comments.
        logger.warning("case.comment_rejected: the case has no comment", extra={"code": error.code})
