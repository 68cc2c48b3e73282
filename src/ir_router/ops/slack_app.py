"""Verification of the Slack app: the token works and has its scopes, the workspace is ours, the security channel and
the approvers can be reached."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from ir_router.cases.models import Person
from ir_router.errors import NotConfiguredError, RefusedError
from ir_router.ops import credentials as parameters
from ir_router.ops.checks import Check, failed, ok, run, waiting, warning
from ir_router.settings import settings
from ir_router.slack import credentials
from ir_router.slack.gateway import DEFAULT_BASE_URL, Slack

_TIMEOUT_SECONDS = 10
_REINSTALL = "Paste the manifest again (output slack_app_manifest: operations.md, Set up) in the app, reinstall it"


def wanted_scopes() -> dict[str, str]:
    """Each scope that is used, and for what (scopes.json, of which Terraform makes the manifest too)."""
    found: dict[str, str] = json.loads(files("ir_router.slack").joinpath("scopes.json").read_text("utf-8"))
    return found


@dataclass(frozen=True)
class Installation:
    """What auth.test says about a token: which workspace, which bot, with what scopes."""

    team_id: str
    team: str
    enterprise_id: str | None
    bot: str
    scopes: frozenset[str]

    def is_of(self, workspace_id: str) -> bool:
        """Whether the workspace, or on Enterprise Grid the organisation, is this one."""
        return workspace_id in (self.team_id, self.enterprise_id)

    def missing_scopes(self) -> list[str]:
        """The scopes that are used and not granted."""
        return sorted(set(wanted_scopes()) - self.scopes)


class TokenRefusedError(Exception):
    """Slack does not accept the token; `code` is its error."""

    def __init__(self, code: str) -> None:
        """Keep the error's code."""
        super().__init__(f"Slack answers {code}")
        self.code = code


class SlackSilentError(Exception):
    """Slack could not be asked, or gave no proper answer."""


def authenticate(token: str, base_url: str | None) -> Installation:
    """Ask auth.test (docs.slack.dev/reference/methods/auth.test); the scopes are in the header `x-oauth-scopes`.

    Raises TokenRefusedError and SlackSilentError.
    """
    client = WebClient(token=token, base_url=base_url or DEFAULT_BASE_URL, timeout=_TIMEOUT_SECONDS)
    try:
        answer = client.auth_test()
    except SlackApiError as error:
        data = error.response.data
        code = str(data.get("error")) if isinstance(data, dict) else ""
        # What is no answer of Slack's own stands in `error` too, as slack_sdk's words with the body.
        if error.response.status_code != 200 or re.fullmatch("[a-z_]+", code) is None:
            raise SlackSilentError(f"Slack answers HTTP {error.response.status_code}") from error
        raise TokenRefusedError(code) from error
    except (OSError, http.client.HTTPException, SlackClientError, ValueError) as error:
        raise SlackSilentError(f"Slack cannot be reached: {type(error).__name__}") from error
    headers = {str(name).lower(): value for name, value in answer.headers.items()}
    listed = headers.get("x-oauth-scopes", "")
    return Installation(
        team_id=str(answer.get("team_id") or ""),
        team=str(answer.get("team") or ""),
        enterprise_id=answer.get("enterprise_id"),
        bot=str(answer.get("user") or ""),
        scopes=frozenset(scope.strip() for scope in _first(listed).split(",") if scope.strip()),
    )


def _first(value: Any) -> str:
    return str(value[0]) if isinstance(value, list) else str(value)


def checks(slack: Slack, team: list[Person]) -> Iterator[Check]:
    """Lines about the app; about what the app can see only when its token works."""
    found = list(run("Slack token", _token))
    yield from found
    if any(check.name == "Slack token" and check.state == "ok" for check in found):
        yield from run("security channel", partial(_security_channel, slack))
        yield from run("approvers", partial(_approvers, slack, team))


