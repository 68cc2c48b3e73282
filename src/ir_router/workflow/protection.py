"""The principals that the workflow never changes, and the action that an analyst must take instead. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ir_router.workflow.allowlist import matches_arn
from ir_router.workflow.details import harmless
from ir_router.workflow.incident import Principal

_RESERVED = ("role/aws-service-role/", "role/aws-reserved/")


def refusal(principal: Principal, account: str, protected: Iterable[str], *, event_account: str = "") -> str | None:
    """Return why the principal must not be contained, and the required action.

    Args:
        principal: The principal from the event or from IAM.
        account: The account in which the event can cause a containment, 12 digits.
        protected: The ARNs with their paths. Those of a back-test can contain `*` for any characters.
        event_account: The account of the event, or empty. Without an organisation it can differ from `account`.

    Returns:
        Sentences for the alert, or None if the principal may be contained.
    """
    kind, arn, name = principal["kind"], principal["arn"], principal["name"]
    if kind == "root":
        return (
            "Root cannot be contained by a policy. Sign in as root, delete its access keys, change its password and "
            "check its MFA devices."
        )
    if principal["account"] and principal["account"] != account:
        limit = (
            "an event can cause a containment only in its own account,"
            if event_account == account
            else "ir-router contains only principals of account"
        )
        return (
            f"It belongs to account {principal['account']}, but {limit} {account}. Disable its keys in its own account."
        )
    if event_account not in ("", account):
        return (
            f"The event is about account {event_account}, so it can cause no containment in account {account}. "
            "Review the event and act by hand."
        )
    if kind == "unknown" and name and not arn:
        return _not_shown(name)
    if kind not in ("user", "role") or not name:
        return "The event names no IAM user or role of this account. Review the event and act by hand."
    # Only the path counts, since only AWS can choose it: a name that looks like one of AWS's must not protect a role.
    # If the event lacks the path, the second check uses the ARN that IAM shows, before any change.
    if kind == "role" and arn.rpartition(":")[2].startswith(_RESERVED):
        return (
            "Only AWS can change this role. For an IAM Identity Center role, disable the user's access in IAM Identity "
            "Center. For a service-linked role, check the configuration of the service."
        )
    # IAM compares the complete ARN too, so its explicit deny covers the same principals.
    if any(matches_arn(pattern, arn) for pattern in protected):
        return (
            "It is protected (by the variable protected_principals, or as a role of ir-router). Decide whether "
            "its credentials must be disabled, and disable them by hand."
        )
    return None


def _not_shown(name: str) -> str:
    of_root = (
        " It may be the e-mail address of root: then sign in as root and change its password." if "@" in name else ""
    )
    return (
        f'IAM shows no user or role with the name or unique id "{harmless(name)}". It may have been deleted or renamed.'
        f"{of_root} Find out whose credentials these are, and contain that principal by hand."
    )
