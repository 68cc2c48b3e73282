"""The poller, every minute: what native events missed. An idle poll writes nothing.

It compares each row of ListCases with the stored one, deep-checks open cases in turn (attachments and some
changes move no date), and comes back to cases with hints left over or a time of their own.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any

from ir_router import clock
from ir_router.cases import changes
from ir_router.cases.imports import is_ours
from ir_router.cases.models import CaseRow
from ir_router.deadline import Deadline, LambdaContext, of_invocation
from ir_router.errors import IrRouterError, RefusedError
from ir_router.ledger import keys, table
from ir_router.ledger.table import Row
from ir_router.observability import logger, measure
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack import messages
from ir_router.slack.gateway import Slack
from ir_router.sync import hints
from ir_router.sync.hints import Hint

PAGE_BUDGET = 10
DEEP_CHECK_BUDGET = 10
_RESERVE_SECONDS = 30


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - the schedule says nothing
    """Publish a hint for every case that may have changed. Returns counts."""
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS)
    poller = table.get(keys.poller())
    first_poll = float(poller["first_poll_at"]) if poller else clock.now()
    rows, cursor = _rows((poller or {}).get("cursor"))
    stored = {str(row["index_sk"]): row for row in table.query_index(keys.CASES_INDEX)}
    approvals = list(table.query_index(keys.OPEN_APPROVALS_INDEX))

    found = _differences(rows, stored, first_poll)
    found |= _due({case_id: row for case_id, row in stored.items() if case_id not in found})
    deep, failed = _deep_checks({case_id: row for case_id, row in stored.items() if case_id not in found}, deadline)
    found |= deep
    refused = hints.publish(list(found.values()))
    _remember(poller, first_poll, cursor)
    if approvals:
        _remind(approvals, deadline)
    measure("PollCompleted")
    if failed:
        raise IrRouterError(f"{failed} of the deep checks failed; the other cases were checked")
    return {"listed": len(rows), "published": len(found) - refused, "refused": refused}


def _rows(cursor: str | None) -> tuple[list[CaseRow], str | None]:
    """At most ten pages, going on where the last poll's budget ended."""
    rows: list[CaseRow] = []
    token = cursor
    for _ in range(PAGE_BUDGET):
        try:
            page, token = security_ir.list_cases(token)
        except RefusedError as error:
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
    for row in rows:
        known = stored.get(row.case_id)
        digest = changes.row_digest(row)
        if known is None:
            created = row.created_date.timestamp() if row.created_date else clock.now()
            if is_ours(created, row.case_status == "Closed", first_poll, settings().initial_import):
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
        if _may_be_tried(row)
        and (int(row.get("hints", 0)) > int(row.get("synced_hints", 0)) or 0 < float(row.get("due_at") or 0) <= now)
    }


def _may_be_tried(row: Row) -> bool:
    """A case in back-off waits; one with a live lease is being worked on, and its holder sees what there is."""
    now = clock.now()
    return float(row.get("next_try") or 0) <= now and float(row.get("lease_until") or 0) < now


def due_ranks(count: int, minute: int) -> range:
    """Which of `count` open cases, sorted by id, are deep-checked in this minute: all in turn, no state kept."""
    turns = max(1, math.ceil(count / DEEP_CHECK_BUDGET))
    return range(minute % turns, count, turns)


def _deep_checks(stored: Mapping[str, Row], deadline: Deadline) -> tuple[dict[str, Hint], int]:
    opened = sorted(case_id for case_id, row in stored.items() if not row.get("closed") and row.get("fingerprint"))
    found: dict[str, Hint] = {}
    failed = 0
    for rank in due_ranks(len(opened), int(clock.now() // 60)):
        case_id = opened[rank]
        if not _may_be_tried(stored[case_id]) or deadline.remaining() < 0:
            continue
        try:
            changed = _deep_check(case_id, stored[case_id], Slack(deadline))
        except IrRouterError as error:
            logger.warning("a deep check failed", extra={"case_id": case_id, "reason": str(error)})
            failed += 1
            continue
        if changed:
            found[case_id] = Hint(case_id, changed)
    return found, failed


def _deep_check(case_id: str, row: Row, slack: Slack) -> str | None:
    case = security_ir.get_case(case_id)
    changed = changes.what_differs(row.get("fingerprint"), changes.fingerprint(case, security_ir.comments(case_id)))
    if changed or not row.get("channel_id"):
        return changed
    # The topic can be overwritten by anybody, so it is compared with Slack itself, not with the ledger.
    channel = slack.read("conversations.info", channel=row["channel_id"])["channel"]
    topic = html.unescape(str((channel.get("topic") or {}).get("value") or ""))
    return None if topic == messages.topic(case.case_status, str(row.get("severity"))) else "CaseUpdated"


def _remember(poller: Row | None, first_poll: float, cursor: str | None) -> None:
    if poller is None or poller.get("cursor") != cursor:
        table.put(keys.poller(), {"first_poll_at": first_poll, **({"cursor": cursor} if cursor else {})})


def _remind(approvals: list[Row], deadline: Deadline) -> None:
    from ir_router.sync import approvals as open_approvals

    open_approvals.poll(approvals, deadline)
