"""The errors of the Security Incident Response API, as its service model names them."""

from __future__ import annotations

from collections.abc import Sequence


class ApiError(Exception):
    """An error that the API answers with.

    `code` is an exception shape of the service model (or one of the errors common to all AWS services), `members`
    are that shape's members other than `message`.
    """

    def __init__(self, code: str, message: str, **members: object) -> None:
        """Make an error; `message` is for people."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.members = members


class FaultInAnswerError(Exception):
    """An answer of this local service does not fit the service model: a bug here, never the caller's."""


def validation(
    message: str, fields: Sequence[tuple[str, str]] = (), reason: str = "FIELD_VALIDATION_FAILED"
) -> ApiError:
    """Make a ValidationException; `fields` are (path of the member, what is wrong with it)."""
    field_list = [{"name": name, "message": what} for name, what in fields]
    members: dict[str, object] = {"reason": reason}
    if field_list:
        members["fieldList"] = field_list
    return ApiError("ValidationException", message, **members)


def not_found(resource_type: str, resource_id: str) -> ApiError:
    """Make a ResourceNotFoundException."""
    return ApiError("ResourceNotFoundException", f"The {resource_type} {resource_id} does not exist.")


def conflict(message: str, resource_type: str, resource_id: str) -> ApiError:
    """Make a ConflictException: the request is well formed, the state of the resource forbids it."""
    return ApiError("ConflictException", message, resourceId=resource_id, resourceType=resource_type)


def quota_exceeded(message: str, resource_type: str, resource_id: str, quota: str) -> ApiError:
    """Make a ServiceQuotaExceededException."""
    return ApiError(
        "ServiceQuotaExceededException",
        message,
        resourceId=resource_id,
        resourceType=resource_type,
        serviceCode="security-ir",
        quotaCode=quota,
    )


def not_active() -> ApiError:
    """Make the error of case operations in an account without an active membership."""
    return ApiError(
        "SecurityIncidentResponseNotActiveException", "There is no active membership of Security Incident Response."
    )


def invalid_page_token() -> ApiError:
    """Make the error of a `nextToken` that this operation did not give, or gave too long ago."""
    return ApiError("InvalidTokenException", "The nextToken is invalid or has expired.")
