"""The back-test: what the detections would have done about recorded CloudTrail logs. Changes nothing, needs no AWS.

    make backtest TRAIL=<file or folder of .json or .json.gz>

Records take the very code that live events take: detections.json, allowlist, severity, protection and grouping.
Allowlist and protected principals are those of the environment, as in a deployment (IR_ALLOWED_CIDRS,
IR_ALLOWED_PRINCIPALS, IR_PROTECTED_PRINCIPALS: JSON lists). One file is in memory at a time.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO, cast

from ir_router.errors import InvalidInputError
from ir_router.settings import settings
from ir_router.workflow import check_allowlist, detections, protection, reading, severity, wording
from ir_router.workflow.alert_only import GROUP_SECONDS, group_of
from ir_router.workflow.detections import Detection
from ir_router.workflow.incident import Incident

RESULT = Path("build") / "backtest.json"

_LISTS = "IR_ALLOWED_CIDRS, IR_ALLOWED_PRINCIPALS and IR_PROTECTED_PRINCIPALS (JSON lists)"
_OPEN_SECONDS = 86_400
_PROGRESS_SECONDS = 2.0
_DETAIL_TYPES = {
    "AwsConsoleSignIn": "AWS Console Sign In via CloudTrail",
    "AwsServiceEvent": "AWS Service Event via CloudTrail",
}


@dataclass
class Containment:
    """A principal that would have been contained: first when and why, and how many later events joined."""

    principal: str
    at: str
    why: str
    key: str | None
    joined: int = 0


@dataclass
class Outcome:
    """What the back-test found. `files_skipped` has the reason for each.

    `allowlist` and `protected` are how many entries of them were used.
    """

    allowlist: int = 0
    protected: int = 0
    files: int = 0
    files_skipped: dict[str, str] = field(default_factory=dict)
    records: int = 0
    refused: int = 0
    duplicates: int = 0
    detections: Counter[str] = field(default_factory=Counter)
    severities: Counter[str] = field(default_factory=Counter)
    allowlisted: Counter[str] = field(default_factory=Counter)
    alerts: int = 0
    grouped: int = 0
    logged: int = 0
    contained: list[Containment] = field(default_factory=list)
    not_contained: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class Backtest:
    """Takes records one after the other and counts what would have become of them."""

    def __init__(self) -> None:
        """Read the table and the allowlist once."""
        self._entries = [one for one in check_allowlist.deployed_entries() if check_allowlist.refusal(one) is None]
        self.outcome = Outcome(allowlist=len(self._entries), protected=len(settings().protected_principals))
        self._seen: set[str] = set()
        self._open: dict[str, tuple[float, Containment]] = {}
        self._groups: dict[str, float] = {}

    def take(self, record: Any) -> None:
        """One record of CloudTrail."""
        outcome = self.outcome
        outcome.records += 1
        if not isinstance(record, dict) or not isinstance(record.get("eventName"), str):
            outcome.refused += 1
            return
        event = as_event(record)
        found = detections.matching(event)
        if found:
            self._matched(event, found)

    def _matched(self, event: dict[str, Any], found: list[Detection]) -> None:
        outcome = self.outcome
        try:
            facts = reading.read(event)
        except InvalidInputError:
            outcome.refused += 1
            return
        if facts["event_id"] in self._seen:
            outcome.duplicates += 1
            return
        self._seen.add(facts["event_id"])
        outcome.detections.update(detection.id for detection in found)
        at = _seconds(facts["event_time"])
        assessment = severity.assess(found, facts["subject"])
        entry = check_allowlist.entry_for(facts, self._entries, at)
        if entry is not None:
            outcome.allowlisted[entry.value] += 1
            if check_allowlist.may_silence(facts["event_source"], assessment.severity):
                return
        outcome.severities[assessment.severity] += 1
        assessed = {
            "severity": assessment.severity,
            "title": assessment.title,
            "detections": list(assessment.detections),
        }
        incident = cast("Incident", {**facts, **assessed})  # of an execution there is none
        if assessment.action == "contain" and entry is None:
            self._contain(incident, at)
        elif assessment.action in ("contain", "alert"):
            self._alert(incident, at)
        else:
            outcome.logged += 1

    def _contain(self, incident: Incident, at: float) -> None:
        subject = incident["subject"]
        # The records' own account is the one that would be protected.
        refused = protection.refusal(subject, incident["account"], settings().protected_principals)
        if refused:
            self.outcome.not_contained[f"{wording.name_of(subject)}: {refused}"] += 1
            return
        known = self._open.get(subject["arn"])
        if known is not None and at < known[0] + _OPEN_SECONDS:
            known[1].joined += 1
            return
        why = wording.what_happened(incident)
        contained = Containment(subject["arn"], incident["event_time"] or "", why, incident["access_key_id"])
        self._open[subject["arn"]] = (at, contained)
        self.outcome.contained.append(contained)

    def _alert(self, incident: Incident, at: float) -> None:
        group = group_of(incident)
        if group is not None and at < self._groups.get(group, 0.0):
            self.outcome.grouped += 1
            return
        if group is not None:
            self._groups[group] = at + GROUP_SECONDS
        self.outcome.alerts += 1


def as_event(record: dict[str, Any]) -> dict[str, Any]:
    """The event that EventBridge makes of a CloudTrail record."""
    source = record.get("eventSource")
    return {
        "source": f"aws.{source.partition('.')[0]}" if isinstance(source, str) else "",
        "detail-type": _DETAIL_TYPES.get(str(record.get("eventType")), "AWS API Call via CloudTrail"),
        "account": record.get("recipientAccountId"),
        "region": record.get("awsRegion"),
        "time": record.get("eventTime"),
        "detail": record,
    }


def files_of(trail: Path) -> Iterator[Path]:
    """The log files of a folder and its folders, in the order of their names: CloudTrail's hold the time."""
    if trail.is_file():
        yield trail
        return
    yield from sorted(path for path in trail.rglob("*") if path.name.endswith((".json", ".json.gz")) and path.is_file())


