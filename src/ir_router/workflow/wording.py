"""The words of alerts, cases and audit records. Pure.

First what happened to what and whether somebody must act; then the details; ids last (docs/containment.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ir_router.workflow.incident import (
    ActionTaken,
    AllowlistAnswer,
    ContainmentResult,
    Incident,
    Principal,
    PrincipalResult,
)

AUDIT_ACTOR = "ir-router workflow"
_VALUE_LENGTH = 300
_ROLE_SESSIONS = (
    "Role sessions that a contained user opened before go on, for up to 12 hours: look for its AssumeRole calls in "
    "CloudTrail and revoke those roles' sessions."
)


def name_of(principal: Principal) -> str:
    """A principal as people call it: `user backdoor-user`, `role deploy`, `root`."""
    if principal["kind"] == "root":
        return f"root of account {principal['account']}"
    shown = principal["name"] or principal["arn"] or "an unknown principal"
    return f"{principal['kind']} {shown}" if principal["kind"] != "unknown" else shown


def caller(incident: Incident) -> str:
    """Who made the call: the name, and for a session the session's ARN behind it."""
    actor = incident["actor"]
    shown = name_of(actor) if actor["name"] else actor["caller_arn"] or "unknown"
    return f"{shown} ({actor['caller_arn']})" if actor["kind"] == "role" and actor["caller_arn"] else shown


def short_key(access_key_id: str) -> str:
    """An access key id that people can tell apart: `AKIA...PKAZ`. Ids are no secrets; short is easier to read."""
    return f"{access_key_id[:4]}...{access_key_id[-4:]}" if len(access_key_id) > 8 else access_key_id


def clock_time(moment: str | None) -> str:
    """A time for people, in UTC."""
    if not moment:
        return "at an unknown time"
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """A length of time in words: `4 s`, `3 min`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def what_happened(incident: Incident) -> str:
    """The call in one sentence: what, for whom, by whom, from where, when."""
    parts = [incident["event_name"]]
    subject, actor = incident["subject"], incident["actor"]
    if subject["name"] and (subject["kind"], subject["name"]) != (actor["kind"], actor["name"]):
        parts.append(f"for {name_of(subject)}")
    if actor["name"] or actor["caller_arn"]:
        parts.append(f"by {caller(incident)}")
    if incident["source_ip"]:
        parts.append(f"from {incident['source_ip']}")
    sentence = " ".join(parts)
    error = f" ({incident['error_code']})" if incident["error_code"] else ""
    return f"{sentence}{error}, {clock_time(incident['event_time'])}"


def alert_subject(incident: Incident, principals: Sequence[Principal] = ()) -> str:
    """The subject of an alert that asks for no decision. `principals` are whom it concerns, once IAM was asked."""
    said = incident["subject"] if incident["subject"]["name"] else incident["actor"]
    who = " and ".join(name_of(principal) for principal in principals if principal["name"]) or name_of(said)
    return f"{incident.get('severity', 'UNKNOWN')}: {incident.get('title', incident['event_name'])} - {who}"


def principals_of(containment: ContainmentResult) -> list[Principal]:
    """Whom a containment concerns, as IAM has them."""
    return [part["principal"] for part in containment["principals"]]


def alert_only(incident: Incident, *, grouped: bool) -> str:
    """The text of an alert about an event that is not contained."""
    root = incident["actor"]["kind"] == "root" or incident["subject"]["kind"] == "root"
    act = (
        "Root cannot be contained. Somebody must check now whether this was meant: if not, sign in as root, delete its "
        "access keys, change its password and check its MFA devices."
        if root
        else "Nothing was contained. Look at whether this was meant."
    )
    later = "Further events of this kind by the same principal are counted and told in an hour." if grouped else ""
    return lines(f"{alert_subject(incident)}.", act, "", *facts(incident), later, *ids(incident))


def alert_count(incident: Incident, count: int) -> str:
    """The text of the alert at the end of a group."""
    return lines(
        f"{alert_subject(incident)}: {count} events within the hour. The first was told when it came.",
        "",
        *facts(incident),
        *ids(incident),
    )


def action(taken: ActionTaken) -> str:
    """One change in IAM and whether reading back shows it."""
    target = f" {short_key(taken['target'])}" if taken["target"] else ""
    state = "verified" if taken["verified"] else "NOT verified"
    error = f", {taken['error']}" if taken.get("error") else ""
    return f"{taken['what'].format(target=target.strip())} ({state}{error})"


def actions(results: Sequence[PrincipalResult]) -> list[str]:
    """All changes of a containment, a line for each principal."""
    return [
        f"{name_of(result['principal'])}: {' · '.join(action(taken) for taken in result['actions']) or result['why']}"
        for result in results
    ]


def containment_headline(containment: ContainmentResult) -> str:
    """What was done about a HIGH event and whether somebody must act."""
    needed = {
        "contained": "A decision is needed within 24 hours: approve or deny.",
        "joined": "Its decision is still awaited.",
        "dry_run": "Nothing was changed.",
        "off": "Somebody must act.",
        "refused": "Somebody must act now.",
        "gone": "",
        "limit_reached": "A decision is needed now.",
    }[containment["outcome"]]
    if _in_part(containment):
        needed = "Somebody must act now, and decide within 24 hours: approve or deny."
    return f"{_what_was_done(containment)} {needed}".rstrip()


def _what_was_done(containment: ContainmentResult) -> str:
    who = " and ".join(name_of(result["principal"]) for result in containment["principals"]) or "nobody"
    if _in_part(containment):
        return f"{who} only PARTLY contained."
    return {
        "contained": f"{who} contained.",
        "joined": f"{who} is contained already; this event joined the open incident.",
        "dry_run": f"Dry run: {who} would have been contained.",
        "off": f"{who} not contained: containment is switched off.",
        "refused": f"{who} NOT contained.",
        "gone": f"{who}: nothing left to contain.",
        "limit_reached": f"{who} NOT contained yet: too many principals within the hour.",
    }[containment["outcome"]]


def _in_part(containment: ContainmentResult) -> bool:
    return containment["outcome"] in ("contained", "joined") and any(part["why"] for part in containment["principals"])


def seconds(containment: ContainmentResult) -> str:
    """How fast it was, for people; empty when nothing was contained."""
    if containment["seconds_from_event"] is None:
        return ""
    return f"Contained {duration(containment['seconds_from_event'])} after the event."


def containment(incident: Incident, result: ContainmentResult, case_id: str | None, asked: Sequence[str] = ()) -> str:
    """The text of the alert about a HIGH event. `asked` are the lines about the decision that is needed."""
    return lines(
        containment_headline(result),
        "",
        alert_subject(incident, principals_of(result)),
        *_event_and_containment(incident, result),
        *asked,
        f"Case: {case_id}" if case_id else "",
        *ids(incident),
    )


def case_description(incident: Incident, result: ContainmentResult) -> str:
    """The description of the incident's case: what stays true, whatever is decided later. The title is not repeated."""
    return lines(_what_was_done(result), "", *_event_and_containment(incident, result), *ids(incident))


