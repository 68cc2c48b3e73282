"""State "Report Event Not Believed": an event that is about another account than the one that it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ir_router.ledger import audit, groups
from ir_router.ledger.alerts import Alert
from ir_router.workflow import invocation, notices, origin, reading, wording
from ir_router.workflow.details import harmless
from ir_router.workflow.incident import Incident

_LENGTH = 20  # an account has 12 digits; a forged event can name anything


def run_task(task: Mapping[str, Any], context: Any) -> dict[str, bool]:
    """Write the audit record. Send an alert, at most one an hour for each account that such events come from."""
    event, execution = task["event"], task["execution"]
    partition, account = invocation.own_account(context)
    incident = cast("Incident", {**reading.read(event, partition=partition), "execution": execution})
    sender = origin.of(event, account)
    source, about = (wording.cut(harmless(one), _LENGTH) for one in (sender, incident["account"]))
    details = wording.record(incident) | {"origin": sender}
    audit.append("event_not_believed", wording.AUDIT_ACTOR, details, once=f"{execution['id']}/not_believed")
    group = groups.enter(groups.name_of("event not believed", sender), execution["id"])
    first = bool(group["execution"] == execution["id"])
    if first:
        text = wording.lines(
            f"An event of account {source} names account {about} in its detail. ir-router contained nothing, because "
            "an event can cause a containment only in its own account.",
            f"The event may be forged. Check in CloudTrail of account {source} who sent it. If it is genuine, respond "
            "to it by hand.",
            f"For one hour, ir-router sends no alerts about further such events of account {source}. The audit "
            "records each.",
            "",
            *wording.facts(incident),
            *wording.ids(incident),
        )
        subject = f"CHECK account {source}: ir-router does not believe its event about account {about}"
        alert = Alert(f"{execution['name']}/not_believed", "HIGH", subject, text, execution=execution["id"])
        notices.alert_everywhere(alert)
    return {"alerted": first}
