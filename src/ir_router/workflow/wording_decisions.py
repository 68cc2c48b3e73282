"""The texts about decisions: the request, the effect of approving and denying, the outcome.

Pure, except that the prefix of the function names comes from the settings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from ir_router import command_lines
from ir_router.ledger import approvals
from ir_router.ledger.approvals import ApprovalKind
from ir_router.ledger.creators import Offer
from ir_router.workflow import changes, new_keys, scopes, wording, wording_gaps, wording_links, wording_many
from ir_router.workflow.incident import ActionTaken, ContainmentResult, Decision, Incident, Principal, PrincipalResult
from ir_router.workflow.outcomes import OUTCOMES
from ir_router.workflow.remediation import RemediationResult

_NAME_LENGTH = 80
_MOST_CHANGES = 12
PAST: Mapping[str, Literal["approved", "denied"]] = {"approve": "approved", "deny": "denied"}


def at(seconds: float) -> str:
    """Format a time in seconds since the epoch, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(seconds: float) -> str:
    """Format a time in seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def approval_facts(
    incident: Incident, containment: ContainmentResult, case_id: str | None, kind: ApprovalKind
) -> dict[str, Any]:
    """Return the texts and facts of an approval request, as stored in its row.

    Args:
        incident: The incident that the request is about.
        containment: The result of Immediate Containment.
        case_id: The id of the incident's case, if there is one.
        kind: `contain` (permission to contain) or `remediate` (the decision after containment).

    Returns:
        The attributes of the row. Facts without a value are left out.
    """
    who = wording.names_of(containment["principals"])
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
            *wording.actions(containment["principals"]),
            *(wording.reason(part) for part in containment["principals"] if part["why"]),
            *wording.stopped_roles(containment),
        ],
        "at_large": wording.owners_at_large(containment) or None,
        "creators": containment.get("creators"),
        "approve_does": _contain_does(containment) if contain else _approve_does(contained),
        "deny_does": _leaves(containment["principals"], who) if contain else deny_does(contained),
        "principals": [part["principal"]["arn"] for part in contained],
        "principal": containment["principals"][0]["principal"]["arn"],
        "disabled_keys": (new_keys.disabled_in(containment["principals"]) or None) if contain else None,
        "owners": containment["owners"],
        "named": wording_links.named_in(incident, [part["principal"] for part in containment["principals"]]) or None,
        "finding": wording_links.finding_url(incident) or None,
        "event_id": incident["event_id"],
        "event_time": incident["event_time"],
        "seconds_from_event": containment["seconds_from_event"],
        "execution_name": incident["execution"]["name"],
        "case_id": case_id,
    }
    return {name: value for name, value in facts.items() if value is not None}


def completely_contained(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the changed texts of a request about keys alone, after an event led to the containment of their owners."""
    who = wording.names_of(parts)
    return {"who": who, "headline": f"{who} contained", "at_large": []}


def _leaves(parts: Sequence[PrincipalResult], who: str) -> str:
    keys = new_keys.disabled_in(parts)
    return f"re-enables key {', '.join(keys)} of {who}. Nothing else changes." if keys else f"leaves {who} unchanged."


def _contain_does(containment: ContainmentResult) -> str:
    parts = containment["principals"]
    does = "attaches the deny policy and disables the keys"
    if all(part["principal"]["kind"] == "role" for part in parts):
        does = "attaches the deny policy, so that all sessions and everything that uses the role stop"
    return f"contains {_who(parts)}: {does}. ir-router then sends a second approval request."


def contained_parts(containment: ContainmentResult) -> list[PrincipalResult]:
    """Return the principals that the decision is about."""
    return [part for part in containment["principals"] if OUTCOMES[part["outcome"]].approval == "remediate"]


def _approve_does(parts: Sequence[PrincipalResult]) -> str:
    """Return the effect of an approval after containment."""
    return approve_does(parts, denied=all(scopes.is_key_only(part) or _is_denied(part) for part in parts))


def _is_denied(part: PrincipalResult) -> bool:
    return any(taken["what"] == changes.DENY and taken["verified"] for taken in part["actions"])


