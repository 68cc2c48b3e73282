"""Build principals from the names, ids and ARNs that events contain. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypedDict

from ir_router.workflow.incident import Actor, Principal

_LONG_TERM_KEY = "AKIA"
# A user's id, 16 characters or more: https://docs.aws.amazon.com/IAM/latest/APIReference/API_User.html. A federated
# session's name may follow.
_USER_ID = re.compile(r"(AIDA\w{12,})(:.*)?")
_IAM_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):(user|role)/(?:[^:]*/)?([\w+=,.@-]{1,128})", re.ASCII)
_ROOT_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):root")
_SESSION_ARN = re.compile(
    r"arn:(aws[a-z-]*):sts::(\d{12}):(?:assumed-role/([\w+=,.@-]{1,64})|(federated-user))/([\w+=,.@:-]{1,64})", re.ASCII
)
# IAM's unique ids of users and roles: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html. A
# session's name may follow.
_UNIQUE_ID = re.compile(r"((?:AIDA|AROA)[A-Z0-9]{12,})(?::(.*))?")


class _Id(TypedDict, total=False):
    id: str


def unknown_principal(account: str = "") -> Principal:
    """Return the principal of an event that names none."""
    return {"kind": "unknown", "name": "", "arn": "", "account": account}


def user(name: str, account: str, partition: str = "aws") -> Principal:
    """Return an IAM user. The ARN lacks the user's path, which not every event contains."""
    return {"kind": "user", "name": name, "arn": f"arn:{partition}:iam::{account}:user/{name}", "account": account}


def role(name: str, account: str, partition: str = "aws") -> Principal:
    """Return an IAM role. The ARN lacks the role's path."""
    return {"kind": "role", "name": name, "arn": f"arn:{partition}:iam::{account}:role/{name}", "account": account}


def root(account: str, partition: str = "aws") -> Principal:
    """Return the root user of an account."""
    return {"kind": "root", "name": "root", "arn": f"arn:{partition}:iam::{account}:root", "account": account}


def from_arn(arn: str) -> Principal | None:
    """Return the user, role or root user that an IAM ARN names, or None for other texts."""
    if found := _IAM_ARN.fullmatch(arn):
        account, kind, name = found.groups()
        return {"kind": "user" if kind == "user" else "role", "name": name, "arn": arn, "account": account}
    if found := _ROOT_ARN.fullmatch(arn):
        return {"kind": "root", "name": "root", "arn": arn, "account": found[1]}
    return None


def session_of_arn(arn: str) -> tuple[Principal, str] | None:
    """Return the role and the session's name that an STS ARN names, or None for other texts.

    The caller chooses the name of a federated session. It belongs to an unknown principal.
    """
    found = _SESSION_ARN.fullmatch(arn)
    if found is None:
        return None
    partition, account, name, _, session = found.groups()
    return (role(name, account, partition) if name else unknown_principal(account)), session


def unique_id(text: str) -> tuple[str, str]:
    """Return IAM's unique id of a user or role, and the session's name after it; both empty for other texts."""
    found = _UNIQUE_ID.fullmatch(text)
    return (found[1], found[2] or "") if found else ("", "")


def named(text: str, account: str) -> Principal:
    """Return the principal that a text means. Only IAM shows whether it is a user or a role (`identity.targets`)."""
    return {"kind": "unknown", "name": text, "arn": "", "account": account}


def user_id(identity: Mapping[str, object]) -> _Id:
    """Return IAM's unique id of a user, which survives a rename; empty if the event lacks it."""
    found = _USER_ID.fullmatch(string(identity.get("principalId")))
    return {"id": found[1]} if found else {}


def principal_of(actor: Actor) -> Principal:
    """Return the principal of a caller, without its credentials."""
    who: Principal = {"kind": actor["kind"], "name": actor["name"], "arn": actor["arn"], "account": actor["account"]}
    if "id" in actor:
        who["id"] = actor["id"]
    return who


def same_name(one: Principal, other: Principal) -> bool:
    """Whether both are the same principal by account, kind and name."""
    return (one["account"], one["kind"], one["name"]) == (other["account"], other["kind"], other["name"])


def own_key(actor: Actor) -> str | None:
    """Return the long-term access key that signed the call, or None."""
    return long_term(actor["access_key_id"] or "")


def long_term(access_key_id: str) -> str | None:
    """Return the id if it is that of a long-term access key, else None."""
    return access_key_id if access_key_id.startswith(_LONG_TERM_KEY) else None


def string(value: object) -> str:
    """Return a text of an event, or "" for every other type."""
    return value if isinstance(value, str) else ""


def mapping(value: object) -> Mapping[str, object]:
    """Return an object of an event, or an empty one for every other type."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Mapping[str, object]]:
    """Return the objects of a list of an event; other elements and other types are left out."""
    return [element for element in value if isinstance(element, Mapping)] if isinstance(value, list) else []


def iso(moment: str | None) -> str | None:
    """Convert an event's time to ISO 8601 in UTC, or return None if it is not a time."""
    if not moment:
        return None
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return None
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
