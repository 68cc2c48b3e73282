"""The poller, every minute: what native events missed. An idle poll writes nothing.

It compares each row of ListCases with the stored one, deep-checks open cases in turn (attachments and some
changes move no date), and comes back to cases with hints left over or a time of their own.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from typing import Any

from ir_router import clock
from ir_router.cases import changes
from ir_router.cases.imports import is_ours
from ir_router.cases.models import CaseRow
from ir_router.deadline import Deadline, LambdaContext, of_invocation
from ir_router.errors import IrRouterError, NotConfiguredError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import keys, table
from ir_router.ledger.table import Row
from ir_router.observability import logger, measure
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack import credentials, messages
from ir_router.slack.gateway import Slack
from ir_router.sync import approvals, hints, members
from ir_router.sync.hints import Hint

PAGE_BUDGET = 10
DEEP_CHECK_BUDGET = 10
# Slack makes about 20 channels and sets 20 topics a minute (tier 2); more cases at once would only wait for it.
NEW_CASES_BUDGET = 15
# In one of so many of its turns a case's tags (the severity) are looked at instead of its comments.
TAGS_EVERY = 10
_RESERVE_SECONDS = 30
# Containments work without one.
_NO_MEMBERSHIP = "SecurityIncidentResponseNotActiveException"
# A case that was made just before the first poll, while Terraform was still at work, is a new one.
_DEPLOYMENT_SECONDS = 300


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - the schedule says nothing
    """Publish a hint for every case that may have changed, and look after open approvals. Returns counts of hints."""
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS)
    open_approvals = list(table.query_index(keys.OPEN_APPROVALS_INDEX))
    try:
        answer = _publish_hints(deadline)
    finally:
        # Containments are asked about and decided whatever becomes of the cases.
        approvals.poll(open_approvals, deadline)
    measure("PollCompleted")
    _measure_secrets()
    return answer


def _publish_hints(deadline: Deadline) -> dict[str, int]:
    poller = table.get(keys.poller())
    first_poll = float(poller["first_poll_at"]) if poller else clock.now() - _DEPLOYMENT_SECONDS
    rows, cursor = _rows((poller or {}).get("cursor"))
    stored = {str(row["index_sk"]): row for row in table.query_index(keys.CASES_INDEX)}
    found: dict[str, Hint] = {}
    if _slack_is_configured():
        found |= _differences(rows, stored, first_poll)
        found |= _due(_without(stored, found))
        found |= _deep_checks(_without(stored, found), deadline)
    refused = hints.publish(list(found.values()))
    _remember(poller, first_poll, cursor)
    measure("SyncLagSeconds", _lag(stored.values()), "Seconds")
    return {"listed": len(rows), "published": len(found) - refused, "refused": refused}


def _measure_secrets() -> None:
    """Once an hour, for the alarm on secrets older than 90 days."""
    if int(clock.now() // 60) % 60 == 0:
        measure("SecretAgeDays", credentials.oldest_secret_days())


def _slack_is_configured() -> bool:
    """Until the Slack app exists nothing can be brought over, and nobody needs to be told so of every case."""
    try:
        credentials.bot_token()
    except NotConfiguredError as error:
        logger.error("Slack is not configured yet", extra={"reason": str(error)})
        return False
    return True


def _without(stored: Mapping[str, Row], found: Mapping[str, Hint]) -> dict[str, Row]:
    return {case_id: row for case_id, row in stored.items() if case_id not in found}


def _rows(cursor: str | None) -> tuple[list[CaseRow], str | None]:
    """At most ten pages, going on where the last poll's budget ended."""
    rows: list[CaseRow] = []
    token = cursor
    for _ in range(PAGE_BUDGET):
        try:
            page, token = security_ir.list_cases(token)
        except RefusedError as error:
            if error.code == _NO_MEMBERSHIP:
                logger.warning("there are no cases: Security Incident Response has no active membership")
                break
            if token is None or error.code not in ("InvalidTokenException", "ValidationException"):
                raise
            # The stored token has expired: begin again.
            page, token = security_ir.list_cases()
        rows += page
        if token is None:
            break
    return rows, token


