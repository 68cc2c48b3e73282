"""What a task of the workflow may know about its invocation."""

from __future__ import annotations

from typing import Any

from ir_router import clock
from ir_router.settings import settings


def own_account(context: Any) -> tuple[str, str]:
    """Partition and account of this function, from its ARN (`arn:aws:lambda:<region>:<account>:function:<name>`)."""
    parts = str(context.invoked_function_arn).split(":")
    return parts[1], parts[4]


def lock_until(context: Any) -> float:
    """When a lock taken now may be taken by others: the invocation's hard end plus the settling time."""
    return clock.now() + float(context.get_remaining_time_in_millis()) / 1000 + settings().settle_seconds
