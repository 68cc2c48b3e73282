"""Synchronise one case now, whatever its back-off says, with what Slack could not deliver in the last day."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ir_router import clock
from ir_router.deadline import LambdaContext
from ir_router.errors import InvalidInputError
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError
from ir_router.sync import case_to_slack

_DAY_SECONDS = 86_400


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`{"task": "resync", "case_id": "..."}`: leave a hint and synchronise; the channel's last day is read again.

    Returns `{"case_id", "outcome"}` of case_to_slack.synchronise. When another run holds the case, its outcome is
    `held`, and that run sees the hint. Raises InvalidInputError without a case id.
    """
    try:
        case_id = case_to_slack.case_id_of({"detail": {"caseId": event.get("case_id")}})
    except InvalidInputError as error:
        raise InvalidInputError('Say which case: {"task": "resync", "case_id": "1234567890"}.') from error
    with suppress(ConditionFailedError):
        # The back-off of a case that keeps failing: a person who asks has mended something. Perhaps the door, at which
        # Slack gives an event up after three redeliveries.
        table.update(
            keys.case(case_id),
            "SET channel_away_since = if_not_exists(channel_away_since, :since) REMOVE next_try",
            "attribute_exists(PK)",
            since=clock.now() - _DAY_SECONDS,
        )
    return case_to_slack.synchronise(case_id, context)
