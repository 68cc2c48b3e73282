"""What tests and the demo may set while the service runs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ir_local.security_ir.records import Change


class Settings(BaseModel):
    """How the service behaves where AWS's documentation leaves room, or where waiting is a nuisance."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    verification_delay_seconds: float = Field(default=1.0, ge=0)
    """How long an attachment stays Pending after its upload."""

    presigned_url_seconds: int = Field(default=900, ge=1)
    """How long an upload or download address works."""

    page_token_seconds: int = Field(default=3600, ge=1)
    """How long a nextToken works."""

    changes_without_date: frozenset[Change] = frozenset({Change.ATTACHMENT, Change.TAGS})
    """Changes that do not move `lastUpdatedDate`. AWS does not document which do: the default is the unkind guess."""

    status_transitions: Literal["documented", "any"] = "documented"
    """`documented`: the moves that UpdateCaseStatus's documentation lists. `any`: every status it accepts."""

    comment_added_event: Literal["Case Comment Added", "Case Comment Created"] = "Case Comment Added"
    """AWS's pages disagree about this detail-type."""


class EventSwitches(BaseModel):
    """How badly EventBridge behaves between the service and the rules."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    enabled: bool = True
    """False: no event leaves the service."""

    drop_next: int = Field(default=0, ge=0)
    """So many events are lost."""

    copies: int = Field(default=1, ge=1)
    """How often each event is delivered; each copy has the same `id`."""

    delay_seconds: float = Field(default=0, ge=0)
    """How long an event is on its way."""

    reverse_batch: int = Field(default=1, ge=1)
    """So many events are gathered and then delivered newest first; 1 keeps the order."""