def _event_and_containment(incident: Incident, result: ContainmentResult) -> list[str]:
    return [
        *facts(incident),
        "Done: " + "; ".join(actions(result["principals"])) if result["principals"] else "",
        *(part["why"] for part in result["principals"] if part["why"]),
        _ROLE_SESSIONS if any(_is_contained_user(part) for part in result["principals"]) else "",
        seconds(result),
    ]


def _is_contained_user(part: PrincipalResult) -> bool:
    return part["outcome"] == "contained" and part["principal"]["kind"] == "user"


def facts(incident: Incident) -> list[str]:
    """The event, a line for each fact."""
    told = [f"What: {what_happened(incident)}"]
    if incident["access_key_id"]:
        told.append(f"Key: {incident['access_key_id']}")
    if incident["user_agent"]:
        told.append(f"User agent: {cut(incident['user_agent'])}")
    told.append(f"Account {incident['account']}, region {incident['region']}")
    if "allowlist" in incident:
        told += _allowlist(incident["allowlist"])
    return told


def _allowlist(answer: AllowlistAnswer) -> list[str]:
    told = []
    if answer["lookup_failed"]:
        told.append("The allowlist could not be read; the event was treated as not allowlisted.")
    if "entry" in answer:
        reason = cut(answer.get("reason", ""))
        told.append(f"Nothing is contained because of the allowlist's entry {answer['entry']} ({reason}).")
    told += [f"Mend the allowlist: an entry is not used. {why}" for why in answer.get("refused", [])]
    return told


def ids(incident: Incident) -> list[str]:
    """Where to look further, last."""
    return ["", f"Event: {incident['event_id']}", f"Execution: {incident['execution']['id']}"]


def cut(text: str, length: int = _VALUE_LENGTH) -> str:
    """Text from outside in one line, at a sensible length, with how much was cut."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[:length]}... ({len(line) - length} characters more)"


def lines(*given: str) -> str:
    """The lines as text: empty ones between others stay, doubled and trailing ones go."""
    kept: list[str] = []
    for line in given:
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip()


def record(incident: Incident) -> dict[str, Any]:
    """The facts of an incident for the audit."""
    actor, subject = incident["actor"], incident["subject"]
    return {
        "execution": incident["execution"]["id"],
        "event_id": incident["event_id"],
        "event_name": incident["event_name"],
        "event_source": incident["event_source"],
        "event_time": incident["event_time"],
        "error_code": incident["error_code"],
        "account": incident["account"],
        "region": incident["region"],
        "severity": incident.get("severity"),
        "detections": incident.get("detections", []),
        "actor": actor["caller_arn"],
        "actor_access_key_id": actor["access_key_id"],
        "user_agent": cut(incident["user_agent"]) if incident["user_agent"] else None,
        "subject": subject["arn"],
        "access_key_id": incident["access_key_id"],
        "source_ip": incident["source_ip"],
        "allowlist": incident.get("allowlist"),
    }


def record_containment(containment: ContainmentResult, case_id: str | None) -> dict[str, Any]:
    """What was done, for the audit and for analysts."""
    return {
        "outcome": containment["outcome"],
        "principals": [
            {
                "principal": part["principal"]["arn"],
                "outcome": part["outcome"],
                "why": part["why"],
                "actions": record_actions(part["actions"]),
                "recorded": part["recorded"],
                **_record_joined(part),
            }
            for part in containment["principals"]
        ],
        "contained_at": containment["contained_at"],
        "seconds_from_event": containment["seconds_from_event"],
        "seconds_from_arrival": containment["seconds_from_arrival"],
        "case_id": case_id,
    }


def _record_joined(part: PrincipalResult) -> dict[str, Any]:
    """Of an event that joined: whose decision it shares, and what the tags said of those who may not make it."""
    if "approval_id" not in part:
        return {}
    return {
        "joined_execution": part.get("joined_execution"),
        "approval_id": part["approval_id"],
        "owner_tags": part.get("owner_tags", {}),
    }


def record_actions(taken: Sequence[ActionTaken]) -> list[dict[str, Any]]:
    """Changes in IAM for the audit, with full key ids."""
    return [
        {"what": entry["what"].format(target=entry["target"]), "verified": entry["verified"]}
        | ({"error": entry["error"]} if entry.get("error") else {})
        for entry in taken
    ]
