"""The origin of an event: an event can cause a containment only in the account that it comes from. Pure.

EventBridge sets `account` in the envelope of an event. PutEvents sets neither it nor a source that starts with `aws.`:
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html. So the envelope is true, and
the detail is believed only about the account of the envelope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.errors import IrRouterError
from ir_router.workflow.incident import Facts
from ir_router.workflow.principals import string

# Findings of all accounts of an organisation arrive in the account of its administrator. CloudTrail has none:
# https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_eventbridge.html,
# https://docs.aws.amazon.com/health/latest/ug/aggregating-health-events.html.
_REPORTED = frozenset({"aws.guardduty", "aws.health"})


class EventNotBelievedError(IrRouterError):
    """The detail of an event names another account than the one that it comes from. The message names both."""


def of(event: Mapping[str, Any], own_account: str) -> str:
    """Return the account that an event comes from.

    Args:
        event: The event as the execution received it.
        own_account: The account of this deployment. An event without an envelope was given to StartExecution there.
    """
    return string(event.get("account")) or own_account


def check(event: Mapping[str, Any], facts: Facts, own_account: str, *, contains: bool = True) -> None:
    """Raise EventNotBelievedError if the event is about another account than its origin.

    This account reports the findings and the AWS Health events of the others. A call that this account shows and that
    contains no principal is believed too, for example AssumeRoot by the management account.
    """
    source = of(event, own_account)
    about = facts["account"] or source
    finding = facts.get("finding", False) and event.get("source") in _REPORTED
    reports = source == own_account and (finding or not contains)
    if about != source and not reports:
        raise EventNotBelievedError(f"The event comes from account {source}, but its detail names account {about}.")


def member_of(facts: Facts, own_account: str) -> str:
    """Return the account that the event is about, or an empty string for this account."""
    return "" if facts["account"] == own_account else facts["account"]
