"""Who a principal is now. A user can be renamed, and its name given to somebody else; its keys and its id stay.

IAM's ids: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html, "Unique identifiers".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ir_router.errors import IrRouterError
from ir_router.settings import settings
from ir_router.workflow import iam, invocation, reading
from ir_router.workflow.incident import Incident, Principal


class OwnerNotShownError(IrRouterError):
    """IAM knows a key's owner, and does not show that user yet; trying again tells more."""


class Target(NamedTuple):
    """Whom an event is about, with the key that it names of them, and all of its keys that are certainly theirs."""

    principal: Principal
    named_key: str | None
    keys: Sequence[str]


def targets(incident: Incident, context: Any) -> list[Target]:
    """Whom to contain: the subject, by variable also the actor."""
    subject, key = incident["subject"], incident["access_key_id"]
    if subject["kind"] == "unknown" and key:
        partition, account = invocation.own_account(context)
        owner = iam.owner_of(key)
        subject = reading.user(owner, subject["account"] or account, partition) if owner else subject
    actor = incident["actor"]
    used = reading.own_key(actor)
    itself = reading.same_name(subject, actor)
    found = [Target(subject, key, _given(key, used if itself else None))]
    if settings().contain_actor and not itself:
        found.append(Target(reading.principal_of(actor), used, _given(used)))
    return found


def actor_of(incident: Incident) -> Principal | None:
    """The user or role that made the call, as IAM has it; as the event names it while IAM does not show it yet."""
    named = reading.principal_of(incident["actor"])
    if named["kind"] not in ("user", "role") or not named["name"]:
        return None
    try:
        return behind(Target(named, None, _given(reading.own_key(incident["actor"]))))
    except OwnerNotShownError:
        return named


def _given(*keys: str | None) -> list[str]:
    return list(dict.fromkeys(key for key in keys if key))


def behind(target: Target) -> Principal | None:
    """The target as IAM has it: the owner of one of its keys, else who has the name, unless the id is another's.

    None when IAM has nobody. Raises OwnerNotShownError.
    """
    principal = target.principal
    if principal["kind"] != "user":
        return iam.find(principal)
    for key in target.keys:
        owner = iam.owner_of(key)
        if owner is None:
            continue
        found = iam.find({**principal, "name": owner})
        # Soon after a change of names IAM may tell the old one, which is somebody else's by then.
        if found is None or not (_is_same(found, principal) or key in iam.access_keys(found)):
            raise OwnerNotShownError(f"IAM does not yet show who owns the key {key}; it names the user {owner}")
        return found
    found = iam.find(principal)
    return found if found is not None and _is_same(found, principal) else None


def as_named_now(principal: Principal, access_keys: Iterable[str]) -> Principal | None:
    """A contained principal under the name that it has now; `access_keys` are those that it had.

    None when IAM shows it no more: it was deleted, or had no key and was renamed.
    """
    found = iam.find(principal)
    if found is not None and _is_same(found, principal):
        return found
    for access_key_id in access_keys:
        owner = iam.owner_of(access_key_id)
        renamed = iam.find({**principal, "name": owner}) if owner else None
        if renamed is not None and _is_same(renamed, principal):
            return renamed
    return None


def _is_same(found: Principal, principal: Principal) -> bool:
    return found.get("id") == principal.get("id", found.get("id"))
