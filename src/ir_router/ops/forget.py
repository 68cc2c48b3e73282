"""Erase the rows of one closed case now, before its retention ends, and record that in the audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import aws, clock
from ir_router.deadline import LambdaContext
from ir_router.errors import InvalidInputError
from ir_router.ledger import audit, keys, table
from ir_router.ledger.table import ConditionFailedError
from ir_router.ops import names
from ir_router.ops.resync import RUN_SECONDS, case_id_of


def run_operation(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - -sync has its own
    """Erase the rows of a case. The case in AWS and the channel in Slack stay.

    Args:
        event: `{"task": "forget", "case_id": "..."}`.
        context: Lambda's context object.

    Returns:
        `{"case_id", "outcome"}` of case_to_slack.synchronise: `erased`, or the reason why the next run erases the rows.

    Raises:
        InvalidInputError: The case id is invalid, or ir-router has no rows of a closed case with this id.
        FunctionFailedError: -sync raised an error.
    """
    case_id = case_id_of(event)
    try:
        # Only this mark lets -sync erase rows before the end of the retention.
        table.update(
            keys.case(case_id),
            "SET forget_at = :now REMOVE next_try",
            "closed = :true AND attribute_not_exists(erased_at)",
            now=clock.now(),
            true=True,
        )
    except ConditionFailedError as conflict:
        why = (
            "its rows are already erased"
            if "erased_at" in conflict.row
            else "it is not closed, or ir-router does not know it"
        )
        raise InvalidInputError(f"Case {case_id} cannot be erased: {why}. Close the case first.") from conflict
    audit.append("case_erased", "operator", {"case_id": case_id}, once=f"case_erased {case_id}")
    hint = {"source": "security-ir", "detail-type": "CaseUpdated", "detail": {"caseId": case_id}}
    return aws.invoke(names.function("sync"), hint, seconds=RUN_SECONDS)
