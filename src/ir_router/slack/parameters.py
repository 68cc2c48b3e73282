"""SSM parameters, as the door and the functions behind it read them; nothing heavy is imported here.

What was read is kept for five minutes, so that a rotation needs no deployment, and longer only while SSM cannot be
read. A parameter that was not given at deployment holds `not-configured` (a write-only argument cannot be null).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, clock
from ir_router.errors import NotConfiguredError, RetryLaterError, UncertainError
from ir_router.observability import logger

KEPT_SECONDS = 300
# How often SSM is asked again after it failed, or after what is kept proved wrong.
AGAIN_SECONDS = 60
_UNSET = "not-configured"
_SERVICE = "AWS Systems Manager"
_THROTTLED_SECONDS = 5.0

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Parameter:
    """A parameter as SSM has it."""

    value: str
    version: int
    changed: datetime | None


def read(name: str, variable: str) -> Parameter:
    """GetParameter, decrypted. `variable` is Terraform's, for the message when it is not set.

    Raises NotConfiguredError, RetryLaterError (throttled) or UncertainError. The latter also when the function may not
    read it: whoever calls Slack must not take that for Slack's refusal of the call, and it may be mended meanwhile.
    """
    try:
        found = aws.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "Unknown")
        if code in ("ParameterNotFound", "ParameterVersionNotFound"):
            raise _not_set(name, variable) from error
        if code == "ThrottlingException":
            raise RetryLaterError(_SERVICE, "GetParameter", code, _THROTTLED_SECONDS) from error
        raise UncertainError(_SERVICE, "GetParameter", code) from error
    except (BotoCoreError, KeyError) as error:
        # botocore makes an empty answer of one that is not JSON.
        raise UncertainError(_SERVICE, "GetParameter", type(error).__name__) from error
    value = found.get("Value", "")
    if value in ("", _UNSET):
        raise _not_set(name, variable)
    return Parameter(value, found.get("Version", 1), found.get("LastModifiedDate"))


def _not_set(name: str, variable: str) -> NotConfiguredError:
    return NotConfiguredError(
        f"The SSM parameter {name} is not set yet: apply Terraform with {variable} and the next "
        "slack_credentials_version."
    )


@dataclass
class _Entry(Generic[_Value]):
    value: _Value
    read_at: float
    asked_at: float


class Kept(Generic[_Value]):
    """What `read_now(name)` returns, kept by name. What is not configured is not kept.

    Every method raises what `read_now` raises when there is nothing to give in its place.
    """

    # Of all parameters: while one cannot be read, asking for the next would only cost the same time again.
    _failed_at: ClassVar[float] = float("-inf")

    def __init__(self, read_now: Callable[[str], _Value]) -> None:
        """`read_now` raises NotConfiguredError, RetryLaterError or UncertainError."""
        self._read_now = read_now
        self._entries: dict[str, _Entry[_Value]] = {}

    def get(self, name: str) -> _Value:
        """What is kept, read again when it is five minutes old; when that fails, what was read before."""
        entry = self._entries.get(name)
        if entry is None:
            return self.fresh(name)
        if clock.now() - entry.read_at <= KEPT_SECONDS:
            return entry.value
        return self._again(name, entry)

    def reread(self, name: str) -> _Value:
        """Read again because what is kept does not fit, at most once a minute."""
        entry = self._entries.get(name)
        return self.fresh(name) if entry is None else self._again(name, entry)

    def fresh(self, name: str) -> _Value:
        """As SSM has it now."""
        try:
            value = self._read_now(name)
        except NotConfiguredError:
            self._entries.pop(name, None)
            raise
        self._entries[name] = _Entry(value, clock.now(), clock.now())
        return value

    def _again(self, name: str, entry: _Entry[_Value]) -> _Value:
        if clock.now() - max(entry.asked_at, Kept._failed_at) < AGAIN_SECONDS:
            return entry.value
        entry.asked_at = clock.now()
        try:
            return self.fresh(name)
        except (RetryLaterError, UncertainError) as error:
            Kept._failed_at = clock.now()
            logger.warning("a parameter could not be read again", extra={"parameter": name, "reason": str(error)})
            return entry.value

    def forget(self) -> None:
        """Drop what is kept (tests change parameters between cases)."""
        self._entries.clear()
        Kept._failed_at = float("-inf")
