"""Publish events on the deployment's event bus and report those that EventBridge rejected.

PutEvents answers 200 even when it rejects every entry: each entry has its own result
(https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, json_text
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

_ENTRIES_A_CALL = 10


@dataclass(frozen=True)
class Event:
    """An event as EventBridge rules match it. `resources` are ARNs."""

    source: str
    detail_type: str
    detail: Mapping[str, Any]
    resources: Sequence[str] = ()


def put(events: Sequence[Event]) -> list[str]:
    """Publish events, ten in one call.

    Returns:
        One error code for each event that EventBridge rejected or did not confirm. Empty if it took all of them.
    """
    codes: list[str] = []
    for start in range(0, len(events), _ENTRIES_A_CALL):
        entries = [_entry(event) for event in events[start : start + _ENTRIES_A_CALL]]
        try:
            answer = aws.client("events").put_events(Entries=entries)
        except ClientError as error:
            codes += [str(error.response["Error"].get("Code", "unknown"))] * len(entries)
        except BotoCoreError as error:
            codes += [type(error).__name__] * len(entries)
        else:
            codes += [str(entry["ErrorCode"]) for entry in answer["Entries"] if entry.get("ErrorCode")]
    return codes


def _entry(event: Event) -> PutEventsRequestEntryTypeDef:
    return {
        "EventBusName": settings().require("event_bus_name"),
        "Source": event.source,
        "DetailType": event.detail_type,
        "Detail": json_text.written(event.detail),
        "Resources": list(event.resources),
    }
