"""The lines of the verification. A failed call becomes a failed line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.errors import IrRouterError, RetryLaterError, UncertainError
from ir_router.observability import logger

State = Literal["ok", "warning", "waiting", "failed"]

_CAUSE = "Fix the cause in the message, then run make verify again."
_LATER = "Run make verify again in a few minutes."
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
_PERMISSION = (
    "Run make deploy to restore the role's permissions. If that does not help, check service control policies."
)
APPLY = "Run make deploy. Terraform restores it."


@dataclass(frozen=True)
class Check:
    """One line of the verification.

    Attributes:
        name: The line's name, as in docs/troubleshooting.md.
        state: ok; warning (works, but needs attention); waiting (not set up yet); failed.
        detail: Current state, in words.
        fix: The operator's next step; may be empty.
        error: Whether the line stands for a failed call, so that its part may have further lines which are missing:
            `passing` if the reason may pass, such as throttling, so that the state is unknown; `lasting` if not.
    """

    name: str
    state: State
    detail: str
    fix: str = ""
    error: Literal["", "passing", "lasting"] = ""

    def as_answer(self) -> dict[str, str | bool]:
        """Return `{"name", "ok", "state", "detail", "mend"}`, with the fix as `mend`.

        `ok` is false for waiting and failed.
        """
        return {
            "name": self.name,
            "ok": self.state in ("ok", "warning"),
            "state": self.state,
            "detail": self.detail,
            "mend": self.fix,
        }


def ok(name: str, detail: str) -> Check:
    """Return a line for something that works."""
    return Check(name, "ok", detail)


def warning(name: str, detail: str, fix: str) -> Check:
    """Return a line for something that works but needs attention."""
    return Check(name, "warning", detail, fix)


def waiting(name: str, detail: str, fix: str) -> Check:
    """Return a line for something that is not set up yet."""
    return Check(name, "waiting", detail, fix)


def failed(name: str, detail: str, fix: str) -> Check:
    """Return a line for something that does not work."""
    return Check(name, "failed", detail, fix)


def unread(name: str, detail: str) -> Check:
    """Return a failed line for something that could not be read now."""
    return Check(name, "failed", detail, _LATER, error="passing")


def count(number: int, one: str, many: str) -> str:
    """Return a number with its noun: `1 entry`, `2 entries`."""
    return f"{number} {one if number == 1 else many}"


def run_checks(name: str, look: Callable[[], Iterable[Check]], *, missing: str = APPLY) -> Iterator[Check]:
    """Yield the lines of `look`. A call that fails becomes a failed line, and the lines after it are missing.

    Args:
        name: Name of the failed line.
        look: Makes the lines.
        missing: The fix when the resource does not exist.
    """
    try:
        yield from look()
    except ClientError as error:
        yield _refused(name, error, missing)
    except BotoCoreError as error:
        yield unread(name, f"AWS did not answer ({type(error).__name__})")
    except (RetryLaterError, UncertainError) as error:
        yield unread(name, str(error))
    except IrRouterError as error:
        yield Check(name, "failed", str(error), _CAUSE, error="lasting")


def code_of(error: ClientError) -> str:
    """Return the API's error code."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def may_pass(error: ClientError) -> bool:
    """Return whether AWS throttled the call or had a fault of its own, so that the state is unknown."""
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return (
        status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or status == HTTPStatus.TOO_MANY_REQUESTS
        or "Throttl" in code_of(error)
    )


def _refused(name: str, error: ClientError, missing: str) -> Check:
    code = code_of(error)
    details = {"check": name, "operation": error.operation_name, "code": code}
    logger.warning("verify.call_rejected: the line is shown as failed", extra=details)
    if code in _REFUSED:
        detail = f"the function has no permission to call {error.operation_name}"
        return Check(name, "failed", detail, _PERMISSION, error="lasting")
    if "NotFound" in code or "NonExistent" in code or "DoesNotExist" in code or code == "NoSuchEntity":
        detail = f"it does not exist ({error.operation_name} returned {code})"
        return Check(name, "failed", detail, missing, error="lasting")
    detail = f"{error.operation_name} returned {code}"
    return Check(name, "failed", detail, _LATER, error="passing" if may_pass(error) else "lasting")
