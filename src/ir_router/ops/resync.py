"""Synchronise one case now, whatever its back-off says."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ir_router.deadline import LambdaContext
from ir_router.errors import InvalidInputError
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError
from ir_router.sync import case_to_slack


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`{"task": "resync", "case_id": "..."}`: leave a hint and synchronise.

    Returns `{"case_id", "outcome"}` of case_to_slack.synchronise. When another run holds the case, its outcome is
    `held`, and that run sees the hint. Raises InvalidInputError without a case id.
    """
    try:
        case_id = case_to_slack.case_id_of({"detail": {"caseId": event.get("case_id")}})
    except InvalidInputError as error:
        raise InvalidInputError('Say which case: {"task": "resync", "case_id": "1234567890"}.') from error
    with suppress(ConditionFailedError):
        # The back-off of a case that keeps failing: a person who asks has mended something.
        table.update(keys.case(case_id), "REMOVE next_try", "attribute_exists(PK)")
    return case_to_slack.synchronise(case_id, context)
