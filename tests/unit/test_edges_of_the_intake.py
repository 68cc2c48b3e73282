"""The intake: which events of a batch are started, counted or delivered once more, and in which order."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import EndpointConnectionError

from ir_router import aws, clock
from ir_router.ledger import allowlisted_hours, contained_names, groups, keys, table
from ir_router.ledger.table import TransactionFailedError
from ir_router.observability import logger
from ir_router.workflow import (
    alert_groups,
    alert_only,
    attempts,
    check_allowlist,
    event_claims,
    extract_event_context,
    intake,
    reading,
    severity,
    third_parties,
)
from ir_router.workflow.alert_groups import Group
from ir_router.workflow.event_claims import Content
from tests.support.answers import AnswersInTurn, client_error
from tests.support.texts import facts

NOW = 1_768_480_300.0


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def arrived(name: str, *, content: str = "c", **changes: Any) -> intake.Arrived:
    of = facts.event(
        **{"action": "alert", "event_id": f"e-{name}", "execution": {"id": f"arn-{name}", "name": name}, **changes}
    )
    return intake.Arrived([f"m-{name}"], {"id": name}, f"x-{name}", of, name, Content("i", content, finding=False))


class Batch:
    """The executions that start and the transactions, in order. `refused` are the names whose start fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[Any] = []
        self.refused: set[str] = set()
        self.failures: list[Exception | None] = []
        self.batch = intake._Batch()
        monkeypatch.setattr(intake, "_start", self._start)
        monkeypatch.setattr(table, "transact", self._transact)
        monkeypatch.setattr(event_claims, "claiming", lambda name, _content, execution: f"{name} for {execution}")

    def _start(self, _event: Any, name: str) -> None:
        self.done.append(f"start {name}")
        if name in self.refused:
            raise client_error("Throttling")

    def _transact(self, items: list[Any]) -> None:
        self.done.append(items)
        if self.failures and (failure := self.failures.pop(0)):
            raise failure


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Batch:
    return Batch(monkeypatch)


CONFLICT = TransactionFailedError(["ConditionalCheckFailed"])


def test_given_a_batch_when_events_stay_left_after_four_rounds_then_their_messages_are_delivered_once_more(
    monkeypatch: pytest.MonkeyPatch, run: Batch
) -> None:
    a, b = arrived("a"), arrived("b")
    a.messages.append("m-a2")
    rounds: list[Any] = []

    def take_in(left: list[Any], entries: list[Any], _batch: Any) -> list[Any]:
        rounds.append(([one.name for one in left], entries))
        return left[:1]

    monkeypatch.setattr(intake, "_read", lambda *_: [a, b])
    monkeypatch.setattr(check_allowlist, "known_entries", lambda: iter(["k"]))
    monkeypatch.setattr(check_allowlist, "usable", lambda found, _unusable: (f"usable {one}" for one in found))
    monkeypatch.setattr(intake, "_take_in", take_in)

    def failed() -> list[str]:
        return [one["itemIdentifier"] for one in intake.handle({"Records": []}, None)["batchItemFailures"]]

    assert failed() == ["m-a", "m-a2"]
    assert rounds == [(["a", "b"], ["usable k"]), *[(["a"], ["usable k"])] * 3]
    for error in (client_error("Throttling"), EndpointConnectionError(endpoint_url="x")):
        monkeypatch.setattr(intake, "_take_in", mock.Mock(side_effect=error))
        assert (failed(), run.done) == (["m-a", "m-a2", "m-b"], [])
    errors: list[Any] = []
    figures: list[Any] = []
    monkeypatch.setattr(logger, "error", lambda text, extra: errors.append((text, extra)))
    monkeypatch.setattr(logger, "info", lambda text, extra: figures.append((text, extra)))
    monkeypatch.setattr(intake, "_take_in", mock.Mock(side_effect=KeyError))
    run.refused = {"x-b"}
    assert (failed(), run.done) == (["m-b"], ["start x-a", "start x-b"])
    monkeypatch.setattr(check_allowlist, "known_entries", mock.Mock(side_effect=AssertionError))
    monkeypatch.setattr(intake, "_read", lambda *_: [])
    assert failed() == []
    assert figures == [
        ("intake.batch_completed", {"started": started, "counted": 0, "failed": started}) for started in (1, 0)
    ]
    assert errors == [
        ("intake.batch_not_decided: the workflow decides", {"error": "KeyError"}),
        ("intake.event_failed: SQS delivers the event again", {"error": "ClientError", "event_id": "e-b"}),
    ]


