"""Report a GuardDuty finding that continues after an analyst denied its incident.

GuardDuty sends a finding again, with a higher count, when it sees further activity:
https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_eventbridge.html. ir-router does not contain the
principal again, since the analyst has decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ir_router import clock
from ir_router.errors import RefusedError
from ir_router.ledger import joined_events, keys, table
from ir_router.ledger.alerts import Alert
from ir_router.ledger.table import ConditionFailedError, Row
from ir_router.observability import logger
from ir_router.workflow import notices, wording, wording_decisions, wording_links
from ir_router.workflow.incident import Incident
from ir_router.workflow.principals import mapping

_KEPT_SECONDS = 14 * 86_400


def report(incident: Incident, event: Mapping[str, Any], name: str, handled: Row) -> None:
    """Report the finding once, in an alert and on the case, if it has activity after the denial.

    Args:
        incident: The facts of the update.
        event: The update as EventBridge delivered it.
        name: The name of the finding's detection row.
        handled: The finding's detection row, with the execution that handled it.
    """
    count = mapping(mapping(event.get("detail")).get("service")).get("count")
    approval = joined_events.request_of(str(handled["execution"]))
    if event.get("detail-type") != "GuardDuty Finding" or approval is None or approval.get("receipt") != "deny":
        return
    moment = datetime.fromisoformat(incident["event_time"]).timestamp() if incident["event_time"] else 0.0
    if moment <= float(approval["decided_at"]):
        return
    execution = incident["execution"]
    try:
        table.put(
            keys.detection(f"{name}#continued"),
            {"execution": execution["id"], "expires_at": int(clock.now()) + _KEPT_SECONDS},
            "attribute_not_exists(PK) OR execution = :execution",
            execution=execution["id"],
        )
    except ConditionFailedError:
        return  # reported before
    by = wording_decisions.decider(approval.get("analyst"))
    headline = f"The finding about {approval['who']} continues after its denial"
    text = wording.lines(
        f"{headline}: GuardDuty now counts {count} occurrences.",
        f"{by} denied it at {wording_decisions.at(approval['decided_at'])}, so ir-router did not contain it "
        "again. Check whether the denial is still right. If it is not, contain the principal by hand.",
        "",
        *wording.facts(incident),
        wording.case_line(approval.get("case_id")),
        *wording.ids(incident),
    )
    notices.alert_everywhere(
        Alert(
            f"{execution['name']}/continued",
            "HIGH",
            f"CHECK the denial: {approval['who']}, its finding continues",
            text,
            case_id=approval.get("case_id"),
            execution=execution["id"],
            principals=wording_links.named_in(incident),
        )
    )
    logger.info("finding.continued", extra={"event_id": incident["event_id"]})
    if approval.get("case_id"):
        try:
            notices.comment(str(approval["case_id"]), f"continued-{incident['event_id']}", text)
        except RefusedError as error:
            # A retry cannot help: a closed case accepts no comments.
            logger.warning("case.comment_rejected: the case has no comment", extra={"code": error.code})
