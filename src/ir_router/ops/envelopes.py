"""Recognise the entries of the failures queue and decide where each goes. Pure.

Three services write entries:

- EventBridge, for a rule's target: the body is the event. The message attributes RULE_ARN and TARGET_ARN name its
  origin (docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html).
- Lambda, for an asynchronous invocation: the body contains `requestContext.functionArn` and `requestPayload`
  (docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html).
- SQS, for a message of the intake: the body is the event (`of_intake`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ir_router import json_text

# Users' requests are not replayed: they are executed in the user's name, and an entry in the queue may be forged. The
# user was notified that the request failed.
_COMMANDS = frozenset({"slash_command", "interaction"})
_OPERATIONS = frozenset({"verify", "watch", "start_oversized", "replay", "resync", "forget"})

_NO_OBJECT = "an entry that is not a JSON object"
_UNKNOWN_FORM = "neither EventBridge nor Lambda writes entries of this form"
_POLLED = "later polls have done its work"

Json = dict[str, Any]


@dataclass(frozen=True)
class Handback:
    """What to do with an entry of the failures queue.

    Attributes:
        way: `invoke` a function, `start` the workflow, send it to the `queue` of the intake, `publish` it on the event
            bus, `drop` or `keep` the entry.
        what: The entry's kind and ids, without content.
        payload: The event.
        target: The function's name for `invoke`.
        rule: The name of the rule that EventBridge names as the origin; empty for Lambda's entries.
        why: Why the entry is dropped or kept.
    """

    way: Literal["invoke", "start", "queue", "publish", "drop", "keep"]
    what: str
    payload: Json
    target: str = ""
    why: str = ""
    rule: str = ""


def read(body: str, origin: Mapping[str, str]) -> Handback:
    """Decide where an entry goes. `origin` are the message attributes by name."""
    try:
        content = json_text.parsed(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return Handback("keep", _NO_OBJECT, {}, why=_UNKNOWN_FORM)
    if "RULE_ARN" in origin:
        return _of_rule(content, origin)
    if isinstance(content.get("requestContext"), dict) and isinstance(content.get("requestPayload"), dict):
        return _of_function(content)
    return Handback("keep", "an entry of an unknown kind", {}, why=_UNKNOWN_FORM)


def of_intake(body: str) -> Handback:
    """Decide about a message that the intake could not process. SQS moved it to the failures queue."""
    try:
        event = json_text.parsed(body)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        return Handback("keep", _NO_OBJECT, {}, why=_UNKNOWN_FORM)
    return Handback("queue", f"{describe(event)} of the intake", event)


def attributes(message: Mapping[str, Any]) -> dict[str, str]:
    """Return the message attributes of an SQS message by name."""
    return {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}


def _of_rule(event: Json, origin: Mapping[str, str]) -> Handback:
    rule = origin["RULE_ARN"].rpartition("/")[2]
    target = origin.get("TARGET_ARN", "")
    what = f"{describe(event)} of rule {rule}"
    if event.get("detail-type") == "Scheduled Event":
        return Handback("drop", what, event, why=_POLLED)
    if ":function:" in target:
        return Handback("invoke", what, event, target=function_name(target), rule=rule)
    if ":stateMachine:" in target or target.endswith((":event-bus/default", "-intake")):
        # An event that was not forwarded to the home region's bus starts the workflow there.
        return Handback("start", what, event, rule=rule)
    if ":log-group:" in target:
        return Handback("publish", what, event, rule=rule)
    return Handback("keep", what, event, why=f"its target {target or '(none named)'} is unknown")


def _of_function(record: Json) -> Handback:
    context, payload = record["requestContext"], record["requestPayload"]
    function = function_name(str(context.get("functionArn", "")))
    what = f"{describe(payload)} for {function}"
    task = payload.get("task")
    if task == "poll":
        return Handback("drop", what, payload, why=_POLLED)
    if task in _OPERATIONS:
        return Handback("drop", what, payload, why="run this operation again")
    if task in _COMMANDS:
        return Handback("drop", what, payload, why="the user must repeat the command")
    if "decision" in payload:
        why = "the poller delivers it if it was recorded; if not, the analyst must decide again"
        return Handback("drop", what, payload, why=why)
    return Handback("invoke", what, payload, target=function)


def function_name(arn: str) -> str:
    """Return the name in a function's ARN, with or without a qualifier."""
    return arn.partition(":function:")[2].partition(":")[0]


def describe(event: Mapping[str, Any]) -> str:
    """Describe an event by its kind and ids, without content."""
    detail = event.get("detail")
    detail = detail if isinstance(detail, Mapping) else {}
    kind = event.get("task") or event.get("detail-type") or ("decision" if "decision" in event else "event")
    ids = (
        event.get("case_id")
        or detail.get("caseId")
        or event.get("approval_id")
        or detail.get("approval_id")
        or detail.get("eventID")
        or event.get("id")
    )
    return f"{kind} {ids}" if isinstance(ids, str) else str(kind)


def describe_message(body: str) -> str:
    """Describe a message of the FIFO queues by its ids: a Slack event, or a file in either direction."""
    try:
        content = json_text.parsed(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return _NO_OBJECT
    if content.get("kind") == "attachment":
        return f"attachment {content.get('attachment_id')} of case {content.get('case_id')}"
    event = content.get("event")
    event = event if isinstance(event, dict) else content
    if event.get("file_id"):
        return f"file {event['file_id']} of channel {event.get('channel_id')}"
    where = event.get("channel") or event.get("channel_id")
    return f"{event.get('type') or 'event'} {content.get('event_id') or ''} of channel {where}".replace("  ", " ")
