"""Find changes that native events missed, every minute. An idle poll writes nothing.

The poller compares each row of ListCases with the stored one. It deep-checks open cases in turn, because attachments
and some changes do not update a date. It also publishes cases with open hints and cases that asked for a revisit.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from aws_lambda_powertools import Logger

from ir_router import clock
from ir_router.cases import changes, fingerprints, followed_fields
from ir_router.cases.fingerprints import Reading
from ir_router.cases.followed_fields import SEVERITY
from ir_router.cases.imports import is_ours
from ir_router.cases.models import CaseRow
from ir_router.deadline import Deadline, LambdaContext, of_invocation
from ir_router.errors import IrRouterError, NotConfiguredError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import keys, leases, security_channel, table
from ir_router.ledger.approvals import open_ids
from ir_router.ledger.table import Row
from ir_router.observability import logger, measure
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack import credentials, messages
from ir_router.slack.gateway import Slack
from ir_router.sync import approvals, approver_watch, availability, channel_pace, hints, members, security_channel_made
from ir_router.sync.availability import Problem
from ir_router.sync.hints import DetailType, Hint

_Part = Literal["comments", "tags", "findings"]

PAGE_BUDGET = 10
DEEP_CHECK_BUDGET = 10
# Slack allows about 20 new channels per minute (`channel_pace`), so more cases at once would only wait.
NEW_CASES_BUDGET = 20
# If more cases are new, the poll reads the tags of this many: the urgent ones come first.
_TAGS_BUDGET = 100
# In this many deep checks of a case, one reads its tags (the severity) and one AWS's findings instead of the comments.
OTHERS_EVERY = 10
_PART_OF: Mapping[int, _Part] = {0: "tags", OTHERS_EVERY // 2: "findings"}
_RESERVE_SECONDS = 30
# `ir-router verify` looks for the line of the last poll, so it is written at every `log_level`.
_witness = Logger(service="ir-router-poll", level="INFO", log_uncaught_exceptions=False)
# A new case is listed much sooner.
_INVENTED_SECONDS = 3_600
# How often the approvers are compared with those of before. A request compares them too, before it is shown.
APPROVERS_EVERY_MINUTES = 15
# A case that was created just before the first poll, while Terraform was still running, counts as new.
_DEPLOYMENT_SECONDS = 300


@dataclass
class _Listing:
    """The rows of these pages, the token of the next page, and why the list ended early."""

    rows: list[CaseRow]
    cursor: str | None
    problem: Problem | None = None


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - the schedule's event is empty
    """Publish a hint for every case that may have changed, and process open approvals. Returns counts of hints."""
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS)
    open_approvals = open_ids()
    stored = {str(row["index_sk"]): row for row in table.query_index(keys.CASES_INDEX)}
    own = {str(one["SK"]): one for one in table.get_many([keys.poller(), keys.security_channel()])}
    try:
        answer = _publish_hints(dict(stored), own.get(keys.poller().sk), deadline)
    finally:
        # Decisions about containments must not depend on the cases.
        channels = {case_id: str(row.get("channel_id") or "") for case_id, row in stored.items()}
        shows = security_channel.id_in(own.get(keys.security_channel().sk))
        approvals.poll(open_approvals, channels, shows, deadline)
        if int(clock.now() // 60) % APPROVERS_EVERY_MINUTES == 0:
            approver_watch.check(deadline)
            security_channel_made.synchronise(deadline)
    return answer


def _publish_hints(stored: dict[str, Row], poller: Row | None, deadline: Deadline) -> dict[str, int]:
    first_poll = float(poller["first_poll_at"]) if poller else clock.now() - _DEPLOYMENT_SECONDS
    before = (poller or {}).get("cursor")
    listing = _listing(before)
    rows, cursor = listing.rows, listing.cursor
    is_complete = before is None and cursor is None and listing.problem is None
    found: dict[str, Hint] = {}
    if is_complete:
        stored = _without_invented(stored, {row.case_id for row in rows})
    if _slack_is_configured():
        found |= _differences(rows, stored, first_poll)
        found |= _due(_without(stored, found))
        if listing.problem is None:
            found |= _deep_checks(_without(stored, found), deadline)
    refused = hints.publish(list(found.values()))
    unlisted = availability.noticed((poller or {}).get("unlisted"), listing.problem)
    _remember(poller, first_poll, cursor, unlisted)
    if lag := _lag(stored.values()):
        measure("SyncLagSeconds", lag, "Seconds")
    if listing.problem is None or listing.problem.is_known_state:
        _witness.info("poll.completed")
    else:
        measure("PollFailed")
    return {"listed": len(rows), "published": len(found) - refused, "refused": refused}


def _slack_is_configured() -> bool:
    """Whether the Slack app exists. Before that nothing can be copied, and a failure of every case would be noise."""
    try:
        credentials.bot_token()
    except NotConfiguredError as error:
        logger.error("slack.not_configured", extra={"reason": str(error)})
        return False
    return True


def _without(stored: Mapping[str, Row], found: Mapping[str, Hint]) -> dict[str, Row]:
    return {case_id: row for case_id, row in stored.items() if case_id not in found}


def _without_invented(stored: Mapping[str, Row], listed: Set[str]) -> dict[str, Row]:
    """Delete the rows of cases that were never read and that AWS does not list, and return the others.

    Everyone who can put events on the bus can send a hint for a case that does not exist. AWS may answer the calls for
    it with any error, so the error does not count.
    """
    until = clock.now() - _INVENTED_SECONDS
    kept: dict[str, Row] = {}
    for case_id, row in stored.items():
        is_read = any(row.get(name) for name in ("channel_id", "fingerprint", "row_digest", "severity"))
        is_known = case_id in listed or is_read
        if is_known or float(row.get("hinted_at") or clock.now()) > until or not _may_be_tried({**row, "next_try": 0}):
            kept[case_id] = row
            continue
        logger.warning("poll.invented_case_removed: AWS lists no such case", extra={"case_id": case_id})
        for one in list(table.query(keys.case(case_id).pk)):
            table.delete(keys.Key(one["PK"], one["SK"]))
    return kept


def _listing(cursor: str | None) -> _Listing:
    """Read at most ten pages, continuing where the last poll stopped. After a failure the next poll continues there."""
    listing = _Listing([], cursor)
    for _ in range(PAGE_BUDGET):
        before = listing.cursor
        try:
            page, listing.cursor = _page(before)
        except (RefusedError, RetryLaterError, UncertainError) as error:
            listing.problem = availability.problem_of(error)
            break
        listing.rows += page
        if before and listing.cursor == before:
            # Further pages cannot be read. The next poll starts with the first page.
            logger.warning("poll.page_token_repeated: AWS answers a page with its own token")
            listing.cursor = None
        if listing.cursor is None:
            break
    return listing


def _page(token: str | None) -> tuple[list[CaseRow], str | None]:
    try:
        return security_ir.list_cases(token)
    except RefusedError as error:
        if token is None or error.code not in ("InvalidTokenException", "ValidationException"):
            raise
        # The stored token has expired, so start with the first page.
        return security_ir.list_cases()


def _differences(rows: list[CaseRow], stored: Mapping[str, Row], first_poll: float) -> dict[str, Hint]:
    found: dict[str, Hint] = {}
    new: list[CaseRow] = []
    for row in sorted(rows, key=lambda row: row.created_date.timestamp() if row.created_date else 0.0):
        known = stored.get(row.case_id)
        if known is None:
            created = row.created_date.timestamp() if row.created_date else clock.now()
            if is_ours(created, row.case_status == "Closed", first_poll, settings().initial_import):
                new.append(row)
        elif _has_open_hints(known) and not known.get("channel_id"):
            continue  # `_due` returns it in the order of the cases that wait for a channel
        elif fingerprints.row_differs(known.get("row_digest"), row) and _may_be_tried(known):
            found[row.case_id] = Hint(row.case_id, "CaseUpdated", fingerprints.row_digest(row))
    for row in _urgent_first(new)[:NEW_CASES_BUDGET]:
        found[row.case_id] = Hint(row.case_id, "CaseCreated", fingerprints.row_digest(row))
    return found


def _urgent_first(rows: list[CaseRow]) -> list[CaseRow]:
    """Return the new cases with HIGH and CRITICAL ones first, as far as their order matters."""
    if len(rows) <= NEW_CASES_BUDGET:
        return rows
    urgent = {row.case_id for row in rows[:_TAGS_BUDGET] if channel_pace.is_urgent(_severity(row))}
    return sorted(rows, key=lambda row: row.case_id not in urgent)


def _severity(row: CaseRow) -> str:
    try:
        return security_ir.tags(str(row.case_arn)).get(str(SEVERITY.tag), "")
    except IrRouterError as error:
        logger.warning("poll.severity_unknown", extra={"case_id": row.case_id, "reason": str(error)})
        return ""


def _due(stored: Mapping[str, Row]) -> dict[str, Hint]:
    """Return cases with open hints, cases whose revisit is due, and closed ones whose retention has no end yet."""
    now = clock.now()
    due = {
        case_id: row
        for case_id, row in stored.items()
        if _may_be_tried(row) and (_has_open_hints(row) or 0 < float(row.get("due_at") or 0) <= now)
    }
    new = sorted(
        (case_id for case_id, row in due.items() if not row.get("channel_id")), key=lambda one: _turn(due[one])
    )
    later = {*new[NEW_CASES_BUDGET:]}
    ordered = [*new[:NEW_CASES_BUDGET], *(case_id for case_id in due if case_id not in later)]
    found = {case_id: Hint(case_id, "CaseUpdated") for case_id in ordered}
    # An earlier version stored none.
    endless = (
        case_id for case_id, row in stored.items() if row.get("closed") and not row.get("due_at") and _may_be_tried(row)
    )
    return {case_id: Hint(case_id, "CaseUpdated") for case_id in islice(endless, DEEP_CHECK_BUDGET)} | found


def _turn(row: Row) -> tuple[bool, float]:
    """Return the sort key of a case without a channel: urgent cases first, then the one that has waited longest."""
    return not channel_pace.is_urgent(str(row.get("severity") or "")), float(row.get("hinted_at") or 0)


def _has_open_hints(row: Row) -> bool:
    return int(row.get("hints", 0)) > int(row.get("synced_hints", 0))


def _lag(stored: Iterable[Row]) -> float:
    """Return the age in seconds of the oldest open hint."""
    return max(
        (clock.now() - float(row["hinted_at"]) for row in stored if _has_open_hints(row) and "hinted_at" in row),
        default=0.0,
    )


def _may_be_tried(row: Row) -> bool:
    """Whether a case is neither in back-off nor leased by a run, which sees new hints itself."""
    now = clock.now()
    return float(row.get("next_try") or 0) <= now and float(row.get("lease_until") or 0) < now


def due_ranks(count: int, minute: int) -> range:
    """Return which of `count` open cases, sorted by id, are deep-checked in this minute. No state is stored."""
    turns = _turns(count)
    return range(minute % turns, count, turns)


def _turns(count: int) -> int:
    return max(1, math.ceil(count / DEEP_CHECK_BUDGET))


def _deep_checks(stored: Mapping[str, Row], deadline: Deadline) -> dict[str, Hint]:
    """Return hints for the cases of this minute's turn that differ from their stored state.

    A case that cannot be checked also gets a hint: its synchronisation has the same error, with the case's own back-off
    and report. If a service does not respond, the remaining cases wait for their next turn.
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
            part = _PART_OF.get((turn + rank) % OTHERS_EVERY, "comments")
            changed = _deep_check(case_id, row, Slack(deadline), part)
        except (RetryLaterError, UncertainError) as error:
            logger.warning("poll.deep_checks_stopped", extra={"case_id": case_id, "reason": str(error)})
            break
        except IrRouterError as error:
            logger.warning("poll.deep_check_failed", extra={"case_id": case_id, "reason": str(error)})
            changed = "CaseUpdated"
        if changed:
            found[case_id] = Hint(case_id, changed)
    return found


