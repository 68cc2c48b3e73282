"""The button "Open a case ..." of an alert: open the form of a new case with the alert's text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import clock
from ir_router.commands import create, execution, forms
from ir_router.commands.command import Command, of_interaction
from ir_router.commands.forms import CaseForm
from ir_router.errors import InvalidInputError
from ir_router.ledger import alerts


def handle_interaction(payload: Mapping[str, Any], context: Any) -> None:
    """Open the form. Its submission is that of `/security-ir create`."""
    command = of_interaction(payload, "create", str(payload.get("trigger_id") or ""), context)
    name = str(payload["actions"][0].get("value") or "")
    execution.execute(command, lambda command: _open(command, name), attempted="open")


def _title(subject: str) -> str:
    """Return the subject without the action that it begins with: a case has its own status."""
    return subject.partition(": ")[2] or subject


def _open(command: Command, name: str) -> None:
    row = alerts.get(name)
    if row is None:
        raise InvalidInputError("This alert is no longer stored. To open an empty form, type /security-ir create")
    severity = str(row["severity"]).capitalize()
    form = CaseForm(
        title=_title(str(row["subject"])),
        description=str(row["text"]),
        kind=forms.KINDS[0],
        severity=severity if severity in forms.SEVERITIES else forms.NO_SEVERITY,
        start=int(min(float(row["at"]), clock.now())),
        watchers=(command.user_id,),
    )
    create.open_filled(command, form, "Press the button again")
