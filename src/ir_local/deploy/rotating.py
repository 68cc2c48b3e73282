"""`rotate`: new Slack credentials, all of them or none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ir_local.deploy import slack_credentials, terminal
from ir_local.deploy.deployment import Deployment
from ir_local.deploy.errors import OperationError, asking_aws
from ir_local.deploy.rotation import Change, Parameters, rotate
from ir_local.deploy.slack_credentials import NewCredentials
from ir_router import clock
from ir_router.ops import formats
from ir_router.settings import Settings, from_environment


def run(deployment: Deployment) -> None:
    """Ask, check, write, say what is where now. Raises OperationError, and then nothing is changed."""
    told = from_environment(deployment.environment())
    parameters = Parameters(deployment.region)
    plan = _plan(slack_credentials.ask(), told, parameters)
    versions = rotate(parameters, [change for change, _ in plan])
    for change, what in plan:
        if change.name not in versions:
            terminal.line("ok", f"{what:<16}{change.name} holds it already")
            continue
        after = _after(told, change, versions[change.name])
        terminal.line("ok", f"{what:<16}{change.name}, version {versions[change.name]}{after}")
    print()
    terminal.line("ok", "rotated: the functions use it within five minutes, without a deployment")


def _plan(new: NewCredentials, told: Settings, parameters: Parameters) -> list[tuple[Change, str]]:
    """What is to be written, with what people call it; the token is tried first."""
    workspace = new.workspace_id
    if new.bot_token:
        installation = slack_credentials.authenticate(new.bot_token, told.slack_api_base_url)
        with asking_aws("Reading the workspace id"):
            stored = parameters.read(told.workspace_id_parameter).value
        if not workspace:
            workspace = installation.team_id if stored == formats.NOT_CONFIGURED else stored
        if not installation.is_of(workspace):
            raise OperationError(
                f"The token is of workspace {installation.team} ({installation.team_id}), but requests are answered "
                f"for {workspace}. If that is to change, set SLACK_WORKSPACE_ID={installation.team_id} as well. "
                "Nothing was changed."
            )
    wanted = (
        (told.signing_secret_parameter, new.signing_secret, "signing secret"),
        (told.workspace_id_parameter, workspace, "workspace id"),
        (told.bot_token_parameter, new.bot_token, "bot token"),
    )
    return [(Change(name, value), what) for name, value, what in wanted if value]


def _after(told: Settings, change: Change, version: int) -> str:
    """Until when the door takes the signing secret before this one too."""
    hours = told.previous_signing_secret_hours
    if change.name != told.signing_secret_parameter or version < 2 or not hours:
        return ""
    until = datetime.fromtimestamp(clock.now(), UTC) + timedelta(hours=hours)
    return f"; the one before it is accepted until {until:%Y-%m-%d %H:%M} UTC"
