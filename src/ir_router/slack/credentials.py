"""What the functions behind the door need to speak to Slack, from SSM parameters.

They are kept for five minutes, so that a rotation needs no deployment.
A parameter that was not given at deployment holds `not-configured` (a write-only argument cannot be null).
"""

from __future__ import annotations

from functools import cache

from aws_lambda_powertools.utilities.parameters.ssm import SSMProvider

from ir_router import aws, clock
from ir_router.errors import NotConfiguredError
from ir_router.settings import settings

KEPT_SECONDS = 300
_UNSET = "not-configured"


@cache
def _provider() -> SSMProvider:
    return SSMProvider(boto3_client=aws.client("ssm"))


def bot_token(*, fresh: bool = False) -> str:
    """The bot token. `fresh` asks SSM again. Raises NotConfiguredError when none was given yet."""
    return _secret(settings().bot_token_parameter, "slack_bot_token", fresh=fresh)


def workspace_id() -> str:
    """The workspace's id (`T...`, or `E...` of an Enterprise Grid organisation). Raises NotConfiguredError."""
    return _secret(settings().workspace_id_parameter, "slack_workspace_id", fresh=False)


def channel_prefix() -> str:
    """What the names of case channels begin with."""
    return _read(settings().channel_prefix_parameter, fresh=False)


def oldest_secret_days() -> float:
    """Days since the older of bot token and signing secret was changed."""
    changed: list[float] = []
    for name in (settings().bot_token_parameter, settings().signing_secret_parameter):
        # The values stay encrypted: their dates are all that is wanted.
        parameter = aws.client("ssm").get_parameter(Name=name, WithDecryption=False)["Parameter"]
        changed.append(parameter["LastModifiedDate"].timestamp())
    return (clock.now() - min(changed)) / 86_400


def _secret(name: str, variable: str, *, fresh: bool) -> str:
    value = _read(name, fresh=fresh)
    if not value or value == _UNSET:
        raise NotConfiguredError(
            f"The SSM parameter {name} is not set yet: apply Terraform with {variable} and the next "
            "slack_credentials_version."
        )
    return value


def _read(name: str, *, fresh: bool) -> str:
    value = _provider().get(name, decrypt=True, max_age=KEPT_SECONDS, force_fetch=fresh)
    return value if isinstance(value, str) else ""


def forget() -> None:
    """Drop what is kept (tests change parameters between cases)."""
    _provider.cache_clear()
