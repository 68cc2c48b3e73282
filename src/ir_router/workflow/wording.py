"""The texts of alerts, cases and audit records. Pure, except that links have the region of the settings.

The first line states the outcome and the required action. The details follow, and ids come last (docs/containment.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ir_router import links
from ir_router.settings import settings
from ir_router.workflow import rejections, scopes, wording_links, wording_many
from ir_router.workflow.details import harmless, origin
from ir_router.workflow.incident import (
    ActionTaken,
    AllowlistAnswer,
    ContainmentResult,
    Incident,
    Principal,
    PrincipalResult,
)
from ir_router.workflow.outcomes import OUTCOMES

AUDIT_ACTOR = "ir-router workflow"
_VALUE_LENGTH = 300
_ROLE_SESSIONS = (
    "Role sessions that a contained user opened earlier keep working for up to 12 hours. Find the user's AssumeRole "
    "calls in CloudTrail and revoke the sessions of those roles."
)


def name_of(principal: Principal) -> str:
    """Return a principal's kind and name, for example `user backdoor-user` or `root of account 123456789012`.

    In an organisation, the account follows: `user carol in shop-prod (222222222222)`.
    """
    account = principal.get("in_account")
    if principal["kind"] == "root":
        return f"root of account {account or principal['account']}"
    shown = principal["name"] or principal["arn"] or "an unknown principal"
    shown = harmless(shown)
    shown = f"{principal['kind']} {shown}" if principal["kind"] != "unknown" else shown
    return f"{shown} in {account}" if account else shown


def names_of(parts: Iterable[Mapping[str, Any]]) -> str:
    """Return the names of contained principals, or of their keys if nothing else is contained."""
    return wording_many.names([f"{_only_keys(part)}{name_of(part['principal'])}" for part in parts])


def _only_keys(part: Mapping[str, Any]) -> str:
    return f"key {', '.join(part['named_keys'])} of " if scopes.is_key_only(part) else ""


def owners_at_large(result: ContainmentResult) -> list[str]:
    """Return a sentence about the active credentials of each owner that is not contained."""
    return [
        f"NOT contained: {name_of(part['principal'])}, because another principal created the key ({_limit_of(part)}). "
        f"Still active: {''.join(f'access key {key}, ' for key in part.get('still_active', []))}its password and "
        "its temporary credentials."
        for part in result["principals"]
        if scopes.is_key_only(part)
    ]


def _limit_of(part: PrincipalResult) -> str:
    return "the hourly limit is reached" if part.get("limited") else "containment_scope is key"


def caller(incident: Incident) -> str:
    """Return the name of the caller. For a role session the session's ARN follows in parentheses."""
    actor = incident["actor"]
    shown = name_of(actor) if actor["name"] else actor["caller_arn"] or "unknown"
    is_session = actor["kind"] == "role" and actor["caller_arn"]
    return f"{shown} ({harmless(actor['caller_arn'])})" if is_session else harmless(shown)


def clock_time(moment: str | None) -> str:
    """Format an ISO 8601 time in UTC."""
    if not moment:
        return "at an unknown time"
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """Format a duration, for example `4 s`, `3 min` or `2 h 5 min`."""
    rounded = round(seconds)
    if rounded < 120:
        return f"{rounded} s"
    minutes = rounded // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def what_happened(incident: Incident) -> str:
    """Return one line with the call, its service, the target, the caller, the source address and the time."""
    service = incident["event_source"].partition(".")[0]
    parts = [incident["event_name"] if service in ("", "iam") else f"{incident['event_name']} ({service})"]
    subject, actor = incident["subject"], incident["actor"]
    if subject["name"] and (subject["kind"], subject["name"]) != (actor["kind"], actor["name"]):
        parts.append(f"for {name_of(subject)}")
    if actor["name"] or actor["caller_arn"]:
        parts.append(f"by {caller(incident)}")
    if incident["source_ip"]:
        parts.append(f"{origin(incident['source_ip'])}{_and_more(len(incident.get('addresses', ())) - 1)}")
    sentence = " ".join(parts)
    error = f" ({incident['error_code']})" if incident["error_code"] else ""
    return f"{sentence}{error}, {clock_time(incident['event_time'])}"


def _and_more(addresses: int) -> str:
    return f" and {addresses} more address{'es' if addresses > 1 else ''}" if addresses > 0 else ""


def alert_subject(incident: Incident, principals: Sequence[Principal] = ()) -> str:
    """Return the severity, the title and the affected principals.

    Args:
        incident: The incident to alert about.
        principals: The affected principals as IAM shows them. Without them the event's own names are used.
    """
    named = wording_many.names([name_of(principal) for principal in principals if principal["name"]])
    who = named or in_event(incident)
    return f"{incident.get('severity', 'UNKNOWN')}: {incident.get('title', incident['event_name'])} - {who}"


