"""The errors that callers may catch. Callers decide by the type alone.

    IrRouterError                    base class; catch it only at the edge, to log the message
    ├── UnknownEventError            do not retry: no route recognises the event
    ├── RouteNotServedError          do not retry: send the event to a function that serves the route (`IR_ROUTES`)
    ├── NotConfiguredError           do not retry: set the value that the message names
    ├── InvalidInputError            do not retry: show the message to the user, who corrects the input
    │   └── NotPermittedError        do not retry: show the message to the user           (commands.command)
    ├── RefusedError                 no effect: a retry will not help until something is fixed; decide by `code`
    ├── RetryLaterError              no effect: retry after `seconds`
    ├── UncertainError               the effect may have happened: look for it before you repeat the call
    ├── OutOfTimeError               stop now: the next run does the rest
    ├── RunEndedError                stop now: a later run settles the open claims        (deadline)
    ├── LeaseLostError               stop writing: another run works on the case
    │   ├── ClaimLostError           leave this effect to the other run; keep the lease   (ledger.claims)
    │   └── StillAtWorkError         raise it, so that Lambda retries the command         (commands.execution)
    ├── ClaimHeldError               retry after `until`                                  (sync)
    ├── ChannelUnavailableError      ask for the fix that `reason` needs, retry later     (sync)
    ├── FunctionFailedError          report the message: it names the function and its error
    ├── LedgerUnavailableError       retry, or go on without the ledger                  (ledger.unavailable)
    ├── ContainmentBusyError         retry: another run holds the principal's lock        (ledger.containments)
    ├── ChangeFailedError            report `actions`: some are not done or not verified  (workflow)
    │   └── ChangeRefusedError       the same, and a retry cannot help                    (workflow)
    ├── EventNotBelievedError        report it: the event is about another account        (workflow)
    ├── NoRoleError                  report it: AWS denied the role of an account         (workflow)
    ├── OwnerNotShownError           retry: IAM does not show the key's owner yet         (workflow)
    ├── AuditContendedError          nothing was written: retry                           (ledger.audit)
    └── AuditDamagedError            nothing was written: an operator restores the head   (ledger.audit)

`RefusedError`, `RetryLaterError` and `UncertainError` describe every call to Slack or AWS. For the way an uncertain
effect is settled, see "Claims" in docs/architecture.md.
"""

from __future__ import annotations

import math
import secrets

from ir_router import clock

# A service that needs a longer wait rejects the retry again.
_LONGEST_WAIT_SECONDS = 900.0


class IrRouterError(Exception):
    """Base class of the errors that this package raises on purpose."""


class UnknownEventError(IrRouterError):
    """No route recognises the event. The message lists the known events."""


class RouteNotServedError(IrRouterError):
    """The route exists, but this deployment does not serve it (`IR_ROUTES`)."""


class NotConfiguredError(IrRouterError):
    """A setting or parameter is missing. The message names it and how to set it."""


class InvalidInputError(IrRouterError):
    """A user or a task sent wrong input. The message names the fix and is safe to show."""


class FunctionFailedError(IrRouterError):
    """A function that this one invoked raised an error, which the message contains."""


class RefusedError(IrRouterError):
    """The service rejected the request, which had no effect. A retry will not help until something is fixed."""

    def __init__(self, service: str, operation: str, code: str, detail: str = "") -> None:
        """Keep the service's error code, by which callers decide.

        Args:
            service: The service.
            operation: The rejected call.
            code: The service's error code.
            detail: The cause in the answer, such as the missing scope or the field. Never the content of the request.
        """
        super().__init__(f"{service} rejected {operation} ({': '.join(filter(None, (code, detail)))})")
        self.service = service
        self.operation = operation
        self.code = code
        self.detail = detail


class RetryLaterError(IrRouterError):
    """The service rejected the request for now (HTTP 429, throttling). It had no effect."""

    def __init__(self, service: str, operation: str, code: str, seconds: float) -> None:
        """Keep the error code and the seconds to wait before a retry, at most 15 minutes.

        A header of the service may contain any number, also `inf` and `nan`.
        """
        super().__init__(f"{service} throttled {operation} ({code})")
        self.service = service
        self.operation = operation
        self.code = code
        self.seconds = 1.0 if math.isnan(seconds) else min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)


class UncertainError(IrRouterError):
    """The service sent no answer or a server error. The effect may have happened."""

    def __init__(self, service: str, operation: str, cause: str) -> None:
        """Name the call. `cause` is the kind of failure, never the content of the request."""
        super().__init__(f"{service} did not confirm {operation} ({cause})")
        self.service = service
        self.operation = operation
        self.cause = cause


class OutOfTimeError(IrRouterError):
    """The run's time is used up. The next run does the remaining work."""


class LeaseLostError(IrRouterError):
    """Another run has taken over the lease. This run must stop writing."""


def error_id(kind: str) -> str:
    """Return an id for the user and the log, for example `api-error-20240115-180500-3f9a`.

    The specification's form is `<kind>-<date>-<time>`. Four random characters follow, because two errors can share a
    second.
    """
    return f"{kind}-{clock.utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
