"""Return failed work to where it came from, after its cause is fixed.

Each entry is first passed on and then deleted. After a crash between the two, the next replay passes it on again, which
is harmless because all work is idempotent. StartMessageMoveTask of SQS is not used: it moves only dead letters of SQS,
has no limit and does not report which entries it moved.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, bus, json_text
from ir_router.deadline import Deadline, LambdaContext, of_invocation
from ir_router.errors import InvalidInputError
from ir_router.observability import logger
from ir_router.ops import envelopes, names, regions
from ir_router.ops.checks import code_of
from ir_router.ops.envelopes import Handback, Json
from ir_router.settings import settings
from ir_router.workflow import trimming

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

LIMIT = 100
_FORGED = "SQS did not move it here: another sender wrote it into this queue. Delete it after you have read it"
# Long polling queries all of SQS's servers. A short poll may miss messages.
WAIT_SECONDS = 1
_MOST = 1000
_RESERVE_SECONDS = 60
# A kept entry becomes visible again after this time. Passing ten entries on takes a few seconds.
_VISIBILITY_SECONDS = 120


@dataclass(frozen=True)
class Source:
    """A queue of failed work.

    `back_to` is the FIFO queue's URL and `came_from` its ARN; None if each entry names its own origin.
    """

    name: str
    url: str
    sqs: SQSClient
    back_to: str | None = None
    came_from: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The result for one entry. `outcome` is `moved`, `dropped` or `kept`."""

    outcome: Literal["moved", "dropped", "kept"]
    queue: str
    what: str
    to: str = ""
    why: str = ""


