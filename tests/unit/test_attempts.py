"""The number of attempts and the waits between them, counted and measured."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import aws, bus, clock
from ir_router.deadline import Deadline
from ir_router.errors import (
    NotConfiguredError,
    OutOfTimeError,
    RefusedError,
    RetryLaterError,
    UncertainError,
)
from ir_router.ledger import audit, keys, table
from ir_router.slack.gateway import Slack
from ir_router.sync import back_off, channel, queue
from ir_router.sync.case_sync import ClaimHeldError
from ir_router.sync.channel import ChannelUnavailableError
from ir_router.workflow import changes
from tests.support.world import World


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, in order; nothing waits."""
    pauses: list[float] = []
    monkeypatch.setattr(clock, "sleep", pauses.append)
    return pauses


def conflict() -> ClientError:
    return ClientError({"Error": {"Code": "TransactionConflictException"}}, "UpdateItem")


def failing(error: Exception, times: int, tries: list[int]) -> Callable[..., str]:
    def call(*_: object, **__: object) -> str:
        tries.append(1)
        if len(tries) <= times:
            raise error
        return "answer"

    return call


@pytest.mark.parametrize("times", [0, 1, 5])
def test_given_conflicts_when_a_row_is_written_then_it_is_tried_six_times_with_longer_pauses(
    slept: list[float], times: int
) -> None:
    tries: list[int] = []
    assert table._past_conflicts(failing(conflict(), times, tries)) == "answer"
    assert (len(tries), len(slept)) == (times + 1, times)
    for number, pause in enumerate(slept, start=1):
        assert 0.02 * 2**number <= pause <= 0.05 * 2**number


def test_given_conflicts_that_go_on_when_a_row_is_written_then_the_sixth_is_raised_and_other_errors_at_once(
    slept: list[float],
) -> None:
    tries: list[int] = []
    with pytest.raises(ClientError):
        table._past_conflicts(failing(conflict(), 99, tries))
    assert (len(tries), len(slept)) == (6, 5)
    for cancelled, is_conflict in (
        (["TransactionConflict", "None"], True),
        (["TransactionConflict", "ConditionalCheckFailed"], False),
        (["None", "ThrottlingError"], True),
        (["ProvisionedThroughputExceeded", "TransactionConflict"], True),
        (["ThrottlingError", "ConditionalCheckFailed"], False),
        (["ItemCollectionSizeLimitExceeded"], False),
        (["None"], False),
        ([], False),
    ):
        answer: Any = {"Error": {"Code": "TransactionCanceledException"}}
        answer["CancellationReasons"] = [{"Code": code} for code in cancelled]
        assert table._is_conflict(ClientError(answer, "TransactWriteItems")) is is_conflict
    assert table._reasons(ClientError({"Error": {}, "CancellationReasons": [{}]}, "x")) == ["None"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ThrottlingError", ClientError), ("ConditionalCheckFailed", table.TransactionFailedError)],
)
def test_given_a_cancelled_transaction_when_only_the_load_prevented_it_then_it_is_not_taken_for_a_failed_condition(
    slept: list[float], monkeypatch: pytest.MonkeyPatch, code: str, expected: type[Exception]
) -> None:
    class CancelledError(ClientError):
        pass

    class Client:
        exceptions = SimpleNamespace(TransactionCanceledException=CancelledError)

        def transact_write_items(self, **_: Any) -> None:
            answer: Any = {"Error": {"Code": "TransactionCanceledException"}}
            answer["CancellationReasons"] = [{"Code": "None"}, {"Code": code}]
            raise CancelledError(answer, "TransactWriteItems")

    monkeypatch.setattr(aws, "client", lambda _name: Client())

    with pytest.raises(expected) as error:
        table.transact([])
    assert type(error.value) is (CancelledError if expected is ClientError else expected)
    assert len(slept) == (5 if expected is ClientError else 0)


