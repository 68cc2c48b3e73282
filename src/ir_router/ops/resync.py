"""Synchronise one case now in spite of its back-off, with the channel's messages of the last day."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ir_router import aws, clock
from ir_router.deadline import LambdaContext
from ir_router.errors import InvalidInputError
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError
from ir_router.ops import names
from ir_router.sync import case_to_slack

_DAY_SECONDS = 86_400
# A run of -sync about one case ends within this time (case_sync.LONGEST_SLICE_SECONDS), cold start included.
RUN_SECONDS = 840


def run_operation(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - -sync has its own
    """Synchronise a case, and read the channel's last day again.

    Args:
        event: `{"task": "resync", "case_id": "..."}`.
        context: Lambda's context object.

    Returns:
        `{"case_id", "outcome"}` of case_to_slack.synchronise. The outcome is `held` when another run works on the
        case; that run also handles this request.

    Raises:
        InvalidInputError: The case id is missing or invalid.
        FunctionFailedError: -sync raised an error.
    """
    case_id = case_id_of(event)
    with suppress(ConditionFailedError):
        # End the back-off, because the operator has fixed something. That may be the webhook endpoint: Slack drops an
        # event after three redeliveries, so the channel's last day is read too. Without `compared_at`, the run compares
        # all comments.
        table.update(
            keys.case(case_id),
            "SET channel_away_since = if_not_exists(channel_away_since, :since) REMOVE next_try, compared_at",
            "attribute_exists(PK)",
            since=clock.now() - _DAY_SECONDS,
        )
    hint = {"source": "security-ir", "detail-type": "CaseUpdated", "detail": {"caseId": case_id}}
    return aws.invoke(names.function("sync"), hint, seconds=RUN_SECONDS)


def case_id_of(event: Mapping[str, Any]) -> str:
    """Return the case id of an operation. Raises InvalidInputError if it is missing or invalid."""
    try:
        return case_to_slack.case_id_of({"detail": {"caseId": event.get("case_id")}})
    except InvalidInputError as error:
        example = f'{{"task": "{event.get("task")}", "case_id": "1234567890"}}'
        raise InvalidInputError(f"case_id is missing or invalid. Example: {example}") from error
