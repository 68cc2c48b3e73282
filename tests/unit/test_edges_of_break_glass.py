"""Which break-glass requests are refused, with which reason."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router.settings import settings
from ir_router.workflow import break_glass

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:security-incident-approval-handler"
BY_ALIAS = SimpleNamespace(invoked_function_arn=f"{FUNCTION}:break-glass")
PENDING = {"kind": "remediate", "state": "pending", "principals": ["p1"]}
APPROVED = {**PENDING, "state": "delivered", "decision": "approve", "result": "done"}
REASON = {"break_glass": "alone at night"}
NOT_ALLOWED = (
    "Decision not recorded: break_glass needs the permission to invoke "
    "security-incident-approval-handler:break-glass. Invoke that function name."
)
NO_REASON = "Decision not recorded: `break_glass` must contain the reason."
NO_DECISION = "Decision not recorded: `decision` must be approve, deny or release with break_glass."
NOT_PENDING = "Decision not recorded: this approval request is no longer pending."
NOTHING = "Nothing was released: this approval request is open or left nothing contained."


@pytest.mark.parametrize(
    ("row", "decision", "event", "context", "expected"),
    [
        (PENDING, "approve", REASON, BY_ALIAS, ""),
        (PENDING, "deny", REASON, BY_ALIAS, ""),
        (PENDING, "approve", REASON, SimpleNamespace(invoked_function_arn=FUNCTION), NOT_ALLOWED),
        (PENDING, "approve", REASON, SimpleNamespace(invoked_function_arn=f"{FUNCTION}:slack"), NOT_ALLOWED),
        (PENDING, "approve", REASON, None, NOT_ALLOWED),
        (PENDING, "approve", {"break_glass": " "}, BY_ALIAS, NO_REASON),
        (PENDING, "approve", {"break_glass": True}, BY_ALIAS, NO_REASON),
        (PENDING, "withdraw", REASON, BY_ALIAS, NO_DECISION),
        (PENDING, "release", REASON, BY_ALIAS, NOTHING),
        (APPROVED, "release", REASON, BY_ALIAS, ""),
        ({**APPROVED, "released": {"p1": "r"}}, "release", REASON, BY_ALIAS, NOTHING),
        (APPROVED, "approve", REASON, BY_ALIAS, NOT_PENDING),
    ],
)
def test_given_a_break_glass_request_when_checked_then_the_first_reason_against_it_is_named(
    row: dict[str, Any], decision: str, event: dict[str, Any], context: Any, expected: str
) -> None:
    settings.cache_clear()

    assert break_glass.refusal(row, decision, event, context) == expected
