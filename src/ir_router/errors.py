"""The errors that cross a module's border.

Whoever catches one decides by its type alone. A refusal is certain: nothing happened, and the same request is refused
again until somebody mends something (RefusedError), or only for now (RetryLaterError). An uncertain outcome may have
happened and is settled later (see docs/architecture.md, "Claims").
"""

from __future__ import annotations

import secrets

from ir_router import clock


class IrRouterError(Exception):
    """Base of all errors that this package raises on purpose."""


class UnknownEventError(IrRouterError):
    """No route recognises the event; the message names the routes there are."""


class RouteNotServedError(IrRouterError):
    """The route exists, but this deployment does not serve it (`IR_ROUTES`)."""


class NotConfiguredError(IrRouterError):
    """A setting or parameter is missing; the message says which and how to set it."""


class InvalidInputError(IrRouterError):
    """Input from a person or a task is wrong; the message tells the mend and is safe to show."""


class RefusedError(IrRouterError):
    """The other side refused for certain, and would again: nothing happened. `code` is its error code."""

    def __init__(self, service: str, operation: str, code: str) -> None:
        """Keep the code apart from the message, so that callers can decide by it."""
        super().__init__(f"{service} refused {operation}: {code}")
        self.service = service
        self.operation = operation
        self.code = code


class RetryLaterError(IrRouterError):
    """Refused for certain, for now: nothing happened; try again after `seconds` (HTTP 429, throttling)."""

    def __init__(self, service: str, operation: str, code: str, seconds: float) -> None:
        """Keep how long the other side asked us to wait."""
        super().__init__(f"{service} asks to wait with {operation}: {code}")
        self.service = service
        self.operation = operation
        self.code = code
        self.seconds = seconds


class UncertainError(IrRouterError):
    """No answer, or a server error: the effect may or may not have happened."""

    def __init__(self, service: str, operation: str, cause: str) -> None:
        """Name the call; `cause` is the kind of failure, never the content sent."""
        super().__init__(f"no certain answer of {service} to {operation}: {cause}")
        self.service = service
        self.operation = operation


class OutOfTimeError(IrRouterError):
    """The invocation's time is nearly used up; what remains is done by the next run."""


class LeaseLostError(IrRouterError):
    """Another run has taken the lease over; this one must stop writing."""


def error_id(kind: str) -> str:
    """An id to show to people and to log, for example `api-error-20240115-180500-3f9a`.

    The specification shows `<kind>-<date>-<time>`; four random characters follow, since two errors can share a second.
    """
    return f"{kind}-{clock.utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
