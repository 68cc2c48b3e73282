"""Verify the deployment every hour, and report each difference once.

A lost e-mail subscription, a disabled rule or a changed role stays unnoticed until the day of an incident. The
report goes to the security channel and to a metric with an alarm, since either of the two may be broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ir_router import clock
from ir_router.cases.models import Person
from ir_router.deadline import Deadline, LambdaContext, of_invocation
from ir_router.errors import IrRouterError
from ir_router.ledger import claims, keys, security_channel, table
from ir_router.observability import logger, measure
from ir_router.ops import credentials, members, membership, resources, rules, trails, watching
from ir_router.ops.checks import Check, count, run_checks
from ir_router.slack.gateway import Slack
from ir_router.slack.messages import Message, context, sections
from ir_router.slack.text import escape, shorten
from ir_router.sync import posting

_RESERVE_SECONDS = 20
# The schedule starts the task every 15 minutes (terraform/events.tf). The first run of each hour verifies.
_QUARTER_SECONDS = 900
_LINE_LENGTH = 600


def run_operation(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Verify the permanent parts of the deployment (`{"task": "watch"}`), once an hour or with `"now": true`.

    A part that could not be read may be all right: AWS rejects or loses calls now and then. The run 15 minutes later
    verifies too, and reports the part if it is still unread.

    Returns:
        `{"differences"}`: the names of the checks that are not ok; None if it was not time to verify.
    """
    row = table.get(keys.watched()) or {}
    due = bool(event.get("now")) or not int(clock.now() // _QUARTER_SECONDS) % 4
    if not due and set(row.get("unread") or ()) <= set(row.get("reported") or ()):
        return {"differences": None}
    found = {check.name: check for check in _checks() if check.state != "ok"}
    unread = sorted(check.name for check in found.values() if check.unread)
    first = set(unread) - set(row.get("unread") or ())
    differing = {name: check for name, check in found.items() if name not in first}
    if differing:  # CloudWatch bills a metric for each hour with a value
        measure("DeploymentDifferences", len(differing))
    logger.info("watch.completed", extra={"differences": sorted(differing), "unread": unread})
    if unread != (row.get("unread") or []):
        row = {**row, "unread": unread}
        table.assign(keys.watched(), unread=unread or None)
    try:
        _report(row, differing, of_invocation(context, reserve=_RESERVE_SECONDS))
    except IrRouterError as error:
        # The alarm on the metric reports the differences too, and the next hour retries the message.
        logger.error("watch.not_reported: the security channel has no message", extra={"reason": str(error)})
    return {"differences": sorted(found)}


def _checks() -> Iterator[Check]:
    team: list[Person] = []
    yield from run_checks("resources", resources.always_there)
    yield from run_checks("dead letters", resources.dead_letters)
    yield from run_checks("secrets", credentials.age)
    yield from run_checks("rules", rules.checks)
    yield from run_checks("members", members.not_ready)
    yield from run_checks("watching", watching.checks)
    yield from run_checks("membership", lambda: membership.checks(team))
    yield from run_checks("trail", trails.checks)


def _report(row: Mapping[str, Any], differing: Mapping[str, Check], deadline: Deadline) -> None:
    """Post the new differences, and those that have ended, in one message.

    Args:
        row: The row of the verification: the reported parts, and those that this run could not read.
        differing: The checks that are not ok, without those that are unread for the first time.
        deadline: The end of the invocation.
    """
    reported: Mapping[str, str] = row.get("reported") or {}
    # A reported part that cannot be read now is neither new nor fixed.
    known = {name: reported[name] for name, check in differing.items() if check.unread and name in reported}
    new = [check for name, check in differing.items() if name not in known and reported.get(name) != check.detail]
    # Only a complete reading shows that a difference has ended: after a rejected call, lines are missing.
    ended = [] if row.get("unread") else sorted(name for name in reported if name not in differing)
    if not new and not ended:
        return
    number = int(row.get("number") or 0) + 1
    channel = security_channel.known_id()
    if channel:
        taken = claims.take(keys.deduplication(f"WATCH#{number}"), settle_after=deadline.settle_after)
        if isinstance(taken, claims.Held):
            return  # another run may have posted it; the next hour looks again
        if isinstance(taken, claims.Claim):
            posting.post(Slack(deadline), channel, taken, _message(new, ended))
    kept = {name: detail for name, detail in reported.items() if name not in ended}
    found = {**kept, **{check.name: check.detail for check in new}}
    table.assign(keys.watched(), reported=found, number=number)


def _message(new: Sequence[Check], ended: Sequence[str]) -> Message:
    lines = []
    if new:
        needs = count(len(new), "part of ir-router needs attention", "parts of ir-router need attention")
        them = "it" if len(new) == 1 else "them"
        lines.append(f"⚠️ {needs}. Fix {them} now: alerts or containments may depend on {them}.")
        lines += [f"*{_cut(check.name)}*  {_cut(check.detail)}. {_cut(check.fix)}" for check in new]
    if ended:
        lines.append(f"Fixed: {_cut(', '.join(ended))}")
    return Message(text=lines[0], blocks=[*sections(lines), context("make verify shows all checks.")])


def _cut(text: str) -> str:
    return escape(shorten(text, _LINE_LENGTH))
