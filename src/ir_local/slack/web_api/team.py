"""api.test, auth.test, team.info, bots.info."""

from __future__ import annotations

from ir_local.slack.call import Call
from ir_local.slack.errors import SlackError
from ir_local.slack.model import Json
from ir_local.slack.scopes import require
from ir_local.slack.web_api.registry import web_api_method


@web_api_method("api.test", tier=4, takes_json=True, needs_token=False)
def api_test(call: Call) -> Json:
    """Give back the arguments, or the error asked for."""
    arguments = {name: value for name, value in call.arguments.items() if name != "token"}
    error = call.optional("error")
    if error is not None:
        raise SlackError(error, args=arguments)
    return {"args": arguments}


@web_api_method("auth.test", tier=None, takes_json=True)
def auth_test(call: Call) -> Json:
    """Who the token belongs to."""
    store = call.workspace.store
    bot = store.user(call.app.bot_user_id)
    answer = {
        "url": f"https://{store.domain}.slack.com/",
        "team": store.team_name,
        "user": bot.name,
        "team_id": store.team_id,
        "user_id": bot.id,
        "bot_id": call.app.bot_id,
        "is_enterprise_install": False,
    }
    if store.enterprise_id is not None:
        answer["enterprise_id"] = store.enterprise_id
    return answer


@web_api_method("team.info", tier=3)
def team_info(call: Call) -> Json:
    """The workspace."""
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
    """A bot by its `bot` id."""
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
