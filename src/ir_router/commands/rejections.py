"""The answers of commands when AWS Security Incident Response rejects a request for a reason that the user can act on.

Other rejections have the specification's service error. Codes: botocore's model of `security-ir` 2018-05-10.
"""

from __future__ import annotations

from ir_router.errors import RefusedError

_QUOTA = (
    "AWS opens no more cases, because a quota for cases is reached. Close cases that are finished, or ask your "
    "administrator for a higher quota (Service Quotas console). Then repeat the command"
)
_QUOTA_OF_CASE = "AWS rejected the addition, because a quota for this case is reached"
_CONFLICT = "AWS rejected the change, because the case was closed or changed at the same moment. Check the case first"
_NOT_ACTIVE = (
    "AWS Security Incident Response is not active in this account and region. Ask your administrator to check the "
    "membership (make verify)"
)


def explain(error: RefusedError) -> str:
    """Return the reason and the action for the user; empty if the user cannot act on the rejection."""
    match error.code:
        case "ServiceQuotaExceededException":
            return _QUOTA if error.operation == "CreateCase" else _QUOTA_OF_CASE
        case "ConflictException":
            return _CONFLICT
        case "SecurityIncidentResponseNotActiveException":
            return _NOT_ACTIVE
        case "ValidationException" if error.detail:
            return f"AWS rejected the input: {error.detail}"
        case _:
            return ""
