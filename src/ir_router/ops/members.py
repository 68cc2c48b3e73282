"""Verify the members of the organisation by the last results of `-workflow` (workflow/members.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ir_router import clock
from ir_router.ledger import configuration, keys, table
from ir_router.ops.checks import Check, count, failed, ok, warning
from ir_router.ops.names import members_rule

_NAME = "members"
_SHOWN = 20
# The rule starts the task every hour (terraform/members.tf).
_LATE_SECONDS = 3 * 3600


def checks() -> Iterator[Check]:
    """Yield one line for the organisation, and one for each member that is not ready. Without an organisation, none."""
    if configuration.organization_id() is None:
        return
    row = table.get(keys.members())
    if row is None:
        yield warning(_NAME, "not checked yet", "The first check runs within an hour after make deploy.")
        return
    yield _summary(row)
    yield from _not_ready(row)


def not_ready() -> Iterator[Check]:
    """Yield a line for each member that is not ready, and one if members are no longer checked."""
    if configuration.organization_id() is None:
        return
    row = table.get(keys.members())
    if row is not None:
        if _is_late(row):
            yield _summary(row)
        yield from _not_ready(row)


def _summary(row: Mapping[str, Any]) -> Check:
    if _is_late(row):
        hours = int((clock.now() - row["at"]) // 3600)
        fix = f"Look at the rule {members_rule()} and at the log of -workflow (members.checked)."
        return failed(_NAME, f"last checked {hours} hours ago", fix)
    ready = len(row["known"]) - int(row["not_ready_count"])
    minutes = int((clock.now() - row["at"]) // 60)
    detail = f"{ready} of {count(len(row['known']), 'member', 'members')} ready {minutes} minutes ago"
    if not row["listed"]:
        fix = "Register the hub as a delegated administrator of a service of AWS Organizations (docs/organisation.md)."
        return warning(_NAME, f"{detail}. AWS does not list the accounts of the organisation to the hub", fix)
    if not row["complete"]:
        return ok(_NAME, f"{detail}. The first check of all accounts continues every hour")
    others = int(row["others_count"])
    if not others:
        return ok(_NAME, f"{detail}. All active accounts of the organisation are members")
    more = f" and {others - _SHOWN} more" if others > _SHOWN else ""
    return ok(_NAME, f"{detail}. Accounts that ir-router cannot act in: {', '.join(row['others'][:_SHOWN])}{more}")


def _not_ready(row: Mapping[str, Any]) -> Iterator[Check]:
    for entry in list(row["not_ready"].values())[:_SHOWN]:
        fix = f"{entry['fix']}." if entry["fix"] else ""
        yield failed(f"member {entry['shown']}", entry["detail"], fix)
    more = int(row["not_ready_count"]) - _SHOWN
    if more > 0:
        yield failed("further members", f"{more} more are not ready", "Fix the members above, then run make verify.")


def _is_late(row: Mapping[str, Any]) -> bool:
    return clock.now() - float(row["at"]) > _LATE_SECONDS
