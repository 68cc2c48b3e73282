"""Read why IAM rejected a change, whether a retry can help, and the advice for the operator. Pure.

Codes: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html and the errors of each operation.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from botocore.exceptions import ClientError

from ir_router import denials

Retry = Literal["soon", "later", "never"]

# IAM is changing the same entity, or is throttled.
_BUSY = frozenset(
    {
        "ConcurrentModification",
        "ConcurrentModificationException",
        "EntityTemporarilyUnmodifiable",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# 10 policies are attached already, AWS does not allow the policy, or the entity belongs to AWS.
_FINAL = frozenset({"LimitExceeded", "PolicyNotAttachable", "UnmodifiableEntity"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_MESSAGE_LENGTH = 500
# The only explicit denies of the containment role protect principals (terraform/modules/account).
_OF_ROLE = "identity-based policy"
# These policies belong to the organisation. They apply to operators in this account too.
_OF_ORGANISATION = ("service control policy", "resource control policy")


class Rejection(TypedDict):
    """Why IAM rejected a change: its error code, the reason in words (may be empty), and whether a retry can help."""

    error: str
    reason: str
    retry: Retry


def read(error: ClientError) -> Rejection:
    """Return why IAM rejected a call.

    `retry` is `soon` if IAM is busy or does not apply a new permission everywhere yet, `never` if only an operator can
    help, and `later` for all other codes.
    """
    code = str(error.response.get("Error", {}).get("Code") or "Unknown")
    message = " ".join(str(error.response.get("Error", {}).get("Message") or "").split())[:_MESSAGE_LENGTH]
    if code not in DENIED:
        retry: Retry = "soon" if code in _BUSY else "never" if code in _FINAL else "later"
        return {"error": code, "reason": message if code in _FINAL else "", "retry": retry}
    call = f"iam:{error.operation_name} is not allowed"
    denial = denials.read(message)
    reason = f"{call}: {denial.why}" if denial.why else call
    return {"error": code, "reason": reason, "retry": "soon" if denial.may_pass else "never"}


def describe(error: str, reason: str) -> str:
    """Return the error code with the reason, such as `LimitExceeded, Cannot exceed quota for PoliciesPerUser: 10`."""
    return ", ".join(part for part in (error, reason) if part)


def remedy(error: str, reason: str) -> str:
    """Return the advice for the operator: another obstacle, or a step to take first. May be empty."""
    if any(policy in reason for policy in _OF_ORGANISATION):
        return (
            "A policy of your AWS organisation forbids this change, so it also stops you in this account. Ask the "
            "administrators of the organisation to lift it for this principal now."
        )
    if f"explicit deny in an {_OF_ROLE}" in reason:
        return (
            "The principal is protected: a policy of the containment role in its account denies the change "
            "(protected_principals, or a role of ir-router). Decide whether its credentials must be disabled, and "
            "disable them by hand."
        )
    if "permissions boundary" in reason:
        return "The permissions boundary of ir-router's workflow role forbids this change. Act with another role."
    if error == "LimitExceeded":
        return "IAM allows 10 attached policies, so you may have to detach another one first."
    if error == "NoSuchEntity":
        return "IAM does not know the principal or the key."
    return ""
