"""The words around decisions: what is asked, what each answer does, how it ended.

Pure but for the functions' prefix, which the settings tell.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ir_router.ledger import approvals
from ir_router.settings import settings
from ir_router.workflow import changes, wording
from ir_router.workflow.incident import ContainmentResult, Decision, Incident, Principal, PrincipalResult
from ir_router.workflow.remediation import RemediationResult

_NAME_LENGTH = 80
PAST = {"approve": "approved", "deny": "denied"}


def at(seconds: float) -> str:
    """A time in seconds since the epoch, for people, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(seconds: float) -> str:
    """A time in seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def approval_facts(
    incident: Incident, containment: ContainmentResult, case_id: str | None, kind: str
) -> dict[str, Any]:
    """What an approval shows to people, kept in its row. `kind` is `contain` or `remediate`."""
    who = " and ".join(wording.name_of(part["principal"]) for part in containment["principals"])
    contain = kind == "contain"
    contained = contained_parts(containment)
    facts: dict[str, Any] = {
        "headline": f"contain {who}?"
        if contain
        else f"{who} {'only PARTLY ' if any(part['why'] for part in contained) else ''}contained",
        "who": who,
        "title": incident["title"],
        "severity": incident["severity"],
        "what": wording.what_happened(incident),
        "done": [
            *([] if contain else wording.actions(containment["principals"])),
            *(part["why"] for part in containment["principals"] if part["why"]),
        ],
        "approve_does": _contain_does(who) if contain else _approve_does(contained),
        "deny_does": f"leaves {who} as it is." if contain else deny_does(contained),
        "principals": [part["principal"]["arn"] for part in contained],
        "principal": containment["principals"][0]["principal"]["arn"],
        "owners": containment["owners"],
        "event_id": incident["event_id"],
        "event_time": incident["event_time"],
        "seconds_from_event": containment["seconds_from_event"],
        "execution_name": incident["execution"]["name"],
        "case_id": case_id,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _contain_does(who: str) -> str:
    return f"contains {who}: deny policy attached, keys disabled. A second decision is then asked."


def contained_parts(containment: ContainmentResult) -> list[PrincipalResult]:
    """The principals that the decision is about."""
    return [part for part in containment["principals"] if part["outcome"] == "contained"]


def _approve_does(parts: Sequence[PrincipalResult]) -> str:
    """What an approval will do, after containing."""
    return approve_does(parts, denied=all(_is_denied(part) for part in parts))


def _is_denied(part: PrincipalResult) -> bool:
    return any(taken["what"] == changes.DENY and taken["verified"] for taken in part["actions"])


def approve_does(parts: Sequence[Mapping[str, Any]], *, denied: bool) -> str:
    """What an approval will do. `parts` are principals with `named_keys`: results of containing, or rows of them.

    `denied`: the deny policy is attached to all of them.
    """
    after = (
        ". The deny policy stays until someone releases it."
        if denied
        else ", and tries again to attach the deny policy, which is NOT attached: somebody must act now."
    )
    named: list[str] = []
    earlier: list[str] = []
    for part in parts:
        for key in part["named_keys"]:
            (earlier if key in part.get("sealed_keys", ()) else named).append(wording.short_key(key))
    if not named and not earlier:
        return f"keeps the containment{after}"
    told = ", ".join(named)
    if earlier:
        told += f"{' and' if named else ''} {', '.join(earlier)} (unless deleted by the earlier approval)"
    return f"deletes {told.strip()} for good{after}"


def deny_does(parts: Sequence[Mapping[str, Any]]) -> str:
    """What a denial will do. `parts` are principals with what was `recorded` of them, and what is sealed of it."""
    return "; ".join(_denial_does(part) for part in parts) + "."


def _denial_does(part: Mapping[str, Any]) -> str:
    principal: Principal = part["principal"]
    name = wording.name_of(principal)
    recorded: Mapping[str, Any] = part["recorded"]
    active = sorted(key for key, status in recorded.get("keys", {}).items() if status == "Active")
    if "sealed_keys" in part:
        own = ", ".join(wording.short_key(key) for key in active if key not in part["sealed_keys"])
        does = f"enables {own} of {name} again" if own else f"changes nothing of {name}"
        return f"{does}; what was approved earlier stays contained, deny policy included, until someone releases it"
    keys = "" if principal["kind"] != "user" else f"{len(active)} key{'' if len(active) == 1 else 's'} active, "
    policy = "deny policy as before" if recorded.get("deny_attached") else "no deny policy"
    return f"restores {name} as found: {keys}{policy}"


def asked(containment: ContainmentResult) -> list[str]:
    """Both answers, for the alert."""
    return [
        f"Approve: {_approve_does(contained_parts(containment))}",
        f"Deny: {deny_does(contained_parts(containment))}",
        "How: the buttons in Slack, or aws lambda invoke with the token from the queue (docs/containment.md).",
    ]


def release_commands(principals: Sequence[str]) -> str:
    """How each principal (full ARN) that stays contained is released, ready for a shell."""
    return "\n".join(_release_command(arn) for arn in principals)


def _release_command(arn: str) -> str:
    payload = {"task": "release", "principal": arn, "released_by": "YOUR NAME", "reason": "WHY"}
    return (
        f"aws lambda invoke --function-name {settings().name_prefix}-workflow --cli-binary-format raw-in-base64-out "
        f"--payload {shlex.quote(json.dumps(payload))} response.json"
    )


def decided_by(decision: Decision) -> str:
    """Who decided and how, for example `Approved by Jane Smith`."""
    return f"{PAST[decision['decision']].capitalize()} by {decider(decision.get('analyst'))}"


def decider(analyst: Mapping[str, Any] | None) -> str:
    """Who made a decision, and where the name is from when nobody vouches for it."""
    if not analyst:
        return "somebody"
    # Whoever types a name must not write further lines of an alert with it.
    name = wording.cut(str(analyst["name"]), _NAME_LENGTH)
    return f"{name}{approvals.STATED.get(str(analyst.get('via')), '')}"


def outcome(
    containment: ContainmentResult,
    decision: Decision | None,
    done: RemediationResult | None,
    missing: Sequence[str],
) -> str:
    """How the incident ended, in one line: what happened to whom, what is missing, and whether somebody must act."""
    if containment["outcome"] == "limit_reached":
        return _not_permitted(_who(containment["principals"]), decision)
    if containment["outcome"] != "contained" or decision is None:
        return wording.containment_headline(containment)
    if decision["decision"] in PAST:
        return f"{decided_by(decision)}{_but(missing)}{result(containment, done)}"
    return _kept(containment, decision, done, missing)


def _kept(
    containment: ContainmentResult, decision: Decision, done: RemediationResult | None, missing: Sequence[str]
) -> str:
    timed_out = decision["decision"] == "timed_out"
    why = "Nobody decided within 24 hours" if timed_out else "Nobody could be asked"
    others = [step for step in missing if timed_out or step != "Wait for Analyst"]
    stays = "stays contained until someone releases it"
    if done is not None and not all(done.get("denied", {}).values()):
        stays = "is only PARTLY contained"
    told = _told(done)
    return (
        f"{why}{_but(others)}{_who(contained_parts(containment))} {stays}{f' - {told}' if told else ''}. "
        "Somebody must decide and run the task release."
    )


def _but(missing: Sequence[str]) -> str:
    """Between the decision and what became of it: what did not."""
    return f", NOT done: {'; '.join(missing)}. Somebody must act - " if missing else ": "


def _who(parts: Sequence[PrincipalResult]) -> str:
    return " and ".join(wording.name_of(part["principal"]) for part in parts)


def _told(done: RemediationResult | None) -> str:
    if done is None:
        return ""
    changed = " · ".join(wording.action(taken) for taken in done["actions"])
    return "; ".join(part for part in (changed, *done["notes"]) if part)


def result(containment: ContainmentResult, done: RemediationResult | None) -> str:
    """What became of a decision: for whom, each change and whether it is verified."""
    if done is None and containment["outcome"] == "limit_reached":
        return f"{_who(containment['principals'])} was not contained"
    if done is None:  # somebody permitted to contain
        return wording.containment_headline(containment)
    who, tail = _who(contained_parts(containment)), _told(done)
    return f"{who} - {tail}" if tail else who


def lacks_deny(part: PrincipalResult, done: RemediationResult | None) -> bool:
    """Whether a principal's deny policy is missing: at the end, or where nothing is to stay, when contained."""
    at_end = done.get("denied", {}) if done else {}
    return not at_end.get(part["principal"]["arn"], not part["why"])