def _deep_check(case_id: str, row: Row, slack: Slack, part: _Part) -> DetailType | None:
    case = security_ir.get_case(case_id)
    reading = Reading(
        case,
        members.response_team(),
        comments=security_ir.comments(case_id, since=math.inf) if part == "comments" else None,
        tags=security_ir.tags(case.case_arn) if part == "tags" else None,
        findings=security_ir.findings(case_id) if part == "findings" else None,
    )
    changed = fingerprints.what_differs(row.get("fingerprint"), reading) or _complete(case_id, row, reading)
    if changed or not row.get("channel_id"):
        return changed
    # Every member can overwrite the topic, so it is compared with Slack itself, not with the ledger.
    channel = slack.read("conversations.info", channel=row["channel_id"])["channel"]
    if channel.get("is_archived") or channel.get("is_member") is False:
        return "CaseUpdated"
    topic = html.unescape(str((channel.get("topic") or {}).get("value") or ""))
    return None if topic == messages.topic(case.case_status, str(row.get("severity"))) else "CaseUpdated"


def _complete(case_id: str, row: Row, reading: Reading) -> DetailType | None:
    """Store the fields that an older version did not follow, without an announcement.

    Returns the event to publish if the ledger has another value of a field, because the channel lacks that change.
    """
    fingerprint = fingerprints.completed(row["fingerprint"], reading)
    if fingerprint is None:
        return None
    values = followed_fields.values(reading.case, reading.tags)
    stored = leases.complete(case_id, values, fingerprint, instead_of=row["fingerprint"])
    return "CaseUpdated" if changes.differences(stored, values) else None


def _remember(
    poller: Row | None,
    first_poll: float,
    cursor: str | None,
    unlisted: Mapping[str, Any] | None,
) -> None:
    if poller is None or poller.get("cursor") != cursor or poller.get("unlisted") != unlisted:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        if unlisted:
            more["unlisted"] = dict(unlisted)
        table.put(keys.poller(), {"first_poll_at": first_poll, **more})
