"""Who belongs into the channel: the case's watchers and the membership's response team.

A person's row says what they are to the channel and since when; a note says of whom, in which state, the channel was
told. What is told is frozen in the note before it is posted, so a run that dies in between tells nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ir_router import clock
from ir_router.cases.changes import digest
from ir_router.cases.models import Person
from ir_router.errors import RefusedError
from ir_router.ledger import keys, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack import messages
from ir_router.slack.messages import Message
from ir_router.sync import posting
from ir_router.sync.run import Run

TEAM_KEPT_SECONDS = 900
LOOKED_UP_AGAIN_SECONDS = 24 * 3600

# Answers of users.lookupByEmail and conversations.invite, as people say them.
_WHY_MISSING: Mapping[str, str] = {
    "users_not_found": "not in this workspace",
    "user_is_restricted": "a guest, whom only a person can invite",
    "user_is_ultra_restricted": "a guest of another channel alone",
    "cant_invite": "Slack does not let the app invite them",
}
# What is kept of a person in the note that tells of them.
_TOLD: Sequence[str] = ("email", "since", "shown", "removed")


@dataclass(frozen=True)
class _Team:
    people: list[Person]
    is_known: bool
    kept_until: float


_team: list[_Team] = []


def response_team() -> list[Person]:
    """The response team, read at most every 15 minutes by a warm function; empty when it cannot be read."""
    return _read_team().people


def _read_team() -> _Team:
    if _team and _team[0].kept_until > clock.now():
        return _team[0]
    until = clock.now() + TEAM_KEPT_SECONDS
    try:
        team = _Team(security_ir.response_team(), is_known=True, kept_until=until)
    except RefusedError as error:
        # Without a membership, or the right to read it; the case's watchers still are invited.
        logger.warning("the response team cannot be read", extra={"code": error.code})
        team = _Team([], is_known=False, kept_until=until)
    _team[:] = [team]
    return team


def forget_team() -> None:
    """Drop what is kept (tests change the membership between cases)."""
    _team.clear()


def synchronise(run: Run) -> None:
    """Invite who is new, alert once about who cannot be invited, note who is gone."""
    team = _read_team()
    wanted = {person.email.lower(): person for person in (*run.case.watchers, *team.people)}
    known = {str(row["email"]): row for row in run.rows_of("MEMBER#")}
    watchers = digest(sorted(wanted))
    for email, person in wanted.items():
        row = known.get(email)
        if row is None or row["state"] in ("former", "inviting") or _is_due(row, watchers):
            known[email] = _add(run, person, row, watchers)
        if known[email]["state"] == "missing":
            run.revisit(float(known[email]["looked_up_at"]) + LOOKED_UP_AGAIN_SECONDS)
    for email, row in known.items():
        # Nobody has left a team that cannot be read.
        if team.is_known and email not in wanted and row["state"] != "former":
            known[email] = _part(run, row)
    for state, message in _MESSAGES.items():
        _tell(run, state, [row for row in known.values() if row["state"] == state], message)


_MESSAGES: Mapping[str, Callable[[Sequence[Mapping[str, Any]]], Message]] = {
    "invited": messages.joined,
    "back": messages.came_back,
    "missing": messages.not_in_workspace,
    "former": messages.left,
}


def _is_due(row: Row, watchers: str) -> bool:
    """Somebody who could not be invited is looked up again when the list changed, or after a day."""
    if row["state"] != "missing":
        return False
    return row["watchers"] != watchers or clock.now() >= float(row["looked_up_at"]) + LOOKED_UP_AGAIN_SECONDS


def _add(run: Run, person: Person, before: Row | None, watchers: str) -> Row:
    """Invite somebody who is in the workspace.

    `inviting` is written before the invitation: whoever is in the channel already when it is sent was invited by a run
    that did not get further, or, without that row, came by themselves.
    """
    run.deadline.check()
    email, now = person.email.lower(), clock.now()
    row: Row = {"email": email, "watchers": watchers, "looked_up_at": now, "since": now}
    was_told_to_be_gone = before is not None and before["state"] == "former" and not before.get("quiet")
    if was_told_to_be_gone or (before or {}).get("returns"):
        row["returns"] = True
    try:
        user = run.slack.read("users.lookupByEmail", email=person.email)["user"]
    except RefusedError as error:
        return _missing(run, row, before, error.code)
    row["slack_user_id"] = str(user["id"])
    row["shown"] = str((user.get("profile") or {}).get("real_name") or person.name or user.get("name") or email)
    if before is None or before["state"] != "inviting":
        _put(run, {**row, "state": "inviting"})
    try:
        # Sent once: after a lost answer Slack would say that the person is there already, as if nobody had been added.
        run.slack.post("conversations.invite", channel=run.channel_id, users=row["slack_user_id"])
    except RefusedError as error:
        if error.code == "cant_invite_self":
            return _put(run, {**row, "state": "present"})
        if error.code != "already_in_channel":
            return _missing(run, row, before, error.code)
        if row.get("returns"):
            return _put(run, {**row, "state": "back"})
        if before is None or before["state"] != "inviting":
            return _put(run, {**row, "state": "present"})
    return _put(run, {**row, "state": "invited"})


def _missing(run: Run, row: Row, before: Row | None, code: str) -> Row:
    reason = _WHY_MISSING.get(code, f"Slack answers {code}")
    row |= {"state": "missing", "shown": f"{row['email']} ({reason})"}
    if before is not None and before["state"] == "missing":
        row["since"] = before["since"]  # the channel knows
    return _put(run, row)


def _part(run: Run, before: Row) -> Row:
    row = {**before, "state": "former", "since": clock.now(), "quiet": before["state"] == "missing"}
    if settings().remove_former_watchers and before.get("slack_user_id"):
        run.deadline.check()
        try:
            run.slack.read("conversations.kick", channel=run.channel_id, user=before["slack_user_id"])
            row["removed"] = True
        except RefusedError as error:
            row["removed"] = error.code == "not_in_channel"
            logger.warning("a former watcher could not be removed", extra={"code": error.code})
    return _put(run, row)


def _put(run: Run, row: Row) -> Row:
    table.put(keys.member(run.case_id, str(row["email"])), row)
    return row


def _tell(run: Run, state: str, members: list[Row], message: Callable[[Sequence[Mapping[str, Any]]], Message]) -> None:
    """One message for everybody in `state` of whom the channel was not told since they are in it."""
    prefix = f"NOTE#members-{state}-"
    told = {(person["email"], person["since"]) for note in run.rows_of(prefix) for person in note["people"]}
    for note in run.rows_of(prefix):
        if note["state"] != "done":
            _post(run, Key(note["PK"], note["SK"]), note["people"], message)
    untold: list[dict[str, Any]] = [
        {name: row[name] for name in _TOLD if name in row}
        for row in sorted(members, key=lambda row: str(row["email"]))
        if (row["email"], row["since"]) not in told and not row.get("quiet")
    ]
    if untold:
        name = digest([(person["email"], person["since"]) for person in untold])
        _post(run, keys.note(run.case_id, f"members-{state}-{name}"), untold, message)


def _post(
    run: Run, key: Key, people: list[dict[str, Any]], message: Callable[[Sequence[Mapping[str, Any]]], Message]
) -> None:
    claim = run.claim(key, people=people)
    if claim is not None:
        posting.post(run.slack, run.channel_id, claim, message(people))
