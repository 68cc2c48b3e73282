"""Verification that CloudTrail feeds the detections.

EventBridge gets `AWS API Call via CloudTrail` events only while a trail logs them, and those of global services (IAM,
root sign-in) in us-east-1 alone
(docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ir_router.observability import logger
from ir_router.ops import names, regions
from ir_router.ops.checks import Check, code_of, failed, ok, run, warning
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient

_MAKE = (
    "Make a trail for all regions with management events, reads and writes (CloudTrail console, Create trail), or "
    "ask whoever owns the organisation's trail."
)


@dataclass(frozen=True)
class Trail:
    """What a trail that is logging brings. `readable` is false when its selectors may not be read.

    Two regions may have a trail of the same `name` each.
    """

    arn: str
    name: str
    regions: str | None  # None means all
    global_services: bool
    writes: bool
    reads: bool
    readable: bool = True

    def covers(self, region: str) -> bool:
        """Whether it logs the management events of a region, those of global services included where they belong."""
        if region == names.GLOBAL_EVENTS_REGION and not self.global_services:
            return False
        return self.regions in (None, region)


def checks() -> Iterator[Check]:
    """A line for each region whose events the detections need."""
    yield from run("trail", _trails)


def _trails() -> Iterator[Check]:
    found = {trail.arn: trail for region in _needed_regions() for trail in _logging(region)}
    for region in _needed_regions():
        yield _line(region, [trail for trail in found.values() if trail.covers(region)])


def _needed_regions() -> list[str]:
    return sorted({settings().region, names.GLOBAL_EVENTS_REGION})


def _line(region: str, trails: list[Trail]) -> Check:
    label = f"trail in {region}"
    writing = [trail for trail in trails if trail.writes]
    if not writing:
        what = "IAM's events included" if region == names.GLOBAL_EVENTS_REGION else "beside the global ones"
        return failed(label, f"no trail logs its management events ({what}): nothing is detected there", _MAKE)
    if not any(trail.reads for trail in trails):
        detail = f"{writing[0].name} logs writes only: reads (reconnaissance, root's reads) are not detected"
        return warning(label, detail, "Let the trail log reads of management events too (event selectors).")
    if not any(trail.readable for trail in writing):
        detail = f"{writing[0].name} is logging, but which events it logs cannot be read from this account"
        return warning(
            label, detail, "Ask whoever owns the trail whether it logs reads and writes of management events."
        )
    return ok(label, writing[0].name)


def _logging(region: str) -> Iterator[Trail]:
    """The trails that are logging, as seen from a region: those of other regions show there if they cover it."""
    for trail in regions.client("cloudtrail", region).describe_trails(includeShadowTrails=True)["trailList"]:
        arn = trail["TrailARN"]
        client = regions.client("cloudtrail", trail.get("HomeRegion", region))
        try:
            logging = client.get_trail_status(Name=arn)["IsLogging"]
        except ClientError as error:
            logger.warning("a trail's status cannot be read", extra={"code": code_of(error)})
            continue
        if not logging:
            continue
        writes, reads, readable = _selected(client, arn)
        yield Trail(
            arn=arn,
            name=trail.get("Name", arn),
            regions=None if trail.get("IsMultiRegionTrail") else trail.get("HomeRegion"),
            global_services=bool(trail.get("IncludeGlobalServiceEvents")),
            writes=writes,
            reads=reads,
            readable=readable,
        )


def _selected(client: CloudTrailClient, arn: str) -> tuple[bool, bool, bool]:
    """Whether management writes and reads are logged, and whether that could be read at all."""
    try:
        answer = client.get_event_selectors(TrailName=arn)
    except ClientError as error:
        # A member account sees the organisation's trail, not always its selectors.
        logger.warning("a trail's event selectors cannot be read", extra={"code": code_of(error)})
        return True, True, False
    basic, advanced = answer.get("EventSelectors", []), answer.get("AdvancedEventSelectors", [])
    if not basic and not advanced:
        # A trail without selectors logs all management events.
        return True, True, True
    kinds = [
        str(selector.get("ReadWriteType", "All")) for selector in basic if selector.get("IncludeManagementEvents", True)
    ]
    kinds += [kind for selector in advanced if (kind := _kind(selector)) is not None]
    return "All" in kinds or "WriteOnly" in kinds, "All" in kinds or "ReadOnly" in kinds, True


def _kind(selector: Mapping[str, Any]) -> str | None:
    """All, ReadOnly or WriteOnly; None when an advanced selector is not for management events."""
    fields = {field["Field"]: field for field in selector["FieldSelectors"]}
    if "Management" not in fields.get("eventCategory", {}).get("Equals", []):
        return None
    read_only = fields.get("readOnly", {}).get("Equals")
    if not read_only:
        return "All"
    return "ReadOnly" if "true" in read_only else "WriteOnly"
