"""What is needed to speak to Slack, from SSM parameters; kept as `slack.parameters` says."""

from __future__ import annotations

from ir_router import aws, clock
from ir_router.settings import settings
from ir_router.slack import parameters

# Terraform's variables, by the last part of the parameter's name (terraform/secrets.tf).
_VARIABLES = {
    "slackBotToken": "slack_bot_token",
    "slackWorkspaceId": "slack_workspace_id",
    "slackChannelPrefix": "slack_channel_prefix",
}


def _read(name: str) -> str:
    last = name.rpartition("/")[2]
    return parameters.read(name, _VARIABLES.get(last, last)).value


_kept = parameters.Kept(_read)


def bot_token(*, fresh: bool = False) -> str:
    """The bot token; `fresh` asks SSM now. Raises NotConfiguredError, RetryLaterError, UncertainError, as all here."""
    name = settings().bot_token_parameter
    return _kept.fresh(name) if fresh else _kept.get(name)


def workspace_id() -> str:
    """The workspace's id (`T...`, or `E...` of an Enterprise Grid organisation)."""
    return _kept.get(settings().workspace_id_parameter)


def is_our_workspace(*ids: object) -> bool:
    """Whether one of these is the workspace's id, which is read again on a mismatch, at most once a minute."""
    return workspace_id() in ids or _kept.reread(settings().workspace_id_parameter) in ids


def channel_prefix() -> str:
    """What the names of case channels begin with."""
    return _kept.get(settings().channel_prefix_parameter)


def oldest_secret_days() -> float:
    """Days since the older of bot token and signing secret was changed. Raises ClientError and BotoCoreError."""
    changed: list[float] = []
    for name in (settings().bot_token_parameter, settings().signing_secret_parameter):
        # The values stay encrypted: their dates are all that is wanted.
        parameter = aws.client("ssm").get_parameter(Name=name, WithDecryption=False)["Parameter"]
        changed.append(parameter["LastModifiedDate"].timestamp())
    return (clock.now() - min(changed)) / 86_400


def forget() -> None:
    """Drop what is kept (tests change parameters between cases)."""
    _kept.forget()
