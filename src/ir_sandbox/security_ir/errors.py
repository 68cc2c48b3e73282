"""The errors of the Security Incident Response API, with the names of its service model."""

from __future__ import annotations

from collections.abc import Sequence


class ApiError(Exception):
    """An error response of the API.

    Attributes:
        code: An exception shape of the service model, or one of the errors common to all AWS services.
        message: The text for the caller.
        members: The shape's members other than `message`.
    """

    def __init__(self, code: str, message: str, **members: object) -> None:
        """Create an error."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.members = members


class FaultInAnswerError(Exception):
    """A response of this local service violates the service model: a bug here, never the caller's."""


def validation(
    message: str, fields: Sequence[tuple[str, str]] = (), reason: str = "FIELD_VALIDATION_FAILED"
) -> ApiError:
    """Return a ValidationException; `fields` are pairs of a member's path and its problem."""
    field_list = [{"name": name, "message": what} for name, what in fields]
    members: dict[str, object] = {"reason": reason}
    if field_list:
        members["fieldList"] = field_list
    return ApiError("ValidationException", message, **members)


def not_found(resource_type: str, resource_id: str) -> ApiError:
    """Return a ResourceNotFoundException."""
    return ApiError("ResourceNotFoundException", f"The {resource_type} {resource_id} does not exist.")


def conflict(message: str, resource_type: str, resource_id: str) -> ApiError:
    """Return a ConflictException: the request is well-formed, but the state of the resource forbids it."""
    return ApiError("ConflictException", message, resourceId=resource_id, resourceType=resource_type)


def quota_exceeded(message: str, resource_type: str, resource_id: str, quota: str) -> ApiError:
    """Return a ServiceQuotaExceededException."""
    return ApiError(
        "ServiceQuotaExceededException",
        message,
        resourceId=resource_id,
        resourceType=resource_type,
        serviceCode="security-ir",
        quotaCode=quota,
    )


def not_active() -> ApiError:
    """Return the error of case operations in an account without an active membership."""
    return ApiError(
        "SecurityIncidentResponseNotActiveException", "There is no active membership of Security Incident Response."
    )


def invalid_page_token() -> ApiError:
    """Return the error for a `nextToken` that is expired or not from this operation."""
    return ApiError("InvalidTokenException", "The nextToken is invalid or has expired.")
