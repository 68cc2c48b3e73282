"""Build the content of a report from a case, its history and its audit records (docs/report.md). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ir_router.cases import comments as texts
from ir_router.cases import status, timeline
from ir_router.cases.activity import Activity
from ir_router.cases.models import Case, CaseEdit, Comment
from ir_router.cases.timeline import SlackChange
from ir_router.report import records as audit
from ir_router.report.records import Record

FORMAT = "ir-router-report/1"
_TEXT_LENGTH = 500
_DEFAULT_AUTHOR = "AWS Security Incident Response"
_DECISION_FACTS = ("headline", "what", "done", "approve_does", "deny_does", "principals", "joined_principals")

Entry = dict[str, Any]


@dataclass(frozen=True)
class Sources:
    """All that a report is made of.

    Attributes:
        case: The case.
        severity: Its severity.
        version: The number of the report, from 1.
        made_at: Time of the report, in seconds since the epoch.
        reason: `requested`, `closed` or `closing` (ir-router closes the case after the report).
        requested_by: Who requested it; empty if ir-router made it by itself.
        region: The AWS region of the case.
        edits: The history of the case.
        comments: Its comments, oldest first.
        origins: The origin of each comment by its id: `aws`, `slack`, `system` or `private`.
        changes: The changes made from Slack.
        records: The audit records of the incident.
        spans: The checked part of each chain of the audit.
        ties: The records by which the main chain names the other chains.
        approvals: The approval requests of the case.
        hashes: The SHA-256 of attachments by name.
        activity: The calls of the contained credentials, or None.
        with_message_text: Whether the timeline has the text of Slack messages.
    """

    case: Case
    severity: str
    version: int
    made_at: float
    reason: str
    requested_by: str
    region: str
    edits: Sequence[CaseEdit]
    comments: Sequence[Comment]
    origins: Mapping[str, str]
    changes: Sequence[SlackChange]
    records: Sequence[Record]
    spans: Sequence[Mapping[str, Any]]
    ties: Sequence[Record]
    approvals: Sequence[Mapping[str, Any]]
    hashes: Mapping[str, str]
    activity: Activity | None = None
    with_message_text: bool = False
    limits: Sequence[str] = ()


def build(sources: Sources) -> dict[str, Any]:
    """Return the report as a JSON value."""
    decisions = _decisions(sources)
    return {
        "format": FORMAT,
        "version": sources.version,
        "made_at": iso(sources.made_at),
        "reason": sources.reason,
        "requested_by": sources.requested_by or None,
        "case": _case(sources),
        "durations": _durations(sources, decisions),
        "follow_ups": _follow_ups(sources),
        "decisions": decisions,
        "timeline": _timeline(sources),
        "activity": _activity(sources.activity),
        "evidence": _evidence(sources),
        "audit": {
            "records": [dict(one) for one in sources.records],
            "ties": [dict(one) for one in sources.ties],
            "chains": [dict(one) for one in sources.spans],
        },
        "limits": list(sources.limits),
    }


def iso(moment: float | datetime) -> str:
    """Return a time as `2026-01-15T18:05:00Z`."""
    shown = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
    return f"{shown.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _case(sources: Sources) -> dict[str, Any]:
    case = sources.case
    return {
        "id": case.case_id,
        "arn": case.case_arn,
        "region": sources.region,
        "title": case.title,
        "status": case.case_status,
        "severity": sources.severity,
        "resolver": case.resolver_type,
        "created_at": iso(case.created_date) if case.created_date else None,
        "closed_at": iso(case.closed_date) if case.closed_date else None,
        "closure_code": case.closure_code,
        "watchers": [one.email for one in case.watchers],
        "accounts": list(case.impacted_accounts),
        "services": list(case.impacted_services),
        "regions": [one.get("region", "") for one in case.impacted_aws_regions],
        "addresses": [one.get("ipAddress", "") for one in case.threat_actor_ip_addresses],
    }


def _timeline(sources: Sources) -> list[Entry]:
    steps = audit.steps(sources.records)
    events = timeline.key_events(sources.case, sources.edits, sources.changes, steps)
    found = [_entry(one.at, "case", one.what, one.by) for one in events]
    found += [_entry(datetime.fromisoformat(one["at"]), *audit.words(one)) for one in audit.shown(sources.records)]
    found += [one for comment in sources.comments if (one := _of_comment(comment, sources))]
    found += [
        _entry(one.created_date, "file", f"Attachment {one.file_name} added", _person(one.creator))
        for one in sources.case.case_attachments
    ]
    found += _of_activity(sources.activity)
    # By the exact times: the entries of one second stay in their order.
    return [entry for _, entry in sorted(found, key=lambda one: one[0])]


def _entry(at: datetime | float, kind: str, what: str, by: str | None = None) -> tuple[float, Entry]:
    """Return the exact time and the entry."""
    exact = at.timestamp() if isinstance(at, datetime) else at
    return exact, {"at": iso(at), "kind": kind, "what": what, "by": by}


def _of_comment(comment: Comment, sources: Sources) -> tuple[float, Entry] | None:
    origin = sources.origins.get(comment.comment_id, "aws")
    if origin in ("system", texts.PRIVATE) or comment.created_date is None:
        return None
    if origin == "slack":
        author, sent_at, text = texts.sender(comment.body)
        shown = f": {_cut(text)}" if sources.with_message_text else ""
        return _entry(sent_at or comment.created_date, "message", f"Slack message{shown}", author or None)
    return _entry(comment.created_date, "comment", f"Comment: {_cut(comment.body)}", _person(comment.creator))


def _person(creator: str | None) -> str | None:
    if not creator:
        return None
    return {"security-ir.amazonaws.com": _DEFAULT_AUTHOR}.get(creator, creator.rpartition("/")[2] or creator)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TEXT_LENGTH else f"{line[:_TEXT_LENGTH]}… ({len(line):,} characters in all)"


def _of_activity(found: Activity | None) -> list[tuple[float, Entry]]:
    if found is None or not found.calls:
        return []
    first, last = found.calls[0], found.calls[-1]
    return [
        _entry(
            one.at,
            "activity",
            f"{which} known call of the contained credentials: {one.service} {one.name}",
            _short(one.of),
        )
        for which, one in (("First", first), ("Last", last))
    ]


def _short(arn: str) -> str:
    """Return a principal without its account, as `user/carol`. The decisions have the complete ARN."""
    return arn.rpartition(":")[2]


def _activity(found: Activity | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "calls": len(found.calls),
        "first_at": iso(found.calls[0].at) if found.calls else None,
        "last_at": iso(found.calls[-1].at) if found.calls else None,
        "after_containment": {name: len(found.after(name)) for name in ("succeeded", "denied", "failed")},
        "services": [{"service": service, "region": region, **counts} for service, region, counts in found.table()],
        "addresses": dict(found.addresses().most_common()),
        "agents": dict(found.agents().most_common()),
        "not_undone": [{"what": one.name, "undo": one.undo} for one in found.lasting],
        "read": found.read,
        "read_at": iso(found.scope.read_at),
        "since": iso(found.scope.since),
        "regions": list(found.scope.regions),
        "not_complete": [*([] if found.scope.complete else ["the reading continues"]), *found.scope.limited],
    }


def _decisions(sources: Sources) -> list[dict[str, Any]]:
    """Return the decisions with their users, times and information: approval requests, then releases."""
    found = [_decision(one, sources.records) for one in sources.approvals]
    found += [
        {
            "kind": "release",
            "asked_at": None,
            "decided_at": iso(datetime.fromisoformat(one["at"])),
            "decision": "release",
            "by": one["actor"],
            "reason": audit.details(one).get("reason") or "",
            "information": {"principals": [audit.details(one).get("principal")]},
            "result": ", ".join(audit.actions(audit.details(one).get("actions"))) or None,
        }
        for one in sources.records
        if one["action"] == "released"
    ]
    return sorted(found, key=lambda one: str(one["asked_at"] or one["decided_at"]))


def _decision(row: Mapping[str, Any], records: Iterable[Record]) -> dict[str, Any]:
    analyst = row.get("analyst") or {}
    seen = [
        audit.details(one).get("joined_events_seen")
        for one in records
        if one["action"] == "decision_recorded" and audit.details(one).get("approval_id") == row["approval_id"]
    ]
    information = {name: row[name] for name in _DECISION_FACTS if row.get(name)}
    information = {name: sorted(value) if isinstance(value, set) else value for name, value in information.items()}
    return {
        "kind": row["kind"],
        "approval_id": row["approval_id"],
        "execution": row["execution"],
        "state": row["state"],
        "asked_at": iso(float(row["created_at"])),
        "decide_by": iso(float(row["decide_by"])),
        "decided_at": iso(float(row["decided_at"])) if row.get("decided_at") else None,
        "decision": row.get("decision"),
        "by": _analyst(analyst) if analyst else None,
        "via": analyst.get("via"),
        "reason": row.get("notes") or "",
        "information": {**information, "joined_events_seen": seen[-1] if seen else None},
        "result": row.get("result") or row.get("why"),
    }


def _analyst(analyst: Mapping[str, Any]) -> str:
    known = ", ".join(str(analyst[name]) for name in ("email", "slack_user_id") if analyst.get(name))
    return f"{analyst.get('name', '')} ({known})" if known else str(analyst.get("name", ""))


def _durations(sources: Sources, decisions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the times to contain, to ask, to decide and to close, each with its beginning and end."""
    found = []
    contained: dict[str, str] = {}
    for one in sources.records:
        facts = audit.details(one)
        if one["action"] == "contained" and facts.get("event_time") and facts.get("contained_at"):
            contained[str(facts.get("execution"))] = str(facts["contained_at"])
            found.append(_duration("contain", str(facts["event_time"]), str(facts["contained_at"])))
    for one in decisions:
        if one["asked_at"]:
            if began := contained.get(str(one.get("execution"))):
                found.append(_duration("ask", began, str(one["asked_at"])))
            if one["decided_at"]:
                found.append(_duration("decide", str(one["asked_at"]), str(one["decided_at"])))
    case = sources.case
    if case.created_date and case.closed_date:
        found.append(_duration("close", iso(case.created_date), iso(case.closed_date)))
    return found


