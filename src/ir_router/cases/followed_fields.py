"""The table of the fields of a case whose changes ir-router announces in the channel. Pure.

To add a field, add a line to `FOLLOWED`. ir-router stores the first value without an announcement and announces later
changes, also for cases that already existed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ir_router.cases import status

if TYPE_CHECKING:
    from ir_router.cases.models import Case

Tags = Mapping[str, str]


def _as_stored(value: str) -> str:
    return value


@dataclass(frozen=True)
class FollowedField:
    """A field of a case, or a tag, whose changes are announced.

    Attributes:
        attribute: The ledger's attribute of the case's row. It is stored, so never rename it.
        label: The field's name in messages.
        read: Takes the case and its tags. Returns the value to store: the API's text, or a sorted list as one text.
        show: Takes a stored value. Returns the text for messages.
        model_field: The text field of `Case` that `read` returns, if there is one.
        tag: The key of the tag that `read` needs. None if GetCase returns the field.
    """

    attribute: str
    label: str
    read: Callable[[Case, Tags], str]
    show: Callable[[str], str] = _as_stored
    model_field: str | None = None
    tag: str | None = None


def _text(
    attribute: str, label: str, model_field: str, missing: str = "", show: Callable[[str], str] = _as_stored
) -> FollowedField:
    """Return a text field of GetCase. The ledger stores `missing` if the API returns no value."""
    return FollowedField(
        attribute, label, lambda case, _tags: getattr(case, model_field) or missing, show, model_field=model_field
    )


def _list(attribute: str, label: str, entries: Callable[[Case], Sequence[str]]) -> FollowedField:
    """Return a list field of GetCase. The API guarantees no order."""
    return FollowedField(attribute, label, lambda case, _tags: ", ".join(sorted(entries(case))))


def _tag(attribute: str, label: str, tag: str, missing: str) -> FollowedField:
    """Return a tag of the case. The ledger stores `missing` for a case without the tag."""
    return FollowedField(attribute, label, lambda _case, tags: tags.get(tag, missing), tag=tag)


TITLE = _text("slackChannelCaseTitle", "Title", "title")
DESCRIPTION = _text("slackChannelCaseDescription", "Description", "description")
STATUS = _text("slackChannelCaseStatus", "Status", "case_status", show=status.shown)
# AWS Security Incident Response has no severity.
SEVERITY = _tag("slackChannelCaseSeverity", "Severity", "severity", missing="Not set")

# In the order of announcements. The specification names the first two attributes.
FOLLOWED: Sequence[FollowedField] = (
    TITLE,
    DESCRIPTION,
    STATUS,
    SEVERITY,
    _text("slackChannelCasePendingAction", "Pending action", "pending_action", missing="None"),
    _text("slackChannelCaseClosureCode", "Closure code", "closure_code", missing="None"),
    _text("slackChannelCaseResolverType", "Resolver", "resolver_type"),
    _text("slackChannelCaseEngagementType", "Type", "engagement_type"),
    _list("slackChannelCaseImpactedAccounts", "Impacted accounts", lambda case: case.impacted_accounts),
    _list("slackChannelCaseImpactedServices", "Impacted services", lambda case: case.impacted_services),
    _list(
        "slackChannelCaseImpactedRegions",
        "Impacted regions",
        lambda case: [entry.get("region", "") for entry in case.impacted_aws_regions],
    ),
    _list(
        "slackChannelCaseThreatActorAddresses",
        "Threat actor IP addresses",
        lambda case: [entry.get("ipAddress", "") for entry in case.threat_actor_ip_addresses],
    ),
)


def values(case: Case, tags: Tags | None) -> dict[str, str]:
    """Return the followed fields as the ledger stores them.

    Args:
        case: The case as GetCase returned it.
        tags: The case's tags, or None if they were not read. Fields that need a tag are then left out.

    Returns:
        The values by ledger attribute, in the order of announcements.
    """
    return {
        field.attribute: field.read(case, tags or {}) for field in FOLLOWED if field.tag is None or tags is not None
    }


def with_values(case: Case, stored: Mapping[str, str]) -> Case:
    """Return the case with the stored text fields of GetCase. A field that is not stored does not change."""
    changed = {
        field.model_field: stored[field.attribute]
        for field in FOLLOWED
        if field.model_field and stored.get(field.attribute, field.read(case, {})) != field.read(case, {})
    }
    return case.model_copy(update=changed)
