"""Who belongs into the channel: the case's watchers and the membership's response team."""

from __future__ import annotations

import time
from collections.abc import Callable

from ir_router import clock
from ir_router.cases.changes import digest
from ir_router.cases.models import Person
from ir_router.errors import RefusedError, RetryLaterError
from ir_router.ledger import keys, table
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
# None of these means that the invitation must be tried again.
_HARMLESS = frozenset({"already_in_channel", "cant_invite_self"})

_team: list[tuple[float, list[Person]]] = []


def response_team() -> list[Person]:
    """The response team, read at most every 15 minutes by a warm function; empty without an active membership."""
    if _team and _team[0][0] > time.monotonic():
        return _team[0][1]
    try:
        people = security_ir.response_team()
    except RetryLaterError:
        raise
    except RefusedError as error:
        # Without an active membership there is no team; the case's watchers still are invited.
        logger.warning("the response team cannot be read", extra={"code": error.code})
        people = []
    _team[:] = [(time.monotonic() + TEAM_KEPT_SECONDS, people)]
    return people


def forget_team() -> None:
    """Drop what is kept (tests change the membership between cases)."""
    _team.clear()


def synchronise(run: Run) -> None:
    """Invite who is new, alert once about who cannot be invited, note who is gone."""
    wanted = {person.email.lower(): person for person in (*run.case.watchers, *response_team())}
    known = {str(row["email"]): row for sk, row in run.rows.items() if sk.startswith("MEMBER#")}
    watchers = digest(sorted(wanted))
    for email, person in wanted.items():
        row = known.get(email)
        if row is None or row["state"] == "former" or _is_due(row, watchers):
            known[email] = _add(run, person, row, watchers)
        if known[email]["state"] == "missing":
            run.revisit(float(known[email]["looked_up_at"]) + LOOKED_UP_AGAIN_SECONDS)
    for email, row in known.items():
        if email not in wanted and row["state"] != "former":
            known[email] = _part(run, row)
    _tell(run, known, "invited", messages.joined)
    _tell(run, known, "missing", messages.not_in_workspace)
    _tell(run, known, "former", messages.left)


def _is_due(row: Row, watchers: str) -> bool:
    """Somebody who could not be invited is looked up again when the list changed, or after a day."""
    if row["state"] != "missing":
        return False
    return row["watchers"] != watchers or clock.now() >= float(row["looked_up_at"]) + LOOKED_UP_AGAIN_SECONDS


def _add(run: Run, person: Person, before: Row | None, watchers: str) -> Row:
    run.deadline.check()
    email = person.email.lower()
    row: Row = {"email": email, "watchers": watchers, "looked_up_at": clock.now(), "told": False, "state": "missing"}
    try:
        user = run.slack.read("users.lookupByEmail", email=person.email)["user"]
        row["slack_user_id"] = str(user["id"])
        row["shown"] = str((user.get("profile") or {}).get("real_name") or person.name or user.get("name") or email)
        run.slack.read("conversations.invite", channel=run.channel_id, users=row["slack_user_id"])
        row["state"] = "invited"
    except RetryLaterError:
        raise
    except RefusedError as error:
        if error.code in _HARMLESS:
            row |= {"state": "invited", "told": True}
        else:
            reason = "not in this workspace" if error.code == "users_not_found" else f"Slack says {error.code}"
            row |= {"shown": f"{email} ({reason})", "told": before is not None and before["state"] == "missing"}
    table.put(keys.member(run.case_id, email), row)
    return row


def _part(run: Run, before: Row) -> Row:
    row = {**before, "state": "former", "told": before["state"] == "missing", "looked_up_at": clock.now()}
    if settings().remove_former_watchers and before.get("slack_user_id"):
        run.deadline.check()
        try:
            run.slack.read("conversations.kick", channel=run.channel_id, user=before["slack_user_id"])
            row["removed"] = True
        except RetryLaterError:
            raise
        except RefusedError as error:
            logger.warning("a former watcher could not be removed", extra={"code": error.code})
    table.put(keys.member(run.case_id, str(row["email"])), row)
    return row


def _tell(run: Run, members: dict[str, Row], state: str, message: Callable[[list[Row]], Message]) -> None:
    """One message for everybody in `state` of whom the channel was not told, then mark them told."""
    untold = sorted((row for row in members.values() if row["state"] == state and not row["told"]), key=_email)
    if not untold:
        return
    name = f"members-{state}-{digest([(_email(row), row['looked_up_at']) for row in untold])}"
    claim = run.claim(keys.note(run.case_id, name))
    if claim is not None:
        posting.post(run.slack, run.channel_id, claim, message(untold))
    for row in untold:
        row["told"] = True
        table.put(keys.member(run.case_id, _email(row)), row)


def _email(row: Row) -> str:
    return str(row["email"])