def _duration(name: str, begin: str, end: str) -> dict[str, Any]:
    # Of the times as the report shows them, so that a reader gets the same number.
    began, ended = (datetime.fromisoformat(one).replace(microsecond=0) for one in (begin, end))
    seconds = max(0, int((ended - began).total_seconds()))
    return {"time_to": name, "from": iso(began), "to": iso(ended), "seconds": seconds}


def _evidence(sources: Sources) -> list[dict[str, Any]]:
    return [
        {
            "name": one.file_name,
            "attachment_id": one.attachment_id,
            "added_at": iso(one.created_date),
            "by": _person(one.creator),
            "scan": one.attachment_status,
            "sha256": sources.hashes.get(one.file_name),
        }
        for one in sources.case.case_attachments
    ]


def _follow_ups(sources: Sources) -> list[str]:
    """Return the open tasks as sentences."""
    found = []
    released = {one for row in sources.approvals for one in row.get("released", {})}
    for row in sources.approvals:
        who = str(row.get("who") or row.get("headline") or row["approval_id"])
        if row["state"] in ("pending", "decided"):
            found.append(f"The approval request about {who} is open. Decide by {iso(float(row['decide_by']))}.")
        elif row["kind"] == "remediate" and (row["state"] == "expired" or row.get("decision") == "approve"):
            covered = dict.fromkeys([*row.get("principals", ()), *sorted(row.get("joined_principals", ()))])
            kept = [arn for arn in covered if arn not in released]
            if kept:
                found.append(f"The containment of {', '.join(kept)} stays until it is released.")
    activity = sources.activity
    if activity is not None:
        found += [f"The containment does not undo: {one.name}. To undo: {one.undo}" for one in activity.lasting]
        found += [f"Replace this secret, because the credentials read it: {name}." for name in activity.read]
        if after := len(activity.after("succeeded")):
            found.append(f"Examine the {after} calls that succeeded after the containment.")
    for one in sources.records:
        found += [f"Not verified: {what}." for what in audit.unverified(audit.details(one))]
        if one["action"] == "step_failed":
            found.append(f"A step of the workflow failed: {audit.details(one).get('step')}.")
    failed = [one.file_name for one in sources.case.case_attachments if one.attachment_status == "Failed"]
    found += [f"The attachment {name} did not pass the malware scan." for name in failed]
    if not sources.case.is_closed and sources.reason == "requested":
        found.append(f"The case is open. Its status is {status.shown(sources.case.case_status)}.")
        if sources.case.pending_action == "Customer":
            found.append("AWS waits for your answer on the case.")
    return list(dict.fromkeys(found))
