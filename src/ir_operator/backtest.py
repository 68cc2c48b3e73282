"""Run recorded CloudTrail logs, GuardDuty findings and AWS Health events through the detections, without AWS.

    make backtest TRAIL=<file or folder of .json, .jsonl or .gz> [EXTRA=<file of detections>]

The back-test uses the code of the workflow: detections.json, allowlist, severity, protection and grouping. The
allowlist and the protected principals come from the environment variables of a deployment (IR_ALLOWED_CIDRS,
IR_ALLOWED_PRINCIPALS, IR_PROTECTED_PRINCIPALS), which are JSON lists. Only one file is in memory at a time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO, cast

from ir_operator.backtest_outcome import ARCHIVED, Containment, Outcome, as_json, table
from ir_operator.recorded_events import as_event, files_of, is_archived, partition_of, records_of
from ir_router.errors import InvalidInputError
from ir_router.settings import settings
from ir_router.workflow import (
    check_allowlist,
    detections,
    event_claims,
    principals,
    protection,
    reading,
    severity,
    tampering,
    wording,
)
from ir_router.workflow.alert_only import GROUP_SECONDS, events_needed, group_of
from ir_router.workflow.detections import Detection
from ir_router.workflow.incident import Facts, Incident, Principal
from ir_router.workflow.severity import Assessment

RESULT = Path("build") / "backtest.json"

_LISTS = "IR_ALLOWED_CIDRS, IR_ALLOWED_PRINCIPALS and IR_PROTECTED_PRINCIPALS (JSON lists)"
_OPEN_SECONDS = 86_400
_PROGRESS_SECONDS = 2.0
_OWNER = "the workflow asks IAM for the key's owner, and contains that user"
# The paths of the roles that only AWS can change. Findings and requests name a role without its path.
_RESERVED_PATHS = {"AWSReservedSSO_": "aws-reserved/sso.amazonaws.com/", "AWSServiceRoleFor": "aws-service-role/"}
_DENY_POLICY = ":iam::aws:policy/AWSDenyAll"


class Backtest:
    """Assess records one after another and count the results in `outcome`."""

    def __init__(self, each: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Read the allowlist and the protected principals. `each` receives the result of each record."""
        self._each = each
        self._entries = [one for one in check_allowlist.deployed_entries() if check_allowlist.refusal(one) is None]
        self.outcome = Outcome(allowlist=len(self._entries), protected=len(settings().protected_principals))
        self._seen: set[str] = set()
        self._partition = "aws"
        self._open: dict[str, tuple[float, Containment]] = {}
        self._contained: set[tuple[str, str, str]] = set()
        self._groups: dict[str, tuple[float, int]] = {}

    def assess(self, record: Any) -> None:
        """Assess one record of CloudTrail."""
        outcome = self.outcome
        outcome.records += 1
        event = as_event(record)
        if event is None:
            self._refuse(record, "it is not a CloudTrail record, GuardDuty finding or AWS Health event")
            return
        found = detections.matching(event)
        if not found:
            self._report(record, "no_detection")
            return
        if is_archived(event):
            outcome.archived += 1
            self._report(record, "archived", why=ARCHIVED)
            return
        partition, whom = partition_of(event), severity.whom(found)
        self._partition = partition
        try:
            facts = reading.read(event, partition=partition, whom=whom)
        except InvalidInputError as error:
            self._refuse(record, str(error))
            return
        named: list[str | None] = [*reading.entities(event)] or [None]
        for entity in named:
            each = facts if entity is None else reading.read(event, partition=partition, entity=entity, whom=whom)
            self._matched(record, event, each, found)

    def _refuse(self, record: Any, why: str) -> None:
        self.outcome.refused += 1
        self.outcome.refusals[why] += 1
        self._report(record, "invalid", why=why)

    def _matched(self, record: Any, event: Mapping[str, Any], facts: Facts, found: list[Detection]) -> None:
        outcome = self.outcome
        # As the workflow's claims: a finding keeps its id when its severity changes.
        name = event_claims.name_of(
            event, facts["event_id"], severity.band(found, facts.get("quiet")), facts["account"]
        )
        if name in self._seen:
            outcome.duplicates += 1
            self._report(record, "duplicate", facts)
            return
        self._seen.add(name)
        outcome.detections.update(detection.id for detection in found)
        at = _seconds(facts["event_time"])
        facts, assessment = self._assessment(event, facts, found)
        entry = check_allowlist.entry_for(facts, self._entries, at)
        incident = cast(
            "Incident",
            {
                **facts,
                "severity": assessment.severity,
                "title": assessment.title,
                "detections": list(assessment.detections),
            },
        )
        whom = severity.whom(found) or "nobody"
        if entry is not None:
            outcome.allowlisted[entry.value] += 1
            if check_allowlist.may_silence(facts, assessment.severity):
                self._report(record, "allowlisted", incident, whom=whom, why=f"allowlist entry {entry.value}")
                return
        outcome.severities[assessment.severity] += 1
        if assessment.action == "contain" and entry is None:
            result, why = self._contain(incident, at)
        elif assessment.action in ("contain", "alert"):
            result, why = self._alert(incident, at), ""
        else:
            outcome.logged += 1
            result, why = "logged", ""
        self._report(record, result, incident, whom=whom, why=why)

    def _assessment(self, event: Mapping[str, Any], facts: Facts, found: list[Detection]) -> tuple[Facts, Assessment]:
        """Assess the event as the workflow does. A containment in the records stands for a row of the ledger."""
        assessment = severity.assess(found, facts["subject"], facts.get("quiet"))
        if not any(detection.tampering for detection in found):
            return facts, assessment
        target, _key = reading.target(event, partition_of(event))
        if _names(target) in self._contained:
            if assessment.action != "contain":
                facts, assessment = cast("Facts", {**facts, "subject": target}), severity.of_tampering(assessment)
            return facts, assessment
        policy = principals.mapping(event["detail"].get("requestParameters")).get("policyArn")
        if tampering.only_detaches(found) and principals.string(policy).endswith(_DENY_POLICY):
            others = [detection for detection in found if detection.id != tampering.DETACHED]
            without = severity.assess(others, facts["subject"], facts.get("quiet"))
            assessment = severity.lifted_by_others(assessment, without)
        return facts, assessment

    def _report(self, record: Any, result: str, facts: Mapping[str, Any] | None = None, **more: str) -> None:
        if self._each is None:
            return
        known: Mapping[str, Any] = facts or {}
        given: dict[str, Any] = record if isinstance(record, dict) else {}
        detail: dict[str, Any] = given["detail"] if isinstance(given.get("detail"), dict) else given
        subject = known.get("subject")
        self._each(
            {
                "event_id": known.get("event_id")
                or detail.get("eventID")
                or detail.get("id")
                or detail.get("eventArn"),
                "event_name": known.get("event_name") or detail.get("eventName") or detail.get("type"),
                "event_time": known.get("event_time") or detail.get("eventTime"),
                "result": result,
                "severity": known.get("severity"),
                "detection": next(iter(known.get("detections", [])), None),
                "detections": known.get("detections", []),
                "whom": more.get("whom"),
                "principal": wording.name_of(subject) if subject else None,
                "why": more.get("why") or known.get("title"),
            }
        )

    def _contain(self, incident: Incident, at: float) -> tuple[str, str]:
        subject, key = incident["subject"], incident["access_key_id"]
        if subject["kind"] == "unknown" and not subject["name"] and key:
            self.outcome.owner_asked[f"key {key}: {_OWNER}"] += 1
            return "owner_asked", _OWNER
        if incident.get("finding") and subject["kind"] == "unknown" and subject["name"]:
            # IAM shows whether the name is a user's or a role's. The back-test has no IAM.
            as_named = principals.role if subject["name"].startswith(tuple(_RESERVED_PATHS)) else principals.user
            subject = as_named(subject["name"], subject["account"], self._partition)
        subject = _with_reserved_path(subject, incident)
        # The deployment is assumed to be in the account of the record.
        refused = protection.refusal(subject, incident["account"], settings().protected_principals)
        if refused:
            self.outcome.not_contained[f"{wording.name_of(subject)}: {refused}"] += 1
            return "not_contained", refused
        self._contained.add(_names(subject))
        known = self._open.get(subject["arn"])
        if known is not None and at < known[0] + _OPEN_SECONDS:
            known[1].joined += 1
            return "joined", ""
        why = wording.what_happened(incident)
        contained = Containment(subject["arn"], incident["event_time"] or "", why, incident["access_key_id"])
        self._open[subject["arn"]] = (at, contained)
        self.outcome.contained.append(contained)
        return "contained", ""

    def _alert(self, incident: Incident, at: float) -> str:
        group = group_of(incident)
        if group is None:
            self.outcome.alerts += 1
            return "alerted"
        until, counted = self._groups.get(group, (0.0, 0))
        counted = counted + 1 if at < until else 1
        self._groups[group] = (until if at < until else at + GROUP_SECONDS, counted)
        if counted == events_needed(incident):
            self.outcome.alerts += 1
            return "alerted"
        self.outcome.grouped += 1
        return "grouped"


