"""The service's data: cases with their comments, attachments, investigations and edits; memberships."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from ir_sandbox.security_ir.model import Parameters
from ir_sandbox.security_ir.shapes import require

AWS_RESPONDER = "AWS Responder"
SERVICE = "security-ir.amazonaws.com"


class Change(StrEnum):
    """A kind of change to a case. A setting selects the kinds that update `lastUpdatedDate`."""

    FIELDS = "fields"
    STATUS = "status"
    COMMENT = "comment"
    COMMENT_EDIT = "comment_edit"
    ATTACHMENT = "attachment"
    TAGS = "tags"


@dataclass(frozen=True)
class Principal:
    """A caller as the API's PrincipalId: an ARN, an account id, `AWS Responder` or the service's name."""

    id: str

    def __post_init__(self) -> None:
        """Raise ValueError if `id` is not a PrincipalId."""
        require("PrincipalId", self.id)

    @property
    def name_in_events(self) -> str:
        """The value of `createdBy` or `updatedBy` in events: a customer's account id, otherwise the id."""
        return self.id.split(":")[4] if self.id.startswith("arn:") else self.id


@dataclass
class Comment:
    """A comment; `body` up to 12,000 characters."""

    comment_id: str
    body: str
    creator: str
    created: datetime
    last_updated_by: str
    last_updated: datetime


@dataclass(frozen=True)
class Edit:
    """An entry in the case's edit log."""

    at: datetime
    principal: str
    action: str
    message: str


@dataclass
class Attachment:
    """An uploaded file. It is Pending until `verified_at`, then Failed if `infected`, else Verified."""

    attachment_id: str
    file_name: str
    creator: str
    created: datetime
    verified_at: datetime
    infected: bool
    path: Path
    size: int
    sha256: str
    content_type: str

    def status(self, now: datetime) -> str:
        """Return the attachmentStatus at the time `now`."""
        if now < self.verified_at:
            return "Pending"
        return "Failed" if self.infected else "Verified"


@dataclass(frozen=True)
class Upload:
    """A permission from GetCaseAttachmentUploadUrl to upload one file."""

    attachment_id: str
    case_id: str
    file_name: str
    content_length: int
    creator: str


@dataclass
class Investigation:
    """An investigation by the service's agent, with the customer's feedback."""

    investigation_id: str
    action_type: str
    title: str
    content: str
    status: str
    last_updated: datetime
    feedback: Parameters | None = None


@dataclass
class Case:
    """A case; lists keep the API's item shapes."""

    case_id: str
    arn: str
    title: str
    description: str
    engagement_type: str
    resolver_type: str
    reported_incident_start: datetime
    created: datetime
    last_updated: datetime
    impacted_accounts: list[str]
    watchers: list[Parameters]
    threat_actor_ips: list[Parameters]
    impacted_services: list[str]
    impacted_regions: list[Parameters]
    status: str = "Submitted"
    pending_action: str = "None"
    actual_incident_start: datetime | None = None
    closed: datetime | None = None
    closure_code: str | None = None
    metadata: list[Parameters] = field(default_factory=list)
    comments: dict[str, Comment] = field(default_factory=dict)
    attachments: dict[str, Attachment] = field(default_factory=dict)
    investigations: dict[str, Investigation] = field(default_factory=dict)
    edits: list[Edit] = field(default_factory=list)


@dataclass
class Membership:
    """A membership of the account."""

    membership_id: str
    arn: str
    name: str
    activated: datetime
    incident_response_team: list[Parameters]
    opt_in_features: list[Parameters] = field(default_factory=list)
    status: str = "Active"
    deactivated: datetime | None = None
    cover_entire_organization: bool = False
    organizational_units: list[str] = field(default_factory=list)
    organization_accounts: set[str] = field(default_factory=set)
    finding_metrics: dict[str, int] = field(default_factory=dict)