def test_given_messages_when_read_then_copies_of_an_event_are_one_and_undecided_ones_start(
    monkeypatch: pytest.MonkeyPatch, run: Batch
) -> None:
    found = {
        "1": arrived("a"),
        "2": arrived("a"),
        "3": arrived("a", content="other"),
        "4": None,
        "5": arrived("b"),
        "6": arrived("a"),
    }
    monkeypatch.setattr(intake, "_arrived", lambda _event, message, context: found[message] if context == "c" else None)
    errors: list[Any] = []
    monkeypatch.setattr(logger, "error", lambda text, extra: errors.append((text, extra)))
    records = [{"messageId": int(name), "body": json.dumps({"id": name})} for name in found]

    read = intake._read([*records[:3], {"messageId": "7", "body": "{"}, *records[3:]], run.batch, "c")

    assert [(one.name, one.messages) for one in read] == [("a", ["m-a", "2", "6"]), ("b", ["m-b"])]
    assert run.done == ["start x-a", f"start {intake._execution_name({'id': '4'})}"]
    assert (run.batch.failed, run.batch.started) == ({"7"}, 2)
    assert errors == [("intake.message_failed", {"error": "JSONDecodeError", "message_id": "7"})]


def test_given_an_event_when_read_then_its_incident_is_complete_and_the_workflow_gets_direct_and_many_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted: list[Any] = []
    entities = ["x"]
    read = SimpleNamespace(
        found=[SimpleNamespace(is_direct=False)],
        facts={"subject": "s", "quiet": "q"},
        band="HIGH",
        name="n",
        content="c",
    )
    assessed = SimpleNamespace(severity="LOW", action="alert", title="T", detections=("d",))
    monkeypatch.setattr(extract_event_context, "read", lambda *_: read)
    monkeypatch.setattr(reading, "entities", lambda _event: entities)
    monkeypatch.setattr(severity, "assess", lambda *given: assessed if given == (read.found, "s", "q") else None)
    monkeypatch.setattr(intake, "settings", lambda: SimpleNamespace(require=lambda name: f"arn:stateMachine:{name}"))
    monkeypatch.setattr(third_parties, "note_disabled", lambda *given: noted.append(given))
    event = {"id": "e-1"}
    name = intake._execution_name(event)

    one = intake._arrived(event, "m1", None)

    incident = {
        "subject": "s", "quiet": "q", "duplicate": False, "band": "HIGH", "severity": "LOW", "action": "alert",
        "title": "T", "detections": ["d"],
        "execution": {"id": f"arn:execution:state_machine_arn:{name}", "name": name,
                      "started_at": "2026-01-15T12:31:40.000Z",
                      "state_machine": "arn:stateMachine:state_machine_arn"},
    }  # fmt: skip
    assert one == intake.Arrived(["m1"], event, name, incident, "n", "c")  # type: ignore[arg-type]
    assert noted == [(incident, event, read.found)]
    entities.append("y")
    assert intake._arrived(event, "m1", None) is None
    names = [{"id": ""}, {"id": 7}, {"b": 1, "a": 2}, {"a": 2, "b": 1}]
    texts = ['{"id": ""}', '{"id": 7}', *['{"a": 2, "b": 1}'] * 2]
    assert [intake._execution_name(one) for one in names] == [intake._execution_name({"id": text}) for text in texts]
    entities.pop()
    read.found.append(SimpleNamespace(is_direct=True))
    assert intake._arrived(event, "m1", None) is None