def _names(principal: Principal) -> tuple[str, str, str]:
    return principal["account"], principal["kind"], principal["name"]


def _with_reserved_path(subject: Principal, incident: Incident) -> Principal:
    """Return the subject. A role that the event names without its path gets the path of AWS's own roles by its name."""
    named = incident.get("finding", False) or not principals.same_name(subject, incident["actor"])
    for beginning, path in _RESERVED_PATHS.items():
        arn, separator, name = subject["arn"].partition(":role/")
        if named and subject["kind"] == "role" and name.startswith(beginning):
            return {**subject, "arn": f"{arn}{separator}{path}{name}"}
    return subject


def run_backtest(trail: Path, progress: TextIO, each: Callable[[dict[str, Any]], None] | None = None) -> Outcome:
    """Assess all records of a file or folder.

    Args:
        trail: A log file, or a folder with log files.
        progress: Receives a line every two seconds, and a line for each invalid file, which is skipped.
        each: Receives the result of each record.
    """
    backtest = Backtest(each)
    outcome = backtest.outcome
    began = reported = time.monotonic()
    for path in files_of(trail):
        outcome.files += 1
        try:
            records = records_of(path)
        except ValueError as error:
            outcome.files_skipped[str(path)] = str(error)
            print(f"skipped  {path}: {error}", file=progress)
            continue
        for record in records:
            backtest.assess(record)
        del records  # frees the memory before the next file is read
        if time.monotonic() - reported >= _PROGRESS_SECONDS:
            reported = time.monotonic()
            print(f"reading  {outcome.files} files, {outcome.records:,} records ...", file=progress, flush=True)
    outcome.seconds = round(time.monotonic() - began, 3)
    return outcome