def run_operation(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Replay one queue of failed work, or all of them.

    Args:
        event: `{"task": "replay", "queue"?: name, "limit"?: n}`. The queue is slack-events, files, failures, or
            forwarding-failures where events are forwarded from another region.
        context: Lambda's context object.

    Returns:
        `{"entries": [{"outcome", "queue", "what", "to", "why"}], "left": {queue: count}}`. The outcome is moved,
        dropped (no longer useful) or kept (not passed on; `why` has the reason).

    Raises:
        InvalidInputError: The queue or the limit is invalid.
    """
    limit = event.get("limit", LIMIT)
    if not isinstance(limit, int) or not 1 <= limit <= _MOST:
        raise InvalidInputError(f"limit must be an integer from 1 to {_MOST}.")
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
    logger.info("replay.completed: failed work was returned", extra={"entries": len(entries), "left": left})
    return {"entries": [asdict(entry) for entry in entries], "left": left}


def _sources() -> dict[str, Callable[[], Source]]:
    """Return the queues of failed work by name. Each is looked up only when it is replayed."""
    home = settings().region
    found: dict[str, Callable[[], Source]] = {
        **{name: partial(_fifo, name) for name in names.FIFO_QUEUES},
        "failures": lambda: _envelopes("failures", names.failures_queue(), home),
    }
    if names.forwards():
        queue, region = names.forwarding_failures_queue(), names.GLOBAL_EVENTS_REGION
        found["forwarding-failures"] = lambda: _envelopes("forwarding-failures", queue, region)
    return found


def _fifo(name: str) -> Source:
    """Return the dead-letter queue that a FIFO queue's redrive policy names."""
    url = settings().require(f"{name.replace('-', '_')}_queue_url")
    sqs = aws.client("sqs")
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy", "QueueArn"])["Attributes"]
    dead = json.loads(found["RedrivePolicy"])["deadLetterTargetArn"].rpartition(":")[2]
    return Source(name, sqs.get_queue_url(QueueName=dead)["QueueUrl"], sqs, back_to=url, came_from=found["QueueArn"])


def _envelopes(name: str, queue: str, region: str) -> Source:
    sqs = regions.client("sqs", region)
    return Source(name, sqs.get_queue_url(QueueName=queue)["QueueUrl"], sqs)


def _drain(source: Source, limit: int, deadline: Deadline) -> Iterator[Outcome]:
    """Replay up to `limit` entries, each once in this run, while there is time."""
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
            if outcome.outcome == "kept" and source.back_to and outcome.why != _FORGED:
                # Later messages of its group must not overtake it.
                return


def _hand_back(source: Source, message: MessageTypeDef) -> Outcome:
    """Pass one entry on, then delete it."""
    what = "an entry"
    try:
        if source.back_to:
            what = envelopes.describe_message(message["Body"])
            outcome = _move(source, source.back_to, message, what)
        else:
            outcome = _deliver(source.name, message)
            what = outcome.what
        if outcome.outcome != "kept":
            source.sqs.delete_message(QueueUrl=source.url, ReceiptHandle=message["ReceiptHandle"])
    except (BotoCoreError, ClientError) as error:
        why = f"{error.operation_name} returned {code_of(error)}" if isinstance(error, ClientError) else str(error)
        outcome = Outcome("kept", source.name, what, why=why)
    details = {"outcome": outcome.outcome, "queue": source.name, "what": outcome.what}
    logger.info("replay.entry_handled: the outcome is attached", extra=details)
    return outcome


def _move(source: Source, url: str, message: MessageTypeDef, what: str) -> Outcome:
    """Send a dead letter back, if SQS moved it here. A sender to this queue must not act as Slack.

    Only SQS sets the attribute
    (docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html).
    """
    if message["Attributes"].get("DeadLetterQueueSourceArn") != source.came_from:
        return Outcome("kept", source.name, what, why=_FORGED)
    _send(source.sqs, url, message)
    return Outcome("moved", source.name, what, to=f"queue {source.name}")


def _send(sqs: SQSClient, url: str, message: MessageTypeDef) -> None:
    """Send a dead letter back to its queue and message group.

    The deduplication id differs from the original one, because the queue ignores an id that it has seen within five
    minutes. It is the same for the same dead letter, so that a replay after a crash does not send it twice.
    """
    digest = hashlib.sha256(f"replay {message['MessageId']}".encode()).hexdigest()
    sqs.send_message(
        QueueUrl=url,
        MessageBody=message["Body"],
        MessageGroupId=message["Attributes"]["MessageGroupId"],
        MessageDeduplicationId=digest,
    )


def read(message: MessageTypeDef) -> Handback:
    """Decide where an entry of the failures queue goes. An entry that no part of this deployment wrote is kept."""
    if message.get("Attributes", {}).get("DeadLetterQueueSourceArn") == names.intake_queue_arn():
        return envelopes.of_intake(message["Body"])
    handback = envelopes.read(message["Body"], envelopes.attributes(message))
    if handback.rule and handback.rule not in {rule.name for rule in names.rules()}:
        return replace(handback, way="keep", why=f"{handback.rule} is not a rule of this deployment")
    return handback


def _deliver(queue: str, message: MessageTypeDef) -> Outcome:
    handback = read(message)
    match handback.way:
        case "invoke":
            return _invoke(queue, handback)
        case "start":
            start(handback.payload, message["MessageId"])
            return Outcome("moved", queue, handback.what, to="the workflow")
        case "queue":
            to_intake(message)
            return Outcome("moved", queue, handback.what, to="queue intake")
        case "publish":
            return _publish(queue, handback)
        case "drop":
            return Outcome("dropped", queue, handback.what, why=handback.why)
        case _:
            return Outcome("kept", queue, handback.what, why=handback.why)


def _invoke(queue: str, handback: Handback) -> Outcome:
    if handback.target != names.function("sync"):
        return Outcome("kept", queue, handback.what, why=f"no rule of this deployment invokes {handback.target}")
    if handback.payload.get("source") not in ("security-ir", "aws.security-ir"):
        # Records of a queue and scheduled tasks never come back this way.
        return Outcome("kept", queue, handback.what, why="it is not an event of a case or an approval")
    aws.invoke_later(handback.target, handback.payload)
    return Outcome("moved", queue, handback.what, to=handback.target)


def start(event: Json, message_id: str) -> None:
    """Start the workflow. The execution's name makes an event start it only once. An oversized event is cut."""
    try:
        aws.client("stepfunctions").start_execution(
            stateMachineArn=settings().require("state_machine_arn"),
            name=f"replay-{event.get('id') or message_id}"[:80],
            input=json_text.written(trimming.fitting(event)),
        )
    except ClientError as error:
        if code_of(error) != "ExecutionAlreadyExists":
            raise


def to_intake(message: MessageTypeDef) -> None:
    """Send a message back to the intake, which starts the execution under the name that its claim has."""
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=names.intake_queue())["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=message["Body"])


def _publish(queue: str, handback: Handback) -> Outcome:
    """Publish one of ir-router's events on the event bus again. PutEvents rejects the sources of AWS's own events."""
    event = handback.payload
    wanted = bus.Event(
        str(event.get("source", "")),
        str(event.get("detail-type", "")),
        event.get("detail", {}),
        event.get("resources", []),
    )
    refused = bus.put([wanted])
    if refused:
        return Outcome("kept", queue, handback.what, why=f"PutEvents returned {refused[0]}")
    return Outcome("moved", queue, handback.what, to="the event bus")


def _left(source: Source) -> int:
    """Return the approximate number of remaining entries, including those that were just kept."""
    attributes = source.sqs.get_queue_attributes(QueueUrl=source.url, AttributeNames=["All"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]) + int(attributes["ApproximateNumberOfMessagesNotVisible"])
