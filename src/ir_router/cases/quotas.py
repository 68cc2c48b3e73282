"""Count the cases that AWS's quotas limit. Pure.

Defaults per Region, all adjustable: 50 active self-managed cases, 10 active AWS-supported ones, and 10 new
AWS-supported ones a day. https://docs.aws.amazon.com/general/latest/gr/security-ir.html
"""

from __future__ import annotations

from collections.abc import Iterable

from ir_router.cases.models import CaseRow

SELF_MANAGED = "self_managed"
AWS_SUPPORTED = "aws_supported"
NEW_AWS_SUPPORTED = "new_aws_supported"
_DAY = 86_400


def count(rows: Iterable[CaseRow], now: float) -> dict[str, int]:
    """Return the number of cases that count against each quota, by the names above."""
    found = dict.fromkeys((SELF_MANAGED, AWS_SUPPORTED, NEW_AWS_SUPPORTED), 0)
    for row in rows:
        is_self_managed = row.resolver_type == "Self"
        if row.case_status != "Closed":
            found[SELF_MANAGED if is_self_managed else AWS_SUPPORTED] += 1
        if not is_self_managed and row.created_date and row.created_date.timestamp() > now - _DAY:
            found[NEW_AWS_SUPPORTED] += 1
    return found
