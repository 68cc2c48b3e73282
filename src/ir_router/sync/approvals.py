"""Approvals in Slack: asked where the case is talked about and in the security channel, kept as they stand.

Level-triggered: an event is only a hint; the message is made what the approval's row says now. After each change the
row is read again, so that of several runs at once the last one to write has seen the newest state.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, clock, observability
from ir_router.cases.changes import digest
from ir_router.deadline import Deadline, LambdaContext, of_invocation
from ir_router.errors import IrRouterError, RefusedError
from ir_router.ledger import approvals, claims, keys, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import Row
from ir_router.observability import logger, measure
from ir_router.settings import settings
from ir_router.slack.gateway import Slack
from ir_router.sync import approval_message, posting
from ir_router.sync.run import ClaimHeldError, Run

_HOUR = 3_600
REMINDERS = (_HOUR, 8 * _HOUR, 20 * _HOUR)
# Whoever is not contained goes on until somebody answers.
PERMISSION_REMINDERS = (600, *REMINDERS)
_RESERVE_SECONDS = 10
_SLICE_SECONDS = 120
_ROUNDS = 5
# A decision that was just made is on its way; one that still is after a minute is delivered again.
_DELIVERED_AGAIN_SECONDS = 60
# What goes wrong with one approval or one place, and stops no other. Of botocore: the ledger or Lambda.
_TROUBLE = (IrRouterError, ClientError, BotoCoreError)


@dataclass(frozen=True)
class Place:
    """A channel where an approval is shown, and the ledger's row of its message there."""

    channel_id: str
    key: Key

    def reminder(self, number: int) -> Key:
        """The row of a reminder's message."""
        return Key(self.key.pk, f"{self.key.sk}#REMINDER{number}")

    def instead_of(self, ts: str) -> Key:
        """The row of the message that takes the place of one that can no longer be edited."""
        return Key(self.key.pk, f"{self.key.sk}#INSTEAD{ts}")


