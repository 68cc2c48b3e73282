"""State "Check Allowlist": is this caller, or its address, expected to do this?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.ledger import allowlist as stored
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import allowlist
from ir_router.workflow.allowlist import Entry
from ir_router.workflow.incident import AllowlistAnswer, Incident

BY_DEPLOYMENT = "given at deployment"


def handle(task: Mapping[str, Any], _context: Any) -> Incident:
    """The incident with the allowlist's answer. A lookup that fails counts as not allowlisted, and is told."""
    incident: Incident = task["incident"]
    try:
        found = allowlist.find(incident["actor"], incident["source_ip"], _entries(), clock.now())
    except (BotoCoreError, ClientError) as error:
        logger.error("the allowlist cannot be read", extra={"error": type(error).__name__})
        return {**incident, "allowlist": {"allowlisted": False, "lookup_failed": True}}
    answer: AllowlistAnswer = {"allowlisted": found is not None, "lookup_failed": False}
    if found is not None:
        answer |= {"entry": found.value, "reason": found.reason}
    return {**incident, "allowlist": answer}


def deployed_entries() -> Iterator[Entry]:
    """The entries of the variables allowed_cidrs and allowed_principals."""
    for value in settings().allowed_cidrs:
        yield Entry("ip", value, BY_DEPLOYMENT)
    for value in settings().allowed_principals:
        yield Entry("principal", value, BY_DEPLOYMENT)


def _entries() -> Iterator[Entry]:
    yield from deployed_entries()
    for row in stored.entries():
        yield Entry(row["kind"], row["value"], row["reason"], row.get("expires_at"))
