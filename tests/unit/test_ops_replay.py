"""Entries of the failures queue, replayed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import aws, bus
from ir_router.ops import names, replay
from ir_router.ops.envelopes import Handback
from ir_router.settings import settings


def test_given_entries_of_the_failures_queue_when_delivered_then_only_sync_is_invoked_and_the_reason_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    invoked: list[Any] = []
    monkeypatch.setattr(names, "function", lambda part: f"acme-{part}")
    monkeypatch.setattr(aws, "invoke_later", lambda *call: invoked.append(call))
    for source, target, outcome, why in (
        ("security-ir", "acme-sync", "moved", ""),
        ("aws.security-ir", "acme-sync", "moved", ""),
        ("aws.iam", "acme-sync", "kept", "it is not an event of a case or an approval"),
        ("security-ir", "acme-slack", "kept", "no rule of this deployment invokes acme-slack"),
    ):
        event = {"source": source}
        found = replay._invoke("failures", Handback("invoke", "what", event, target=target))
        assert (found.outcome, found.queue, found.what, found.why) == (outcome, "failures", "what", why)
        assert found.to == (target if outcome == "moved" else "")
    assert invoked == [("acme-sync", {"source": "security-ir"}), ("acme-sync", {"source": "aws.security-ir"})]


@pytest.mark.parametrize(
    ("codes", "outcome", "to", "why"),
    [([], "moved", "the event bus", ""), (["InternalFailure"], "kept", "", "PutEvents returned InternalFailure")],
)
def test_given_a_notification_when_published_again_then_a_rejected_one_is_kept(
    monkeypatch: pytest.MonkeyPatch, codes: list[str], outcome: str, to: str, why: str
) -> None:
    sent: list[Any] = []

    def put(events: Any) -> list[str]:
        sent.append(events)
        return codes

    monkeypatch.setattr(bus, "put", put)
    event = {"source": "security-ir", "detail-type": "K", "detail": {"a": 1}, "resources": ["r"]}
    found = replay._publish("failures", Handback("publish", "what", event))
    assert (found.outcome, found.to, found.why) == (outcome, to, why)
    replay._publish("failures", Handback("publish", "what", {}))
    assert sent == [[bus.Event("security-ir", "K", {"a": 1}, ["r"])], [bus.Event("", "", {}, [])]]


def test_given_an_event_when_the_workflow_is_started_again_then_its_name_makes_it_start_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[dict[str, Any]] = []
    codes = ["ExecutionAlreadyExists", "AccessDeniedException"]

    def start_execution(**arguments: Any) -> None:
        started.append(arguments)
        if len(started) > 2:
            raise ClientError({"Error": {"Code": codes.pop(0)}}, "StartExecution")

    monkeypatch.setattr(aws, "client", lambda _name: SimpleNamespace(start_execution=start_execution))
    monkeypatch.setenv("IR_STATE_MACHINE_ARN", "arn:machine")
    settings.cache_clear()
    replay.start({"id": "e" * 80}, "m1")
    replay.start({"a": 1}, "m1")
    replay.start({"id": "e"}, "m1")
    with pytest.raises(ClientError, match="AccessDenied"):
        replay.start({"id": "e"}, "m1")
    settings.cache_clear()
    assert [one["name"] for one in started] == ["replay-" + "e" * 73, "replay-m1", "replay-e", "replay-e"]
    assert (started[1]["stateMachineArn"], started[1]["input"]) == ("arn:machine", '{"a": 1}')
