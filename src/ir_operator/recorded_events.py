"""Read recorded events from files: CloudTrail logs, GuardDuty findings and AWS Health events."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_DETAIL_TYPES = {
    "AwsConsoleSignIn": "AWS Console Sign In via CloudTrail",
    "AwsServiceEvent": "AWS Service Event via CloudTrail",
}
# https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
_PARTITIONS = {
    "us-gov-": "aws-us-gov",
    "cn-": "aws-cn",
    "us-isob-": "aws-iso-b",
    "us-isof-": "aws-iso-f",
    "eu-isoe-": "aws-iso-e",
    "us-iso-": "aws-iso",
    "eusc-": "aws-eusc",
}
_ARN = re.compile(r"arn:(aws[a-z-]*):")
_ENDINGS = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
_CONTAINERS = ("Records", "Findings", "findings", "Events", "events")


def as_event(record: Any) -> dict[str, Any] | None:
    """Return the event that EventBridge would send for a record, or None if it is unknown.

    Records are events of EventBridge, CloudTrail records, GuardDuty findings (of an export, of an event or of
    `aws guardduty get-findings`) and details of AWS Health events.
    """
    if not isinstance(record, dict):
        return None
    if isinstance(record.get("detail"), dict) and isinstance(record.get("detail-type"), str):
        return record
    if isinstance(record.get("eventName"), str):
        return _cloudtrail_event(record)
    if isinstance(record.get("Type"), str) and isinstance(record.get("Resource"), dict):
        record = _lower_camel(record)
    if isinstance(record.get("type"), str) and isinstance(record.get("resource"), dict):
        return _event_of(record, "aws.guardduty", "GuardDuty Finding", record.get("accountId"), record.get("updatedAt"))
    if isinstance(record.get("eventTypeCode"), str):
        account = record.get("affectedAccount")
        return _event_of(record, "aws.health", "AWS Health Event", account, record.get("lastUpdatedTime"))
    return None


def partition_of(event: Mapping[str, Any]) -> str:
    """Return the AWS partition of an event: that of its region, else that of its first ARN, else `aws`."""
    detail = event["detail"]
    region = str(detail.get("awsRegion") or event.get("region") or detail.get("region") or "")
    for beginning, partition in _PARTITIONS.items():
        if region.startswith(beginning):
            return partition
    identity = detail.get("userIdentity")
    arns = [detail.get("arn"), detail.get("eventArn"), identity.get("arn") if isinstance(identity, dict) else None]
    found = (_ARN.match(arn) for arn in arns if isinstance(arn, str))
    return next((match[1] for match in found if match), "aws")


def is_archived(event: Mapping[str, Any]) -> bool:
    """Return whether GuardDuty suppressed a finding, or a user archived it: GuardDuty sends these to no rule."""
    service = event["detail"].get("service")
    return event.get("source") == "aws.guardduty" and isinstance(service, dict) and service.get("archived") is True


def _cloudtrail_event(record: dict[str, Any]) -> dict[str, Any]:
    source = record.get("eventSource")
    return {
        **_event_of(
            record,
            f"aws.{source.partition('.')[0]}" if isinstance(source, str) else "",
            _DETAIL_TYPES.get(str(record.get("eventType")), "AWS API Call via CloudTrail"),
            record.get("recipientAccountId"),
            record.get("eventTime"),
        ),
        "region": record.get("awsRegion"),
    }


def _event_of(detail: dict[str, Any], source: str, detail_type: str, account: Any, time_: Any) -> dict[str, Any]:
    return {
        "source": source,
        "detail-type": detail_type,
        "account": account,
        "region": detail.get("region"),
        "time": time_,
        "detail": detail,
    }


def _lower_camel(value: Any) -> Any:
    """Return an answer of the GuardDuty API with the names of fields that its events have."""
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: _lower_camel(inner) for name, inner in value.items()}
    return [_lower_camel(inner) for inner in value] if isinstance(value, list) else value


def files_of(trail: Path) -> Iterator[Path]:
    """Yield the log files of a folder and its subfolders by name. CloudTrail's names contain the time."""
    if trail.is_file():
        yield trail
        return
    yield from sorted(path for path in trail.rglob("*") if path.name.endswith(_ENDINGS) and path.is_file())


def records_of(path: Path) -> list[Any]:
    """Return the records of a log file. Raises ValueError, with the reason, if the file is invalid."""
    try:
        content = path.read_bytes()
        if path.name.endswith(".gz"):
            content = gzip.decompress(content)
        parsed = _parsed(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"cannot be read ({error})") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not valid JSON ({error})") from error
    if isinstance(parsed, Mapping):
        records = next((parsed[name] for name in _CONTAINERS if name in parsed), None)
        records = [parsed] if records is None and as_event(parsed) is not None else records
    else:
        records = parsed
    if not isinstance(records, list):
        raise ValueError("has no list `Records`")  # noqa: TRY004 - the file is invalid, not the argument
    return records


def _parsed(content: bytes) -> Any:
    """Parse a JSON document or, as GuardDuty exports, one JSON document for each line."""
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        lines = [line for line in content.splitlines() if line.strip()]
        if error.msg != "Extra data" or len(lines) < 2:
            raise
        return [json.loads(line) for line in lines]
