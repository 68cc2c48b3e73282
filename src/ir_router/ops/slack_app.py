"""Verify the Slack app: token, scopes, workspace. `approver_checks` verifies the security channel and the approvers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from ir_router.cases.models import Person
from ir_router.errors import NotConfiguredError
from ir_router.ops import approver_checks
from ir_router.ops import credentials as parameters
from ir_router.ops.checks import Check, failed, ok, run_checks, waiting, warning
from ir_router.settings import settings
from ir_router.slack import credentials
from ir_router.slack.gateway import DEFAULT_BASE_URL, UNREADABLE, Slack

_TIMEOUT_SECONDS = 10
EARLIER_TOKENS = 3
"""How many earlier versions of the bot token are checked, and revoked on demand."""
_REINSTALL = "Paste the manifest (output slack_app_manifest; operations.md, Set up) into the app again, reinstall it"


def wanted_scopes() -> dict[str, str]:
    """Return each required scope and its purpose (scopes.json, from which Terraform also builds the manifest)."""
    found: dict[str, str] = json.loads(files("ir_router.slack").joinpath("scopes.json").read_text("utf-8"))
    return found


@dataclass(frozen=True)
class Installation:
    """The answer of auth.test for a token: workspace, bot and scopes."""

    team_id: str
    team: str
    enterprise_id: str | None
    bot: str
    scopes: frozenset[str]

    def is_of(self, workspace_id: str) -> bool:
        """Return whether the token belongs to this workspace or Enterprise Grid organisation."""
        return workspace_id in (self.team_id, self.enterprise_id)

    def missing_scopes(self) -> list[str]:
        """Return the required scopes that the token lacks."""
        return sorted(set(wanted_scopes()) - self.scopes)


class TokenRefusedError(Exception):
    """Slack rejected the token. `code` is Slack's error code."""

    def __init__(self, code: str) -> None:
        """Keep Slack's error code."""
        super().__init__(f"Slack returned {code}")
        self.code = code


class SlackUnreachableError(Exception):
    """Slack sent no answer or an invalid one."""


def authenticate(token: str, base_url: str | None) -> Installation:
    """Call auth.test with a token (docs.slack.dev/reference/methods/auth.test).

    Args:
        token: The bot token.
        base_url: Base URL of Slack's API. Default: Slack's own.

    Returns:
        The installation. The header `x-oauth-scopes` contains its scopes.

    Raises:
        TokenRefusedError: Slack rejected the token.
        SlackUnreachableError: Slack sent no answer or an invalid one.
    """
    answer = _call(token, base_url, "auth.test")
    headers = {str(name).lower(): value for name, value in answer.headers.items()}
    listed = headers.get("x-oauth-scopes", "")
    return Installation(
        team_id=str(answer.get("team_id") or ""),
        team=str(answer.get("team") or ""),
        enterprise_id=answer.get("enterprise_id"),
        bot=str(answer.get("user") or ""),
        scopes=frozenset(scope.strip() for scope in _first(listed).split(",") if scope.strip()),
    )


def revoke(token: str, base_url: str | None) -> None:
    """Call auth.revoke (docs.slack.dev/reference/methods/auth.revoke).

    Raises:
        TokenRefusedError: Slack refuses the token already.
        SlackUnreachableError: Slack sent no answer, an invalid one, or did not revoke the token.
    """
    if not _call(token, base_url, "auth.revoke").get("revoked"):
        raise SlackUnreachableError("Slack did not revoke the token")


def channel_names(token: str, base_url: str | None) -> list[str]:
    """Return the sorted names of the app's channels (docs.slack.dev/reference/methods/users.conversations).

    Raises:
        TokenRefusedError: Slack rejected the token.
        SlackUnreachableError: Slack sent no answer or an invalid one.
    """
    names: list[str] = []
    cursor = ""
    while True:
        wanted = {"types": "public_channel,private_channel", "exclude_archived": "true", "limit": "200"}
        answer = _call(token, base_url, "users.conversations", **wanted, cursor=cursor)
        names += [str(channel.get("name")) for channel in answer.get("channels") or []]
        cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return sorted(names)


def _call(token: str, base_url: str | None, method: str, **arguments: str) -> SlackResponse:
    client = WebClient(token=token, base_url=base_url or DEFAULT_BASE_URL, timeout=_TIMEOUT_SECONDS)
    try:
        return client.api_call(method, params=arguments)
    except SlackApiError as error:
        data = error.response.data
        code = str(data.get("error")) if isinstance(data, dict) else ""
        # For an answer that is not Slack's, slack_sdk puts its own words and the body into `error`.
        if error.response.status_code != 200 or re.fullmatch("[a-z_]+", code) is None:
            raise SlackUnreachableError(f"Slack returned HTTP {error.response.status_code}") from error
        raise TokenRefusedError(code) from error
    except (*UNREADABLE, SlackClientError) as error:
        raise SlackUnreachableError(f"Slack did not answer ({type(error).__name__})") from error


