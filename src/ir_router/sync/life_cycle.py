"""Let the status of a case that the workflow opened follow its incident, and close the case after the end.

A step of the case's synchronisation. If a person sets a status, the status of this case no longer follows.
"""

from __future__ import annotations

from collections.abc import Mapping

from ir_router import clock
from ir_router.cases import followed_fields, status
from ir_router.cases.changes import digest
from ir_router.errors import RefusedError
from ir_router.ledger import approvals, incidents, keys, leases, table
from ir_router.ledger.incidents import ASKED, CONTAINED, ENDED, KEPT, Phase
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack.messages import Message, sections
from ir_router.slack.text import linked, quoted
from ir_router.sync import approval_message, posting, report, system_comments, workflow_case
from ir_router.sync.case_sync import CaseSync

# The action id of the button "Close this case", which `commands.close` serves.
CLOSE_OFFER = "close_offer"
_HOUR = 3_600
_LINE_LENGTH = 400
_NAME = "ir-router"
_SUBMITTED = ("Submitted", "Acknowledged")
_STATUS_OF: Mapping[Phase, str] = {
    ASKED: "Detection and Analysis",
    CONTAINED: "Containment, Eradication and Recovery",
    KEPT: "Containment, Eradication and Recovery",
    ENDED: "Post-incident Activities",
}


def note(approval: Row) -> None:
    """Store the state of an approval request with its case, and synchronise the case if it is new."""
    if incidents.note(approval):
        leases.add_hint(str(approval["case_id"]))  # the next poll starts the run


def synchronise(sync: CaseSync) -> None:
    """Set the status, offer to close the case after the end, and close it after the time of the setting."""
    row = sync.row(keys.incident(sync.case_id))
    phase = incidents.phase(row) if row else None
    if row is None or phase is None or sync.case.is_closed or workflow_case.OPENED_BY_WORKFLOW not in sync.tags:
        return
    if sync.case.resolver_type == "Self":
        _follow(sync, row, _STATUS_OF[phase])
    if phase == ENDED:
        _offer(sync, row)
        if sync.case.resolver_type == "Self":
            _close(sync, row)


def _follow(sync: CaseSync, row: Row, wanted: str) -> None:
    now = sync.case.case_status
    if row.get("set_by_person"):
        return
    if now == wanted:
        if row.get("own_statuses") != [wanted]:
            incidents.save(sync.case_id, own_statuses=[wanted])
        return
    # The statuses that ir-router has set or was setting when a run ended.
    if now not in (*row.get("own_statuses", ()), *_SUBMITTED):
        logger.info("case.status_kept: a person has set it", extra={"status": now})
        incidents.save(sync.case_id, set_by_person=True)
        return
    steps = status.way(now, wanted)
    incidents.save(sync.case_id, own_statuses=[now, *steps])
    try:
        for step in steps:
            _record(sync, step)
            security_ir.update_status(sync.case_id, step)
    except RefusedError as error:
        logger.warning("case.status_rejected: the status no longer follows", extra={"code": error.code})
        incidents.save(sync.case_id, set_by_person=True)
        return
    incidents.save(sync.case_id, own_statuses=[wanted])


def _record(sync: CaseSync, value: str) -> None:
    """Record the change as one of ir-router, because the case's history names only its role."""
    change = {"name": _NAME, "field": followed_fields.STATUS.attribute, "value": value, "at": clock.now()}
    table.put(keys.slack_change(sync.case_id, f"life-cycle-{digest([value])}"), change)


def _offer(sync: CaseSync, row: Row) -> None:
    """Post the outcome with the button that closes the case, once for each outcome."""
    results = incidents.results(row)
    claim = sync.claim(keys.note(sync.case_id, f"offer-to-close-{digest(results)}"))
    if claim is not None:
        requests = [approvals.get(approval_id) or {} for approval_id in incidents.results_by_request(row)]
        urls = {name: url for one in requests for name, url in approval_message.urls(one).items()}
        posting.post(sync.slack, sync.channel_id, claim, _message(_outcomes(row), urls))


def _outcomes(row: Row) -> list[str]:
    """Return the results of the decisions with the analysts, as texts. The names stay in the requests' rows."""
    found = set()
    for approval_id, result in incidents.results_by_request(row).items():
        by = approval_message.decided_by(approvals.get(approval_id) or {"state": ""})
        found.add(f"{by}: {result}" if by else result)
    return sorted(found)


def _message(results: list[str], urls: Mapping[str, str]) -> Message:
    lines = ["*The incident of this case has ended*", *(linked(quoted(one, _LINE_LENGTH), urls) for one in results)]
    hours = settings().close_decided_cases_after_hours
    after = f" ir-router closes it by itself after {hours:g} hours without activity." if hours else ""
    lines.append(f"Close this case when your work on it is done.{after} A closed case cannot be reopened.")
    button = {
        "type": "button",
        "action_id": CLOSE_OFFER,
        "text": {"type": "plain_text", "text": "Close this case ..."},
        "value": "close",
    }
    blocks = [*sections(lines), {"type": "actions", "elements": [button]}]
    text = " ".join([lines[0].strip("*"), *(quoted(one, _LINE_LENGTH) for one in results), lines[-1]])
    return Message(text=text, blocks=blocks)


def _close(sync: CaseSync, row: Row) -> None:
    hours = settings().close_decided_cases_after_hours
    if not hours:
        return
    due = _last_activity(sync) + hours * _HOUR
    if not row.get("closing"):
        if clock.now() < due:
            sync.revisit(due)
            return
        # The comment is an activity too, so a run that ended between it and the closing must know.
        incidents.save(sync.case_id, closing=True)
    report.before_closing(sync)
    text = (
        f"ir-router closes this case, because its incident has ended and there was no activity for {hours:g} hours. "
        f"{' '.join(_outcomes(row))}"
    )
    system_comments.write(sync.case_id, "closed-after-end", text)
    _record(sync, "Closed")
    try:
        security_ir.close_case(sync.case_id)
    except RefusedError:
        # botocore repeats a call after a lost answer. The second call then finds the case closed by the first.
        if not security_ir.get_case(sync.case_id).is_closed:
            raise
    logger.info("case.closed_after_end")


def _last_activity(sync: CaseSync) -> float:
    """Return the time of the last change of the case, its newest comment or attachment. Messages become comments."""
    case = sync.case
    times = [case.created_date, case.last_updated_date, *(one.created_date for one in case.case_attachments)]
    times += [one for comment in sync.comments for one in (comment.created_date, comment.last_updated_date)]
    return max((one.timestamp() for one in times if one is not None), default=clock.now())
