"""The sub-command rotate: check new Slack credentials, then store all of them or none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ir_operator import terminal
from ir_operator.deploy import slack_credentials
from ir_operator.deploy.deployment import Deployment
from ir_operator.deploy.errors import OperationError, explain_aws_errors
from ir_operator.deploy.rotation import Change, Parameters, rotate
from ir_operator.deploy.slack_credentials import NewCredentials
from ir_router import clock
from ir_router.ops import formats
from ir_router.settings import Settings, from_environment


def rotate_credentials(deployment: Deployment, *, revoke_previous: bool = False) -> None:
    """Read, check and store new credentials, and print each parameter with its version.

    Args:
        deployment: The deployment whose parameters change.
        revoke_previous: Revoke the earlier bot tokens afterwards. Without new values, do only this.

    Raises:
        OperationError: A credential is invalid or could not be stored, and the stored values are unchanged. Or an
            earlier token could not be revoked, and the new values are stored.
        RotationBrokenError: Some earlier values could not be restored.
    """
    deployed = from_environment(deployment.environment())
    parameters = Parameters(deployment.region)
    with explain_aws_errors("Reading the bot token"):
        previous = parameters.read(deployed.bot_token_parameter).value
    new = NewCredentials(None, None, None) if revoke_previous and not slack_credentials.given() else None
    plan = _plan(new or slack_credentials.collect(), deployed, parameters, previous)
    versions = rotate(parameters, [change for change, _ in plan])
    for change, label in plan:
        if change.name not in versions:
            terminal.line("ok", f"{label:<16}{change.name} already has this value")
            continue
        previous = _previous_until(deployed, change, versions[change.name])
        terminal.line("ok", f"{label:<16}{change.name}, version {versions[change.name]}{previous}")
    if revoke_previous:
        _revoke_previous(deployed, parameters)
    print()
    if not versions:
        unchanged = "the stored values are unchanged" if revoke_previous else "all values were stored already"
        terminal.line("ok", f"nothing was rotated: {unchanged}")
        return
    terminal.line("ok", "rotated: the functions use the new values within five minutes, without a deployment")


def _revoke_previous(deployed: Settings, parameters: Parameters) -> None:
    """Revoke the earlier tokens that SSM still stores."""
    with explain_aws_errors("Reading the previous bot tokens"):
        current = parameters.read(deployed.bot_token_parameter)
        earlier = parameters.earlier_values(current)
    tokens = {value for value in earlier if formats.BOT_TOKEN.fits(value) and value != current.value}
    revoked = [slack_credentials.revoke(token, deployed.slack_api_base_url) for token in sorted(tokens)]
    terminal.line("ok", f"previous tokens  {sum(revoked)} revoked; Slack refuses all {len(tokens)}")


def _stored_already(previous: str, base_url: str | None) -> OperationError:
    """Return the error for a token that is stored. Reinstalling an app does not change its token."""
    channels = slack_credentials.channels_of(previous, base_url)
    lines = [
        "This token is stored already, so nothing was changed. Reinstalling a Slack app does not change its token.",
        "To replace a token that may have leaked, in the settings of the Slack app:",
        "  1. OAuth & Permissions, Revoke All OAuth Tokens: the old token ends, and the app leaves its channels.",
        "  2. Install App: copy the new Bot User OAuth Token.",
        "  3. Run make rotate with the new token.",
    ]
    if channels:
        lines += ["  4. In each of these channels, type /invite and the app's name:", *(f"     #{c}" for c in channels)]
    else:
        lines += ["  4. Invite the app to its channels again: type /invite and the app's name in each."]
    return OperationError("\n".join(lines))


def _plan(new: NewCredentials, deployed: Settings, parameters: Parameters, previous: str) -> list[tuple[Change, str]]:
    """Return the changes with their labels. Slack verifies a new token first."""
    workspace = new.workspace_id
    if new.bot_token:
        if new.bot_token == previous:
            raise _stored_already(previous, deployed.slack_api_base_url)
        installation = slack_credentials.authenticate(new.bot_token, deployed.slack_api_base_url)
        with explain_aws_errors("Reading the workspace id"):
            stored = parameters.read(deployed.workspace_id_parameter).value
        if not workspace:
            workspace = installation.team_id if stored == formats.NOT_CONFIGURED else stored
        if not installation.is_of(workspace) and new.workspace_id:
            raise OperationError(
                f"The token belongs to workspace {installation.team} ({installation.team_id}), but SLACK_WORKSPACE_ID "
                f"is {new.workspace_id}. Nothing was changed. Set SLACK_WORKSPACE_ID={installation.team_id}, or give a "
                "token of the other workspace."
            )
        if not installation.is_of(workspace):
            raise OperationError(
                f"The token belongs to workspace {installation.team} ({installation.team_id}), but ir-router serves "
                f"{workspace}. Nothing was changed. To move to the token's workspace, set "
                f"SLACK_WORKSPACE_ID={installation.team_id} as well."
            )
    wanted = (
        (deployed.signing_secret_parameter, new.signing_secret, "signing secret"),
        (deployed.workspace_id_parameter, workspace, "workspace id"),
        (deployed.bot_token_parameter, new.bot_token, "bot token"),
    )
    return [(Change(name, value), label) for name, value, label in wanted if value]


def _previous_until(deployed: Settings, change: Change, version: int) -> str:
    """Return a text with the time until which the previous signing secret is accepted, or an empty one."""
    hours = deployed.previous_signing_secret_hours
    if change.name != deployed.signing_secret_parameter or version < 2 or not hours:
        return ""
    until = datetime.fromtimestamp(clock.now(), UTC) + timedelta(hours=hours)
    return f"; the previous one is accepted until {until:%Y-%m-%d %H:%M} UTC"
