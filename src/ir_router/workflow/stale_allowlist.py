"""Alert once a day about allowlist entries that name or match no user or role of IAM.

An attacker can create a principal with such a name. After some days the entry would silence it (`check_allowlist.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from ir_router import clock
from ir_router.ledger import allowlisted_hours, keys, table
from ir_router.ledger.alerts import Alert
from ir_router.observability import logger
from ir_router.workflow import allowlist, check_allowlist, iam, invocation, notices, principals, wording
from ir_router.workflow.allowlist import Entry
from ir_router.workflow.incident import Principal

_VIA = " via "
_SHOWN = 20
# Each entry takes one call of IAM, and an invocation has 60 seconds.
_AT_ONCE = 200
_KEPT_SECONDS = 400 * 86_400


def run_task(_task: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Check the entries once a day (`{"task": "check_allowlist_entries"}`), and alert about new missing principals.

    It also writes the audit records about the events that the intake allowed in the last hours.

    Returns:
        `{"missing"}`: the entries without a principal; None if there is nothing to check now.
    """
    allowlisted_hours.record_ended()
    key = keys.deduplication("ALLOWLIST-CHECK")
    row = table.get(key) or {}
    day = f"{clock.utc_now():%Y-%m-%d}"
    same_day = row.get("day") == day
    if same_day and row.get("position") is None:
        return {"missing": None}
    first = int(row["position"]) if same_day else 0
    values = sorted(set(_exact(check_allowlist.known_entries())))
    some = values[first : first + _AT_ONCE]
    account, arns_of_all = invocation.own_account(context)[1], cache(iam.arns_of_all)
    found = {value for value in some if _is_missing(value, account, arns_of_all)}
    missing = sorted(found | (set(row.get("missing", ())) if same_day else set()))
    reported = set(row.get("reported", ())) & set(values)
    ends = first + _AT_ONCE >= len(values)
    if ends:
        _alert([value for value in missing if value not in reported])
        reported = set(missing)
    kept = {"day": day, "missing": missing, "reported": sorted(reported)}
    position = None if ends else first + _AT_ONCE
    table.put(key, {**kept, "position": position, "expires_at": int(clock.now()) + _KEPT_SECONDS})
    logger.info("allowlist.entries_checked", extra={"entries": len(some), "missing": len(missing)})
    return {"missing": missing}


def _exact(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        if entry.kind == "principal" and check_allowlist.refusal(entry) is None:
            yield entry.value


def _is_missing(value: str, account: str, arns_of_all: Callable[[str], list[str]]) -> bool:
    """Return whether the entry names users or roles of this account, and IAM has no such principal."""
    pattern = value.partition(_VIA)[0]
    if pattern.split(":")[4] != account:
        return False
    kind, _, rest = pattern.split(":")[5].partition("/")
    if kind == "assumed-role":  # the ARN of a session lacks the path of its role
        role = rest.partition("/")[0]
        if "*" in role:
            return not any(allowlist.matches_caller(role, arn.rpartition("/")[2]) for arn in arns_of_all("role"))
    elif "*" in rest:
        return not any(allowlist.matches_caller(pattern, arn) for arn in arns_of_all(kind))
    named = _principal(pattern)
    if named is None:
        return False
    found = iam.find(named)
    return found is None or (bool(named["arn"]) and found["arn"] != named["arn"])


def _principal(arn: str) -> Principal | None:
    """Return the user or role that an ARN names, also for a session of a role, whose ARN lacks the path."""
    parts = arn.split(":")
    kind, _, rest = parts[-1].partition("/")
    if kind == "assumed-role":
        return {"kind": "role", "name": rest.partition("/")[0], "arn": "", "account": parts[4]}
    return principals.from_arn(arn)


def _alert(new: list[str]) -> None:
    if not new:
        return
    more = f"and {len(new) - _SHOWN} more" if len(new) > _SHOWN else ""
    text = wording.lines(
        "IAM has no user or role with a name that these entries of the allowlist match. Remove the entries: a user who "
        "can create a principal can take such a name, and its calls would be allowed after 7 days.",
        "",
        *new[:_SHOWN],
        more,
        "",
        "Remove entries of the variables in Terraform, and other entries with the task allowlist_remove.",
    )
    digest = hashlib.sha256("\n".join(new).encode()).hexdigest()[:12]
    count = f"{len(new)} {'entry' if len(new) == 1 else 'entries'}"
    subject = f"REMOVE {count} of the allowlist: no principal in IAM has their names"
    notices.alert_everywhere(Alert(f"allowlist-{digest}", "MEDIUM", subject, text))
