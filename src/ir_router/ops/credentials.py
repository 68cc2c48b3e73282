"""Verification of the SSM parameters: there, well-formed, and not too old."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ir_router import aws, clock
from ir_router.ops import formats
from ir_router.ops.checks import Check, failed, ok, run, waiting, warning
from ir_router.ops.formats import Format
from ir_router.settings import settings

MAXIMUM_AGE_DAYS = 90
_DAY = 86_400


@dataclass(frozen=True)
class Parameter:
    """A parameter as it is now. `changed` is when this version was written."""

    name: str
    value: str
    version: int
    changed: datetime

    @property
    def is_set(self) -> bool:
        """Whether it holds more than Terraform's placeholder."""
        return self.value not in ("", formats.NOT_CONFIGURED)

    @property
    def age_days(self) -> float:
        """Days since it was written."""
        return (clock.now() - self.changed.timestamp()) / _DAY


def read(name: str) -> Parameter:
    """The parameter as SSM has it now, past every cache. Raises ClientError."""
    found = aws.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]
    return Parameter(name, found.get("Value", ""), found.get("Version", 1), found["LastModifiedDate"])


def checks() -> Iterator[Check]:
    """A line for each parameter, and one for the age of the secrets."""
    found: list[Parameter] = []
    chosen = settings()
    for name, wanted in (
        (chosen.bot_token_parameter, formats.BOT_TOKEN),
        (chosen.signing_secret_parameter, formats.SIGNING_SECRET),
        (chosen.workspace_id_parameter, formats.WORKSPACE_ID),
        (chosen.channel_prefix_parameter, formats.CHANNEL_PREFIX),
    ):
        yield from run(wanted.name, partial(_well_formed, name, wanted, found))
    secrets = (chosen.bot_token_parameter, chosen.signing_secret_parameter)
    yield from _age([parameter for parameter in found if parameter.name in secrets])


def _well_formed(name: str, wanted: Format, found: list[Parameter]) -> Iterator[Check]:
    parameter = read(name)
    if not parameter.is_set:
        mend = "Install the Slack app (docs/operations.md, Set up), then run make rotate and give token and secret."
        yield waiting(wanted.name, f"{name} is not set yet", mend)
        return
    found.append(parameter)
    if wanted.fits(parameter.value):
        yield ok(wanted.name, f"{name}, version {parameter.version}")
    elif wanted is formats.CHANNEL_PREFIX:
        mend = f"Set slack_channel_prefix to {wanted.looks}; then run make deploy."
        yield failed(wanted.name, f"{name} is no beginning of a channel's name", mend)
    else:
        mend = f"Run make rotate and give {wanted.looks}."
        yield failed(wanted.name, f"{name} does not hold a {wanted.name}", mend)


def _age(secrets: list[Parameter]) -> Iterator[Check]:
    """How old the older of token and signing secret is; the poller measures it for the alarm."""
    if not secrets:
        return
    oldest = max(secrets, key=lambda parameter: parameter.age_days)
    days = int(oldest.age_days)
    if oldest.age_days > MAXIMUM_AGE_DAYS:
        mend = "Make a new one in the Slack app's settings and run make rotate."
        yield warning("age of secrets", f"{oldest.name} is {days} days old, {MAXIMUM_AGE_DAYS} are advised", mend)
        return
    yield ok("age of secrets", f"{days} days, at most {MAXIMUM_AGE_DAYS} are advised")