def current_texts(parts: Sequence[Mapping[str, Any]], *, several: bool) -> dict[str, Any]:
    """Return the texts of a pending request that change when an event joins or a principal is released.

    Args:
        parts: The containment rows of the principals.
        several: Whether the incident has or had several principals, so that the request lists them.
    """
    refused = any(part.get("deny_refused") for part in parts)
    partly = refused or any(part.get("keys_unknown") for part in parts)
    texts: dict[str, Any] = {"approve_does": approve_does(parts, denied=not refused), "deny_does": deny_does(parts)}
    if several:
        who = _who(parts)
        texts |= {
            "who": who,
            "headline": f"{who} {'only PARTLY ' if partly else ''}contained",
            "listed": [_listed(part) for part in parts],
        }
    return texts


def _listed(part: Mapping[str, Any]) -> str:
    """Return a principal and the keys that an approval deletes, as one entry of the request's list."""
    keys = ", ".join(part["named_keys"])
    partly = " (keys NOT disabled)" if part.get("keys_unknown") else ""
    partly = " (deny policy NOT attached)" if part.get("deny_refused") else partly
    partly = " (only the key is disabled)" if scopes.is_key_only(part) else partly
    return f"{wording.name_of(part['principal'])}{f' {keys}' if keys else ''}{partly}"


def approve_does(parts: Sequence[Mapping[str, Any]], *, denied: bool) -> str:
    """Return the effect of an approval, as a clause that starts with a verb.

    Args:
        parts: The principals with their `named_keys`: results of Immediate Containment or containment rows.
        denied: Whether the deny policy is attached to all of them that are contained completely.
    """
    only_keys = all(scopes.is_key_only(part) for part in parts)
    after = (
        ". Nothing else changes."
        if only_keys
        else ". The deny policy stays until you release it."
        if denied
        else " and retries attaching the deny policy, which is NOT attached. Do not wait for the retry. Attach the "
        "policy by hand now."
    )
    named: list[str] = []
    earlier: list[str] = []
    for part in parts:
        for key in part["named_keys"]:
            known = part.get("recorded", {}).get("keys", {key})
            shown = key if key in known else f"{key} (IAM does not list it)"
            (earlier if key in part.get("sealed_keys", ()) else named).append(shown)
    if not named and not earlier:
        return f"keeps the containment{after}"
    if len(parts) > wording_many.MOST_NAMED:
        return f"permanently deletes {len(named) + len(earlier)} keys of {len(parts)} principals{after}"
    deleted = ", ".join(named)
    if earlier:
        deleted += f"{' and' if named else ''} {', '.join(earlier)} (unless already deleted by an earlier approval)"
    noun = "key" if len(named) + len(earlier) == 1 else "keys"
    return f"permanently deletes {noun} {deleted.strip()}{after}"


def deny_does(parts: Sequence[Mapping[str, Any]]) -> str:
    """Return the effect of a denial. `parts` are principals with their `recorded` state and `sealed_keys`."""
    if len(parts) > wording_many.MOST_NAMED:
        sealed = sum("sealed_keys" in part for part in parts)
        but = f" For {sealed} of them, an earlier approval stays until you release it." if sealed else ""
        return f"restores {len(parts)} principals as found.{but}"
    return "; ".join(_denial_does(part) for part in parts) + "."


def _denial_does(part: Mapping[str, Any]) -> str:
    principal: Principal = part["principal"]
    name = wording.name_of(principal)
    recorded: Mapping[str, Any] = part["recorded"]
    active = sorted(key for key, status in recorded.get("keys", {}).items() if status == "Active")
    held: Mapping[str, str] = part.get("held") or {}
    stays = f". But {wording_gaps.stays_disabled(held)}" if held else ""
    active = [key for key in active if key not in held]
    if scopes.is_key_only(part):
        return f"re-enables {', '.join(active) or 'no key'} of {name}. Nothing else changes{stays}"
    if "sealed_keys" in part:
        own = ", ".join(key for key in active if key not in part["sealed_keys"])
        noun = "keys" if "," in own else "key"
        does = f"re-enables {noun} {own} of {name}" if own else f"changes nothing for {name}"
        rest = "the rest of the containment, including the deny policy, was approved earlier"
        return f"{does}; {rest} and stays until you release it{stays}"
    keys = "" if principal["kind"] != "user" else f"{len(active)} key{'' if len(active) == 1 else 's'} active, "
    keys = "keys unchanged, " if part.get("keys_unknown") else keys
    policy = (
        "deny policy as before"
        if recorded.get("deny_attached") or recorded.get("earlier_attached")
        else "no deny policy"
    )
    return f"restores {name} as found: {keys}{policy}{stays}"


