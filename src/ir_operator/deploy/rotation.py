"""Write all parameters or none. After an error, a signal or Ctrl-C, the earlier values are restored."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ir_operator.deploy.errors import OperationError, explain_aws_errors
from ir_router.ops.slack_app import EARLIER_TOKENS

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class Change:
    """A parameter and its new value."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True)
class Stored:
    """A parameter before the rotation. A write must repeat its `settings` (type, key, tier and description)."""

    name: str
    value: str = field(repr=False)
    version: int
    settings: dict[str, Any]


class RotationBrokenError(OperationError):
    """Some earlier values could not be restored. The message names their parameters."""


class Parameters:
    """The SSM parameters of a region."""

    def __init__(self, region: str) -> None:
        """Create the client, without a call."""
        self._ssm: SSMClient = boto3.client("ssm", region_name=region)

    def read(self, name: str) -> Stored:
        """Read a parameter, decrypted, and its settings. Raises ClientError."""
        found = self._ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
        described: Any = self._ssm.describe_parameters(
            ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}]
        )["Parameters"]
        kept = ("Type", "KeyId", "Tier", "Description")
        # Without them SSM would use the account's default key, and Terraform would report drift.
        settings = {key: described[0][key] for key in kept if described and described[0].get(key)}
        return Stored(name, found.get("Value", ""), found.get("Version", 0), settings)

    def earlier_values(self, stored: Stored) -> list[str]:
        """Return the values of the versions before this one that SSM still has, newest first. Raises ClientError."""
        values: list[str] = []
        for version in range(stored.version - 1, max(0, stored.version - 1 - EARLIER_TOKENS), -1):
            try:
                found = self._ssm.get_parameter(Name=f"{stored.name}:{version}", WithDecryption=True)
            except self._ssm.exceptions.ParameterVersionNotFound:
                break
            values.append(found["Parameter"].get("Value", ""))
        return values

    def write(self, stored: Stored, value: str) -> int:
        """Write a parameter and return its new version. Raises ClientError and BotoCoreError."""
        answer = self._ssm.put_parameter(Name=stored.name, Value=value, Overwrite=True, **stored.settings)
        return int(answer["Version"])


def rotate(parameters: Parameters, changes: Sequence[Change]) -> dict[str, int]:
    """Write all changes and return the new versions by name. Values that are already stored are not written.

    Raises:
        OperationError: A write failed, and all earlier values are restored.
        RotationBrokenError: A write failed, and some earlier values could not be restored.
    """
    with explain_aws_errors("Reading the parameters"):
        earlier = {change.name: parameters.read(change.name) for change in changes}
    # The webhook accepts the previous version too. Writing the same secret twice would replace that previous version.
    real = [change for change in changes if change.value != earlier[change.name].value]
    versions: dict[str, int] = {}
    touched: list[Stored] = []
    try:
        for change in real:
            touched.append(earlier[change.name])
            versions[change.name] = parameters.write(earlier[change.name], change.value)
        _read_back(parameters, real)
    except BaseException as error:
        with _signals_ignored():
            _restore_all(parameters, touched, error)
        raise
    return versions


def _read_back(parameters: Parameters, changes: Sequence[Change]) -> None:
    for change in changes:
        if parameters.read(change.name).value != change.value:
            raise OperationError(f"{change.name} does not contain the new value; another program writes it too")


def _restore_all(parameters: Parameters, touched: Sequence[Stored], cause: BaseException) -> None:
    """Restore the values, last first. Raises OperationError from `cause`, except for a signal or Ctrl-C."""
    lost = [stored.name for stored in reversed(touched) if not _restored(parameters, stored)]
    if lost:
        raise RotationBrokenError(
            f"The rotation failed ({_reason(cause)}), and these parameters could not be restored: {', '.join(lost)}. "
            "Run make rotate again, with the token and the signing secret of one app."
        ) from cause
    if isinstance(cause, Exception):
        raise OperationError(f"The rotation failed ({_reason(cause)}). All earlier values are restored.") from cause


def _restored(parameters: Parameters, stored: Stored) -> bool:
    """Restore the earlier value, unless the parameter still has it. Return False if that fails."""
    for _ in range(3):
        try:
            if parameters.read(stored.name).value != stored.value:
                parameters.write(stored, stored.value)
        except (BotoCoreError, ClientError):
            continue
        return True
    return False


def _reason(error: BaseException) -> str:
    if isinstance(error, ClientError):
        return f"{error.operation_name} returned {error.response.get('Error', {}).get('Code', 'Unknown')}"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(error) or type(error).__name__


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Ignore signals while values are restored."""
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