def _not_permitted(who: str, decision: Decision | None) -> str:
    if decision is not None and decision["decision"] == "deny":
        return f"{decided_by(decision)}: {who} was not contained."
    why = "Nobody could be asked" if decision is None or decision["decision"] != "timed_out" else "Nobody decided"
    return f"{why}: {who} was NOT contained. Somebody must act now."


def final(
    incident: Incident,
    containment: ContainmentResult,
    decision: Decision | None,
    done: RemediationResult | None,
    case_id: str | None,
    missing: list[str],
) -> str:
    """The text of the final alert."""
    notes = decision.get("notes") if decision else None
    return wording.lines(
        outcome(containment, decision, done, missing),
        f"Reason given: {wording.cut(notes)}" if notes else "",
        _how_to_release(containment, decision),
        "",
        wording.alert_subject(incident, wording.principals_of(containment)),
        *wording.facts(incident),
        *(part["why"] for part in containment["principals"] if part["why"] and lacks_deny(part, done)),
        f"Missing: {'; '.join(missing)}" if missing else "",
        f"Case: {case_id}" if case_id else "",
        *wording.ids(incident),
    )


def _how_to_release(containment: ContainmentResult, decision: Decision | None) -> str:
    """Where nobody decided: the commands that lift the containment."""
    if containment["outcome"] != "contained" or decision is None or decision["decision"] in PAST:
        return ""
    return f"To release: {release_commands([part['principal']['arn'] for part in contained_parts(containment)])}"
