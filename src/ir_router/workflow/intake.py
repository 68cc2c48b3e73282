"""The intake: MEDIUM and LOW events arrive in batches from a queue, and most of them need no execution.

An allowlisted event, a denied call of a contained caller and a repetition in an open group are only counted. One
transaction claims such events and counts them, so that a batch that is delivered again counts nothing twice. Every
other event starts an execution, whose name follows from the event. The first event of a group claims itself and opens
the group for its execution before that starts. If this execution ends before it sends the count, or never starts, the
next event takes its place (`alert_groups`).

The workflow decides about an event that the intake cannot read or believe, and about one that a direct rule also
matches.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, clock, json_text
from ir_router.errors import IrRouterError
from ir_router.ledger import allowlisted_hours, contained_names, groups, keys, table
from ir_router.ledger.table import Row, TransactionFailedError
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.unicode import replace_lone_surrogates
from ir_router.workflow import (
    alert_groups,
    alert_only,
    attempts,
    check_allowlist,
    event_claims,
    extract_event_context,
    reading,
    severity,
    third_parties,
    trimming,
)
from ir_router.workflow.allowlist import Entry
from ir_router.workflow.event_claims import Content
from ir_router.workflow.incident import Incident

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    Change = Callable[[Sequence["Arrived"]], TransactWriteItemTypeDef]

# A transaction has at most 100 items: the claims of the events, and one counter.
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
_CLAIMS_AT_ONCE = 99
# Another function may claim an event, open a group or end an incident at the same time. The batch is then read again.
_ROUNDS = 4


@dataclass
class Arrived:
    """An event of the batch. `messages` are the ids of its messages: several rules can match one event."""

    messages: list[str]
    event: dict[str, Any]
    execution: str
    incident: Incident
    name: str
    content: Content


@dataclass
class _Counting:
    """Events to count in one row.

    `change` returns the change of the row, and `counted` runs after each transaction. The row counts `until` then, in
    seconds since the epoch.
    """

    change: Change
    counted: Callable[[], None] = lambda: None
    until: float = math.inf
    events: list[Arrived] = field(default_factory=list)


@dataclass
class _Batch:
    """The results so far. `failed` are ids of messages that SQS must deliver again."""

    failed: set[str] = field(default_factory=set)
    started: int = 0
    counted: int = 0

    def fail(self, event: Arrived, error: Exception) -> None:
        """Let SQS deliver the event again."""
        extra = {"error": type(error).__name__, "event_id": event.incident["event_id"]}
        logger.error("intake.event_failed: SQS delivers the event again", extra=extra)
        self.failed.update(event.messages)


def handle(event: Mapping[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
    """Take in the events of an SQS event. Return the partial batch response for Lambda."""
    batch = _Batch()
    left = _read(event["Records"], batch, context)
    try:
        entries = list(check_allowlist.usable(check_allowlist.known_entries(), [])) if left else []
        for _ in range(_ROUNDS):
            left = _take_in(left, entries, batch) if left else []
    except (BotoCoreError, ClientError) as error:
        for one in left:
            batch.fail(one, error)
        left = []
    except Exception as error:  # noqa: BLE001 - one strange event must not stop the others of its batch
        logger.error("intake.batch_not_decided: the workflow decides", extra={"error": type(error).__name__})
        for one in left:
            _try_start(one, batch)
        left = []
    batch.failed.update(message for one in left for message in one.messages)
    figures = {"started": batch.started, "counted": batch.counted, "failed": len(batch.failed)}
    logger.info("intake.batch_completed", extra=figures)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in sorted(batch.failed)]}


def _read(records: Sequence[Mapping[str, Any]], batch: _Batch, context: Any) -> list[Arrived]:
    """Return the events about which the intake decides, each once. Start an execution for each of the others."""
    found: dict[str, Arrived] = {}
    for record in records:
        message = str(record["messageId"])
        try:
            event = replace_lone_surrogates(json_text.parsed(record["body"]))
            one = _arrived(event, message, context)
            if one is None:
                _start(event, _execution_name(event))
                batch.started += 1
                continue
        except (BotoCoreError, ClientError, ValueError, RecursionError) as error:
            logger.error("intake.message_failed", extra={"error": type(error).__name__, "message_id": message})
            batch.failed.add(message)
            continue
        same = found.setdefault(one.name, one)
        if same is one:
            continue
        if same.content == one.content:
            same.messages.append(message)
        else:
            _try_start(one, batch)
    return list(found.values())


def _arrived(event: Any, message: str, context: Any) -> Arrived | None:
    """Return the event with its facts, or None if the workflow must decide about it.

    Raises BotoCoreError or ClientError if the ledger cannot be read.
    """
    try:
        read = extract_event_context.read(event, context)
    except (BotoCoreError, ClientError):
        raise
    except Exception as error:  # noqa: BLE001 - the workflow reports an event that it cannot read
        logger.warning("intake.event_not_read: the workflow decides", extra={"error": type(error).__name__})
        return None
    if any(detection.is_direct for detection in read.found) or len(reading.entities(event)) > 1:
        return None
    assessed = severity.assess(read.found, read.facts["subject"], read.facts.get("quiet"))
    name = _execution_name(event)
    machine = settings().require("state_machine_arn")
    execution = {
        "id": f"{machine.replace(':stateMachine:', ':execution:')}:{name}",
        "name": name,
        "started_at": clock.utc_now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "state_machine": machine,
    }
    given = {
        "execution": execution,
        "duplicate": False,
        "band": read.band,
        "severity": assessed.severity,
        "action": assessed.action,
        "title": assessed.title,
        "detections": list(assessed.detections),
    }
    incident = cast("Incident", {**read.facts, **given})
    third_parties.note_disabled(incident, event, read.found)
    return Arrived([message], event, name, incident, read.name, read.content)


def _execution_name(event: Any) -> str:
    """Return the name of the event's execution: it follows from EventBridge's id of the event.

    GuardDuty sends a finding again with the same id of its own, and EventBridge gives it a new one.
    """
    named = event.get("id") if isinstance(event, dict) else None
    text = named if isinstance(named, str) and named else json.dumps(event, sort_keys=True)
    return f"event-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _take_in(events: Sequence[Arrived], entries: Sequence[Entry], batch: _Batch) -> list[Arrived]:
    """Count or start the events. Return those whose rows have changed meanwhile."""
    claims = {row["PK"]: row for row in table.get_many([keys.detection(one.name) for one in events])}
    countings: dict[str, _Counting] = {}
    grouped: dict[str, list[Arrived]] = {}
    callers: dict[tuple[str, str | None], Row | None] = {}
    for one in events:
        claim = claims.get(keys.detection(one.name).pk)
        if claim is not None and event_claims.is_counted(claim, one.content):
            continue
        if claim is not None:
            _try_start(one, batch)  # the workflow knows whether the other execution handles this event
            continue
        entry = check_allowlist.entry_for(one.incident, entries, clock.now())
        if entry is not None and check_allowlist.may_silence(one.incident, one.incident["band"]):
            _into(countings, f"allowlisted {entry}", one, partial(_allowlisted, entry))
            continue
        actor = one.incident["actor"]
        caller = (actor["arn"], actor.get("id"))
        if caller not in callers:
            callers[caller] = contained_names.row_of_caller(*caller)
        row = callers[caller]
        kind = attempts.kind_of(one.incident, row)
        if row is not None and kind == "denied":
            _into(countings, f"denied {caller}", one, partial(_denied, row))
            continue
        group = alert_only.group_of(one.incident) if one.incident["action"] == "alert" else None
        if group is None or kind == "succeeded":
            _try_start(one, batch)
        else:
            grouped.setdefault(group, []).append(one)
    left: list[Arrived] = []
    for group, members in grouped.items():
        left += _grouped(group, members, countings, batch)
    for counting in countings.values():
        left += _counted(counting, batch)
    return left


def _grouped(group: str, members: list[Arrived], countings: dict[str, _Counting], batch: _Batch) -> Iterator[Arrived]:
    """Start executions for the new events of the group, and count the others. Yield those whose rows have changed."""
    needed = alert_only.events_needed(members[0].incident)
    try:
        found = alert_groups.find(group)
        if found.is_open and found.row and (needed == 1 or alert_groups.has_alerted(groups.counter_of(found.row))):
            needed = 0
    except (BotoCoreError, ClientError) as error:
        for one in members:
            batch.fail(one, error)
        return
    if found.row is not None and found.is_open:
        counter, until = groups.counter_of(found.row), float(found.row["until"])
    else:
        first, *members = members
        opener = first.incident["execution"]["id"]
        counter = groups.counter_of(found.row) if found.row is not None and found.unreported else opener
        until = clock.now() + groups.SECONDS
        opening = groups.opening(group, opener, found.row, takes_over=found.unreported)
        try:
            table.transact([_claim(first, opener), *opening])
        except TransactionFailedError:
            yield from [first, *members]
            return
        except (BotoCoreError, ClientError) as error:
            for one in [first, *members]:
                batch.fail(one, error)
            return
        is_started = _try_start(first, batch)
        alert_groups.note_start(opener, refused=not is_started)
        if not is_started:
            yield from members  # the next one takes its place
            return
        needed -= 1
    # Each of these executions counts its event. The one that completes the number sends the alert.
    for one in members[:needed]:
        _try_start(one, batch)
    for one in members[needed:]:
        _into(countings, f"group {counter}", one, partial(_repeated, counter, until))


def _into(countings: dict[str, _Counting], name: str, event: Arrived, counting: Callable[[], _Counting]) -> None:
    if name not in countings:
        countings[name] = counting()
    countings[name].events.append(event)


def _allowlisted(entry: Entry) -> _Counting:
    known = allowlisted_hours.callers(entry.value)

    def change(events: Sequence[Arrived]) -> TransactWriteItemTypeDef:
        return allowlisted_hours.adding(
            entry.value,
            entry.reason,
            [one.incident["event_id"] for one in events],
            {alert_only.caller_name(one.incident) for one in events},
            known,
            {name for one in events for name in one.incident["detections"]},
        )

    return _Counting(change)


def _denied(row: Row) -> _Counting:
    arn = contained_names.arn_of(row)

    def report() -> None:
        try:
            attempts.report(arn)
        except (IrRouterError, BotoCoreError, ClientError) as error:
            # The events are counted. The next denied call or verification reports them.
            logger.warning("containment.attempts_not_reported", extra={"error": type(error).__name__})

    return _Counting(lambda events: attempts.counting([one.incident for one in events], arn, row), report)


def _repeated(counter: str, until: float) -> _Counting:
    known = set((groups.counted(counter) or {}).get("callers", ()))

    def change(events: Sequence[Arrived]) -> TransactWriteItemTypeDef:
        return groups.adding(counter, len(events), {alert_only.caller_name(one.incident) for one in events}, known)

    return _Counting(change, until=until)


def _counted(counting: _Counting, batch: _Batch) -> Iterator[Arrived]:
    """Claim and count events in one transaction each. Yield those of a transaction whose conditions failed."""
    for start in range(0, len(counting.events), _CLAIMS_AT_ONCE):
        chunk = counting.events[start : start + _CLAIMS_AT_ONCE]
        if clock.now() >= counting.until:
            yield from chunk
            continue
        claims = [_claim(one, event_claims.COUNTED) for one in chunk]
        try:
            table.transact([*claims, counting.change(chunk)])
        except TransactionFailedError:
            yield from chunk
        except (BotoCoreError, ClientError) as error:
            for one in chunk:
                batch.fail(one, error)
        else:
            batch.counted += len(chunk)
            counting.counted()


def _claim(one: Arrived, execution: str) -> TransactWriteItemTypeDef:
    return event_claims.claiming(one.name, one.content, execution)


def _try_start(one: Arrived, batch: _Batch) -> bool:
    """Start the execution of an event, and return whether it exists now."""
    try:
        _start(one.event, one.execution)
    except (BotoCoreError, ClientError, RecursionError) as error:
        batch.fail(one, error)
        return False
    batch.started += 1
    return True


def _start(event: Any, name: str) -> None:
    """Start the execution of an event, which a repeated call with the same name does not start again.

    The long values of a large event are cut.
    """
    given = trimming.fitting(event) if isinstance(event, dict) else event
    try:
        aws.client("stepfunctions").start_execution(
            stateMachineArn=settings().require("state_machine_arn"), name=name, input=json_text.written(given)
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise
