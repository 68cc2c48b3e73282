"""Models of cases, comments and attachments: the parts of AWS Security Incident Response that ir-router uses.

Field names and limits come from botocore's model of `security-ir` 2018-05-10.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Person(_Answer):
    """A watcher, or a member of the response team."""

    email: str
    name: str | None = None
    job_title: str | None = None


class Membership(_Answer):
    """A row of ListMemberships."""

    membership_id: str
    membership_status: str | None = None


class Attachment(_Answer):
    """An attachment; `attachment_status` is Pending, Verified or Failed."""

    attachment_id: str
    file_name: str
    attachment_status: str
    creator: str
    created_date: datetime


class Comment(_Answer):
    """A comment. Comments are never deleted."""

    comment_id: str
    created_date: datetime | None = None
    last_updated_date: datetime | None = None
    creator: str | None = None
    last_updated_by: str | None = None
    body: str = ""


class Investigation(_Answer):
    """An action of AWS's investigating agent. Only a `Completed` one has a finding."""

    investigation_id: str
    title: str = ""
    content: str = ""
    status: str | None = None
    last_updated: datetime | None = None


class CaseEdit(_Answer):
    """An entry of the case's history."""

    event_timestamp: datetime | None = None
    principal: str | None = None
    action: str | None = None
    message: str | None = None


class CaseRow(_Answer):
    """A row of ListCases."""

    case_id: str
    last_updated_date: datetime | None = None
    title: str | None = None
    case_arn: str | None = None
    engagement_type: str | None = None
    case_status: str | None = None
    created_date: datetime | None = None
    closed_date: datetime | None = None
    resolver_type: str | None = None
    pending_action: str | None = None


class Case(_Answer):
    """The response of GetCase. It has no case id and no severity; the gateway adds both.

    A response without ARN, status or title is invalid: otherwise ir-router would announce that the case became empty.
    """

    case_id: str
    case_arn: str
    case_status: str
    title: str
    description: str = ""
    engagement_type: str | None = None
    reported_incident_start_date: datetime | None = None
    actual_incident_start_date: datetime | None = None
    impacted_aws_regions: list[dict[str, str]] = Field(default_factory=list)
    threat_actor_ip_addresses: list[dict[str, str]] = Field(default_factory=list)
    pending_action: str | None = None
    impacted_accounts: list[str] = Field(default_factory=list)
    watchers: list[Person] = Field(default_factory=list)
    created_date: datetime | None = None
    last_updated_date: datetime | None = None
    closure_code: str | None = None
    resolver_type: str | None = None
    impacted_services: list[str] = Field(default_factory=list)
    case_attachments: list[Attachment] = Field(default_factory=list)
    closed_date: datetime | None = None

    @property
    def is_closed(self) -> bool:
        """Whether the case is closed. A closed case is never reopened."""
        return self.case_status == "Closed"