def in_event(incident: Incident) -> str:
    """Return the name of the principal that the event is about."""
    return name_of(incident["subject"] if incident["subject"]["name"] else incident["actor"])


def principals_of(containment: ContainmentResult) -> list[Principal]:
    """Return the principals of a containment as IAM shows them."""
    return [part["principal"] for part in containment["principals"]]


def action(taken: ActionTaken) -> str:
    """Return one change in IAM and whether it was verified."""
    what = taken["what"].format(target=taken["target"])
    if taken["verified"]:
        return f"{what} (verified)"
    error = rejections.describe(taken.get("error", ""), taken.get("reason", ""))
    return f"NOT verified: {what} ({error})" if error else f"NOT verified: {what}"


def actions(results: Sequence[PrincipalResult]) -> list[str]:
    """Return the changes of a containment, one line for each principal that was changed."""
    return [
        f"{name_of(result['principal'])}: {' · '.join(action(taken) for taken in result['actions'])}"
        for result in results
        if result["actions"]
    ]


def reason(result: PrincipalResult) -> str:
    """Return why a principal is not or only partly contained. The reason for changed principals names them itself."""
    return result["why"] if result["actions"] else f"{name_of(result['principal'])}: {result['why']}"


def containment_headline(containment: ContainmentResult) -> str:
    """Return the outcome of a containment and the action that it requires."""
    needed = OUTCOMES[containment["outcome"]].needed
    if _in_part(containment):
        needed = "You must act by hand now. Then approve or deny within 24 hours."
    return f"{outcome_of(containment)} {needed}".rstrip()


def outcome_of(containment: ContainmentResult) -> str:
    """Return the outcome of a containment as a sentence."""
    who = names_of(containment["principals"]) or "no principal"
    if _in_part(containment):
        return f"{who} only PARTLY contained."
    added = any(part.get("added") for part in containment["principals"])
    if added:
        return f"{who} contained. This event joined the open incident of the same actor."
    if any(part.get("undone") for part in containment["principals"]):
        return f"{who} contained again, because a call undid the containment. This event joined the open incident."
    return OUTCOMES[containment["outcome"]].headline.format(who=who)


def _in_part(containment: ContainmentResult) -> bool:
    return OUTCOMES[containment["outcome"]].contained and any(part["why"] for part in containment["principals"])


def elapsed_time(containment: ContainmentResult) -> str:
    """Return how long the containment took, or an empty string when nothing was contained."""
    if containment["seconds_from_event"] is None:
        return ""
    before = containment["outcome"] == "joined" and not any(part.get("added") for part in containment["principals"])
    what = "Containment verified" if before else "Contained"
    what = "Partly contained" if _in_part(containment) else what
    return f"{what} {duration(containment['seconds_from_event'])} after the event."


def containment(
    incident: Incident,
    result: ContainmentResult,
    case_id: str | None,
    decision_lines: Sequence[str] = (),
    *,
    effects: Sequence[str] = (),
    no_case: str = "",
) -> str:
    """Return the text of the alert about a HIGH event.

    Args:
        incident: The incident.
        result: The result of its containment.
        case_id: The incident's case, if there is one.
        decision_lines: Lines about the decision that is needed, after the facts.
        effects: Lines about the effects of each decision, before the facts.
        no_case: Sentences about a missing case.
    """
    return lines(
        containment_headline(result),
        *effects,
        "",
        alert_subject(incident, principals_of(result)),
        *_event_and_containment(incident, result),
        *(["", *decision_lines] if decision_lines else []),
        case_line(case_id) or no_case,
        *ids(incident),
    )


def case_description(incident: Incident, result: ContainmentResult) -> str:
    """Return the description of the incident's case: facts that no later decision changes, without the title."""
    return lines(outcome_of(result), "", *_event_and_containment(incident, result), *ids(incident))


def _event_and_containment(incident: Incident, result: ContainmentResult) -> list[str]:
    done = actions(result["principals"])
    return [
        *facts(incident),
        f"Done: {'; '.join(done)}" if done else "",
        *(reason(part) for part in result["principals"] if part["why"]),
        *owners_at_large(result),
        *creator_notes(result),
        *stopped(result),
        elapsed_time(result),
    ]


def creator_notes(result: ContainmentResult) -> list[str]:
    """Return the warnings that the credentials of the key's creator still work."""
    return [one["note"] for one in result.get("creators", {}).values()]


