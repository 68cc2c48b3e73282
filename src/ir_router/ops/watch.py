"""Verify the deployment every hour, and report each difference once.

A lost e-mail subscription, a disabled rule or a changed role stays unnoticed until the day of an incident. The
report goes to the security channel and to a metric with an alarm, since either of the two may be broken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.cases.changes import digest
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
# Less than the pause between two runs, and more than the time of a run's retries.
_CONFIRMED_SECONDS = 600
_LINE_LENGTH = 600


def run_operation(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Verify the permanent parts of the deployment (`{"task": "watch"}`), once an hour or with `"now": true`.

    A part that could not be read may be all right: AWS rejects or loses calls now and then. The run 15 minutes later
    verifies too, and reports the part if it is still unread.

    Returns:
        `{"differences"}`: the names of the checks that are not ok; None if it was not time to verify.

    Raises:
        ClientError, BotoCoreError: The ledger cannot be read. The metric has the differences.
    """
    is_due = bool(event.get("now")) or not int(clock.now() // _QUARTER_SECONDS) % 4
    try:
        row = table.get(keys.watched()) or {}
    except (BotoCoreError, ClientError):
        if is_due:  # the ledger may be one of the differences
            _measure([check for check in _checks() if check.state != "ok"])
        raise
    reported: Mapping[str, str] = row.get("reported") or {}
    unread_since: Mapping[str, float] = row.get("unread") or {}
    if not is_due and set(unread_since) <= set(reported):
        return {"differences": None}
    lines = {check.name: check for check in sorted(_checks(), key=lambda check: check.state != "ok")}
    found = {name: check for name, check in lines.items() if check.state != "ok"}
    unread = {name: unread_since.get(name, clock.now()) for name, check in found.items() if check.error == "passing"}
    first = {name for name, since in unread.items() if clock.now() - since < _CONFIRMED_SECONDS} - set(reported)
    differing = {name: check for name, check in found.items() if name not in first}
    ended = _ended(reported, lines)
    _measure(set(differing) | (set(reported) - set(ended)))
    logger.info("watch.completed", extra={"differences": sorted(differing), "unread": sorted(unread)})
    if unread != unread_since:
        table.assign(keys.watched(), unread=unread or None)
    try:
        _report(row, differing, ended, of_invocation(context, reserve=_RESERVE_SECONDS))
    except IrRouterError as error:
        # The alarm on the metric reports the differences too, and the next hour retries the message.
        logger.error("watch.not_reported: the security channel has no message", extra={"reason": str(error)})
    return {"differences": sorted(found)}


def _measure(differences: Collection[object]) -> None:
    if differences:  # CloudWatch bills a metric for each hour with a value
        measure("DeploymentDifferences", len(differences))


def _ended(reported: Iterable[str], lines: Mapping[str, Check]) -> list[str]:
    """Return the reported differences that are over. A missing line is none if a failed call may hide it."""
    is_complete = not any(check.error for check in lines.values())
    return sorted(name for name in reported if (lines[name].state == "ok" if name in lines else is_complete))


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


def _report(row: Mapping[str, Any], differing: Mapping[str, Check], ended: Sequence[str], deadline: Deadline) -> None:
    """Post the new differences, and those that have ended, in one message.

    Args:
        row: The row of the verification.
        differing: The checks that are not ok, without those that are unread for the first time.
        ended: The reported differences that are over.
        deadline: The end of the invocation.
    """
    reported: Mapping[str, str] = row.get("reported") or {}
    # A reported part that cannot be read now is not new.
    known = {name for name, check in differing.items() if check.error == "passing" and name in reported}
    new = [check for name, check in differing.items() if name not in known and reported.get(name) != check.detail]
    if not new and not ended:
        return
    number = int(row.get("number") or 0) + 1
    channel = security_channel.known_id()
    if channel:
        # Two runs may read the same number. Only the same message is a repetition.
        content = digest([[[check.name, check.detail] for check in new], list(ended)])
        taken = claims.take(keys.deduplication(f"WATCH#{number}#{content}"), settle_after=deadline.settle_after)
        if isinstance(taken, claims.Held):
            return  # another run may have posted it; the next hour looks again
        if isinstance(taken, claims.Claim):
            posting.post(Slack(deadline), channel, taken, _message(new, ended))
    standing = {name: detail for name, detail in reported.items() if name not in ended}
    table.assign(keys.watched(), reported=standing | {check.name: check.detail for check in new}, number=number)


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
