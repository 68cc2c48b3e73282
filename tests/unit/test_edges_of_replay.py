"""Failed work that is replayed: limits of a run, the order of entries, oversized events and descriptions of entries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.deadline import Deadline
from ir_router.ops import envelopes, oversized, replay
from ir_router.ops.replay import Outcome, Source
from ir_router.workflow import trimming
from ir_router.workflow.incident import INSTEAD_OF

NOW = 1_767_261_720.0


@pytest.fixture(autouse=True)
def _fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


class Queue:
    """A queue that gives these messages, ten at a time, and remembers the calls."""

    def __init__(self, *ids: str) -> None:
        self.ids = list(ids)
        self.asked: list[int] = []
        self.deleted: list[str] = []

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked["MaxNumberOfMessages"])
        given, self.ids = self.ids[: self.asked[-1]], self.ids[self.asked[-1] :]
        return {"Messages": [{"MessageId": one, "ReceiptHandle": one, "Body": one} for one in given]}

    def delete_message(self, **asked: Any) -> None:
        self.deleted.append(asked["ReceiptHandle"])


@pytest.mark.parametrize(
    ("number", "limit", "asked"),
    [
        (5, 100, [10, 10]),
        (25, 12, [10, 2]),
        (25, 10, [10]),
        (25, 9, [9]),
        (0, 5, [5]),
        (3, 0, []),
        (20, 30, [10, 10, 10]),
    ],
)
def test_given_a_limit_when_a_queue_is_replayed_then_no_more_entries_are_received(
    monkeypatch: pytest.MonkeyPatch, number: int, limit: int, asked: list[int]
) -> None:
    queue: Any = Queue(*map(str, range(number)))
    monkeypatch.setattr(replay, "_hand_back", lambda source, message: Outcome("moved", "q", message["MessageId"]))
    found = list(replay._drain(Source("q", "url", queue), limit, Deadline(NOW + 1, NOW + 9)))
    assert [one.what for one in found] == [str(one) for one in range(min(number, limit))]
    assert queue.asked == asked
    assert list(replay._drain(Source("q", "url", queue), limit, Deadline(NOW, NOW + 9))) == []
    assert queue.asked == asked


@pytest.mark.parametrize(
    ("why", "back_to", "handled"),
    [("broken", "url", ["a", "b"]), (replay._FORGED, "url", ["a", "b", "c"]), ("broken", None, ["a", "b", "c"])],
)
def test_given_an_entry_that_is_kept_when_a_fifo_queue_is_replayed_then_later_ones_do_not_overtake_it(
    monkeypatch: pytest.MonkeyPatch, why: str, back_to: str | None, handled: list[str]
) -> None:
    def hand_back(_source: Source, message: Any) -> Outcome:
        return Outcome("kept" if message["MessageId"] == "b" else "moved", "q", message["MessageId"], why=why)

    queue: Any = Queue("a", "b", "c", "a")
    monkeypatch.setattr(replay, "_hand_back", hand_back)
    found = list(replay._drain(Source("q", "url", queue, back_to=back_to), 9, Deadline(NOW + 1, NOW + 9)))
    assert [one.what for one in found][: len(handled)] == handled


@pytest.mark.parametrize(("outcome", "deleted"), [("moved", ["m"]), ("dropped", ["m"]), ("kept", [])])
def test_given_an_entry_when_handed_back_then_it_is_deleted_unless_it_is_kept(
    monkeypatch: pytest.MonkeyPatch, outcome: Any, deleted: list[str]
) -> None:
    queue: Any = Queue()
    message: Any = {"MessageId": "m", "ReceiptHandle": "m", "Body": "{}"}
    monkeypatch.setattr(replay, "_deliver", lambda name, _: Outcome(outcome, name, "what"))
    assert replay._hand_back(Source("q", "url", queue), message) == Outcome(outcome, "q", "what")
    assert queue.deleted == deleted


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:lambda:eu:1:function:a-sync", "a-sync"),
        ("arn:aws:lambda:eu:1:function:a-sync:live", "a-sync"),
        ("arn:aws:sqs:eu:1:q", ""),
    ],
)
def test_given_the_arn_of_a_function_when_read_then_a_qualifier_is_left_out(arn: str, name: str) -> None:
    assert envelopes.function_name(arn) == name


def test_given_events_when_described_then_the_best_known_id_is_named() -> None:
    detail = {"caseId": "7", "approval_id": "a", "eventID": "e"}
    event = {"task": "t", "detail-type": "d", "decision": "x", "case_id": "6", "detail": detail, "id": "i"}
    removed = ("task", "case_id", "detail-type", "decision")
    found = [envelopes.describe(event)]
    for name in removed:
        event.pop(name)
        found.append(envelopes.describe(event))
    assert found == ["t 6", "d 6", "d 7", "decision 7", "event 7"]
    assert envelopes.describe({"approval_id": "b", "detail": {"approval_id": "a"}}) == "event b"
    assert envelopes.describe({"detail": {"approval_id": "a", "eventID": "e"}, "id": "i"}) == "event a"
    assert envelopes.describe({"detail": {"eventID": "e"}, "id": "i"}) == "event e"
    assert envelopes.describe({"detail": "odd", "id": "i"}) == "event i"
    assert envelopes.describe({"id": 5}) == "event"


@pytest.mark.parametrize(("age", "number"), [(3_600, 1), (3_601, 0), (0, 1)])
def test_given_executions_that_failed_when_started_again_then_those_of_the_last_hour_count(
    monkeypatch: pytest.MonkeyPatch, age: int, number: int
) -> None:
    execution = {"executionArn": "arn", "name": "n", "stopDate": datetime.fromtimestamp(NOW - age, UTC)}
    found = {"error": "States.DataLimitExceeded", "input": '{"id": "e"}'}
    states = SimpleNamespace(
        list_executions=lambda **_: {"executions": [execution]}, describe_execution=lambda **_: found
    )
    started: list[tuple[Any, str]] = []
    monkeypatch.setattr(aws, "client", {"stepfunctions": states}.__getitem__)
    monkeypatch.setattr(oversized, "settings", lambda: SimpleNamespace(require=lambda _: "machine"))
    monkeypatch.setattr(replay, "start", lambda event, message_id: started.append((event, message_id)))

    def start(soft: float) -> Iterator[str]:
        return oversized._from_failed_executions(Deadline(soft, NOW + 9))

    assert list(start(NOW + 1)) == ["the event of execution n"] * number
    assert started == [({"id": "e", INSTEAD_OF: "arn"}, "n")] * number
    assert list(start(NOW)) == []
    found["error"] = "States.Timeout"
    assert list(start(NOW + 1)) == []


def test_given_an_event_when_it_fits_into_the_intake_then_exactly_the_largest_input_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trimming, "fitting", lambda event: event)
    frame = len('{"a": ""}')
    assert oversized._fits({"a": "x" * (trimming.LARGEST_INPUT - frame)})
    assert not oversized._fits({"a": "x" * (trimming.LARGEST_INPUT - frame + 1)})
    assert not oversized._fits(["a"])