def execute_command(options: argparse.Namespace) -> int:
    """Run the back-test of `options.trail`. Return 0, or 1 if no file was readable, or 2 if a path is invalid."""
    trail: Path = options.trail
    if not trail.exists():
        print(f"There is no file or folder {trail}. Nothing was read.", file=sys.stderr)
        return 2
    try:
        detections.add(_extra(options.extra))
    except (OSError, ValueError) as error:
        print(f"The file with extra detections is invalid: {error}. Nothing was read.", file=sys.stderr)
        return 2
    as_lines: bool = options.json
    outcome = run_backtest(trail, sys.stderr, _print_json if as_lines else None)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(as_json(outcome), indent=2) + "\n", "utf-8")
    read = outcome.files - len(outcome.files_skipped)
    if as_lines:
        return 0 if read else 1
    print("\n".join(table(outcome)))
    if not outcome.allowlist and not outcome.protected:
        print(f"\nNo allowlist and no protected principals were set. Set the lists of your tfvars as {_LISTS}.")
    print(f"\n{outcome.records:,} records of {read} files in {outcome.seconds:.1f} s; details in {RESULT}")
    return 0 if read else 1


def _extra(path: Path | None) -> list[dict[str, Any]]:
    """Return the entries of a file of detections. Raises OSError or ValueError if it is unreadable."""
    if path is None:
        return []
    content = json.loads(path.read_text("utf-8"))
    entries = content.get("detections") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("the key `detections` must be a list of objects")
    return entries


def _print_json(result: dict[str, Any]) -> None:
    print(json.dumps(result, ensure_ascii=False))


def _seconds(moment: str | None) -> float:
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0