def test_given_events_when_taken_in_then_each_is_counted_started_or_grouped_by_what_is_known_of_it(
    monkeypatch: pytest.MonkeyPatch, run: Batch
) -> None:
    bob, ann, eve = {"arn": "arn:bob", "id": "A1"}, {"arn": "arn:ann"}, {"arn": "arn:eve"}
    events = [
        arrived("counted"), arrived("claimed"), arrived("listed", band="LOW"), arrived("shown", band="HIGH"),
        arrived("denied", actor=bob), arrived("denied2", actor=bob), arrived("succeeded", actor=bob),
        arrived("denied", actor=ann), arrived("listed", band="LOW", title="other"), arrived("grouped", actor=eve),
        arrived("grouped2", actor=eve), arrived("contain", action="contain"),
    ]  # fmt: skip
    claims = [{"PK": keys.detection(name).pk, "execution": name} for name in ("counted", "claimed")]
    asked: list[Any] = []
    counted: list[Any] = []
    parts: list[Any] = []

    def row_of_caller(*caller: Any) -> Any:
        asked.append(caller)
        return {"of": caller[0]} if caller[0] in ("arn:bob", "arn:ann") else None

    def kind_of(incident: Any, row: Any) -> str:
        name = incident["event_id"].removeprefix("e-").rstrip("2")
        return name if row and name in ("denied", "succeeded") else "denied" if not row else "unrelated"

    def grouped(group: str, members: list[Any], _countings: Any, _batch: Any) -> list[Any]:
        parts.append((group, [one.name for one in members]))
        return members[1:]

    def count(counting: intake._Counting, _batch: Any) -> list[Any]:
        counted.append([one.name for one in counting.events])
        return counting.events[:1]

    monkeypatch.setattr(table, "get_many", lambda wanted: claims if len(wanted) == 12 else [])
    monkeypatch.setattr(event_claims, "is_counted", lambda claim, _content: claim["execution"] == "counted")
    monkeypatch.setattr(
        check_allowlist,
        "entry_for",
        lambda incident, entries, now: (
            entries[incident["title"] == "other"]
            if incident["event_id"] in ("e-listed", "e-shown") and now == NOW
            else None
        ),
    )
    monkeypatch.setattr(check_allowlist, "may_silence", lambda _incident, band: band == "LOW")
    monkeypatch.setattr(intake, "_allowlisted", lambda entry: intake._Counting(entry))
    monkeypatch.setattr(intake, "_denied", lambda row: intake._Counting(row["of"]))
    monkeypatch.setattr(contained_names, "row_of_caller", row_of_caller)
    monkeypatch.setattr(attempts, "kind_of", kind_of)
    monkeypatch.setattr(alert_only, "group_of", lambda incident: None if incident["event_id"] == "e-shown" else "g")
    monkeypatch.setattr(intake, "_grouped", grouped)
    monkeypatch.setattr(intake, "_counted", count)

    left = intake._take_in(events, ["entry", "other"], run.batch)  # type: ignore[list-item]

    assert run.done == ["start x-claimed", "start x-shown", "start x-succeeded", "start x-contain"]
    assert counted == [["listed"], ["denied", "denied2"], ["denied"], ["listed"]]
    assert parts == [("g", ["grouped", "grouped2"])]
    assert [one.name for one in left] == ["grouped2", "listed", "denied", "denied", "listed"]
    assert asked == [(facts.BOB["arn"], None), ("arn:bob", "A1"), ("arn:ann", None), ("arn:eve", None)]