def test_given_an_audit_whose_head_keeps_moving_when_written_then_it_is_tried_25_times(
    world: World, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    monkeypatch.setattr(table, "transact", failing(table.TransactionFailedError(["ConditionalCheckFailed"]), 99, tries))
    with pytest.raises(audit.AuditContendedError):
        audit.append("one", "me", {})
    assert len(tries) == len(slept) == 25
    for number, pause in enumerate(slept, start=1):
        assert 0.005 * min(number, 10) <= pause <= 0.03 * min(number, 10)
    tries.clear()
    monkeypatch.setattr(table, "transact", failing(table.TransactionFailedError(["ConditionalCheckFailed"]), 24, tries))
    assert audit.append("one", "me", {}) is not None
    table.put(keys.audit_head(), {"month": "2026-01"})
    with pytest.raises(audit.AuditDamagedError):
        audit.append("one", "me", {})


def slack_that(
    monkeypatch: pytest.MonkeyPatch, errors: list[Exception], seconds: float = 1_000
) -> tuple[Slack, list[str]]:
    calls: list[str] = []
    slack = Slack(Deadline(soft=clock.now() + seconds, hard=clock.now() + seconds + 10))

    def call(method: str, _arguments: object) -> dict[str, Any]:
        calls.append(method)
        if errors:
            raise errors.pop(0)
        return {"ok": True}

    monkeypatch.setattr(slack, "_call", call)
    return slack, calls


def later(seconds: float) -> RetryLaterError:
    return RetryLaterError("Slack", "m", "ratelimited", seconds)


def unsure() -> UncertainError:
    return UncertainError("Slack", "m", "ReadTimeout")


def test_given_slack_that_asks_to_wait_when_called_then_reads_and_posts_are_tried_three_times(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("read", "post"):
        slept.clear()
        slack, calls = slack_that(monkeypatch, [later(2), later(10)])
        assert getattr(slack, name)("m") == {"ok": True}
        assert len(calls) == 3
        assert [round(pause) for pause in slept] in ([2, 10], [3, 10], [2, 11], [3, 11]), slept
        assert 2 <= slept[0] <= 2.5
        slack, calls = slack_that(monkeypatch, [later(1)] * 9)
        with pytest.raises(RetryLaterError):
            getattr(slack, name)("m")
        assert len(calls) == 3
        slack, calls = slack_that(monkeypatch, [later(10.5)])
        with pytest.raises(RetryLaterError):
            getattr(slack, name)("m")
        assert len(calls) == 1


def test_given_slack_that_does_not_answer_when_called_then_reads_are_tried_three_times_and_posts_once(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    slack, calls = slack_that(monkeypatch, [unsure(), unsure()])
    assert slack.read("m") == {"ok": True}
    assert len(calls) == 3
    assert 0.5 <= slept[0] <= 1.0 <= slept[1] <= 2.0
    slack, calls = slack_that(monkeypatch, [unsure()] * 9)
    with pytest.raises(UncertainError):
        slack.read("m")
    assert len(calls) == 3
    slack, calls = slack_that(monkeypatch, [unsure()])
    with pytest.raises(UncertainError):
        slack.post("m")
    assert len(calls) == 1
    for error in (RefusedError("Slack", "m", "not_in_channel"),):
        slack, calls = slack_that(monkeypatch, [error])
        with pytest.raises(RefusedError):
            slack.read("m")
        assert len(calls) == 1
    slack, calls = slack_that(monkeypatch, [], seconds=-1)
    with pytest.raises(OutOfTimeError):
        slack.post("m")
    assert calls == []
    slack, calls = slack_that(monkeypatch, [later(9)], seconds=8)
    with pytest.raises(OutOfTimeError):
        slack.read("m")


def test_given_a_change_that_iam_does_not_show_when_read_back_then_it_is_looked_for_eight_times_a_second_apart(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def read(_principal: object, _wanted: object) -> tuple[changes.State, None]:
        seen.append(1)
        return changes.State({}, denied=len(seen) >= shown_at), None

    monkeypatch.setattr(changes, "_read_for", read)
    principal: Any = {"kind": "user", "name": "x", "arn": "arn:x", "account": "1"}
    made: list[int] = []
    change = changes.Change(changes.DENY, "", lambda: made.append(1), lambda state: state.denied)
    shown_at = 8
    (action,) = changes.make(principal, [change], until=0)
    assert (action["verified"], len(seen), slept, made) == (True, 8, [1.0] * 7, [1])
    seen.clear()
    slept.clear()
    shown_at = 9
    with pytest.raises(changes.ChangeFailedError) as failed:
        changes.make(principal, [change], until=0)
    assert (len(seen), slept) == (8, [1.0] * 7)
    assert failed.value.actions == [{"what": changes.DENY, "target": "", "verified": False, "principal": "arn:x"}]


def test_given_a_change_that_iam_refuses_when_made_then_the_others_are_made_and_the_code_is_told(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "read", lambda _: changes.State({"k": "Inactive"}, denied=False))
    principal: Any = {"kind": "user", "name": "x", "arn": "arn:x", "account": "1"}

    def answered(status: int) -> Callable[[], None]:
        def fail() -> None:
            answer: Any = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(answer, "AttachUserPolicy")

        return fail

    made: list[str] = []
    refused = changes.Change(changes.DENY, "", answered(403), lambda state: state.denied)
    there = changes.Change("key {target} disabled", "k", answered(403), lambda state: state.keys["k"] == "Inactive")
    second = changes.Change("key {target} enabled", "k", lambda: made.append("k"), lambda _: True)
    with pytest.raises(changes.ChangeFailedError) as failed:
        changes.make(principal, [refused, there, second], until=0)
    assert made == ["k"]
    assert slept == []  # a rejected call is not waited for
    assert [(one["verified"], one.get("error")) for one in failed.value.actions] == [
        (False, "AccessDenied"),
        (True, None),
        (True, None),
    ]
    assert str(failed.value) == (
        "arn:x: NOT done or not verified: deny policy attached (AccessDenied, iam:AttachUserPolicy is not allowed) - "
        "done: key k disabled; key k enabled"
    )
    unclear = changes.Change(changes.DENY, "", answered(500), lambda state: state.denied)
    with pytest.raises(ClientError):
        changes.make(principal, [unclear, second], until=0)
    assert made == ["k", "k"]  # keys are changed while the policy is attached


def test_given_many_events_when_put_on_the_bus_then_ten_go_in_a_call_and_each_that_was_not_taken_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[int] = []

    class Client:
        def put_events(self, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
            sent.append(len(Entries))
            if len(sent) == 2:
                raise ClientError({"Error": {"Code": "Throttled"}}, "PutEvents")
            return {"Entries": [{"EventId": "1"}] * (len(Entries) - 1) + [{"ErrorCode": "InternalFailure"}]}

    monkeypatch.setattr(aws, "client", lambda _name: Client())
    monkeypatch.setattr(bus, "_entry", lambda event: event)
    codes = bus.put([bus.Event("s", "d", {})] * 23)
    assert sent == [10, 10, 3]
    assert codes == ["InternalFailure", *["Throttled"] * 10, "InternalFailure"]
    assert bus.put([]) == []


def test_given_a_queues_message_that_failed_when_it_waits_then_longer_each_time_and_a_minute_at_most() -> None:
    def wait(count: int, error: Exception) -> float:
        raw = {"body": "{}", "attributes": {"ApproximateReceiveCount": str(count)}}
        return queue._wait(queue.Record(raw), error)

    for count, base in ((1, 2), (2, 4), (5, 32), (6, 60), (20, 60)):
        assert base <= wait(count, unsure()) <= base * 1.1
    assert 2 <= queue._wait(None, ValueError()) <= 2.2
    assert 90 <= wait(1, later(90)) <= 99
    assert wait(6, RefusedError("AWS", "CreateCaseComment", "AccessDeniedException")) == 1.0
    held = clock.now() + 33
    assert 30 <= wait(1, ClaimHeldError(held)) <= 33
    assert wait(1, ClaimHeldError(clock.now() - 5)) == 1.0
    assert (queue.MAX_RECEIVE_COUNT, queue.REPORTED_AT_RECEIVE_COUNT) == (20, 6)
    assert queue.Record({"body": "{}"}).receive_count == 1


def test_given_a_case_that_fails_when_it_backs_off_then_what_passes_is_tried_soon_and_the_rest_ever_more_rarely() -> (
    None
):
    needs_somebody = RefusedError("Slack", "conversations.setTopic", "restricted_action")
    for count in (1, 2, 9):
        assert 12 <= back_off._pause(unsure(), count) <= 18
        assert 12 <= back_off._pause(conflict(), count) <= 18
    for error in (ChannelUnavailableError("archived"), KeyError("ours")):
        for count, base in ((1, 30), (2, 60), (4, 240)):
            assert base * 0.8 <= back_off._pause(error, count) <= base * 1.2
        assert back_off._pause(error, 99) == 3600
    assert isinstance(needs_somebody, RefusedError)
    assert "archived" in back_off._reason(ChannelUnavailableError("archived"))
    assert "conversations.setTopic" in back_off._reason(needs_somebody)
    assert "Unarchive" in back_off._fix(ChannelUnavailableError("archived"))
    assert "Invite" in back_off._fix(ChannelUnavailableError("not a member"))
    assert "operators" in back_off._fix(NotConfiguredError("x"))


def test_given_a_taken_name_when_channels_are_named_then_nine_are_tried_of_at_most_80_characters() -> None:
    found = channel.names("IR Case/", "1" * 90)
    assert len(found) == len(set(found)) == 9
    assert {len(name) for name in found} == {80}
    assert found[0].startswith("ir-case-111")
    assert [name[-2:] for name in found[1:]] == [f"-{number}" for number in range(2, 10)]
    assert channel.names("case-", "12")[:2] == ["case-12", "case-12-2"]
