"""State "Check Allowlist": is this caller, or its address, expected to do this?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.errors import InvalidInputError
from ir_router.ledger import allowlist as stored
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import allowlist
from ir_router.workflow.allowlist import Entry
from ir_router.workflow.incident import AllowlistAnswer, Incident

BY_DEPLOYMENT = "given at deployment"
# Their subject is whoever is on the list: that it is expected to act says nothing about its credentials being stolen.
_ABOUT_CREDENTIALS = frozenset({"guardduty.amazonaws.com", "health.amazonaws.com"})


def handle(task: Mapping[str, Any], _context: Any) -> Incident:
    """The incident with the allowlist's answer. A lookup that fails counts as not allowlisted, and is told.

    Of findings about credentials and of CRITICAL events an entry stops the containment at most, never the alert.
    """
    incident: Incident = task["incident"]
    refused: list[str] = []
    try:
        found = entry_for(incident, _usable(_entries(), refused), clock.now())
    except (BotoCoreError, ClientError) as error:
        logger.error("the allowlist cannot be read", extra={"error": type(error).__name__})
        return {**incident, "allowlist": {"allowlisted": False, "lookup_failed": True}}
    silent = may_silence(incident["event_source"], incident["band"])
    answer: AllowlistAnswer = {"allowlisted": found is not None and silent, "lookup_failed": False}
    if found is not None:
        answer |= {"entry": found.value, "reason": found.reason}
    if refused:
        answer["refused"] = refused
    return {**incident, "allowlist": answer}


def entry_for(facts: Mapping[str, Any], entries: Iterable[Entry], at: float) -> Entry | None:
    """The entry that allows this caller or its address at that time (seconds since the epoch), if any."""
    # Behind a VPC endpoint the caller chooses its address: any network's owner can give it one of ours.
    address = None if facts["vpc_endpoint_id"] else facts["source_ip"]
    return allowlist.find(facts["actor"], address, entries, at)


def may_silence(event_source: str, severity: str) -> bool:
    """Whether an entry may end the matter without an alert."""
    return event_source not in _ABOUT_CREDENTIALS and severity != "CRITICAL"


def deployed_entries() -> Iterator[Entry]:
    """The entries of the variables allowed_cidrs and allowed_principals."""
    for value in settings().allowed_cidrs:
        yield Entry("ip", value, BY_DEPLOYMENT)
    for value in settings().allowed_principals:
        yield Entry("principal", value, BY_DEPLOYMENT)


def refusal(entry: Entry) -> str | None:
    """Why the entry is not used, or None: it is wrong, or so wide that it would allow strangers."""
    try:
        allowlist.checked(entry.kind, entry.value)
    except InvalidInputError as error:
        return str(error)
    return None


def _usable(entries: Iterable[Entry], refused: list[str]) -> Iterator[Entry]:
    """The entries that may be used; what is wrong with the others is appended to `refused`."""
    for entry in entries:
        why = refusal(entry)
        if why is None:
            yield entry
        else:
            logger.error("an entry of the allowlist is not used", extra={"kind": entry.kind})
            refused.append(why)


def _entries() -> Iterator[Entry]:
    yield from deployed_entries()
    for row in stored.entries():
        yield Entry(row["kind"], row["value"], row["reason"], row.get("expires_at"))