def stopped(result: ContainmentResult) -> list[str]:
    """Return the consequences for the users of the contained roles, and the sessions that continue."""
    any_user = any(principal["kind"] == "user" for principal in _newly_denied(result))
    return [*stopped_roles(result), *([_ROLE_SESSIONS] if any_user else [])]


def stopped_roles(result: ContainmentResult) -> list[str]:
    """Return the consequence for the users of each contained role."""
    return [
        f"Everything that uses {name_of(principal)} stops: all its sessions, and the instances, functions and services "
        "that assume it."
        for principal in _newly_denied(result)
        if principal["kind"] == "role"
    ]


def _newly_denied(result: ContainmentResult) -> list[Principal]:
    new = [part for part in result["principals"] if part["outcome"] == "contained" or part.get("added")]
    return [part["principal"] for part in new if not scopes.is_key_only(part)]


def facts(incident: Incident) -> list[str]:
    """Return the facts of the event, one line for each."""
    found = [f"What: {what_happened(incident)}"]
    if also := incident.get("also"):
        found.append(f"Also: {'; '.join(also)}")
    if incident["access_key_id"]:
        found.append(f"Key: {incident['access_key_id']}")
    found += incident.get("details", [])
    if incident["user_agent"]:
        found.append(f'User agent (the caller chose it): "{cut(harmless(incident["user_agent"]))}"')
    found.append(f"Account {incident.get('in_account', incident['account'])}, region {incident['region']}")
    if "allowlist" in incident:
        found += _allowlist(incident["allowlist"])
    return found


def _allowlist(answer: AllowlistAnswer) -> list[str]:
    found = []
    if answer["lookup_failed"]:
        found.append("ir-router could not read the allowlist, so it treated the event as not allowlisted.")
    if "entry" in answer:
        reason = cut(answer.get("reason", ""))
        why = f"Containment was skipped because of the allowlist entry {answer['entry']} ({reason})."
        found.append(f"{why} {answer.get('doubt', '')}".rstrip())
    found += [f"Fix the allowlist: an invalid entry is being ignored. {why}" for why in answer.get("refused", [])]
    return found


def ids(incident: Incident) -> list[str]:
    """Return the lines that end each text: links to the principals and the execution, then the ids."""
    execution = incident["execution"]["id"]
    found = ["", *(f"IAM: {name} {url}" for name, url in links.principals(wording_links.named_in(incident)).items())]
    if url := links.execution(execution):
        found.append(f"Workflow: {url}")
    return [*found, f"Event: {incident['event_id']}", f"Execution: {execution}"]


def case_line(case_id: str | None) -> str:
    """Return the line that names a case, with its link; empty without a case."""
    return f"Case: {case_id} {links.case(case_id, settings().region)}" if case_id else ""


def cut(text: str, length: int = _VALUE_LENGTH) -> str:
    """Reduce external text to one line of at most `length` characters, and append how many characters were cut."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[:length]}... ({len(line) - length} characters more)"


def lines(*given: str) -> str:
    """Join the lines. Single empty lines stay; repeated and trailing empty lines are dropped."""
    kept: list[str] = []
    for line in given:
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip()


def record(incident: Incident) -> dict[str, Any]:
    """Return the facts of an incident for the audit log."""
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
        **({"addresses": incident["addresses"]} if "addresses" in incident else {}),
        "allowlist": incident.get("allowlist"),
    }


def record_containment(containment: ContainmentResult, case_id: str | None) -> dict[str, Any]:
    """Return the result of a containment for the audit log and the queue message."""
    return {
        "outcome": containment["outcome"],
        "principals": [
            {
                "principal": part["principal"]["arn"],
                "outcome": part["outcome"],
                "why": part["why"],
                "actions": record_actions(part["actions"]),
                "recorded": part["recorded"],
                **({"scope": part["scope"]} if "scope" in part else {}),
                **({"in_account": part["principal"]["in_account"]} if "in_account" in part["principal"] else {}),
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
    """For an event that joined, return the shared approval and the owner tags that bar analysts from deciding."""
    if "approval_id" not in part:
        return {}
    return {
        "joined_execution": part.get("joined_execution"),
        "added": part.get("added", False),
        "approval_id": part["approval_id"],
        "owner_tags": part.get("owner_tags", {}),
    }


def record_actions(taken: Sequence[ActionTaken]) -> list[dict[str, Any]]:
    """Return changes in IAM for the audit log, with full key ids."""
    return [
        {"what": entry["what"].format(target=entry["target"]), "verified": entry["verified"]}
        | ({"error": entry["error"]} if entry.get("error") else {})
        | ({"reason": entry["reason"]} if entry.get("reason") else {})
        for entry in taken
    ]