def records_of(path: Path) -> list[Any]:
    """The records of a log file. Raises ValueError, saying why, when it is none."""
    try:
        content = path.read_bytes()
        if path.name.endswith(".gz"):
            content = gzip.decompress(content)
        parsed = json.loads(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"cannot be read ({error})") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON ({error})") from error
    records = parsed.get("Records") if isinstance(parsed, Mapping) else parsed
    if not isinstance(records, list):
        raise ValueError("has no list Records")  # noqa: TRY004 - the file is wrong, not our argument
    return records


def run(trail: Path, progress: TextIO) -> Outcome:
    """Take all records below `trail`; `progress` is told every two seconds. Malformed files are named and skipped."""
    backtest = Backtest()
    outcome = backtest.outcome
    began = told = time.monotonic()
    for path in files_of(trail):
        outcome.files += 1
        try:
            records = records_of(path)
        except ValueError as error:
            outcome.files_skipped[str(path)] = str(error)
            print(f"skipped  {path}: {error}", file=progress)
            continue
        for record in records:
            backtest.take(record)
        del records  # before the next file is read
        if time.monotonic() - told >= _PROGRESS_SECONDS:
            told = time.monotonic()
            print(f"reading  {outcome.files} files, {outcome.records:,} records ...", file=progress, flush=True)
    outcome.seconds = round(time.monotonic() - began, 3)
    return outcome


def table(outcome: Outcome) -> Iterable[str]:
    """What was found, in aligned lines."""
    joined = sum(contained.joined for contained in outcome.contained)
    rows: list[tuple[str, object]] = [
        ("Allowlist entries used", outcome.allowlist),
        ("Protected principals used", outcome.protected),
        ("Files read", outcome.files - len(outcome.files_skipped)),
        ("Files skipped", len(outcome.files_skipped)),
        ("Records read", outcome.records),
        ("Records refused", outcome.refused),
        ("Records seen twice", outcome.duplicates),
        *((f"Detection {name}", outcome.detections[name]) for name in (entry.id for entry in detections.table())),
        *((f"Severity {name}", outcome.severities[name]) for name in reversed(detections.SEVERITIES)),
        ("Allowlisted", sum(outcome.allowlisted.values())),
        ("Alerts", outcome.alerts),
        ("Counted in an alert's group", outcome.grouped),
        ("Only logged", outcome.logged),
        ("Principals contained", len(outcome.contained)),
        ("Joined to an open incident", joined),
        ("Not contained, person must act", sum(outcome.not_contained.values())),
    ]
    width = max(len(name) for name, _ in rows)
    yield from (f"{name:<{width}}  {value:>9,}" for name, value in rows)
    for contained in outcome.contained:
        yield f"\n{contained.at}  {contained.principal}\n  {contained.why}"
        if contained.joined:
            yield f"  {contained.joined} later events would have joined"
    for why, count in outcome.not_contained.items():
        yield f"\nnot contained ({count}): {why}"


def as_json(outcome: Outcome) -> dict[str, Any]:
    """What is written to build/backtest.json."""
    values = dict(vars(outcome))
    values["contained"] = [vars(contained) for contained in outcome.contained]
    return values | {
        name: dict(value.most_common()) for name, value in vars(outcome).items() if isinstance(value, Counter)
    }


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; 0 unless nothing could be read."""
    parser = argparse.ArgumentParser(
        prog="make backtest TRAIL=...", description="Run CloudTrail logs through the detections."
    )
    parser.add_argument("trail", type=Path, help="a log file of CloudTrail, or a folder of them (.json, .json.gz)")
    trail: Path = parser.parse_args(arguments).trail
    if not trail.exists():
        print(f"There is no file or folder {trail}.", file=sys.stderr)
        return 2
    outcome = run(trail, sys.stderr)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(as_json(outcome), indent=2) + "\n", "utf-8")
    print("\n".join(table(outcome)))
    read = outcome.files - len(outcome.files_skipped)
    if not outcome.allowlist and not outcome.protected:
        print(f"\nNo allowlist and nobody protected: give your tfvars' lists as {_LISTS}.")
    print(f"\n{outcome.records:,} records of {read} files in {outcome.seconds:.1f} s; details in {RESULT}")
    return 0 if read else 1


def _seconds(moment: str | None) -> float:
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0


if __name__ == "__main__":
    sys.exit(main())