def _differences(rows: list[CaseRow], stored: Mapping[str, Row], first_poll: float) -> dict[str, Hint]:
    found: dict[str, Hint] = {}
    new = 0
    for row in sorted(rows, key=lambda row: row.created_date.timestamp() if row.created_date else 0.0):
        known = stored.get(row.case_id)
        digest = changes.row_digest(row)
        if known is None:
            created = row.created_date.timestamp() if row.created_date else clock.now()
            is_new = is_ours(created, row.case_status == "Closed", first_poll, settings().initial_import)
            if is_new and new < NEW_CASES_BUDGET:
                new += 1
                found[row.case_id] = Hint(row.case_id, "CaseCreated", digest)
        elif known.get("row_digest") != digest and _may_be_tried(known):
            found[row.case_id] = Hint(row.case_id, "CaseUpdated", digest)
    return found


def _due(stored: Mapping[str, Row]) -> dict[str, Hint]:
    """Cases with hints that no run has finished, and cases that asked to be visited about now."""
    now = clock.now()
    return {
        case_id: Hint(case_id, "CaseUpdated")
        for case_id, row in stored.items()
        if _may_be_tried(row) and (_has_open_hints(row) or 0 < float(row.get("due_at") or 0) <= now)
    }


def _has_open_hints(row: Row) -> bool:
    return int(row.get("hints", 0)) > int(row.get("synced_hints", 0))


def _lag(stored: Iterable[Row]) -> float:
    """The age in seconds of the oldest hint that no run has finished."""
    return max(
        (clock.now() - float(row["hinted_at"]) for row in stored if _has_open_hints(row) and "hinted_at" in row),
        default=0.0,
    )


def _may_be_tried(row: Row) -> bool:
    """A case in back-off waits; one with a live lease is being worked on, and its holder sees what there is."""
    now = clock.now()
    return float(row.get("next_try") or 0) <= now and float(row.get("lease_until") or 0) < now


def due_ranks(count: int, minute: int) -> range:
    """Which of `count` open cases, sorted by id, are deep-checked in this minute: all in turn, no state kept."""
    turns = _turns(count)
    return range(minute % turns, count, turns)


def _turns(count: int) -> int:
    return max(1, math.ceil(count / DEEP_CHECK_BUDGET))


def _deep_checks(stored: Mapping[str, Row], deadline: Deadline) -> dict[str, Hint]:
    """Hints for the cases of this minute's turn that differ from what was stored of them.

    One that cannot be checked gets a hint as well: its synchronisation meets the same trouble, with the case's own
    back-off and telling. What a whole service does not answer to is left to the next turn.
    """
    opened = sorted(case_id for case_id, row in stored.items() if not row.get("closed") and row.get("fingerprint"))
    found: dict[str, Hint] = {}
    minute = int(clock.now() // 60)
    turn = minute // _turns(len(opened))
    for rank in due_ranks(len(opened), minute):
        case_id, row = opened[rank], stored[opened[rank]]
        if not _may_be_tried(row):
            continue
        try:
            deadline.check()
            with_tags = (turn + rank) % TAGS_EVERY == 0
            changed = _deep_check(case_id, row, Slack(deadline), with_tags=with_tags)
        except (RetryLaterError, UncertainError) as error:
            logger.warning("the deep checks end early", extra={"case_id": case_id, "reason": str(error)})
            break
        except IrRouterError as error:
            logger.warning("a deep check failed", extra={"case_id": case_id, "reason": str(error)})
            changed = "CaseUpdated"
        if changed:
            found[case_id] = Hint(case_id, changed)
    return found


def _deep_check(case_id: str, row: Row, slack: Slack, *, with_tags: bool) -> str | None:
    case = security_ir.get_case(case_id)
    if with_tags:
        if security_ir.severity(case) != row.get("severity"):
            return "CaseUpdated"
        now = changes.fingerprint(case, None, members.response_team())
    else:
        now = changes.fingerprint(case, security_ir.comments(case_id), members.response_team())
    changed = changes.what_differs(row.get("fingerprint"), now)
    if changed or not row.get("channel_id"):
        return changed
    # The topic can be overwritten by anybody, so it is compared with Slack itself, not with the ledger.
    channel = slack.read("conversations.info", channel=row["channel_id"])["channel"]
    if channel.get("is_archived") or channel.get("is_member") is False:
        return "CaseUpdated"
    topic = html.unescape(str((channel.get("topic") or {}).get("value") or ""))
    return None if topic == messages.topic(case.case_status, str(row.get("severity"))) else "CaseUpdated"


def _remember(poller: Row | None, first_poll: float, cursor: str | None) -> None:
    if poller is None or poller.get("cursor") != cursor:
        table.put(keys.poller(), {"first_poll_at": first_poll, **({"cursor": cursor} if cursor else {})})
