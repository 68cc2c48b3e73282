"""What stands in the failures queue, and where each goes back to. Pure: nothing is called here.

Two kinds of envelopes:

- EventBridge, for a rule's target: the body is the event, the message attributes RULE_ARN and TARGET_ARN say whose
  (docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html).
- Lambda, for an asynchronous invocation: the body holds `requestContext.functionArn` and `requestPayload`
  (docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# What people do counts in their name, and whoever may write into the queue could have put it there. They were told that
# it was given up.
_COMMANDS = frozenset({"slash_command", "interaction"})
_OPERATIONS = frozenset({"verify", "replay"})

Json = dict[str, Any]


@dataclass(frozen=True)
class Handback:
    """What to do with a failed piece of work. `what` names it by ids alone.

    `way`: `invoke` a function, `start` the workflow, `publish` on our bus, `drop` it or `keep` it where it is; `why`
    says why it is dropped or kept. `target` is the function's name for `invoke`.
    """

    way: Literal["invoke", "start", "publish", "drop", "keep"]
    what: str
    payload: Json
    target: str = ""
    why: str = ""


def read(body: str, attributes: Mapping[str, str]) -> Handback:
    """Recognise an envelope. `attributes` are the message attributes by name."""
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return Handback("keep", "an entry that is no JSON object", {}, why="nothing of ours is like that")
    if "RULE_ARN" in attributes:
        return _of_rule(content, attributes)
    if isinstance(content.get("requestContext"), dict) and isinstance(content.get("requestPayload"), dict):
        return _of_function(content)
    return Handback("keep", "an entry of an unknown kind", {}, why="neither EventBridge nor Lambda writes it so")


def _of_rule(event: Json, attributes: Mapping[str, str]) -> Handback:
    rule = attributes["RULE_ARN"].rpartition("/")[2]
    target = attributes.get("TARGET_ARN", "")
    what = f"{describe(event)} of rule {rule}"
    if event.get("detail-type") == "Scheduled Event":
        return Handback("drop", what, event, why="every later poll has done its work")
    if ":function:" in target:
        return Handback("invoke", what, event, target=function_name(target))
    if ":stateMachine:" in target or target.endswith(":event-bus/default"):
        # What was to be forwarded to the home region's bus starts the workflow there.
        return Handback("start", what, event)
    if ":log-group:" in target:
        return Handback("publish", what, event)
    return Handback("keep", what, event, why=f"its target {target or '(none named)'} is unknown")


def _of_function(record: Json) -> Handback:
    context, payload = record["requestContext"], record["requestPayload"]
    function = function_name(str(context.get("functionArn", "")))
    what = f"{describe(payload)} for {function}"
    task = payload.get("task")
    if task == "poll":
        return Handback("drop", what, payload, why="every later poll has done its work")
    if task in _OPERATIONS:
        return Handback("drop", what, payload, why="whoever asked for it asks again")
    if task in _COMMANDS:
        return Handback("drop", what, payload, why="whoever typed or pressed it must do so again")
    if "decision" in payload:
        why = "a decision that was recorded is carried out by the poller; any other must be made again"
        return Handback("drop", what, payload, why=why)
    return Handback("invoke", what, payload, target=function)


def function_name(arn: str) -> str:
    """The name in a function's ARN, whatever its qualifier."""
    return arn.partition(":function:")[2].partition(":")[0]


def describe(event: Mapping[str, Any]) -> str:
    """A piece of work by its kind and its ids; never by its content."""
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
    """A message of our FIFO queues by its ids: a Slack event, or a file of either direction."""
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return "an entry that is no JSON object"
    if content.get("kind") == "attachment":
        return f"attachment {content.get('attachment_id')} of case {content.get('case_id')}"
    event = content.get("event")
    event = event if isinstance(event, dict) else content
    if event.get("file_id"):
        return f"file {event['file_id']} of channel {event.get('channel_id')}"
    where = event.get("channel") or event.get("channel_id")
    return f"{event.get('type') or 'event'} {content.get('event_id') or ''} of channel {where}".replace("  ", " ")
