"""Verify that the SSM parameters exist, are well-formed and are not too old."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ir_router import aws, clock
from ir_router.ops import formats
from ir_router.ops.checks import Check, failed, ok, run_checks, waiting, warning
from ir_router.ops.formats import Format
from ir_router.settings import settings

MAXIMUM_AGE_DAYS = 90
_DAY = 86_400


@dataclass(frozen=True)
class Parameter:
    """A parameter's current version. `changed` is when it was written."""

    name: str
    value: str
    version: int
    changed: datetime

    @property
    def is_set(self) -> bool:
        """Whether it contains a value other than Terraform's placeholder."""
        return self.value not in ("", formats.NOT_CONFIGURED)

    @property
    def age_days(self) -> float:
        """Days since this version was written."""
        return (clock.now() - self.changed.timestamp()) / _DAY


def read(name: str) -> Parameter:
    """Read the parameter from SSM now, past every cache. Raises ClientError."""
    return _read(name, decrypted=True)


def _read(name: str, *, decrypted: bool) -> Parameter:
    found = aws.client("ssm").get_parameter(Name=name, WithDecryption=decrypted)["Parameter"]
    return Parameter(name, found.get("Value", ""), found.get("Version", 1), found["LastModifiedDate"])


def checks() -> Iterator[Check]:
    """Yield a line for each parameter, and one for the age of the secrets."""
    found: list[Parameter] = []
    chosen = settings()
    for name, wanted in (
        (chosen.bot_token_parameter, formats.BOT_TOKEN),
        (chosen.signing_secret_parameter, formats.SIGNING_SECRET),
        (chosen.workspace_id_parameter, formats.WORKSPACE_ID),
        (chosen.channel_prefix_parameter, formats.CHANNEL_PREFIX),
    ):
        yield from run_checks(wanted.name, partial(_well_formed, name, wanted, found))
    yield from _age([parameter for parameter in found if parameter.name in _secrets()])


def age() -> Iterator[Check]:
    """Yield a line for the age of the secrets. Only the dates are needed, so the values stay encrypted."""
    yield from _age([_read(name, decrypted=False) for name in _secrets()])


def _secrets() -> tuple[str, str]:
    return settings().bot_token_parameter, settings().signing_secret_parameter


def _well_formed(name: str, wanted: Format, found: list[Parameter]) -> Iterator[Check]:
    parameter = read(name)
    if not parameter.is_set:
        fix = "Install the Slack app (docs/operations.md, Set up). Then run make rotate with its token and secret."
        yield waiting(wanted.name, f"{name} is not set yet", fix)
        return
    found.append(parameter)
    if wanted.fits(parameter.value):
        yield ok(wanted.name, f"{name}, version {parameter.version}")
    elif wanted is formats.CHANNEL_PREFIX:
        fix = f"Set slack_channel_prefix to {wanted.looks}. Then run make deploy."
        yield failed(wanted.name, f"{name} cannot begin a channel name", fix)
    else:
        fix = f"Run make rotate. A {wanted.name} is {wanted.looks}."
        yield failed(wanted.name, f"{name} does not contain a {wanted.name}", fix)


def _age(secrets: list[Parameter]) -> Iterator[Check]:
    """Check the age of the older one of token and signing secret."""
    if not secrets:
        return
    oldest = max(secrets, key=lambda parameter: parameter.age_days)
    days = int(oldest.age_days)
    if oldest.age_days > MAXIMUM_AGE_DAYS:
        fix = "Create a new one in the Slack app's settings, then run make rotate."
        detail = f"{oldest.name} is {days} days old; rotate it every {MAXIMUM_AGE_DAYS} days"
        yield warning("age of secrets", detail, fix)
        return
    yield ok("age of secrets", f"{days} days; rotate them every {MAXIMUM_AGE_DAYS} days")
