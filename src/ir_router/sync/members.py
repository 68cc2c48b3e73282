"""Invite the case's watchers and the membership's response team to the channel.

The row of a member has a state (such as `invited`) and its time. A note lists the members whose state was announced in
the channel. The list is frozen in the note before it is posted, so a run that dies in between announces nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.cases import addresses
from ir_router.cases.changes import digest
from ir_router.cases.models import Person
from ir_router.errors import IrRouterError, RefusedError
from ir_router.ledger import keys, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack import error_codes, messages
from ir_router.slack.messages import Message
from ir_router.slack.text import escape, shorten
from ir_router.sync import access_changes, posting
from ir_router.sync.case_sync import CaseSync

TEAM_KEPT_SECONDS = 900
LOOKED_UP_AGAIN_SECONDS = 24 * 3600
_ADDRESS_LENGTH = 260

# The fields of a member's row that the note of an announcement stores.
_ANNOUNCED_FIELDS: Sequence[str] = ("email", "since", "shown", "removed", "fix")


@dataclass(frozen=True)
class Team:
    """The response team. `is_known` is false if it cannot be read; `kept_until` is in seconds since the epoch."""

    people: list[Person]
    is_known: bool
    kept_until: float


_team: list[Team] = []


def response_team() -> list[Person]:
    """Return the response team; empty if it cannot be read. A warm function reads it at most every 15 minutes."""
    return read_team().people


def read_team() -> Team:
    """Return the response team, and whether it could be read. A warm function reads it at most every 15 minutes."""
    if _team and _team[0].kept_until > clock.now():
        return _team[0]
    until = clock.now() + TEAM_KEPT_SECONDS
    try:
        team = Team(security_ir.response_team(), is_known=True, kept_until=until)
    except RefusedError as error:
        # There is no membership, or no permission to read it. The case's watchers are still invited.
        logger.warning("members.response_team_not_read", extra={"code": error.code})
        team = Team([], is_known=False, kept_until=until)
    _team[:] = [team]
    return team


def invited_watchers(watchers: Sequence[Person]) -> list[Person]:
    """Return the watchers with an address in `watcher_domains`, by default the domains of the response team.

    AWS responders and everyone who can change a case choose the watchers. Without known domains all of them count.
    """
    domains = settings().watcher_domains or {addresses.domain_of(person.email) for person in response_team()} - {""}
    if not domains or "*" in domains:
        return list(watchers)
    return [person for person in watchers if addresses.is_within(person.email, domains)]


def forget_team() -> None:
    """Clear the cached response team, for tests that change the membership."""
    _team.clear()


def synchronise(sync: CaseSync) -> None:
    """Invite new members, report once those who cannot be invited, and mark former members.

    A rejection that is not about a person is raised after the others were announced.
    """
    team = read_team()
    wanted = {person.email.lower(): person for person in (*invited_watchers(sync.case.watchers), *team.people)}
    outside = {person.email.lower() for person in sync.case.watchers} - wanted.keys()
    known = {str(row["email"]): row for row in sync.rows_of("MEMBER#")}
    watchers = digest(sorted(wanted))
    problems: list[RefusedError] = []
    for email, person in wanted.items():
        row = known.get(email)
        if row is None or row["state"] in ("former", "inviting", "outside") or _is_due(row, watchers):
            try:
                known[email] = _add(sync, person, row, watchers)
            except RefusedError as error:
                problems.append(error)
                if error_codes.meaning(error.code).about != "request":
                    break  # it is about the app or the channel, so the next invitation would be rejected too
                continue
        if known[email]["state"] == "missing":
            sync.revisit(float(known[email]["looked_up_at"]) + LOOKED_UP_AGAIN_SECONDS)
    for email in sorted(outside - known.keys()):
        known[email] = _set_outside(sync, email)
    for email, row in known.items():
        # If the team cannot be read, its former members are unknown.
        if team.is_known and email not in wanted and email not in outside and row["state"] != "former":
            known[email] = _leave(sync, row)
    for state, message in _MESSAGES.items():
        _announce(sync, state, [row for row in known.values() if row["state"] == state], message)
    if problems:
        raise problems[0]


_MESSAGES: Mapping[str, Callable[[Sequence[Mapping[str, Any]]], Message]] = {
    "invited": messages.joined,
    "back": messages.came_back,
    "missing": messages.not_in_workspace,
    "former": messages.left,
    "outside": messages.outside,
}


def _is_due(row: Row, watchers: str) -> bool:
    """Whether to look up a missing member again: after a change of the watchers, or after a day."""
    if row["state"] != "missing":
        return False
    return row["watchers"] != watchers or clock.now() >= float(row["looked_up_at"]) + LOOKED_UP_AGAIN_SECONDS


def _add(sync: CaseSync, person: Person, before: Row | None, watchers: str) -> Row:
    """Invite a member of the workspace.

    The state `inviting` is written before the invitation. A member who is already in the channel was therefore invited
    by an earlier run that died or, without that state, joined without an invitation.
    """
    sync.deadline.check()
    email, now = person.email.lower(), clock.now()
    row: Row = {"email": email, "watchers": watchers, "looked_up_at": now, "since": now}
    was_announced_as_gone = before is not None and before["state"] == "former" and not before.get("quiet")
    if was_announced_as_gone or (before or {}).get("returns"):
        row["returns"] = True
    try:
        user = sync.slack.read("users.lookupByEmail", email=person.email)["user"]
    except RefusedError as error:
        return _missing(sync, row, before, error)
    row["slack_user_id"] = str(user["id"])
    row["shown"] = str((user.get("profile") or {}).get("real_name") or person.name or user.get("name") or email)
    if before is None or before["state"] != "inviting":
        _put(sync, {**row, "state": "inviting"})
    try:
        # Sent without retries: after a lost response Slack reports `already_in_channel`, as if no one had been invited.
        sync.slack.post("conversations.invite", channel=sync.channel_id, users=row["slack_user_id"])
    except RefusedError as error:
        if error.code == "cant_invite_self":
            return _put(sync, {**row, "state": "present"})
        if error.code != "already_in_channel":
            return _missing(sync, row, before, error)
        if row.get("returns"):
            return _put(sync, {**row, "state": "back"})
        if before is None or before["state"] != "inviting":
            return _put(sync, {**row, "state": "present"})
    return _put(sync, {**row, "state": "invited"})


def _missing(sync: CaseSync, row: Row, before: Row | None, error: RefusedError) -> Row:
    """Store that the member cannot be invited. Raise an error that is not about this person."""
    meaning = error_codes.meaning(error.code)
    if meaning.about != "person":
        raise error
    row |= {"state": "missing", "shown": f"{row['email']} ({meaning.words})", "fix": meaning.fix}
    if before is not None and before["state"] == "missing":
        row["since"] = before["since"]  # already announced
    return _put(sync, row)


def _set_outside(sync: CaseSync, email: str) -> Row:
    """Store that a watcher is not invited because of the domain, and report it."""
    line = (
        f"⚠️ *Case {sync.case_id} has a watcher with an outside address: {escape(shorten(email, _ADDRESS_LENGTH))}.* "
        "ir-router does not invite this watcher, who has no permissions in Slack. AWS sends notifications to this "
        "address. If you did not expect it, remove the watcher from the case."
    )
    try:
        name = digest([sync.case_id, email])
        access_changes.report(sync.slack, "watchers_outside", name, {"case_id": sync.case_id, "watcher": email}, [line])
    except (IrRouterError, ClientError, BotoCoreError) as error:
        logger.error("members.outside_not_reported", extra={"error": type(error).__name__})
    return _put(sync, {"email": email, "state": "outside", "since": clock.now(), "shown": email})


def _leave(sync: CaseSync, row: Row) -> Row:
    """Mark a former member. An invitation that a dead run made or did not announce is announced first."""
    if row["state"] == "inviting":
        users = sync.slack.pages("conversations.members", "members", channel=sync.channel_id)
        if row["slack_user_id"] not in users:
            return _put(sync, {**row, "state": "former", "since": clock.now(), "quiet": True})
        row = _put(sync, {**row, "state": "back" if row.get("returns") else "invited"})
    if row["state"] in ("invited", "back") and (row["email"], row["since"]) not in _announced(sync, row["state"]):
        sync.revisit(clock.now())
        return row
    return _mark_former(sync, row)


def _announced(sync: CaseSync, state: str) -> set[tuple[str, float]]:
    """Return the address and moment of each member whose `state` has a message, or gets it in this run."""
    notes = sync.rows_of(f"NOTE#members-{state}-")
    return {(person["email"], person["since"]) for note in notes for person in note["people"]}


def _mark_former(sync: CaseSync, before: Row) -> Row:
    row = {**before, "state": "former", "since": clock.now(), "quiet": before["state"] in ("missing", "outside")}
    if settings().remove_former_watchers and before.get("slack_user_id"):
        sync.deadline.check()
        try:
            sync.slack.read("conversations.kick", channel=sync.channel_id, user=before["slack_user_id"])
            row["removed"] = True
        except RefusedError as error:
            row["removed"] = error.code == "not_in_channel"
            logger.warning("members.former_not_removed", extra={"code": error.code})
    return _put(sync, row)


def _put(sync: CaseSync, row: Row) -> Row:
    table.put(keys.member(sync.case_id, str(row["email"])), row)
    return row


def _announce(
    sync: CaseSync, state: str, members: list[Row], message: Callable[[Sequence[Mapping[str, Any]]], Message]
) -> None:
    """Post one message about the members whose current `state` was not announced yet."""
    prefix = f"NOTE#members-{state}-"
    announced = _announced(sync, state)
    for note in sync.rows_of(prefix):
        if note["state"] != "done":
            _post(sync, Key(note["PK"], note["SK"]), note["people"], message)
    new: list[dict[str, Any]] = [
        {name: row[name] for name in _ANNOUNCED_FIELDS if name in row}
        for row in sorted(members, key=lambda row: str(row["email"]))
        if (row["email"], row["since"]) not in announced and not row.get("quiet")
    ]
    if new:
        name = digest([(person["email"], person["since"]) for person in new])
        _post(sync, keys.note(sync.case_id, f"members-{state}-{name}"), new, message)


def _post(
    sync: CaseSync, key: Key, people: list[dict[str, Any]], message: Callable[[Sequence[Mapping[str, Any]]], Message]
) -> None:
    claim = sync.claim(key, people=people)
    if claim is not None:
        posting.post(sync.slack, sync.channel_id, claim, message(people))
