"""Who a principal is now. A user can be renamed, and its name given to somebody else; its keys and its id stay.

IAM's ids: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html, "Unique identifiers".
"""

from __future__ import annotations

from collections.abc import Iterable

from ir_router.errors import IrRouterError
from ir_router.workflow import iam
from ir_router.workflow.incident import Principal


class OwnerNotShownError(IrRouterError):
    """IAM knows a key's owner, and does not show that user yet; trying again tells more."""


def behind(principal: Principal, access_key_id: str | None) -> Principal | None:
    """Whom an event is about, as IAM has them: the owner of the key that it names, else who has the name.

    None when IAM has neither. Raises OwnerNotShownError.
    """
    if principal["kind"] != "user" or access_key_id is None:
        return iam.find(principal)
    owner = iam.owner_of(access_key_id)
    found = iam.find({**principal, "name": owner or principal["name"]})
    if found is None and owner is not None:
        raise OwnerNotShownError("IAM does not show the user that it names as a key's owner")
    return found


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
