"""What one line of the verification says, and how a call that fails becomes a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.errors import IrRouterError
from ir_router.observability import logger

State = Literal["ok", "warning", "waiting", "failed"]

_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
APPLY = "Run make deploy: Terraform makes it as it must be."


@dataclass(frozen=True)
class Check:
    """One line. `mend` says what to do about it, and is empty when nothing is to be done.

    `waiting`: not yet set up, which is no fault. `warning`: works, but somebody should look at it.
    """

    name: str
    state: State
    detail: str
    mend: str = ""

    def as_answer(self) -> dict[str, str | bool]:
        """`{"name", "ok", "state", "detail", "mend"}`; `ok` unless waiting or failed."""
        return {
            "name": self.name,
            "ok": self.state in ("ok", "warning"),
            "state": self.state,
            "detail": self.detail,
            "mend": self.mend,
        }


def ok(name: str, detail: str) -> Check:
    """All is well."""
    return Check(name, "ok", detail)


def warning(name: str, detail: str, mend: str) -> Check:
    """It works, but somebody should look at it."""
    return Check(name, "warning", detail, mend)


def waiting(name: str, detail: str, mend: str) -> Check:
    """Not set up yet."""
    return Check(name, "waiting", detail, mend)


def failed(name: str, detail: str, mend: str) -> Check:
    """It does not work."""
    return Check(name, "failed", detail, mend)


def count(number: int, one: str, many: str) -> str:
    """`1 entry`, `2 entries`."""
    return f"{number} {one if number == 1 else many}"


def run(name: str, look: Callable[[], Iterable[Check]], *, missing: str = APPLY) -> Iterator[Check]:
    """The lines that `look` makes; a call that fails becomes a failed line called `name`.

    `missing` is what to do when the resource that was asked for is not there.
    """
    try:
        yield from look()
    except ClientError as error:
        yield _refused(name, error, missing)
    except BotoCoreError as error:
        yield failed(name, f"AWS could not be asked: {type(error).__name__}", "Try again in a few minutes.")
    except IrRouterError as error:
        yield failed(name, str(error), "Mend what the message names, then verify again.")


def code_of(error: ClientError) -> str:
    """The API's error code."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def _refused(name: str, error: ClientError, missing: str) -> Check:
    code = code_of(error)
    logger.warning("a check could not be made", extra={"check": name, "operation": error.operation_name, "code": code})
    if code in _REFUSED:
        return failed(
            name,
            f"the function may not call {error.operation_name}",
            "Run make deploy, so that the role gets its rights back; then look for a service control policy.",
        )
    if "NotFound" in code or "NonExistent" in code or "DoesNotExist" in code or code == "NoSuchEntity":
        return failed(name, f"it does not exist ({error.operation_name} answers {code})", missing)
    return failed(name, f"{error.operation_name} answers {code}", "Try again in a few minutes.")
