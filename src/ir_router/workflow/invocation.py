"""Facts about the current invocation of the workflow function."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ir_router import clock
from ir_router.settings import settings


def own_account(context: Any) -> tuple[str, str]:
    """Return partition and account from the function's ARN (`arn:aws:lambda:<region>:<account>:function:<name>`)."""
    parts = str(context.invoked_function_arn).split(":")
    return parts[1], parts[4]


def alias(context: Any) -> str:
    """Return the alias by which the function was invoked; empty without one. IAM permits each alias separately.

    Lambda appends it to the ARN (docs.aws.amazon.com/lambda/latest/dg/python-context.html, invoked_function_arn).
    """
    parts = str(getattr(context, "invoked_function_arn", "")).split(":")
    return parts[7] if len(parts) > 7 else ""


def contained_account(facts: Mapping[str, Any], context: Any) -> str:
    """Return the only account in which an event can cause a containment, 12 digits.

    In an organisation that is the account of the event, which `origin.check` has believed. Without one it is the
    account of this deployment.
    """
    account = str(facts["account"])
    is_known = settings().organization_id is not None and re.fullmatch(r"\d{12}", account, re.ASCII)
    return account if is_known else own_account(context)[1]


def lock_until(context: Any) -> float:
    """Return when a lock that is taken now expires: the invocation's hard end plus the settling time, in seconds."""
    return clock.now() + float(context.get_remaining_time_in_millis()) / 1000 + settings().settle_seconds
