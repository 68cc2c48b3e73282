"""Find the current name of a principal in IAM.

A user can be renamed, and another user can take the old name. Keys and unique ids stay the same:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html, "Unique identifiers".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ir_router import together
from ir_router.errors import IrRouterError
from ir_router.ledger import contained_names
from ir_router.settings import settings
from ir_router.workflow import accounts, iam, invocation, principals
from ir_router.workflow.incident import Incident, Principal
from ir_router.workflow.sessions import NoRoleError


class OwnerNotShownError(IrRouterError):
    """IAM names a key's owner but does not show that user yet. A retry helps."""


class Target(NamedTuple):
    """A principal that an event concerns: the key that the event names, and all keys that are certainly its own.

    `unreachable`: the owner of the named key is unknown, because AWS denied the role of its account.
    """

    principal: Principal
    named_key: str | None
    keys: Sequence[str]
    unreachable: NoRoleError | None = None


def targets(incident: Incident, context: Any) -> list[Target]:
    """Return the principals to contain: the subject and, by variable, the actor."""
    subject, key = incident["subject"], incident["access_key_id"]
    # The names of other callers are chosen by them.
    text = subject["name"] if incident.get("finding") else ""
    if subject["kind"] == "unknown" and (key or text):
        partition, account = invocation.own_account(context)[0], invocation.contained_account(incident, context)
        # An event names no account in which it can cause no containment: that is refused before any change.
        try:
            if subject["account"] in ("", account):
                subject = _in_iam(subject, key, text, account, partition)
        except NoRoleError as error:
            return [Target(accounts.placed(subject, incident), key, (), error)]
    actor = incident["actor"]
    used = principals.own_key(actor)
    itself = principals.same_name(subject, actor)
    found = [Target(accounts.placed(subject, incident), key, _given(key, used if itself else None))]
    # The actor of a finding is its subject, or unknown.
    spared = incident.get("finding") or incident.get("spares_actor")
    if settings().contain_actor and not itself and not spared:
        found.append(Target(accounts.placed(principals.principal_of(actor), incident), used, _given(used)))
    return found


def _in_iam(subject: Principal, key: str | None, text: str, account: str, partition: str) -> Principal:
    """Return the owner of the key, else the user or role with this name or unique id, else the subject itself."""
    if key and (owner := iam.owner_of(key, account)):
        return principals.user(owner, account, partition)
    if principals.unique_id(text)[0] and (found := iam.with_id(text, account)):
        return found
    if not text:
        return subject
    candidates = (principals.user(text, account, partition), principals.role(text, account, partition))
    return next(filter(None, map(iam.find, candidates)), subject)


def actor_of(incident: Incident) -> Principal | None:
    """Return the user or role that made the call as IAM shows it, or as the event names it if IAM does not yet."""
    named = principals.principal_of(incident["actor"])
    if named["kind"] not in ("user", "role") or not named["name"]:
        return None
    try:
        return resolve(Target(named, None, _given(principals.own_key(incident["actor"]))))
    except OwnerNotShownError:
        return named


def _given(*keys: str | None) -> list[str]:
    return list(dict.fromkeys(key for key in keys if key))


def resolve(target: Target) -> Principal | None:
    """Return the target as IAM shows it: the owner of one of its keys, else the principal with its name and id.

    Returns None if IAM has no such principal. Raises OwnerNotShownError or NoRoleError.
    """
    principal = target.principal
    if target.unreachable is not None:
        raise target.unreachable
    if principal["kind"] != "user":
        return iam.find(principal)
    for key in target.keys:
        # The usual owner is the user that the event names.
        named, owner = together.both(partial(iam.find, principal), partial(iam.owner_of, key, principal["account"]))
        if owner is None:
            continue
        found = named if owner == principal["name"] else iam.find({**principal, "name": owner})
        # Soon after a user is renamed, IAM may return the old name, which may belong to another user by then.
        if found is None or not (_is_same(found, principal) or key in iam.access_keys(found)):
            raise OwnerNotShownError(f"IAM does not yet show who owns the key {key}; it names the user {owner}")
        return found
    found = iam.find(principal)
    return found if found is not None and _is_same(found, principal) else None


def current_principal(principal: Principal, access_keys: Iterable[str]) -> Principal | None:
    """Return a contained principal under its current name.

    Args:
        principal: The principal as it was contained.
        access_keys: The ids of its access keys at that time.

    Returns:
        The principal, or None if it was deleted, or had no key and was renamed.
    """
    found = iam.find(principal)
    if found is not None and _is_same(found, principal):
        return found
    for access_key_id in access_keys:
        owner = iam.owner_of(access_key_id, principal["account"])
        renamed = iam.find({**principal, "name": owner}) if owner else None
        if renamed is not None and _is_same(renamed, principal):
            return renamed
    return None


def contained_arn(arn: str) -> str:
    """Return the ARN by which the ledger knows the principal that has this ARN in IAM now, and store its new name."""
    named = principals.from_arn(arn)
    found = iam.find(named) if named and named["kind"] != "root" else None
    row = contained_names.row_of(arn, found.get("id")) if found else None
    if found is None or row is None or "incident" not in row:
        return arn
    if found["name"] != row["principal"]["name"]:  # without a key, nothing else shows that it was renamed
        contained_names.rename(row, found["name"])
    return contained_names.arn_of(row)


def _is_same(found: Principal, principal: Principal) -> bool:
    return found.get("id") == principal.get("id", found.get("id"))