def _first(value: Any) -> str:
    return str(value[0]) if isinstance(value, list) else str(value)


def checks(slack: Slack, team: list[Person]) -> Iterator[Check]:
    """Yield lines about the app. Security channel and approvers are checked only if the token works."""
    found = list(run_checks("Slack token", partial(_token, slack)))
    yield from found
    if any(check.name == "Slack token" and check.state == "ok" for check in found):
        yield from approver_checks.checks(slack, team)


def _token(slack: Slack) -> Iterator[Check]:
    try:
        # Fresh, so that the later checks use the token that is stored now.
        token = credentials.bot_token(fresh=True)
    except NotConfiguredError:
        yield waiting("Slack token", "no token yet, so the app cannot be checked", "See the line bot token.")
        return
    try:
        found = authenticate(token, settings().slack_api_base_url)
    except TokenRefusedError as error:
        fix = "Reinstall the app to the workspace, copy its Bot User OAuth Token and run make rotate."
        yield failed("Slack token", f"Slack rejected the bot token ({error.code})", fix)
        return
    except SlackUnreachableError as error:
        yield failed("Slack token", str(error), "Check status.slack.com. Run make verify again in a few minutes.")
        return
    yield ok("Slack token", f"works: bot {found.bot} in {found.team} ({found.team_id})")
    yield from run_checks("previous Slack token", partial(_previous_token, token))
    missing = found.missing_scopes()
    if missing:
        uses = "; ".join(f"{scope} ({wanted_scopes()[scope]})" for scope in missing)
        fix = f"{_REINSTALL}, then run make rotate with the new token."
        yield failed("Slack scopes", f"the token lacks {uses}", fix)
    else:
        yield ok("Slack scopes", f"all {len(wanted_scopes())} required scopes granted")
    yield from run_checks("Slack workspace", partial(_workspace, slack, found))


def _previous_token(token: str) -> Iterator[Check]:
    """Check that Slack refuses the tokens before this one: a rotation ends a leak only then."""
    label = "previous Slack token"
    name = settings().bot_token_parameter
    version = parameters.read(name).version
    # SSM keeps the newest 100 versions of a parameter.
    for earlier in range(version - 1, max(0, version - 1 - EARLIER_TOKENS), -1):
        previous = parameters.read(f"{name}:{earlier}")
        if not previous.is_set or previous.value == token:
            continue
        try:
            authenticate(previous.value, settings().slack_api_base_url)
        except TokenRefusedError:
            continue
        fix = "Run make rotate REVOKE_PREVIOUS=1, or revoke it in the app's settings (OAuth & Permissions)."
        yield failed(label, f"the bot token of version {earlier} still works", fix)
        return
    yield ok(label, "Slack refuses it, or there is none")


def _case_channels(slack: Slack) -> Iterator[Check]:
    """Check in which workspace of the organisation the case channels are created."""
    teams = [str(team.get("name") or team.get("id")) for team in slack.pages("auth.teams.list", "teams")]
    label = "case channels"
    if not teams:
        fix = "Add the app to the workspace that has the case channels, in the settings of the organisation."
        yield failed(label, "the app was added to no workspace of the organisation", fix)
    elif len(teams) > 1:
        fix = "If another workspace has the case channels, run make rotate with SLACK_WORKSPACE_ID set to its id."
        yield warning(label, f"created in {teams[0]}, the first of {len(teams)} workspaces with the app", fix)
    else:
        yield ok(label, f"created in {teams[0]}")


def _workspace(slack: Slack, found: Installation) -> Iterator[Check]:
    wanted = parameters.read(settings().workspace_id_parameter)
    if not wanted.is_set:
        yield waiting("Slack workspace", "no workspace id yet", "See the line workspace id.")
    elif found.is_of(wanted.value):
        yield ok("Slack workspace", f"requests from {found.team} are accepted")
        if wanted.value.startswith("E"):
            yield from run_checks("case channels", partial(_case_channels, slack))
    else:
        detail = f"the token belongs to {found.team_id}, but only requests from {wanted.value} are accepted"
        yield failed("Slack workspace", detail, f"Run make rotate with SLACK_WORKSPACE_ID={found.team_id}.")
