"""Verify that approval requests reach the approvers: the security channel, the users and their membership in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ir_router.cases.models import Person
from ir_router.errors import RefusedError
from ir_router.ledger import security_channel
from ir_router.ops.checks import Check, failed, ok, run_checks, waiting, warning
from ir_router.settings import settings
from ir_router.slack import error_codes
from ir_router.slack.gateway import Slack

_MOST_NAMED = 10


def checks(slack: Slack, team: Sequence[Person]) -> Iterator[Check]:
    """Yield a line about the security channel and one about the approvers."""
    yield from run_checks("security channel", partial(_security_channel, slack))
    yield from run_checks("approvers", partial(_approvers, slack, team))


def _security_channel(slack: Slack) -> Iterator[Check]:
    channel_id, is_own = security_channel.known_id(), settings().security_channel_id is None
    label = "security channel"
    if not channel_id:
        detail = "ir-router makes a private one within 15 minutes, if there are approvers"
        yield waiting(label, detail, "Run make verify again in 15 minutes. If the line stays, see the line approvers.")
        return
    instead = "ir-router replaces it within 15 minutes." if is_own else ""
    try:
        channel = slack.read("conversations.info", channel=channel_id)["channel"]
    except RefusedError as error:
        meaning = error_codes.meaning(error.code)
        fix = instead or "Invite the app (/invite in the channel), or correct security_channel_id."
        if meaning.about == "app":
            fix = meaning.fix
        cause = ": ".join(filter(None, (error.code, error.detail)))
        yield failed(label, f"the app cannot see {channel_id}: Slack returned {cause}", fix)
        return
    if channel.get("is_archived"):
        fix = instead or "Unarchive it, or change security_channel_id."
        yield failed(label, f"#{channel.get('name')} is archived", fix)
    elif not channel.get("is_member"):
        fix = instead or "Invite the app (/invite in the channel)."
        yield failed(label, f"the app is not in #{channel.get('name')}", fix)
    else:
        yield ok(label, f"#{channel.get('name')}")


def _approvers(slack: Slack, team: Sequence[Person]) -> Iterator[Check]:
    """Check that the approvers can decide. Otherwise an approval request times out."""
    label = "approvers"
    chosen = settings().approvers
    source = "slack_approvers" if chosen else "the membership's response team"
    who = list(chosen) or [person.email for person in team]
    found = {one: _looked_up(slack, one) for one in who}
    lost = [f"{one} ({why})" for one, (_, why) in found.items() if why]
    absent = _absent(slack, {one: users for one, (users, why) in found.items() if not why})
    is_enforced = settings().containment_mode == "enforce"
    partial_failure = failed if is_enforced and chosen else warning
    if len(lost) == len(who):
        detail = (
            f"no user of {source} can decide: {_named(lost)}" if who else f"{source} is empty, so no user can decide"
        )
        fix = "Set slack_approvers to users of the workspace and run make deploy."
        yield (failed if is_enforced else warning)(label, detail, fix)
    elif lost:
        detail = f"{len(who) - len(lost)} of {len(who)} of {source} can decide; these cannot: {_named(lost)}"
        yield partial_failure(label, detail, "Invite them to the workspace, or correct the list.")
    elif absent:
        detail = f"not in the security channel, so requests without a case do not reach them: {_named(absent)}"
        all_absent = is_enforced and len(absent) == len(who)
        yield (failed if all_absent else partial_failure)(
            label, detail, "Type /invite with their names in the channel."
        )
    else:
        yield ok(label, f"all {len(who)} of {source} found")


def _named(who: Sequence[str]) -> str:
    more = f" and {len(who) - _MOST_NAMED} more" if len(who) > _MOST_NAMED else ""
    return f"{', '.join(who[:_MOST_NAMED])}{more}"


def _absent(slack: Slack, found: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the approvers who are not in the security channel; none if its members cannot be read."""
    channel_id = security_channel.known_id()
    if not channel_id:
        return []
    try:
        present = {str(user) for user in slack.pages("conversations.members", "members", channel=channel_id)}
    except RefusedError:
        return []  # the line security channel states the cause
    return [one for one, users in found.items() if not present.issuperset(users)]


def _looked_up(slack: Slack, who: str) -> tuple[Sequence[str], str]:
    """Return the user ids of an approver, and why they cannot decide; empty if they can."""
    try:
        if "@" in who:
            user = slack.read("users.lookupByEmail", email=who).get("user")
        elif who.startswith("S"):
            users = [str(one) for one in slack.read("usergroups.users.list", usergroup=who).get("users") or ()]
            return users, "" if users else "no members"
        else:
            user = slack.read("users.info", user=who).get("user")
    except RefusedError as error:
        return [], error_codes.meaning(error.code).words or error.code
    return [str((user or {}).get("id", ""))], _why_not(user or {})


def _why_not(user: Mapping[str, Any]) -> str:
    if not user or user.get("is_bot"):
        return "not a user"
    if user.get("deleted"):
        return "deactivated"
    if user.get("is_restricted") or user.get("is_ultra_restricted"):
        return "a guest"
    return "of another organisation" if user.get("is_stranger") else ""