class Openings:
    """The groups of a batch: `found` is the state of the group, and `notes` are the starts of openers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, row: Any, **state: bool) -> None:
        self.notes: list[Any] = []
        monkeypatch.setattr(alert_groups, "find", lambda group: Group(row, **state) if group == "g" else None)
        monkeypatch.setattr(alert_groups, "has_alerted", lambda counter: counter == "alerted")
        monkeypatch.setattr(alert_groups, "note_start", lambda opener, refused: self.notes.append((opener, refused)))
        monkeypatch.setattr(groups, "opening", lambda *given, takes_over: [(*given, takes_over)])
        monkeypatch.setattr(alert_only, "events_needed", lambda incident: incident["needed"])
        monkeypatch.setattr(intake, "_repeated", lambda *given: intake._Counting(given))


@pytest.mark.parametrize(
    ("row", "state", "needed", "started", "counted", "counter"),
    [
        ({"execution": "o", "until": 7}, {"is_open": True}, 1, "", "abc", ("o", 7.0)),
        ({"execution": "alerted", "until": 7}, {"is_open": True}, 2, "", "abc", ("alerted", 7.0)),
        ({"execution": "o", "until": 7}, {"is_open": True}, 2, "ab", "c", ("o", 7.0)),
        (None, {}, 1, "a", "bc", ("arn-a", NOW + 3_600)),
        (None, {}, 2, "ab", "c", ("arn-a", NOW + 3_600)),
        (None, {}, 4, "abc", "", None),
        ({"execution": "o", "until": 7}, {"unreported": True}, 1, "a", "bc", ("o", NOW + 3_600)),
        ({"execution": "o", "until": 7}, {}, 1, "a", "bc", ("arn-a", NOW + 3_600)),
    ],
)
def test_given_events_of_a_group_when_it_is_open_or_not_then_the_first_ones_start_and_the_others_are_counted(
    monkeypatch: pytest.MonkeyPatch,
    run: Batch,
    row: Any,
    state: dict[str, bool],
    needed: int,
    started: str,
    counted: str,
    counter: Any,
) -> None:
    openings = Openings(monkeypatch, row, **state)
    members = [arrived(name, needed=needed if name == "a" else 9) for name in "abc"]
    countings: dict[str, Any] = {}

    assert list(intake._grouped("g", members, countings, run.batch)) == []

    is_open = state.get("is_open", False)
    opening = ["a for arn-a", ("g", "arn-a", row, state.get("unreported", False))]
    assert run.done == [*([] if is_open else [opening]), *(f"start x-{name}" for name in started)]
    assert openings.notes == ([] if is_open else [("arn-a", False)])
    assert [(name, one.change, [event.name for event in one.events]) for name, one in countings.items()] == (
        [(f"group {counter[0]}", counter, list(counted))] if counted else []
    )


def test_given_a_group_that_another_opens_or_whose_opener_does_not_start_when_opened_then_the_next_round_decides(
    monkeypatch: pytest.MonkeyPatch, run: Batch
) -> None:
    openings = Openings(monkeypatch, None)
    members = [arrived(name, needed=1) for name in "ab"]
    run.failures = [CONFLICT]
    assert [one.name for one in intake._grouped("g", members, {}, run.batch)] == ["a", "b"]
    assert (openings.notes, run.batch.failed) == ([], set())
    run.refused = {"x-a"}
    countings: dict[str, Any] = {}
    assert [one.name for one in intake._grouped("g", members, countings, run.batch)] == ["b"]
    assert countings == {}
    assert (openings.notes, run.batch.failed, run.batch.started) == ([("arn-a", True)], {"m-a"}, 0)


@pytest.mark.parametrize(
    ("until", "failures", "left", "counted"),
    [
        (NOW + 1, [], [], [99, 1]),
        (NOW, [], [99, 1], []),
        (NOW + 1, [CONFLICT], [99], [1]),
        (NOW + 1, [None, CONFLICT], [1], [99]),
        (NOW + 1, [client_error("Throttling")], [], [1]),
    ],
)
def test_given_many_events_when_counted_then_99_share_a_transaction_and_a_failed_one_leaves_its_own(
    run: Batch, until: float, failures: list[Exception | None], left: list[int], counted: list[int]
) -> None:
    run.failures = list(failures)
    events = [arrived(str(number)) for number in range(100)]
    after: list[int] = []
    changed: list[int] = []

    def change(chunk: Any) -> Any:
        changed.append(len(chunk))
        return f"change {len(chunk)}"

    counting = intake._Counting(change, lambda: after.append(run.batch.counted), until, events)
    found = [one.name for one in intake._counted(counting, run.batch)]

    chunks = {99: [str(number) for number in range(99)], 1: ["99"]}
    assert found == [name for size in left for name in chunks[size]]
    assert (run.batch.counted, after) == (sum(counted), [*itertools.accumulate(counted)])
    delivered_once_more = (
        {f"m-{name}" for name in chunks[99]} if failures and failures[0] not in (None, CONFLICT) else set()
    )
    assert run.batch.failed == delivered_once_more
    assert changed == ([] if until == NOW else [99, 1])
    written = [[*(f"{name} for counted" for name in chunks[size]), f"change {size}"] for size in changed]
    assert [[*(one.replace(event_claims.COUNTED, "counted") for one in items)] for items in run.done] == written


def test_given_events_to_count_when_their_row_changes_then_each_kind_of_row_gets_its_own_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = [arrived("a"), arrived("b", detections=["other", "new_key"])]
    monkeypatch.setattr(allowlisted_hours, "callers", lambda value: {f"known of {value}"})
    monkeypatch.setattr(allowlisted_hours, "adding", lambda *given: given)
    monkeypatch.setattr(groups, "counted", lambda counter: {"callers": ["zoe"]} if counter == "c" else None)
    monkeypatch.setattr(groups, "adding", lambda *given: given)
    monkeypatch.setattr(contained_names, "arn_of", lambda row: row["arn"])
    monkeypatch.setattr(attempts, "counting", lambda *given: given)
    reported: list[str] = []
    monkeypatch.setattr(attempts, "report", reported.append)
    entry: Any = SimpleNamespace(value="v", reason="r")

    listed: Any = intake._allowlisted(entry).change(events)
    assert listed == ("v", "r", ["e-a", "e-b"], {"bob"}, {"known of v"}, {"new_key", "other"})
    repeated: Any = intake._repeated("c", 7.0)
    assert (repeated.change(events), repeated.until) == (("c", 2, {"bob"}, {"zoe"}), 7.0)
    other: Any = intake._repeated("d", 7.0).change(events)
    assert other == ("d", 2, {"bob"}, set())
    denied = intake._denied({"arn": "arn:p"})
    change: Any = denied.change(events)
    assert change == ([one.incident for one in events], "arn:p", {"arn": "arn:p"})
    denied.counted()
    assert reported == ["arn:p"]


@pytest.mark.parametrize("code", ["ExecutionAlreadyExists", "ThrottlingException"])
def test_given_an_event_when_its_execution_is_started_then_one_that_exists_is_enough(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    client = AnswersInTurn({}, {}, client_error(code, "StartExecution"))
    monkeypatch.setattr(aws, "client", lambda name: client if name == "stepfunctions" else None)
    monkeypatch.setattr(intake, "settings", lambda: SimpleNamespace(require=lambda name: f"arn:{name}"))

    intake._start({"id": "e-1"}, "n")
    intake._start("text", "n")
    if code == "ExecutionAlreadyExists":
        intake._start({"id": "e-1"}, "n")
    else:
        with pytest.raises(Exception, match=code):
            intake._start({"id": "e-1"}, "n")

    machine = {"stateMachineArn": "arn:state_machine_arn", "name": "n"}
    inputs = ['{"id":"e-1"}', '"text"', '{"id":"e-1"}']
    assert [{**one, "input": one["input"].replace(" ", "")} for one in client.asked] == [
        {**machine, "input": text} for text in inputs
    ]
