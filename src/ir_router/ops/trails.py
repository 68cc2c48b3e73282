"""Verify that CloudTrail sends the events that the detections need.

EventBridge receives `AWS API Call via CloudTrail` events only while a trail logs them. Events of global services (IAM,
root sign-in) appear only in us-east-1
(docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ir_router.observability import logger
from ir_router.ops import names, regions
from ir_router.ops.checks import Check, code_of, failed, may_pass, ok, run_checks, warning
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient

_MAKE = (
    "Create a trail for all regions with read and write management events (CloudTrail console, Create trail), or "
    "ask the owner of the organisation's trail."
)


@dataclass(frozen=True)
class Trail:
    """A trail that is logging, with the events that it logs.

    `readable` is false if the function may not read its event selectors. `name` is unique only in a region.
    """

    arn: str
    name: str
    regions: str | None  # None means all
    global_services: bool
    writes: bool
    reads: bool
    readable: bool = True

    def covers(self, region: str) -> bool:
        """Return whether the trail logs a region's management events, in us-east-1 those of global services too."""
        if region == names.GLOBAL_EVENTS_REGION and not self.global_services:
            return False
        return self.regions in (None, region)


def checks() -> Iterator[Check]:
    """Yield a line for each region whose events the detections need."""
    yield from run_checks("trail", _trails)


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
        what = "IAM's events included" if region == names.GLOBAL_EVENTS_REGION else "except global services"
        detail = f"no trail logs management events of this region ({what}), so nothing is detected there"
        return failed(label, detail, _MAKE)
    if not any(trail.reads for trail in trails):
        detail = f"{writing[0].name} logs only writes, so reads (reconnaissance, reads by root) are not detected"
        return warning(label, detail, "Change the trail's event selectors to log read management events too.")
    if not any(trail.readable for trail in writing):
        detail = f"{writing[0].name} is logging, but this account has no permission to read its event selectors"
        return warning(label, detail, "Ask the trail's owner whether it logs read and write management events.")
    return ok(label, writing[0].name)


def _logging(region: str) -> Iterator[Trail]:
    """Yield the logging trails that a region shows, including multi-region trails of other regions.

    Raises:
        ClientError: AWS throttled a call or had a fault of its own. A trail that may not be read is left out.
    """
    for trail in regions.client("cloudtrail", region).describe_trails(includeShadowTrails=True)["trailList"]:
        arn = trail["TrailARN"]
        client = regions.client("cloudtrail", trail.get("HomeRegion", region))
        try:
            logging = client.get_trail_status(Name=arn)["IsLogging"]
        except ClientError as error:
            if may_pass(error):
                raise
            logger.warning("cloudtrail.status_unreadable: the trail is left out", extra={"code": code_of(error)})
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
    """Return whether the trail logs management writes and reads, and whether its selectors could be read."""
    try:
        answer = client.get_event_selectors(TrailName=arn)
    except ClientError as error:
        if may_pass(error):
            raise
        # A member account sees the organisation's trail, but not always its selectors.
        logger.warning("cloudtrail.selectors_unreadable: the line is a warning", extra={"code": code_of(error)})
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
    """Return All, ReadOnly or WriteOnly; None if an advanced selector does not select management events."""
    fields = {field["Field"]: field for field in selector["FieldSelectors"]}
    if "Management" not in fields.get("eventCategory", {}).get("Equals", []):
        return None
    read_only = fields.get("readOnly", {}).get("Equals")
    if not read_only:
        return "All"
    return "ReadOnly" if "true" in read_only else "WriteOnly"
