"""SSM parameters with a cache. The webhook imports this module, so import nothing heavy here.

Values are cached for five minutes, so that a rotation needs no deployment. While SSM cannot be read, they are used for
longer. A parameter without a value contains `not-configured`, because Terraform's write-only argument cannot be null.
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

CACHE_SECONDS = 300
# Shortest time between two reads after SSM failed, or after the cached value did not match.
RETRY_SECONDS = 60
_UNSET = "not-configured"
_SERVICE = "AWS Systems Manager"
_THROTTLED_SECONDS = 5.0

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Parameter:
    """A parameter's value in SSM, its version and when that version was written."""

    value: str
    version: int
    changed: datetime | None


def read(name: str, variable: str) -> Parameter:
    """Read and decrypt a parameter (GetParameter).

    Args:
        name: Name of the parameter.
        variable: Terraform variable that sets it, for the error message.

    Raises:
        NotConfiguredError: The parameter is not set.
        RetryLaterError: SSM throttled the call.
        UncertainError: Any other failure. This includes a missing permission: as a RefusedError it would look like
            Slack's answer to the call that needs the parameter.
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
        # botocore turns an answer that is not JSON into an empty one.
        raise UncertainError(_SERVICE, "GetParameter", type(error).__name__) from error
    value = found.get("Value", "")
    if value in ("", _UNSET):
        raise _not_set(name, variable)
    return Parameter(value, found.get("Version", 1), found.get("LastModifiedDate"))


def _not_set(name: str, variable: str) -> NotConfiguredError:
    return NotConfiguredError(
        f"The SSM parameter {name} is not set yet. Apply Terraform with {variable} and the next "
        "slack_credentials_version."
    )


@dataclass
class _Entry(Generic[_Value]):
    value: _Value
    read_at: float
    asked_at: float


class Cache(Generic[_Value]):
    """A cache of the values that `read_now(name)` returns. A parameter that is not set is not cached.

    Every method raises the errors of `read_now` when the cache has no value for the name.
    """

    # Shared by all parameters: while one cannot be read, reading the next would only cost the same time again.
    _failed_at: ClassVar[float] = float("-inf")

    def __init__(self, read_now: Callable[[str], _Value]) -> None:
        """Cache `read_now`, which raises NotConfiguredError, RetryLaterError or UncertainError."""
        self._read_now = read_now
        self._entries: dict[str, _Entry[_Value]] = {}

    def get(self, name: str) -> _Value:
        """Return the cached value. After five minutes read it again; if that fails, return the old value."""
        entry = self._entries.get(name)
        if entry is None:
            return self.fresh(name)
        if clock.now() - entry.read_at <= CACHE_SECONDS:
            return entry.value
        return self._refresh(name, entry)

    def reread(self, name: str) -> _Value:
        """Read the value again because the cached one did not match, at most once a minute."""
        entry = self._entries.get(name)
        return self.fresh(name) if entry is None else self._refresh(name, entry)

    def fresh(self, name: str) -> _Value:
        """Read the value now and cache it."""
        try:
            value = self._read_now(name)
        except NotConfiguredError:
            self._entries.pop(name, None)
            raise
        self._entries[name] = _Entry(value, clock.now(), clock.now())
        return value

    def _refresh(self, name: str, entry: _Entry[_Value]) -> _Value:
        if clock.now() - max(entry.asked_at, Cache._failed_at) < RETRY_SECONDS:
            return entry.value
        entry.asked_at = clock.now()
        try:
            return self.fresh(name)
        except (RetryLaterError, UncertainError) as error:
            Cache._failed_at = clock.now()
            logger.warning(
                "ssm.parameter_read_failed: the cached value is used", extra={"parameter": name, "reason": str(error)}
            )
            return entry.value

    def forget(self) -> None:
        """Drop the cached values. Tests change the parameters."""
        self._entries.clear()
        Cache._failed_at = float("-inf")
