"""Write all parameters or none: whatever goes wrong, and be it Ctrl-C, the earlier values are back at the end."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ir_local.deploy.errors import OperationError, asking_aws

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class Change:
    """A parameter and what it is to hold."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True)
class Stored:
    """A parameter as it was found. `settings` are its type, key, tier and description, which a write must repeat."""

    name: str
    value: str = field(repr=False)
    version: int
    settings: dict[str, Any]


class RotationBrokenError(OperationError):
    """Not all of the earlier values could be put back; the message says which parameters to look at."""


class Parameters:
    """The SSM parameters of a region."""

    def __init__(self, region: str) -> None:
        """Nothing is asked yet."""
        self._ssm: SSMClient = boto3.client("ssm", region_name=region)

    def read(self, name: str) -> Stored:
        """A parameter, decrypted, with its settings. Raises ClientError."""
        found = self._ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
        described: Any = self._ssm.describe_parameters(
            ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}]
        )["Parameters"]
        kept = ("Type", "KeyId", "Tier", "Description")
        # Without them SSM would take the account's default key, and Terraform would see a difference.
        settings = {key: described[0][key] for key in kept if described and described[0].get(key)}
        return Stored(name, found.get("Value", ""), found.get("Version", 0), settings)

    def write(self, stored: Stored, value: str) -> int:
        """Give a parameter another value; its new version. Raises ClientError and BotoCoreError."""
        answer = self._ssm.put_parameter(Name=stored.name, Value=value, Overwrite=True, **stored.settings)
        return int(answer["Version"])


def rotate(parameters: Parameters, changes: Sequence[Change]) -> dict[str, int]:
    """Write every change that is one; the new versions by name.

    Raises OperationError when one failed and all earlier values are back, RotationBrokenError when they are not.
    """
    with asking_aws("Reading the parameters"):
        earlier = {change.name: parameters.read(change.name) for change in changes}
    # Writing a signing secret again would make it its own predecessor, and the one that Slack may still use unknown.
    real = [change for change in changes if change.value != earlier[change.name].value]
    versions: dict[str, int] = {}
    touched: list[Stored] = []
    try:
        for change in real:
            touched.append(earlier[change.name])
            versions[change.name] = parameters.write(earlier[change.name], change.value)
        _read_back(parameters, real)
    except BaseException as error:
        with _undisturbed():
            _put_back(parameters, touched, error)
        raise
    return versions


def _read_back(parameters: Parameters, changes: Sequence[Change]) -> None:
    for change in changes:
        if parameters.read(change.name).value != change.value:
            raise OperationError(f"{change.name} does not hold what was written: somebody else writes it too")


def _put_back(parameters: Parameters, touched: Sequence[Stored], cause: BaseException) -> None:
    """Restore, last first. Raises OperationError from `cause`, unless that is the end of the program itself."""
    lost = [stored.name for stored in reversed(touched) if not _restored(parameters, stored)]
    if lost:
        raise RotationBrokenError(
            f"The rotation failed ({_reason(cause)}), and these parameters could not be put back: {', '.join(lost)}. "
            "Run make rotate again with credentials that belong together."
        ) from cause
    if isinstance(cause, Exception):
        raise OperationError(f"The rotation failed ({_reason(cause)}). All earlier values are back.") from cause


def _restored(parameters: Parameters, stored: Stored) -> bool:
    """Whether the parameter holds its earlier value; a write without an answer may have landed, so it is looked at."""
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
        return f"{error.operation_name} answers {error.response.get('Error', {}).get('Code', 'Unknown')}"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(error) or type(error).__name__


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No signal ends the program while values are put back."""
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
