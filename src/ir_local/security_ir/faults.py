"""Faults and latency on demand, for one operation or all."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ir_local.security_ir.errors import ApiError
from ir_local.security_ir.model import exception_shape, service_model

# What happens at presigned addresses, which is S3's part.
_STORAGE = ("UploadAttachment", "DownloadAttachment")


class FaultKind(StrEnum):
    """What happens to a call."""

    ERROR = "error"
    """It is answered with the error `code`."""

    RESET = "reset"
    """Its connection is reset without an answer."""

    MALFORMED = "malformed"
    """Its answer is 200 with half a JSON document."""

    LATENCY = "latency"
    """It takes `latency_seconds` longer; other faults still apply."""


class Fault(BaseModel):
    """One fault. `after_effect` says whether the call has had its effect when the fault strikes."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    operation: str | None = None
    """An operation of the API, `UploadAttachment` or `DownloadAttachment`; None: every call."""

    after_effect: bool = False
    skip: int = Field(default=0, ge=0)
    """So many matching calls pass unharmed first."""

    times: int | None = Field(default=1, ge=1)
    """How often it strikes; None: until cleared."""

    code: str = "InternalServerException"
    """For `error`: an exception of the service model."""

    retry_after_seconds: int | None = Field(default=None, ge=0)
    """For ThrottlingException and InternalServerException: their `retryAfterSeconds`."""

    latency_seconds: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        shape = exception_shape(self.code)
        if shape is None:
            raise ValueError(f"{self.code} is no exception of the API")
        if self.retry_after_seconds is not None and "retryAfterSeconds" not in shape.members:
            raise ValueError(f"{self.code} has no retryAfterSeconds")
        if self.operation is not None and self.operation not in {*service_model().operation_names, *_STORAGE}:
            raise ValueError(f"{self.operation} is no operation")
        if self.kind is FaultKind.LATENCY and not self.latency_seconds:
            raise ValueError("latency needs latency_seconds")
        return self

    def error(self) -> ApiError:
        """Make the error that an `error` fault answers with, its other required members filled in."""
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
        """Tell whether it concerns this operation in this phase."""
        return self.operation in {None, operation} and self.after_effect == (phase == "after")


class Faults:
    """The faults that wait for their call, in the order in which they were added."""

    def __init__(self) -> None:
        """Begin with no faults."""
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Add a fault."""
        with self._lock:
            self._waiting.append(fault.model_copy())

    def waiting(self) -> list[Fault]:
        """Return the faults that have not struck, or will strike again."""
        with self._lock:
            return [fault.model_copy() for fault in self._waiting]

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._waiting.clear()

    def strike(self, operation: str, phase: Literal["before", "after"]) -> list[Fault]:
        """Take the faults that strike a call now: any latencies, then at most one of another kind."""
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
        """Refuse calls with ThrottlingException, before any effect."""
        self.refuse("ThrottlingException", operation, times, retry_after_seconds)

    def refuse(
        self,
        code: str,
        operation: str | None = None,
        times: int | None = 1,
        retry_after_seconds: int | None = None,
    ) -> None:
        """Refuse calls with an error of the API, before any effect."""
        self.add(
            Fault(
                kind=FaultKind.ERROR, operation=operation, times=times, code=code,
                retry_after_seconds=retry_after_seconds,
            )
        )  # fmt: skip

    def reset_connection(self, operation: str | None = None, times: int | None = 1) -> None:
        """Reset connections before any effect."""
        self.add(Fault(kind=FaultKind.RESET, operation=operation, times=times))

    def lose_answer(self, operation: str | None = None, times: int | None = 1) -> None:
        """Let calls have their effect and cut the connection before the answer."""
        self.add(Fault(kind=FaultKind.RESET, operation=operation, times=times, after_effect=True))

    def garble_answer(self, operation: str | None = None, times: int | None = 1) -> None:
        """Let calls have their effect and answer half a JSON document."""
        self.add(Fault(kind=FaultKind.MALFORMED, operation=operation, times=times, after_effect=True))

    def slow_down(self, seconds: float, operation: str | None = None, times: int | None = None) -> None:
        """Let calls take longer."""
        self.add(Fault(kind=FaultKind.LATENCY, operation=operation, times=times, latency_seconds=seconds))
