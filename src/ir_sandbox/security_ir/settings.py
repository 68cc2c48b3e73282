"""Settings that tests and the demo can change while the service runs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ir_sandbox.security_ir.records import Change


class Settings(BaseModel):
    """The service's behaviour where AWS's documentation is open, and delays that tests shorten."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    verification_delay_seconds: float = Field(default=1.0, ge=0)
    """How long an attachment is Pending after its upload."""

    presigned_url_seconds: int = Field(default=900, ge=1)
    """How long an upload or download URL is valid."""

    page_token_seconds: int = Field(default=3600, ge=1)
    """How long a nextToken is valid."""

    page_size: int = Field(default=25, ge=1, le=25)
    """The largest number of items on a page. A page may have fewer items than `maxResults` asks for."""

    comments_order: Literal["newest_first", "oldest_first"] = "newest_first"
    """The order of ListComments. AWS documents none; `newest_first` was observed."""

    changes_without_date: frozenset[Change] = frozenset({Change.ATTACHMENT, Change.TAGS})
    """Changes that do not update `lastUpdatedDate`. AWS does not document them; the default is the worst case."""

    status_transitions: Literal["documented", "any"] = "documented"
    """`documented`: the transitions in UpdateCaseStatus's documentation. `any`: every status that it accepts."""

    active_self_managed_cases: int = Field(default=50, ge=0)
    """Quota per Region, adjustable. https://docs.aws.amazon.com/general/latest/gr/security-ir.html"""

    active_aws_supported_cases: int = Field(default=10, ge=0)
    """Quota per Region, adjustable."""

    new_aws_supported_cases_per_day: int = Field(default=10, ge=0)
    """Quota per Region, adjustable."""

    comment_added_event: Literal["Case Comment Added", "Case Comment Created"] = "Case Comment Added"
    """The detail-type; AWS's pages contradict each other about it."""


class EventSwitches(BaseModel):
    """Disturbances of EventBridge between the service and the rules."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    enabled: bool = True
    """Whether events are delivered."""

    drop_next: int = Field(default=0, ge=0)
    """How many of the next events are lost."""

    copies: int = Field(default=1, ge=1)
    """How often each event is delivered; each copy has the same `id`."""

    delay_seconds: float = Field(default=0, ge=0)
    """How long an event is in transit."""

    reverse_batch: int = Field(default=1, ge=1)
    """The number of events in a batch, which is delivered newest first; 1 keeps the order."""
