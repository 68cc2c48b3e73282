"""`/security-ir list`."""

from __future__ import annotations

from collections.abc import Set

from ir_router.cases import status
from ir_router.cases.models import CaseRow
from ir_router.commands import approval_buttons, own_channels, people
from ir_router.commands.command import Answer, Command
from ir_router.ledger import keys, table
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack.messages import console_link, sections
from ir_router.slack.text import quoted

_PAGES = 10
_SHOWN = 20
_TITLE_LENGTH = 150


def execute_command(command: Command) -> Answer:
    """List the open cases with status and channel."""
    head, lines = open_cases(command, own_channels.of(command))
    return Answer(head, sections([f"*{head}*", *lines])) if lines else Answer(head)


def open_cases(command: Command, own: Set[str]) -> tuple[str, list[str]]:
    """Return a heading, and a line for each open case that the user may see.

    The response team, editors and approvers see all cases. Other users see the cases in whose channels they are.

    Args:
        command: The command of the user.
        own: The ids of the channels that the user shares with the app.
    """
    sees_all = people.decide(command, ()).allowed or approval_buttons.approver_decision(command)[1].allowed
    channels = {str(row["index_sk"]): str(row.get("channel_id") or "") for row in table.query_index(keys.CASES_INDEX)}
    rows, is_cut = _not_closed()
    found = [row for row in rows if sees_all or channels.get(row.case_id) in own]
    if not found:
        return "There are no open cases" + ("." if sees_all else " in your channels."), []
    head = f"{len(found)}{' or more' if is_cut else ''} open {'case' if len(found) == 1 and not is_cut else 'cases'}"
    lines = [_line(row, channels.get(row.case_id, "")) for row in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"... and {len(found) - _SHOWN} more")
    return head, lines


def _not_closed() -> tuple[list[CaseRow], bool]:
    """Return the cases that are not closed, newest first, and whether there may be more."""
    rows: list[CaseRow] = []
    token: str | None = None
    for _ in range(_PAGES):
        page, token = security_ir.list_cases(token)
        rows += [row for row in page if row.case_status != "Closed"]
        if token is None:
            break
    rows.sort(key=lambda row: row.created_date.timestamp() if row.created_date else 0.0, reverse=True)
    return rows, token is not None


def _line(row: CaseRow, channel_id: str) -> str:
    link = f"<{console_link(row.case_id, settings().region)}|{quoted(row.case_id, _TITLE_LENGTH)}>"
    where = f" <#{channel_id}>" if channel_id else " (no channel yet)"
    title = quoted(row.title or "Untitled case", _TITLE_LENGTH)
    return f"• {link} {title}: {quoted(status.shown(row.case_status or ''), _TITLE_LENGTH)}{where}"
