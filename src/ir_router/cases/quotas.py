"""Count the cases that AWS's quotas limit. Pure.

Defaults per Region, all adjustable: 50 active self-managed cases, 10 active AWS-supported ones, and 10 new
AWS-supported ones a day. https://docs.aws.amazon.com/general/latest/gr/security-ir.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ir_router.cases.models import CaseRow

SELF_MANAGED = "self_managed"
AWS_SUPPORTED = "aws_supported"
NEW_AWS_SUPPORTED = "new_aws_supported"
_DAY = 86_400
# A fifth of the default quotas. The alarms are at 80 % of the quota.
_NOTABLE = {SELF_MANAGED: 10, AWS_SUPPORTED: 2, NEW_AWS_SUPPORTED: 2}


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


def is_notable(name: str, counted: Mapping[str, int]) -> bool:
    """Whether a number is near enough to its quota to be measured."""
    return counted[name] >= _NOTABLE[name]


def add(found: Mapping[str, int], earlier: Mapping[str, object]) -> dict[str, int]:
    """Return the sums of two counts."""
    return {name: number + int(str(earlier.get(name, 0))) for name, number in found.items()}