def asked(containment: ContainmentResult, case_id: str | None) -> str:
    """Return one line about a containment of which the decision is pending, for readers of another request."""
    case = f" Case {case_id}." if case_id else ""
    return f"{wording.containment_headline(containment)} A separate approval request is open.{case}"


def effects(containment: ContainmentResult) -> list[str]:
    """Return the lines about the effects of approving and denying for the alert."""
    return [
        f"Approve: {_approve_does(contained_parts(containment))}",
        f"Deny: {deny_does(contained_parts(containment))}",
    ]


def decision_lines(containment: ContainmentResult, approval_id: str) -> list[str]:
    """Return the lines about deciding for the alert."""
    return [
        "Decide with the buttons in Slack, or on the command line.",
        f"To approve, run: {command_lines.decide(approval_id, 'approve')}",
        f"To deny, run: {command_lines.decide(approval_id, 'deny')}",
        *(_creator(one, approval_id) for one in containment.get("creators", {}).values() if "does" in one),
    ]


def _creator(offer: Offer, approval_id: str) -> str:
    """Return the lines about containing the creator of a key, which decides nothing about the request."""
    command = command_lines.contain_creator(approval_id, offer["arn"])
    return f"To contain {offer['who']} too, who created the key, run: {command}\nThe command {offer['does']}"


def release_commands(principals: Sequence[str]) -> str:
    """Return a shell command for each principal (full ARN) that releases its containment. Of many return the first."""
    if len(principals) <= wording_many.MOST_NAMED:
        return "\n".join(command_lines.release(arn) for arn in principals)
    return f"{command_lines.release(principals[0])}\nRepeat this for each of the {len(principals)} principals."


def decided_by(decision: Decision) -> str:
    """Return the decision and the analyst, for example `Approved by Jane Smith`."""
    return f"{PAST[decision['decision']].capitalize()} by {decider(decision.get('analyst'))}"


def decider(analyst: Mapping[str, Any] | None) -> str:
    """Return the analyst's name. If the name is not authenticated, its source follows in parentheses."""
    if not analyst:
        return "an unnamed analyst"
    # A typed name must not be able to add lines to an alert.
    name = wording.cut(str(analyst["name"]), _NAME_LENGTH)
    # Users choose their names in Slack. The address stays out of the execution, so only the id follows.
    user_id = f" ({analyst['slack_user_id']})" if analyst.get("slack_user_id") else ""
    alone = " (break-glass, without a second person)" if analyst.get("break_glass") else ""
    first = f"{decider(analyst['first'])} and " if analyst.get("first") else ""
    return f"{first}{name}{user_id}{approvals.STATED.get(str(analyst.get('via')), '')}{alone}"


def outcome(
    containment: ContainmentResult,
    decision: Decision | None,
    done: RemediationResult | None,
    missing: Sequence[str],
) -> str:
    """Return one line with the decision, its effect, the steps that are missing and the required action."""
    approval = OUTCOMES[containment["outcome"]].approval
    if approval == "contain":
        return _not_permitted(containment["principals"], decision)
    if approval is None or decision is None:
        return wording.containment_headline(containment)
    if decision["decision"] in PAST:
        return f"{decided_by(decision)}{_undone(missing)}{result(containment, done)}"
    return _kept(containment, decision, done, missing)


def _kept(
    containment: ContainmentResult, decision: Decision, done: RemediationResult | None, missing: Sequence[str]
) -> str:
    timed_out = decision["decision"] == "timed_out"
    why = "No decision within 24 hours" if timed_out else "The approval request could not be sent"
    others = [step for step in missing if timed_out or step != "Wait for Analyst"]
    changed = _changes_and_notes(done)
    parts = contained_parts(containment)
    stays, it = ("stay contained", "them") if len(parts) > 1 else ("stays contained", "it")
    stays += f" until you release {it}"
    if done is not None and not all(done.get("denied", {}).values()):
        stays = f"{'are' if len(parts) > 1 else 'is'} only PARTLY contained"
    return f"{why}{_undone(others)}{_who(parts)} {stays}{f' - {changed}' if changed else ''}. Review the incident."


def _undone(missing: Sequence[str]) -> str:
    """Return the text between the decision and its effect."""
    return f". NOT done: {'; '.join(missing)}. Do these steps by hand now. " if missing else ": "


