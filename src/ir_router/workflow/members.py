"""Verify the members of the organisation every hour. ops/members.py reports those that are not ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.deadline import LambdaContext, of_invocation
from ir_router.ledger import keys, table
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import accounts, member_checks, sessions
from ir_router.workflow.member_checks import Problem

# An account takes a second, and at most 24 s if AWS does not answer. An invocation has 60 s.
_RESERVE_SECONDS = 30
# The row of the ledger has at most 400 KB.
_KEPT_PROBLEMS = 200
_DETAIL_LENGTH = 900
_UNREACHABLE = "Until then, nothing can be contained or restored there"


def run_task(_task: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Verify members (`{"task": "check_members"}`) until the deadline of the invocation. The next run continues.

    An account becomes a member when `-workflow` first assumes its role. It stays one until it leaves the organisation
    or is closed.

    Returns:
        `{"checked", "not_ready"}`: the number of accounts that this run verified, and the ids of all members that are
        not ready.
    """
    if settings().organization_id is None:
        return {"checked": 0, "not_ready": []}
    row = table.get(keys.members()) or {}
    known, not_ready = set(row.get("known", ())), dict(row.get("not_ready", {}))
    active, is_listed = _active(known)
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS)
    position, ends, checked = str(row.get("position", "")), bool(row.get("complete")), 0
    for account in _from(sorted(active), position):
        if deadline.remaining() <= 0:
            break
        ends = ends or account <= position
        problems = _problems(account, is_known=account in known)
        position, checked = account, checked + 1
        if problems is None:
            continue
        known.add(account)
        not_ready.pop(account, None)
        if problems:
            not_ready[account] = _entry(active[account], problems)
    known &= active.keys()
    not_ready = {account: entry for account, entry in sorted(not_ready.items()) if account in known}
    unknown = sorted(shown for account, shown in active.items() if account not in known)
    table.put(
        keys.members(),
        {
            "at": int(clock.now()),
            "complete": ends or checked == len(active),
            "known": sorted(known),
            "listed": is_listed,
            "not_ready": dict(list(not_ready.items())[:_KEPT_PROBLEMS]),
            "not_ready_count": len(not_ready),
            "others": unknown[:_KEPT_PROBLEMS],
            "others_count": len(unknown),
            "position": position,
        },
    )
    logger.info("members.checked", extra={"accounts": checked, "not_ready": sorted(not_ready)})
    return {"checked": checked, "not_ready": sorted(not_ready)}


def _active(known: set[str]) -> tuple[dict[str, str], bool]:
    """Return the other active accounts by id, and whether AWS listed them. Otherwise they are the known members."""
    try:
        found = accounts.listed()
    except (BotoCoreError, ClientError) as error:
        logger.warning("members.not_listed: only known members are checked", extra={"error": str(error)[:200]})
        described = {account: accounts.of(account) for account in known}
        return {account: one.shown for account, one in described.items() if not one.is_closed}, False
    found.pop(sessions.own_account(), None)
    return found, True


def _from(ids: Sequence[str], position: str) -> list[str]:
    """Return the ids in the order of a round that continues after `position`."""
    return [one for one in ids if one > position] + [one for one in ids if one <= position]


def _problems(account: str, *, is_known: bool) -> list[Problem] | None:
    """Return the problems of an account; None if it is no member, or if AWS did not answer."""
    try:
        return member_checks.problems(account)
    except sessions.NoRoleError as error:
        return [Problem(str(error).rstrip("."), _UNREACHABLE)] if is_known else None
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "Throttl" in code:
            _note_silence(account, code)
            return None
        return [Problem(f"it cannot be verified: {error.operation_name} returned {code}", "")]
    except BotoCoreError as error:
        _note_silence(account, type(error).__name__)
        return None


def _note_silence(account: str, reason: str) -> None:
    logger.warning("members.not_answered: the earlier result stays", extra={"account": account, "reason": reason})


def _entry(shown: str, problems: Sequence[Problem]) -> dict[str, str]:
    fixes = list(dict.fromkeys(problem.fix for problem in problems if problem.fix))
    detail = "; ".join(problem.detail for problem in problems)
    return {"shown": shown, "detail": detail[:_DETAIL_LENGTH], "fix": ". ".join(fixes)}