def _token() -> Iterator[Check]:
    try:
        # Fresh, so that everything after it uses the token that is stored now.
        token = credentials.bot_token(fresh=True)
    except NotConfiguredError:
        yield waiting("Slack token", "no token yet, so the app cannot be asked", "See the line bot token.")
        return
    try:
        found = authenticate(token, settings().slack_api_base_url)
    except TokenRefusedError as error:
        mend = "Reinstall the app to the workspace, copy its Bot User OAuth Token and run make rotate."
        yield failed("Slack token", f"Slack refuses the bot token: {error.code}", mend)
        return
    except SlackSilentError as error:
        yield failed("Slack token", str(error), "See status.slack.com; try again in a few minutes.")
        return
    yield ok("Slack token", f"works, as {found.bot} in {found.team} ({found.team_id})")
    missing = found.missing_scopes()
    if missing:
        uses = "; ".join(f"{scope} ({wanted_scopes()[scope]})" for scope in missing)
        mend = f"{_REINSTALL}, and run make rotate with the token that it then shows."
        yield failed("Slack scopes", f"the token lacks {uses}", mend)
    else:
        yield ok("Slack scopes", f"all {len(wanted_scopes())} that are used")
    yield from run("Slack workspace", partial(_workspace, found))


def _workspace(found: Installation) -> Iterator[Check]:
    wanted = parameters.read(settings().workspace_id_parameter)
    if not wanted.is_set:
        yield waiting("Slack workspace", "no workspace id yet", "See the line workspace id.")
    elif found.is_of(wanted.value):
        yield ok("Slack workspace", f"{found.team} is the one whose requests are answered")
    else:
        detail = f"the token is of {found.team_id}, requests are answered for {wanted.value} only"
        yield failed("Slack workspace", detail, f"Run make rotate with SLACK_WORKSPACE_ID={found.team_id}.")


def _security_channel(slack: Slack) -> Iterator[Check]:
    channel_id = settings().security_channel_id
    label = "security channel"
    if channel_id is None:
        if settings().containment_mode == "enforce":
            mend = "Set security_channel_id and run make deploy, so that approvals are seen where there is no case too."
            yield warning(label, "none: approvals are shown in case channels only", mend)
        else:
            yield ok(label, "none is set")
        return
    try:
        channel = slack.read("conversations.info", channel=channel_id)["channel"]
    except RefusedError as error:
        mend = "Invite the app to it (/invite in the channel), or set security_channel_id to the right id."
        yield failed(label, f"the app cannot see {channel_id}: Slack answers {error.code}", mend)
        return
    if channel.get("is_archived"):
        yield failed(label, f"#{channel.get('name')} is archived", "Unarchive it, or choose another channel.")
    elif not channel.get("is_member"):
        yield failed(label, f"the app is not in #{channel.get('name')}", "Invite the app to it (/invite).")
    else:
        yield ok(label, f"#{channel.get('name')}")


def _approvers(slack: Slack, team: list[Person]) -> Iterator[Check]:
    """Somebody must be able to decide, or every containment waits for its time-out."""
    label = "approvers"
    chosen = settings().approvers
    who = list(chosen) or [person.email for person in team]
    source = "slack_approvers" if chosen else "the membership's response team"
    reached = [one for one in who if _reachable(slack, one)]
    lost = [one for one in who if one not in reached]
    if not reached:
        detail = f"nobody of {source} is in the workspace" if who else f"nobody: {source} is empty"
        mend = "Set slack_approvers to people of the workspace and run make deploy."
        yield (failed if settings().containment_mode == "enforce" else warning)(label, detail, mend)
    elif lost:
        mend = "Invite them to the workspace, or correct the list."
        yield warning(label, f"{len(reached)} of {source}; {len(lost)} cannot be found in the workspace", mend)
    else:
        yield ok(label, f"{len(reached)} of {source}")


def _reachable(slack: Slack, who: str) -> bool:
    """Whether a user id, user group id or e-mail address is somebody who can press a button."""
    try:
        if "@" in who:
            return _is_person(slack.read("users.lookupByEmail", email=who).get("user"))
        if who.startswith("S"):
            return bool(slack.read("usergroups.users.list", usergroup=who).get("users"))
        return _is_person(slack.read("users.info", user=who).get("user"))
    except RefusedError:
        return False


def _is_person(user: Mapping[str, Any] | None) -> bool:
    return bool(user) and not (user or {}).get("deleted") and not (user or {}).get("is_bot")
