"""The accounts of the organisation: their names and states, for people.

The hub calls DescribeAccount. AWS answers only the management account and delegated administrators:
https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeAccount.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, clock
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import invocation
from ir_router.workflow.details import harmless
from ir_router.workflow.incident import Incident, Principal

_KEPT_SECONDS = 86_400
RECENT_SECONDS = 900
"""The answer is at most so old after a failure, or if AWS denies the role of the account."""
# Of an account that was closed. AWS Organizations keeps such an account for 90 days.
_CLOSED = frozenset({"SUSPENDED", "PENDING_CLOSURE", "CLOSED"})


class Account(NamedTuple):
    """An account: its name and id as people read them (the id alone if AWS does not give the name), and its state."""

    shown: str
    state: str

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be changed in the account."""
        return self.state in _CLOSED


_kept: dict[str, tuple[float, Account]] = {}


def of(account: str, *, at_most_old: int = _KEPT_SECONDS) -> Account:
    """Return an account (12 digits) as AWS Organizations knows it.

    A process keeps the answer for a day, or for `at_most_old` seconds.
    """
    now = clock.now()
    described_at, found = _kept.get(account, (0.0, Account(account, "")))
    if now - described_at >= (at_most_old if found.state else RECENT_SECONDS):
        found = _described(account)
        _kept[account] = (now, found)
    return found


def listed() -> dict[str, str]:
    """Return the active accounts of the organisation by id, as people read them. Raises botocore's errors."""
    pages = aws.client("organizations").get_paginator("list_accounts").paginate()
    found = {str(one["Id"]): _account(str(one["Id"]), one) for page in pages for one in page["Accounts"]}
    return {account: one.shown for account, one in found.items() if one.state == "ACTIVE"}


def forget() -> None:
    """Drop the kept answers. Tests change the organisation."""
    _kept.clear()


def with_names(incident: Incident, context: Any) -> Incident:
    """Return the incident with the name of its account, and its subject with it. Without an organisation, as it is."""
    if settings().organization_id is None:
        return incident
    shown = of(invocation.contained_account(incident, context)).shown
    named: Incident = {**incident, "in_account": shown}
    return {**named, "subject": placed(named["subject"], named)}


def placed(principal: Principal, incident: Incident) -> Principal:
    """Return the principal with the name of its account, if that is the account of the incident."""
    if "in_account" not in incident or principal["account"] != incident["account"]:
        return principal
    return {**principal, "in_account": incident["in_account"]}


def named(principal: Principal) -> Principal:
    """Return the principal with the name of its account. Without an organisation, as it is."""
    if settings().organization_id is None or not principal["account"]:
        return principal
    return {**principal, "in_account": of(principal["account"]).shown}


def _described(account: str) -> Account:
    try:
        found: dict[str, Any] = aws.client("organizations").describe_account(AccountId=account)["Account"]
    except (BotoCoreError, ClientError) as error:
        # The names are for people, so nothing waits for them.
        logger.warning("account.not_described: texts have its id alone", extra={"error": str(error)[:200]})
        return Account(account, "")
    return _account(account, found)


def _account(account: str, found: Mapping[str, Any]) -> Account:
    name = harmless(str(found.get("Name") or "")).strip()
    return Account(
        f"{name} ({account})" if name else account, str(found.get("State") or found.get("Status") or "ACTIVE")
    )
