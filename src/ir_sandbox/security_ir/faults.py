"""Faults and latency on demand, for one operation or for all."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ir_sandbox.security_ir.attachments import StorageError
from ir_sandbox.security_ir.errors import ApiError
from ir_sandbox.security_ir.model import exception_shape, service_model

# Requests to presigned URLs, which AWS serves from S3.
_STORAGE = ("UploadAttachment", "DownloadAttachment")
# S3's errors for them (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html) by a name of their own: an
# expired URL and a refused one have the same code.
_STORAGE_ERRORS = {
    "ConditionalRequestConflict": StorageError(409, "ConditionalRequestConflict", "A conflicting operation occurred."),
    "RequestTimeout": StorageError(
        400, "RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout"
    ),
    "SlowDown": StorageError(503, "SlowDown", "Please reduce your request rate."),
    "InternalError": StorageError(500, "InternalError", "We encountered an internal error. Please try again."),
    "RequestExpired": StorageError(403, "AccessDenied", "Request has expired"),
    "ExpiredToken": StorageError(400, "ExpiredToken", "The provided token has expired."),
    "AccessDenied": StorageError(403, "AccessDenied", "Access Denied"),
    "PreconditionFailed": StorageError(
        412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"
    ),
}


class FaultKind(StrEnum):
    """The effect of a fault on a call."""

    ERROR = "error"
    """The response is the error `code`."""

    RESET = "reset"
    """The connection is reset without a response."""

    MALFORMED = "malformed"
    """The response is 200 with an incomplete JSON document."""

    LATENCY = "latency"
    """The call takes `latency_seconds` longer; other faults still apply."""


class Fault(BaseModel):
    """One fault. With `after_effect`, the call has its effect before the fault."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    operation: str | None = None
    """An operation of the API, `UploadAttachment` or `DownloadAttachment`; None means every call."""

    after_effect: bool = False
    skip: int = Field(default=0, ge=0)
    """How many matching calls succeed before the first fault."""

    times: int | None = Field(default=1, ge=1)
    """How many calls fail; None means all calls until the fault is removed."""

    code: str = "InternalServerException"
    """For `error`: an exception of the service model, or for presigned URLs a name of `_STORAGE_ERRORS`."""

    retry_after_seconds: int | None = Field(default=None, ge=0)
    """For ThrottlingException and InternalServerException: their `retryAfterSeconds`."""

    latency_seconds: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        shape = exception_shape(self.code)
        if shape is None and self.storage_error is None:
            raise ValueError(f"{self.code} is not an exception of the API")
        if self.retry_after_seconds is not None and (shape is None or "retryAfterSeconds" not in shape.members):
            raise ValueError(f"{self.code} has no retryAfterSeconds")
        if self.operation is not None and self.operation not in {*service_model().operation_names, *_STORAGE}:
            raise ValueError(f"{self.operation} is not an operation of the API")
        if self.kind is FaultKind.LATENCY and not self.latency_seconds:
            raise ValueError("latency needs latency_seconds")
        return self

    @property
    def storage_error(self) -> StorageError | None:
        """The response of an `error` fault of a presigned URL in S3's form, or None if the API's form applies."""
        return _STORAGE_ERRORS.get(self.code) if self.operation in _STORAGE else None

    def error(self) -> ApiError:
        """Return the response of an `error` fault, with values for all required members."""
        shape = exception_shape(self.code)
        members: dict[str, object] = {
            name: "local-fault" for name in (shape.required_members if shape else ()) if name != "message"
        }
        if "reason" in members:
            members["reason"] = "OTHER"
        if self.retry_after_seconds is not None:
            members["retryAfterSeconds"] = self.retry_after_seconds
        return ApiError(self.code, f"{self.code} on demand.", **members)

    def matches(self, operation: str, phase: Literal["before", "after"]) -> bool:
        """Return whether the fault applies to an operation in a phase (before or after its effect)."""
        return self.operation in {None, operation} and self.after_effect == (phase == "after")


class Faults:
    """The pending faults, in the order in which they were added."""

    def __init__(self) -> None:
        """Start without faults."""
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Add a fault."""
        with self._lock:
            self._waiting.append(fault.model_copy())

    def waiting(self) -> list[Fault]:
        """Return the pending faults."""
        with self._lock:
            return [fault.model_copy() for fault in self._waiting]

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._waiting.clear()

    def strike(self, operation: str, phase: Literal["before", "after"]) -> list[Fault]:
        """Return the faults of the current call and count them as used: any latencies, then at most one other fault."""
        with self._lock:
            struck: list[Fault] = []
            for fault in list(self._waiting):
                if not fault.matches(operation, phase):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if not fault.times:
                        self._waiting.remove(fault)
                struck.append(fault)
                if fault.kind is not FaultKind.LATENCY:
                    break
            return struck

    def throttle(self, operation: str | None = None, times: int | None = 1, retry_after_seconds: int = 1) -> None:
        """Reject calls with ThrottlingException, before any effect."""
        self.refuse("ThrottlingException", operation, times, retry_after_seconds)

    def refuse(
        self,
        code: str,
        operation: str | None = None,
        times: int | None = 1,
        retry_after_seconds: int | None = None,
    ) -> None:
        """Reject calls with an error of the API, before any effect.

        Args:
            code: An exception of the service model.
            operation: The operation; None means every call.
            times: How many calls fail; None means all calls until the fault is removed.
            retry_after_seconds: The error's `retryAfterSeconds`.
        """
        self.add(
            Fault(
                kind=FaultKind.ERROR, operation=operation, times=times, code=code,
                retry_after_seconds=retry_after_seconds,
            )
        )  # fmt: skip

    def reset_connection(self, operation: str | None = None, times: int | None = 1) -> None:
        """Reset connections, before any effect."""
        self.add(Fault(kind=FaultKind.RESET, operation=operation, times=times))

    def lose_answer(self, operation: str | None = None, times: int | None = 1) -> None:
        """Reset connections after the effect, before the response."""
        self.add(Fault(kind=FaultKind.RESET, operation=operation, times=times, after_effect=True))

    def garble_answer(self, operation: str | None = None, times: int | None = 1) -> None:
        """Respond with an incomplete JSON document, after the effect."""
        self.add(Fault(kind=FaultKind.MALFORMED, operation=operation, times=times, after_effect=True))

    def slow_down(self, seconds: float, operation: str | None = None, times: int | None = None) -> None:
        """Delay calls by `seconds`."""
        self.add(Fault(kind=FaultKind.LATENCY, operation=operation, times=times, latency_seconds=seconds))
