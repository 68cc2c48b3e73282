"""Failed work goes back to where it came from, once its cause is mended.

Every entry is handed over first and deleted after, so a crash between the two leaves it to the next replay: all work
is idempotent, and a double is harmless. SQS's own StartMessageMoveTask is not used: it takes dead letters of SQS only,
has no limit and does not say what it moved.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, bus
from ir_router.deadline import Deadline, LambdaContext, of_invocation
from ir_router.errors import InvalidInputError
from ir_router.observability import logger
from ir_router.ops import envelopes, names, regions
from ir_router.ops.checks import code_of
from ir_router.ops.envelopes import Handback, Json
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

LIMIT = 100
# Long polling asks all of SQS's servers: a short poll may miss what is there.
WAIT_SECONDS = 1
_MOST = 1000
_RESERVE_SECONDS = 60
# An entry that is kept is seen again this soon; handing ten over takes a few seconds.
_VISIBILITY_SECONDS = 120


@dataclass(frozen=True)
class Source:
    """A queue of failed work. `back_to` is the FIFO queue's URL, or None for envelopes, which say it themselves."""

    name: str
    url: str
    sqs: SQSClient
    back_to: str | None


@dataclass(frozen=True)
class Outcome:
    """What became of one entry: `moved`, `dropped` or `kept`."""

    outcome: str
    queue: str
    what: str
    to: str = ""
    why: str = ""


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`{"task": "replay", "queue"?: ..., "limit"?: n}`; without a queue, all of them.

    `queue`: slack-events, files, failures, or forwarding-failures where another region's events are forwarded.
    Returns `{"entries": [{"outcome", "queue", "what", "to", "why"}], "left": {queue: count}}`; `outcome` is moved,
    dropped (of no use any more) or kept (it could not be handed over; the reason is in `why`).
    Raises InvalidInputError.
    """
    limit = event.get("limit", LIMIT)
    if not isinstance(limit, int) or not 1 <= limit <= _MOST:
        raise InvalidInputError(f"limit must be a whole number from 1 to {_MOST}.")
    known = _sources()
    wanted = event.get("queue")
    if wanted is not None and wanted not in known:
        raise InvalidInputError(f"queue must be one of {', '.join(known)}.")
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS)
    entries: list[Outcome] = []
    left: dict[str, int] = {}
    for name in [str(wanted)] if wanted else known:
        source = known[name]()
        entries += _drain(source, limit - len(entries), deadline)
        left[name] = _left(source)
    logger.info("replayed", extra={"entries": len(entries), "left": left})
    return {"entries": [asdict(entry) for entry in entries], "left": left}


def _sources() -> dict[str, Callable[[], Source]]:
    """The queues of failed work by their names in the task; each is looked up when it is its turn."""
    home = settings().region
    found: dict[str, Callable[[], Source]] = {
        "slack-events": lambda: _fifo("slack-events", settings().require("slack_events_queue_url")),
        "files": lambda: _fifo("files", settings().require("files_queue_url")),
        "failures": lambda: _envelopes("failures", names.failures_queue(), home),
    }
    if names.forwards():
        queue, region = names.forwarding_failures_queue(), names.GLOBAL_EVENTS_REGION
        found["forwarding-failures"] = lambda: _envelopes("forwarding-failures", queue, region)
    return found


def _fifo(name: str, url: str) -> Source:
    """The dead-letter queue of a FIFO queue, as its redrive policy names it."""
    sqs = aws.client("sqs")
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"]
    dead = json.loads(policy)["deadLetterTargetArn"].rpartition(":")[2]
    return Source(name, sqs.get_queue_url(QueueName=dead)["QueueUrl"], sqs, back_to=url)


def _envelopes(name: str, queue: str, region: str) -> Source:
    sqs = regions.client("sqs", region)
    return Source(name, sqs.get_queue_url(QueueName=queue)["QueueUrl"], sqs, back_to=None)


def _drain(source: Source, limit: int, deadline: Deadline) -> Iterator[Outcome]:
    """Take up to `limit` entries, each once in this run, while there is time."""
    seen: set[str] = set()
    while len(seen) < limit and deadline.remaining() > 0:
        messages = source.sqs.receive_message(
            QueueUrl=source.url,
            MaxNumberOfMessages=min(10, limit - len(seen)),
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
            VisibilityTimeout=_VISIBILITY_SECONDS,
            WaitTimeSeconds=WAIT_SECONDS,
        ).get("Messages", [])
        fresh = [message for message in messages if message["MessageId"] not in seen]
        if not fresh:
            return
        for message in fresh:
            seen.add(message["MessageId"])
            outcome = _hand_back(source, message)
            yield outcome
            if outcome.outcome == "kept" and source.back_to:
                # What stands behind it in its group must not overtake it.
                return


def _hand_back(source: Source, message: MessageTypeDef) -> Outcome:
    """Hand one entry over, then delete it."""
    what = "an entry"
    try:
        if source.back_to:
            what = envelopes.describe_message(message["Body"])
            _send(source.sqs, source.back_to, message)
            outcome = Outcome("moved", source.name, what, to=f"queue {source.name}")
        else:
            outcome = _deliver(source.name, message)
            what = outcome.what
        if outcome.outcome != "kept":
            source.sqs.delete_message(QueueUrl=source.url, ReceiptHandle=message["ReceiptHandle"])
    except (BotoCoreError, ClientError) as error:
        why = f"{error.operation_name} answers {code_of(error)}" if isinstance(error, ClientError) else str(error)
        outcome = Outcome("kept", source.name, what, why=why)
    logger.info("replay", extra={"outcome": outcome.outcome, "queue": source.name, "what": outcome.what})
    return outcome


def _send(sqs: SQSClient, url: str, message: MessageTypeDef) -> None:
    """Send a dead letter to its queue again, into its group.

    With another de-duplication id than at first: the queue would swallow an id that it saw within five minutes. The
    same for the same dead letter, so that a replay after a crash sends nothing twice within those minutes.
    """
    digest = hashlib.sha256(f"replay {message['MessageId']}".encode()).hexdigest()
    sqs.send_message(
        QueueUrl=url,
        MessageBody=message["Body"],
        MessageGroupId=message["Attributes"]["MessageGroupId"],
        MessageDeduplicationId=digest,
    )


def _deliver(queue: str, message: MessageTypeDef) -> Outcome:
    attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
    handback = envelopes.read(message["Body"], attributes)
    match handback.way:
        case "invoke":
            return _invoke(queue, handback)
        case "start":
            _start(handback.payload, message["MessageId"])
            return Outcome("moved", queue, handback.what, to="the workflow")
        case "publish":
            return _publish(queue, handback)
        case "drop":
            return Outcome("dropped", queue, handback.what, why=handback.why)
        case _:
            return Outcome("kept", queue, handback.what, why=handback.why)


def _invoke(queue: str, handback: Handback) -> Outcome:
    if handback.target != names.function("sync"):
        return Outcome("kept", queue, handback.what, why=f"no rule of ours calls {handback.target}")
    aws.client("lambda").invoke(
        FunctionName=handback.target, InvocationType="Event", Payload=json.dumps(handback.payload).encode()
    )
    return Outcome("moved", queue, handback.what, to=handback.target)


def _start(event: Json, message_id: str) -> None:
    """Start the workflow; the same event a second time meets its own execution."""
    try:
        aws.client("stepfunctions").start_execution(
            stateMachineArn=settings().require("state_machine_arn"),
            name=f"replay-{event.get('id') or message_id}"[:80],
            input=json.dumps(event),
        )
    except ClientError as error:
        if code_of(error) != "ExecutionAlreadyExists":
            raise


def _publish(queue: str, handback: Handback) -> Outcome:
    """Put an event of ours on our bus again. AWS's own sources are refused to customers, and are none of these."""
    event = handback.payload
    wanted = bus.Event(
        str(event.get("source", "")),
        str(event.get("detail-type", "")),
        event.get("detail", {}),
        event.get("resources", []),
    )
    refused = bus.put([wanted])
    if refused:
        return Outcome("kept", queue, handback.what, why=f"PutEvents answers {refused[0]}")
    return Outcome("moved", queue, handback.what, to="our event bus")


def _left(source: Source) -> int:
    """About how many entries are still there, those kept just now included."""
    attributes = source.sqs.get_queue_attributes(QueueUrl=source.url, AttributeNames=["All"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]) + int(attributes["ApproximateNumberOfMessagesNotVisible"])
