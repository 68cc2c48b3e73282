"""State "Check Allowlist": check whether the caller or its address is allowlisted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock, command_lines
from ir_router.errors import InvalidInputError
from ir_router.ledger import allowlist as stored
from ir_router.observability import logger
from ir_router.workflow import allowlist, deployed_lists, iam, invocation
from ir_router.workflow.allowlist import Entry
from ir_router.workflow.incident import AllowlistAnswer, Incident, Severity
from ir_router.workflow.sessions import NoRoleError

BY_DEPLOYMENT = "given at deployment"
_NEW_DAYS = 7
_FAILED_SIGN_INS = "console_sign_ins_failed"
_CHECK = "Check whether the entry means this caller."
_NEW = f"The caller was created within the last {_NEW_DAYS} days. {_CHECK}"
_UNKNOWN = f"IAM did not show when the caller was created. {_CHECK}"
# The sources of findings, for incidents of an older version, which lack the field `finding`.
_SOURCES_OF_FINDINGS = frozenset({"guardduty.amazonaws.com", "health.amazonaws.com"})


def run_task(task: Mapping[str, Any], context: Any) -> Incident:
    """Return the incident with the allowlist's answer. A failed lookup counts as not allowlisted and is reported.

    For findings about credentials and for CRITICAL events an entry can stop the containment, but never the alert. No
    entry decides about a containment that an analyst requested. A HIGH event by a new principal is alerted, and so is
    one by a principal that IAM does not show because of an error.
    """
    incident: Incident = task["incident"]
    if "requested" in incident:
        return {**incident, "allowlist": {"allowlisted": False, "lookup_failed": False}}
    refused: list[str] = []
    try:
        known = list(known_entries())
        found = entry_for(incident, usable(known, refused), clock.now())
    except (BotoCoreError, ClientError) as error:
        logger.error(
            "allowlist.read_failed: the event counts as not allowlisted", extra={"error": type(error).__name__}
        )
        return {**incident, "allowlist": {"allowlisted": False, "lookup_failed": True}}
    refused += _without_effect(incident, known)
    silent = may_silence(incident, incident["band"])
    doubt = _doubt(incident, context) if found is not None and silent and incident["band"] == "HIGH" else ""
    answer: AllowlistAnswer = {"allowlisted": found is not None and silent and not doubt, "lookup_failed": False}
    if found is not None:
        answer |= {"entry": found.value, "reason": found.reason}
    if doubt:
        answer["doubt"] = doubt
    if refused:
        answer["refused"] = refused
    return {**incident, "allowlist": answer}


def _doubt(incident: Incident, context: Any) -> str:
    """Return why an entry by name may mean another principal than the caller, or an empty string."""
    actor = incident["actor"]
    if actor["kind"] not in ("user", "role") or actor["account"] != invocation.contained_account(incident, context):
        return ""
    try:
        created = iam.created_at(actor)
    except (BotoCoreError, ClientError, NoRoleError) as error:
        logger.error("allowlist.caller_not_read: the event is alerted", extra={"error": type(error).__name__})
        return _UNKNOWN
    return _NEW if created is not None and clock.now() - created < _NEW_DAYS * 86_400 else ""


def _without_effect(incident: Incident, known: Iterable[Entry]) -> Iterator[str]:
    """Yield why entries do not count that name this caller's session, or only the AWS service that made this call."""
    for entry in known:
        if entry.value in (incident["source_ip"], incident["actor"]["caller_arn"]):
            why = allowlist.without_effect(entry.kind, entry.value)
            if why:
                yield why


def entry_for(facts: Mapping[str, Any], entries: Iterable[Entry], at: float) -> Entry | None:
    """Return the entry that matches the caller or all its addresses at the time `at` (seconds since the epoch), if any.

    GuardDuty can report several addresses of a caller. One of the attacker, without an entry, must cause a containment.
    """
    # Behind a VPC endpoint the caller's address is chosen by the owner of the VPC, who could choose an allowlisted one.
    known = [] if facts["vpc_endpoint_id"] else facts.get("addresses") or [facts["source_ip"]]
    return allowlist.find(facts["actor"], [address for address in known if address], entries, at)


def may_silence(facts: Mapping[str, Any], severity: Severity) -> bool:
    """Whether an allowlist entry may suppress the alert about such an event.

    A finding is about the principal itself: an allowlisted principal can still have stolen credentials.
    """
    finding: bool = facts.get("finding", facts["event_source"] in _SOURCES_OF_FINDINGS)
    return not finding and severity != "CRITICAL"


def deployed_entries() -> Iterator[Entry]:
    """Yield the entries of the variables allowed_cidrs and allowed_principals."""
    lists = deployed_lists.current()
    for value in lists.allowed_cidrs:
        yield Entry("ip", value, BY_DEPLOYMENT)
    for value in lists.allowed_principals:
        yield Entry("principal", value, BY_DEPLOYMENT)


def refusal(entry: Entry) -> str | None:
    """Return why the entry is ignored (invalid, or it matches too much), or None if it is valid.

    Also see `allowlist.without_effect`.
    """
    try:
        allowlist.checked(entry.kind, entry.value)
    except InvalidInputError as error:
        return str(error)
    return None


def usable(entries: Iterable[Entry], refused: list[str]) -> Iterator[Entry]:
    """Yield the valid entries and append the errors of the others to `refused`."""
    for entry in entries:
        why = refusal(entry)
        if why is None:
            yield entry
        else:
            logger.error("allowlist.entry_ignored: the entry is invalid", extra={"kind": entry.kind})
            refused.append(why)


def known_entries() -> Iterator[Entry]:
    """Yield the entries of the deployment, then those of the ledger."""
    yield from deployed_entries()
    for row in stored.entries():
        yield Entry(row["kind"], row["value"], row["reason"], row.get("expires_at"))


def command_to_allow(incident: Incident) -> str:
    """Return the command that adds the caller of a MEDIUM event to the allowlist; empty if an entry would not help."""
    actor = incident["actor"]
    known = incident.get("allowlist", {"allowlisted": False, "lookup_failed": False})
    helps = may_silence(incident, incident["severity"]) and "quiet" not in incident and "entry" not in known
    if incident["severity"] != "MEDIUM" or not helps or actor["kind"] not in ("user", "role"):
        return ""
    if _FAILED_SIGN_INS in incident.get("detections", ()):
        return ""  # the users are the ones whose passwords someone guesses
    entry = Entry("principal", actor["arn"], "")
    if refusal(entry) or allowlist.without_effect(entry.kind, entry.value):
        return ""
    added = {"task": "allowlist_add", "kind": "principal", "value": entry.value}
    return command_lines.invoke({**added, "reason": "WHY", "added_by": "YOUR NAME"})
