"""Entries of the failures queue, to the letter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ir_router.ops import envelopes
from ir_router.ops.envelopes import Handback

RULE = {"RULE_ARN": "arn:aws:events:us-east-1:1:rule/slack-client-rule"}
FUNCTION = "arn:aws:lambda:us-east-1:1:function:security-incident-sync:live"
OF_RULE = "Case 7 of rule slack-client-rule"
OF_FUNCTION = "{} for security-incident-sync"


@pytest.mark.parametrize(
    ("target", "kind", "way", "to", "why"),
    [
        (FUNCTION, "Case", "invoke", "security-incident-sync", ""),
        ("arn:aws:states:us-east-1:1:stateMachine:m", "Case", "start", "", ""),
        ("arn:aws:events:us-east-1:1:event-bus/default", "Case", "start", "", ""),
        ("arn:aws:logs:us-east-1:1:log-group:g", "Case", "publish", "", ""),
        ("arn:aws:sqs:us-east-1:1:q", "Case", "keep", "", "its target arn:aws:sqs:us-east-1:1:q is unknown"),
        ("", "Case", "keep", "", "its target (none named) is unknown"),
        (FUNCTION, "Scheduled Event", "drop", "", "later polls have done its work"),
    ],
)
def test_given_an_entry_of_a_rule_when_read_then_its_target_decides(
    target: str, kind: str, way: Any, to: str, why: str
) -> None:
    event = {"detail-type": kind, "detail": {"caseId": "7"}}
    origin = RULE | ({"TARGET_ARN": target} if target else {})
    rule = "" if way in ("keep", "drop") else "slack-client-rule"
    assert envelopes.read(json.dumps(event), origin) == Handback(
        way, OF_RULE.replace("Case", kind, 1), event, target=to, why=why, rule=rule
    )


@pytest.mark.parametrize(
    ("payload", "way", "what", "why"),
    [
        ({"task": "poll"}, "drop", "poll", "later polls have done its work"),
        *(
            ({"task": task}, "drop", task, "run this operation again")
            for task in ("verify", "watch", "start_oversized", "replay", "resync", "forget")
        ),
        ({"task": "slash_command"}, "drop", "slash_command", "the user must repeat the command"),
        ({"task": "interaction"}, "drop", "interaction", "the user must repeat the command"),
        (
            {"decision": "approve", "approval_id": "a"},
            "drop",
            "decision a",
            "the poller delivers it if it was recorded; if not, the analyst must decide again",
        ),
        ({"task": "release", "case_id": "7"}, "invoke", "release 7", ""),
        ({"id": "e"}, "invoke", "event e", ""),
        ({"detail-type": "K", "detail": {"approval_id": "a", "eventID": "x"}, "id": "e"}, "invoke", "K a", ""),
        ({"detail-type": "K", "detail": {"eventID": "x"}, "id": "e"}, "invoke", "K x", ""),
        ({"detail-type": "K", "detail": "x", "id": 7}, "invoke", "K", ""),
    ],
)
def test_given_an_entry_of_a_function_when_read_then_its_payload_decides(
    payload: dict[str, Any], way: Any, what: str, why: str
) -> None:
    body = json.dumps({"requestContext": {"functionArn": FUNCTION}, "requestPayload": payload})
    to = "security-incident-sync" if way == "invoke" else ""
    assert envelopes.read(body, {}) == Handback(way, OF_FUNCTION.format(what), payload, target=to, why=why)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("{", "an entry that is not a JSON object"),
        ("[]", "an entry that is not a JSON object"),
        ("{}", "an entry of an unknown kind"),
        ('{"requestContext": {}, "requestPayload": 1}', "an entry of an unknown kind"),
        ('{"requestContext": 1, "requestPayload": {}}', "an entry of an unknown kind"),
    ],
)
def test_given_an_entry_that_is_none_when_read_then_it_is_kept(body: str, what: str) -> None:
    why = "neither EventBridge nor Lambda writes entries of this form"
    assert envelopes.read(body, {}) == Handback("keep", what, {}, why=why)
    message = {"MessageAttributes": {"RULE_ARN": {"StringValue": "a"}, "X": {}}}
    assert envelopes.attributes(message) == {"RULE_ARN": "a", "X": ""}
    assert envelopes.attributes({}) == {}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "an entry that is not a JSON object"),
        ([], "an entry that is not a JSON object"),
        ({"kind": "attachment", "attachment_id": "a", "case_id": "7"}, "attachment a of case 7"),
        ({"event": {"file_id": "F1", "channel_id": "C1"}}, "file F1 of channel C1"),
        ({"file_id": "F1", "channel_id": "C1"}, "file F1 of channel C1"),
        ({"event_id": "Ev1", "event": {"type": "message", "channel": "C1"}}, "message Ev1 of channel C1"),
        ({"event": {"channel_id": "C2"}}, "event of channel C2"),
    ],
)
def test_given_a_message_of_the_fifo_queues_when_described_then_by_its_ids(content: Any, what: str) -> None:
    body = content if isinstance(content, str) else json.dumps(content)
    assert envelopes.describe_message(body) == what