Places = Callable[[Row], Iterator[Place]]


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Show the approval that ApprovalRequested, ApprovalDecided or ApprovalTimedOut names."""
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS, at_most=_SLICE_SECONDS)
    approval_id = str(event["detail"]["approval_id"])
    observability.correlate(approval_id)
    shown = show(approval_id, deadline)
    logger.info("approval shown", extra={"approval_id": approval_id, "places": shown})
    return {"approval_id": approval_id, "places": shown}


def show(approval_id: str, deadline: Deadline) -> int:
    """Make the messages of an approval say what its row says; the number of places.

    A channel that is not there yet shows it when it is (`synchronise`). Raises the first place's error, after all.
    """
    return _show(approval_id, _places, deadline)


def synchronise(run: Run) -> None:
    """A step of a case's reconcile: its open approvals are shown in its channel.

    The security channel is the poll's: whatever is wrong with it must not hold up a case.
    """
    for row in approvals.open_approvals():
        if row.get("case_id") == run.case_id:
            _show(str(row["approval_id"]), _place_of_case, run.deadline)


def poll(indexed: Iterable[Row], deadline: Deadline) -> None:
    """Look after open approvals: deliver decisions, show what is not shown, remind. One that fails stops no other."""
    asked: list[float] = []
    for entry in indexed:
        approval_id = str(entry["index_sk"])
        try:
            row = approvals.get(approval_id)
            if row is None or row["state"] not in (approvals.PENDING, approvals.DECIDED):
                continue
            asked.append(clock.now() - float(row["created_at"]))
            if row["state"] == approvals.DECIDED:
                _deliver_again(row)
            else:
                _remind(row, deadline)
            show(approval_id, deadline)
        except _TROUBLE as error:
            logger.error("an approval cannot be shown", extra={"approval_id": approval_id, "reason": _reason(error)})
    measure("OpenApprovals", len(asked))
    measure("OldestApprovalSeconds", max(asked, default=0), "Seconds")


def _show(approval_id: str, places: Places, deadline: Deadline) -> int:
    slack = Slack(deadline)
    row = approvals.get(approval_id)
    if row is None:
        return 0
    for _ in range(_ROUNDS):
        _each(places(row), partial(_show_in, row=row, slack=slack, deadline=deadline))
        again = approvals.get(approval_id)
        if again is None or approval_message.message(again) == approval_message.message(row):
            break
        row = again
    return len(list(places(row)))


def _places(row: Row) -> Iterator[Place]:
    yield from _place_of_case(row)
    security_channel = settings().security_channel_id
    if security_channel:
        yield Place(security_channel, keys.deduplication(f"APPROVAL-MESSAGE#{row['approval_id']}"))


def _place_of_case(row: Row) -> Iterator[Place]:
    case_id = row.get("case_id")
    if case_id:
        channel_id = str((table.get(keys.case(str(case_id))) or {}).get("slackChannelId") or "")
        if channel_id:
            yield Place(channel_id, keys.note(str(case_id), f"approval-{row['approval_id']}"))


def _each(places: Iterator[Place], work: Callable[[Place], None]) -> None:
    problems: list[Exception] = []
    for place in places:
        try:
            work(place)
        except _TROUBLE as error:
            logger.warning("an approval is not shown", extra={"channel": place.channel_id, "reason": _reason(error)})
            problems.append(error)
    if problems:
        raise problems[0]


def _reason(error: Exception) -> str:
    """Of our own errors what they say; of others, whose words are not ours, their type."""
    return str(error) if isinstance(error, IrRouterError) else type(error).__name__


def _show_in(place: Place, row: Row, slack: Slack, deadline: Deadline) -> None:
    wanted = approval_message.message(row)
    shown = digest([wanted.text, wanted.blocks])
    taken = _take(place.key, deadline)
    if isinstance(taken, claims.Claim):
        posting.post(slack, place.channel_id, taken, wanted, shown=shown)
        return
    known = taken.row
    while known.get("shown") != shown:
        channel_id, ts = str(known["channel_id"]), str(known["ts"])
        try:
            posting.replace(slack, channel_id, ts, wanted)
        except RefusedError as error:
            # Where the place is another channel by now, no refusal of the former one counts.
            if error.code not in posting.CANNOT_BE_EDITED and channel_id == place.channel_id:
                raise
            logger.warning("an approval's message can no longer be edited", extra={"code": error.code})
            again = _take(place.instead_of(ts), deadline)
            if isinstance(again, claims.Claim):
                posted = posting.post(slack, place.channel_id, again, wanted, shown=shown)
                now = {"channel_id": place.channel_id, "ts": posted, "shown": shown}
            else:
                now = {name: again.row[name] for name in ("channel_id", "ts", "shown")}
            known = table.update(place.key, "SET channel_id = :channel_id, ts = :ts, shown = :shown", **now)
        else:
            known = table.update(place.key, "SET shown = :shown", shown=shown)


def _take(key: Key, deadline: Deadline) -> claims.Claim | claims.Done:
    """The claim, or what it became. Raises ClaimHeldError."""
    taken = claims.take(key, settle_after=deadline.settle_after)
    if isinstance(taken, claims.Held):
        raise ClaimHeldError(taken.until)
    return taken


def _remind(row: Row, deadline: Deadline) -> None:
    """One reminder for each of the times that have passed; after an outage only the last of them."""
    reminders = PERMISSION_REMINDERS if approval_message.is_permission(row) else REMINDERS
    waited = clock.now() - float(row["created_at"])
    due = sum(waited >= seconds for seconds in reminders)
    if due <= int(row.get("reminders_sent", 0)):
        return
    slack = Slack(deadline)
    after = reminders[due - 1]
    message = approval_message.reminder(row, f"{after // 60} min" if after < _HOUR else f"{after // _HOUR} h")

    def post(place: Place) -> None:
        taken = _take(place.reminder(due), deadline)
        if isinstance(taken, claims.Claim):
            posting.post(slack, place.channel_id, taken, message)

    _each(_places(row), post)
    table.update(keys.approval(str(row["approval_id"])), "SET reminders_sent = :due", due=due)


def _deliver_again(row: Row) -> None:
    if clock.now() - float(row["decided_at"]) < _DELIVERED_AGAIN_SECONDS:
        return
    logger.warning("a decision is delivered again", extra={"approval_id": row["approval_id"]})
    payload = {"approval_id": row["approval_id"], "decision": row["decision"], "analyst": row["analyst"]}
    aws.client("lambda").invoke(
        FunctionName=settings().require("approval_function"),
        InvocationType="Event",
        Payload=json.dumps(payload).encode(),
    )
