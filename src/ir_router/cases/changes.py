"""What changed on a case: digests to notice that something did, and the differences that people are told. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ir_router.cases import status
from ir_router.cases.models import Case, CaseEdit, CaseRow, Comment, Person


def digest(value: Any) -> str:
    """A short, stable hash of anything that JSON can hold."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def row_of(case: Case) -> CaseRow:
    """The row of ListCases that belongs to a case (GetCase has all its fields)."""
    return CaseRow.model_validate({name: getattr(case, name) for name in CaseRow.model_fields})


def row_digest(row: CaseRow) -> str:
    """The digest of a row of ListCases; times count in whole seconds."""
    return digest({name: _plain(value) for name, value in row})


# In the place of a digest: not looked at.
_NOT_READ = "-"


def fingerprint(case: Case, comments: Iterable[Comment] | None, team: Iterable[Person]) -> str:
    """What a deep check compares: `<case>.<comments>.<attachments>.<response team>`, each a digest.

    `comments` None: they were not read, and are equal to any.
    """
    fields = case.model_dump(mode="json", exclude={"case_attachments", "last_updated_date"})
    said = _NOT_READ if comments is None else digest(sorted((one.comment_id, digest(one.body)) for one in comments))
    attached = sorted((item.attachment_id, item.attachment_status) for item in case.case_attachments)
    people = sorted(person.email.lower() for person in team)
    return ".".join((digest(fields), said, digest(attached), digest(people)))


def what_differs(before: str | None, after: str) -> str | None:
    """The event that a deep check publishes: AttachmentAdded, CommentAdded, CaseUpdated, or None."""
    old, new = (before or "").split("."), after.split(".")
    if len(old) != len(new) or (old[0], old[3]) != (new[0], new[3]):
        return "CaseUpdated"
    if old[1] != new[1] and new[1] != _NOT_READ:
        return "CommentAdded"
    return "AttachmentAdded" if old[2] != new[2] else None


def changed_by(edits: Iterable[CaseEdit]) -> str | None:
    """The principal of the last change of the case itself; `edits` oldest first.

    The API's actions are free texts; those of comments and attachments name them.
    """
    principals = [
        edit.principal
        for edit in edits
        if edit.principal and not any(word in (edit.action or "").casefold() for word in ("comment", "attachment"))
    ]
    return principals[-1] if principals else None


def _plain(value: Any) -> Any:
    return int(value.timestamp()) if isinstance(value, datetime) else value


@dataclass(frozen=True)
class FieldChange:
    """A field that people follow: its values as people see them, and the new one as the API has it.

    `name` is the ledger's attribute.
    """

    name: str
    label: str
    before: str
    after: str
    value: str


# The ledger's attribute -> what people call it. The specification names the first two of these attributes.
_LABELS: Mapping[str, str] = {
    "slackChannelCaseTitle": "Title",
    "slackChannelCaseDescription": "Description",
    "slackChannelCaseStatus": "Status",
    "slackChannelCaseSeverity": "Severity",
    "slackChannelCasePendingAction": "Pending action",
    "slackChannelCaseResolverType": "Resolver",
    "slackChannelCaseEngagementType": "Type",
    "slackChannelCaseImpactedAccounts": "Impacted accounts",
    "slackChannelCaseImpactedServices": "Impacted services",
    "slackChannelCaseImpactedRegions": "Impacted regions",
    "slackChannelCaseThreatActorAddresses": "Threat actor IP addresses",
}


def followed_fields(case: Case, severity: str) -> dict[str, str]:
    """The fields whose changes are told in the channel, as the ledger keeps them (API values, lists joined)."""
    values = {
        "slackChannelCaseTitle": case.title,
        "slackChannelCaseDescription": case.description,
        "slackChannelCaseStatus": case.case_status,
        "slackChannelCaseSeverity": severity,
        "slackChannelCasePendingAction": case.pending_action or "None",
        "slackChannelCaseResolverType": case.resolver_type or "",
        "slackChannelCaseEngagementType": case.engagement_type or "",
        "slackChannelCaseImpactedAccounts": ", ".join(sorted(case.impacted_accounts)),
        "slackChannelCaseImpactedServices": ", ".join(sorted(case.impacted_services)),
        "slackChannelCaseImpactedRegions": ", ".join(sorted(r.get("region", "") for r in case.impacted_aws_regions)),
        "slackChannelCaseThreatActorAddresses": ", ".join(
            sorted(address.get("ipAddress", "") for address in case.threat_actor_ip_addresses)
        ),
    }
    return {name: values[name] for name in _LABELS}


def with_followed_fields(case: Case, fields: Mapping[str, str]) -> Case:
    """The case as it was when `fields` were taken from it, as far as its first message shows it."""
    return case.model_copy(
        update={
            "title": fields["slackChannelCaseTitle"],
            "description": fields["slackChannelCaseDescription"],
            "case_status": fields["slackChannelCaseStatus"],
        }
    )


def differences(before: Mapping[str, Any], after: Mapping[str, str]) -> list[FieldChange]:
    """The followed fields that differ, in telling order. A field never stored before is no change."""
    return [
        FieldChange(name, label, _shown(name, str(before[name])), _shown(name, after[name]), after[name])
        for name, label in _LABELS.items()
        if name in before and str(before[name]) != after[name]
    ]


def _shown(name: str, value: str) -> str:
    return status.shown(value) if name == "slackChannelCaseStatus" else value