def _who(parts: Sequence[Mapping[str, Any]]) -> str:
    return wording.names_of(parts)


def _summary_of(taken: Sequence[ActionTaken]) -> list[str]:
    """Return the changes. Of many, those that are verified are counted by kind."""
    if len(taken) <= _MOST_CHANGES:
        return [wording.action(one) for one in taken]
    verified = Counter(one["what"].replace("key {target}", "key") for one in taken if one["verified"])
    counted = [f"{what} (verified, {count} times)" for what, count in verified.items()]
    return [*counted, *(wording.action(one) for one in taken if not one["verified"])]


def _changes_and_notes(done: RemediationResult | None) -> str:
    if done is None:
        return ""
    changed = " · ".join(_summary_of(done["actions"]))
    return "; ".join(part for part in (changed, *done["notes"]) if part)


def result(containment: ContainmentResult, done: RemediationResult | None) -> str:
    """Return the effect of a decision: the principals, each change and whether it is verified."""
    if done is None and OUTCOMES[containment["outcome"]].approval == "contain":
        return f"{_who(containment['principals'])} {_was(containment['principals'])} not contained"
    if done is None:  # the decision was permission to contain
        return wording.containment_headline(containment)
    who, tail = _who(contained_parts(containment)), _changes_and_notes(done)
    return f"{who} - {tail}" if tail else who


def lacks_deny(part: PrincipalResult, done: RemediationResult | None) -> bool:
    """Whether the deny policy is missing at the end, or after containment if the principal was restored."""
    at_end = done.get("denied", {}) if done else {}
    return not at_end.get(part["principal"]["arn"], not part["why"] or bool(part.get("keys_unknown")))


def _was(parts: Sequence[PrincipalResult]) -> str:
    return "were" if len(parts) > 1 else "was"


def _not_permitted(parts: Sequence[PrincipalResult], decision: Decision | None) -> str:
    who = f"{_who(parts)} {_was(parts)}"
    if decision is not None and decision["decision"] == "deny":
        return f"{decided_by(decision)}: {who} not contained."
    timed_out = decision is not None and decision["decision"] == "timed_out"
    why = "No decision within 24 hours" if timed_out else "The approval request could not be sent"
    keys = new_keys.disabled_in(parts)
    noun, verb = ("keys", "are") if len(keys) > 1 else ("key", "is")
    stays = f" Only {noun} {', '.join(keys)} {verb} disabled." if keys else ""
    return f"{why}: {who} NOT contained.{stays} Contain {'them' if len(parts) > 1 else 'it'} by hand now."


def final(
    incident: Incident,
    containment: ContainmentResult,
    decision: Decision | None,
    done: RemediationResult | None,
    case_id: str | None,
    missing: list[str],
    *,
    no_case: str = "",
) -> str:
    """Return the text of the final alert. `no_case` are the sentences about a missing case."""
    notes = decision.get("notes") if decision else None
    return wording.lines(
        outcome(containment, decision, done, missing),
        f"Reason given: {wording.cut(notes)}" if notes else "",
        _how_to_release(approvals.id_of(incident["execution"]["id"], "remediate"), containment, decision, done),
        "",
        wording.alert_subject(incident, wording.principals_of(containment)),
        *wording_many.listed([wording.name_of(principal) for principal in wording.principals_of(containment)]),
        *wording.facts(incident),
        *(wording.reason(part) for part in containment["principals"] if part["why"] and lacks_deny(part, done)),
        *(f"May be left behind - {one}" for one in (done.get("left_behind", []) if done else [])),
        f"Missing: {'; '.join(missing)}" if missing else "",
        wording.case_line(case_id) or no_case,
        *wording.ids(incident),
    )


def _how_to_release(
    approval_id: str, containment: ContainmentResult, decision: Decision | None, done: RemediationResult | None
) -> str:
    """Return the release commands unless a denial restored all: the containment, or some keys, stay in place."""
    if done is not None and done.get("held"):
        return f"To enable the keys that stay disabled, run: {release_commands(done['held'])}"
    asked = OUTCOMES[containment["outcome"]].approval == "remediate"
    if not asked or decision is None or decision["decision"] == "deny":
        return ""
    return f"To release it, run: {command_lines.release_request(approval_id)}"
