"""The methods `api.test`, `auth.test`, `auth.revoke`, `team.info` and `bots.info`."""

from __future__ import annotations

from ir_sandbox.slack.call import Call
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.quirks.identity import ORG_WIDE_INSTALLATION
from ir_sandbox.slack.scopes import require
from ir_sandbox.slack.web_api.registry import web_api_method


@web_api_method("api.test", tier=4, takes_json=True, needs_token=False)
def api_test(call: Call) -> Json:
    """Return the arguments, or the requested error."""
    arguments = {name: value for name, value in call.arguments.items() if name != "token"}
    error = call.optional("error")
    if error is not None:
        raise SlackError(error, args=arguments)
    return {"args": arguments}


@web_api_method("auth.test", tier=None, takes_json=True)
def auth_test(call: Call) -> Json:
    """Return the owner of the token."""
    store = call.workspace.store
    bot = store.user(call.app.bot_user_id)
    answer = {
        "url": f"https://{store.domain}.slack.com/",
        "team": store.team_name,
        "user": bot.name,
        "team_id": store.team_id,
        "user_id": bot.id,
        "bot_id": call.app.bot_id,
        "is_enterprise_install": store.quirks.is_on(ORG_WIDE_INSTALLATION),
    }
    if store.enterprise_id is not None:
        answer["enterprise_id"] = store.enterprise_id
    return answer


@web_api_method("auth.revoke", tier=3)
def auth_revoke(call: Call) -> Json:
    """End the token. Without any other token, the app leaves the workspace and its channels."""
    app, store = call.app, call.workspace.store
    store.tokens[call.token or ""].refused_with = "token_revoked"
    if not any(token.app_id == app.app_id and token.refused_with is None for token in store.tokens.values()):
        for channel in list(store.channels.values()):
            call.workspace.channels.leave(app.bot_user_id, channel)
    return {"revoked": True}


@web_api_method("auth.teams.list", tier=2)
def auth_teams_list(call: Call) -> Json:
    """List the workspaces of an org-wide installation, or the one workspace."""
    store = call.workspace.store
    teams = [{"id": store.team_id, "name": store.team_name}] if call.app else []
    return {"teams": teams, "response_metadata": {"next_cursor": ""}}


@web_api_method("team.info", tier=3)
def team_info(call: Call) -> Json:
    """Describe the workspace."""
    require(call.app, "team:read")
    store = call.workspace.store
    wanted = call.optional("team")
    if wanted is not None and wanted != store.team_id:
        raise SlackError("team_not_found")
    team = {
        "id": store.team_id,
        "name": store.team_name,
        "url": f"https://{store.domain}.slack.com/",
        "domain": store.domain,
        "email_domain": "",
        "icon": {"image_default": True},
    }
    if store.enterprise_id is not None:
        team |= {"enterprise_id": store.enterprise_id, "enterprise_name": store.team_name}
    return {"team": team}


@web_api_method("bots.info", tier=3)
def bots_info(call: Call) -> Json:
    """Return a bot by its `bot` id."""
    require(call.app, "users:read")
    bot_id = call.optional("bot")
    for app in call.workspace.store.apps.values():
        if app.bot_id == bot_id:
            bot = {
                "id": app.bot_id,
                "deleted": False,
                "name": app.name,
                "updated": 0,
                "app_id": app.app_id,
                "user_id": app.bot_user_id,
                "icons": {},
            }
            return {"bot": bot}
    raise SlackError("bot_not_found")
