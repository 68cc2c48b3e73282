"""Digests that show whether a case changed since ir-router last synchronised it. Pure.

The ledger's index has two digests. `row_digest` covers a row of ListCases, and `fingerprint` covers a deep check. Both
contain one part for each field, `<digest of the name>:<digest of the value>`, and ir-router compares them field by
field. A field that only one side has is not a difference. A version that uses more or fewer fields therefore does not
publish every case again.

Older versions stored one digest of all fields of the model. ir-router compares those rows in the old way until the next
synchronisation or deep check replaces the digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ir_router.cases import followed_fields
from ir_router.cases.changes import digest
from ir_router.cases.followed_fields import Tags
from ir_router.cases.models import Case, CaseRow, Comment, Investigation, Person

Difference = Literal["CaseUpdated", "CommentAdded", "AttachmentAdded"]

# A page of ListComments. A deep check reads no further.
NEWEST_COMMENTS = 25
# Replaces the digest of a part that was not read.
_NOT_READ = "-"
_NAME_LENGTH, _VALUE_LENGTH = 4, 8
_SECTIONS = 4

# The digests of older versions covered all fields of the models at that time. Never change these lists.
_OLD_ROW_FIELDS = (
    *("case_id", "last_updated_date", "title", "case_arn", "engagement_type", "case_status", "created_date"),
    *("closed_date", "resolver_type", "pending_action"),
)
_OLD_CASE_FIELDS: Mapping[str, Any] = {
    **dict.fromkeys(("case_id", "case_arn", "case_status", "title", "description", "engagement_type"), True),
    **dict.fromkeys(("reported_incident_start_date", "actual_incident_start_date", "created_date"), True),
    **dict.fromkeys(("impacted_aws_regions", "threat_actor_ip_addresses", "pending_action"), True),
    **dict.fromkeys(("impacted_accounts", "impacted_services", "closure_code", "resolver_type", "closed_date"), True),
    "watchers": {"__all__": {"email": True, "name": True, "job_title": True}},
}


@dataclass(frozen=True)
class Reading:
    """A case as one deep check, or one synchronisation, read it.

    Attributes:
        case: The response of GetCase.
        team: The membership's response team.
        comments: At least the newest comments, oldest first, or None if they were not read.
        tags: The case's tags, or None if they were not read.
        findings: The completed investigations of AWS, or None if they were not read.
    """

    case: Case
    team: Iterable[Person]
    comments: Sequence[Comment] | None = None
    tags: Tags | None = None
    findings: Sequence[Investigation] | None = None


def row_digest(row: CaseRow | Case) -> str:
    """Return the digest of a row of ListCases, or of a case, which has the same fields. Times count in seconds."""
    names = ["last_updated_date", "closed_date"]
    names += [field.model_field for field in followed_fields.FOLLOWED if field.model_field in CaseRow.model_fields]
    return _joined({name: _plain(getattr(row, name, None)) for name in names})


def row_differs(stored: object, row: CaseRow) -> bool:
    """Return whether a row of ListCases differs from the one whose digest is in the ledger."""
    before = _parts(str(stored))
    if before is None:
        return stored != digest({name: _plain(getattr(row, name, None)) for name in _OLD_ROW_FIELDS})
    return _differ(before, _parts(row_digest(row)) or {})


def fingerprint(reading: Reading) -> str:
    """Return the fingerprint: `<fields>.<comments>.<attachments>.<response team>`."""
    case = reading.case
    fields: dict[str, Any] = dict(followed_fields.values(case, reading.tags))
    fields["watchers"] = sorted(person.email.lower() for person in case.watchers)
    if reading.findings is not None:
        fields["findings"] = sorted(one.investigation_id for one in reading.findings)
    comments = _NOT_READ
    if reading.comments is not None:
        newest = reading.comments[-NEWEST_COMMENTS:]
        comments = digest(sorted((comment.comment_id, digest(comment.body)) for comment in newest))
    attachments = sorted((item.attachment_id, item.attachment_status) for item in case.case_attachments)
    team = sorted(person.email.lower() for person in reading.team)
    return ".".join((_joined(fields), comments, digest(attachments), digest(team)))


def what_differs(stored: str | None, reading: Reading) -> Difference | None:
    """Return the event that a deep check publishes for the difference, or None if there is none.

    Args:
        stored: The ledger's fingerprint.
        reading: The deep check's reading. Parts that it did not read are not compared.
    """
    old, new = (stored or "").split("."), fingerprint(reading).split(".")
    if len(old) != _SECTIONS or old[3] != new[3] or _fields_differ(old[0], new[0], reading.case):
        return "CaseUpdated"
    if old[1] != new[1] and new[1] != _NOT_READ:
        return "CommentAdded"
    return "AttachmentAdded" if old[2] != new[2] else None


def completed(stored: str, reading: Reading) -> str | None:
    """Return the stored fingerprint with the fields that it lacks, or None if it lacks no field that was read.

    Args:
        stored: The ledger's fingerprint, which does not differ from `reading`.
        reading: The deep check's reading.
    """
    fields, *others = stored.split(".")
    before, now = _parts(fields) or {}, _parts(fingerprint(reading).split(".")[0]) or {}
    if now.keys() <= before.keys():
        return None
    return ".".join((_encoded({**now, **before}), *others))


def _fields_differ(old: str, new: str, case: Case) -> bool:
    before = _parts(old)
    if before is None:
        return old != digest(case.model_dump(mode="json", include=_OLD_CASE_FIELDS))
    return _differ(before, _parts(new) or {})


def _differ(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether a field that both sides have differs. Without a common field, the sides count as different."""
    both = before.keys() & now.keys()
    return not both or any(before[name] != now[name] for name in both)


def _joined(values: Mapping[str, Any]) -> str:
    return _encoded({digest(name)[:_NAME_LENGTH]: digest(value)[:_VALUE_LENGTH] for name, value in values.items()})


def _encoded(parts: Mapping[str, str]) -> str:
    return ",".join(f"{name}:{value}" for name, value in sorted(parts.items()))


def _parts(text: str) -> dict[str, str] | None:
    """Return the digests by field, or None for one digest of all fields."""
    if ":" not in text:
        return None
    return {name: value for name, _, value in (part.partition(":") for part in text.split(","))}


def _plain(value: Any) -> Any:
    return int(value.timestamp()) if isinstance(value, datetime) else value
