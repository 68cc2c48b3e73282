"""The methods `users.*` and `usergroups.*`."""

from __future__ import annotations

from ir_sandbox.slack.call import Call
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.model import Json, User
from ir_sandbox.slack.scopes import require
from ir_sandbox.slack.web_api.registry import web_api_method


def _shown(call: Call, user: User) -> Json:
    return call.workspace.users.render(user, with_email="users:read.email" in call.app.scopes)


@web_api_method("users.info", tier=4)
def users_info(call: Call) -> Json:
    """Return one user."""
    require(call.app, "users:read")
    return {"user": _shown(call, call.workspace.store.user(call.text("user")))}


@web_api_method("users.list", tier=2)
def users_list(call: Call) -> Json:
    """List all users, including deactivated ones and bots, but no strangers."""
    require(call.app, "users:read")
    users = {user.id: user for user in call.workspace.store.users.values() if not user.is_stranger}
    page, cursor = call.page(sorted(users), "user", default=max(len(users), 1), most=max(len(users), 1000))
    return {
        "members": [_shown(call, users[user_id]) for user_id in page],
        "cache_ts": int(call.workspace.store.now()),
        "response_metadata": {"next_cursor": cursor},
    }


@web_api_method("users.lookupByEmail", tier=3)
def users_lookup_by_email(call: Call) -> Json:
    """Return the active user with an address."""
    require(call.app, "users:read.email")
    return {"user": _shown(call, call.workspace.users.by_email(call.text("email")))}


@web_api_method("usergroups.list", tier=2)
def usergroups_list(call: Call) -> Json:
    """List the user groups."""
    require(call.app, "usergroups:read")
    groups = [
        call.workspace.users.render_group(
            group, with_users=call.flag("include_users"), with_count=call.flag("include_count")
        )
        for group in call.workspace.store.user_groups.values()
        if not group.disabled or call.flag("include_disabled")
    ]
    return {"usergroups": groups}


@web_api_method("usergroups.users.list", tier=2)
def usergroups_users_list(call: Call) -> Json:
    """List the members of a user group."""
    require(call.app, "usergroups:read")
    group = call.workspace.store.user_groups.get(call.text("usergroup"))
    if group is None or (group.disabled and not call.flag("include_disabled")):
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}
