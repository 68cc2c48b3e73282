"""Whom the workflow never touches, and what a person must do instead. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ir_router.workflow.allowlist import matches_arn
from ir_router.workflow.incident import Principal

_RESERVED = ("role/aws-service-role/", "role/aws-reserved/")


def refusal(principal: Principal, own_account: str, protected: Iterable[str]) -> str | None:
    """Why this principal is not contained, with what a person must do; None when it may be.

    `protected`: ARNs in which `*` stands for any characters.
    """
    kind, arn, name = principal["kind"], principal["arn"], principal["name"]
    if kind == "root":
        return (
            "Root cannot be contained by a policy. Sign in as root, delete its access keys, change its password and "
            "check its MFA devices."
        )
    if principal["account"] and principal["account"] != own_account:
        return (
            f"It belongs to account {principal['account']}; only principals of account {own_account} are contained. "
            "Disable its keys there."
        )
    if kind not in ("user", "role") or not name:
        return "The event names no IAM user or role of this account. Look at the event and act by hand."
    # By path alone, which nobody but AWS can choose: a name that looks like AWS's own must not protect anybody. Events
    # may lack the path; then IAM's own ARN, read before anything is changed, tells.
    if kind == "role" and arn.rpartition(":")[2].startswith(_RESERVED):
        return (
            "IAM does not let anybody change this role. For an IAM Identity Center role, disable the person's access "
            "in IAM Identity Center; for a service-linked role, look at what the service was told to do."
        )
    pathless = f"{arn.rpartition(':')[0]}:{kind}/{name}"
    if any(matches_arn(pattern, candidate) for pattern in protected for candidate in (arn, pathless)):
        return (
            "It is protected (variable protected_principals, or one of this system's own roles). Decide by hand "
            "whether its credentials must be disabled."
        )
    return None
