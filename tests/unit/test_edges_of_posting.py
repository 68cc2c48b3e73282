"""Claims, posts, turns and pauses of a synchronisation: exact times, lost answers, and effects that are found again."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import clock
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims, keys, leases, table
from ir_router.ledger.claims import Claim
from ir_router.ledger.table import ConditionFailedError
from ir_router.slack.messages import Message
from ir_router.sync import channel_pace, posting, queue, retention, slack_to_case
from ir_router.sync.case_sync import CaseSync, ClaimHeldError

NOW = 50_000.0
KEY = keys.note("1", "notice")


class Slack:
    """Slack's gateway: its calls, and the messages of each page."""

    def __init__(self, *messages: dict[str, Any], error: Exception | None = None) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.deadline = SimpleNamespace(settled_from_now=NOW + 500)
        self._messages = messages
        self._error = error

    def read(self, method: str, **arguments: Any) -> Any:
        self.asked.append((method, arguments))
        if self._error is not None:
            raise self._error
        return {"ts": "9.9", "message": {"text": "a"}}

    post = read

    def pages(self, method: str, _name: str, **arguments: Any) -> Any:
        self.asked.append((method, arguments))
        return iter(self._messages)


@pytest.fixture(autouse=True)
def effects(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The changes of claims, in order."""
    found: list[Any] = []
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(claims, "confirm", lambda _claim, **values: found.append(("confirm", values)))
    monkeypatch.setattr(claims, "refused", lambda _claim: found.append("refused"))
    monkeypatch.setattr(claims, "unanswered", lambda _claim, until: found.append(("unanswered", until)))
    return found


def own(ts: str, **changes: Any) -> dict[str, Any]:
    payload = {"row": KEY.pk, "key": KEY.sk, **changes}
    return {"ts": ts, "metadata": {"event_type": posting.EVENT_TYPE, "event_payload": payload}}


def claim(*, must_look: bool = False) -> Claim:
    return Claim(KEY, 1, must_look=must_look, row={"claimed_at": 1_000.5})


def test_given_a_new_message_when_posted_then_it_is_confirmed_with_its_place_and_version(effects: list[Any]) -> None:
    slack: Any = Slack()
    message = Message(text="a", blocks=[], thread_ts="1.1")

    assert posting.post(slack, "C1", claim(), message, keeps_version=True, more=1) == "9.9"

    version = posting.version({"text": "a"})
    place = {"ts": "9.9", "channel_id": "C1", "posted_at": NOW}
    assert effects == [("confirm", {**place, "more": 1, "versions": [version]})]
    ((method, arguments),) = slack.asked
    assert method == "chat.postMessage"
    assert arguments == {
        "channel": "C1",
        "text": "a",
        "blocks": [],
        "metadata": {"event_type": posting.EVENT_TYPE, "event_payload": {"row": KEY.pk, "key": KEY.sk}},
        "parse": "none",
        "unfurl_links": False,
        "unfurl_media": False,
        "link_names": False,
        "thread_ts": "1.1",
    }


@pytest.mark.parametrize(
    ("error", "effect"),
    [
        (RefusedError("Slack", "m", "is_archived"), "refused"),
        (RetryLaterError("Slack", "m", "ratelimited", 1), "refused"),
        (OutOfTimeError("x"), "refused"),
        (UncertainError("Slack", "m", "timeout"), ("unanswered", NOW + 500)),
    ],
)
def test_given_a_failed_post_when_it_may_have_arrived_then_only_a_rejection_frees_the_claim(
    effects: list[Any], error: Exception, effect: object
) -> None:
    slack: Any = Slack(error=error)

    with pytest.raises(type(error)):
        posting.post(slack, "C1", claim(), Message(text="a", blocks=[]))

    assert effects == [effect]


def test_given_an_earlier_attempt_when_posted_again_then_its_first_message_stays_and_duplicates_are_deleted(
    effects: list[Any],
) -> None:
    others = [own("0.1", key="NOTE#other"), {"ts": "0.2"}, {"ts": "0.3", "metadata": {"event_type": "x"}}]
    slack: Any = Slack(own("3.3"), *others, own("2.2"), own("2.2"))

    assert posting.post(slack, "C1", claim(must_look=True), Message(text="a", blocks=[])) == "2.2"

    where = {"channel": "C1", "oldest": "940.500000", "include_all_metadata": True}
    assert slack.asked == [("conversations.history", where), ("chat.delete", {"channel": "C1", "ts": "3.3"})]
    assert effects == [("confirm", {"ts": "2.2", "channel_id": "C1", "posted_at": NOW})]


def test_given_an_earlier_attempt_in_a_thread_when_looked_for_then_the_thread_is_read() -> None:
    slack: Any = Slack()

    assert posting.find(slack, "C1", claim(), "7.7") is None
    ((method, arguments),) = slack.asked
    assert (method, arguments["ts"], arguments["channel"]) == ("conversations.replies", "7.7", "C1")


def test_given_a_duplicate_that_is_gone_when_deleted_then_only_other_errors_are_raised() -> None:
    gone: Any = Slack(error=RefusedError("Slack", "chat.delete", "message_not_found"))
    posting._delete(gone, "C1", "1.1")
    rejected: Any = Slack(error=RefusedError("Slack", "chat.delete", "cant_delete_message"))
    with pytest.raises(RefusedError):
        posting._delete(rejected, "C1", "1.1")


@pytest.mark.parametrize(
    ("row", "ts", "expected"),
    [
        ({}, "940.5", True),
        ({}, "940.4", False),
        ({"SK": "SLACK#1"}, "2000", False),
        ({"state": "done"}, "2000", False),
        ({"refused": True}, "2000", False),
        ({"claimed_at": None}, "0", True),
    ],
)
def test_given_a_row_when_a_message_appears_then_only_the_open_claim_of_an_earlier_post_may_be_it(
    row: dict[str, Any], ts: str, *, expected: bool
) -> None:
    known = {"SK": "NOTE#x", "state": "claimed", "claimed_at": 1_000.5, **row}

    assert posting.is_unconfirmed(known, ts) is expected


@pytest.mark.parametrize(("thread_ts", "method"), [(None, "history"), ("5.5", "history"), ("1.1", "replies")])
def test_given_a_long_message_when_read_again_then_it_comes_from_its_thread_or_the_channel(
    thread_ts: str | None, method: str
) -> None:
    slack: Any = Slack({"ts": "1.1", "text": "parent"}, {"ts": "5.5", "text": "own"})

    found = slack_to_case._in_history({"ts": "5.5", "thread_ts": thread_ts}, "C1", slack)
    none = slack_to_case._in_history({"ts": "6.6"}, "C1", slack)

    assert (found, none) == ({"ts": "5.5", "text": "own"}, {})
    where = {"channel": "C1", "oldest": "5.5", "latest": "5.5", "inclusive": True}
    thread = {"ts": "1.1"} if method == "replies" else {}
    assert slack.asked[0] == (f"conversations.{method}", where | thread)


def sync(**rows: Any) -> CaseSync:
    values: dict[str, Any] = dict.fromkeys(("case", "tags", "reading", "lease", "slack"))
    deadline: Any = SimpleNamespace(check=lambda: None, settle_after=NOW + 60, settled_from_now=NOW + 500)
    return CaseSync(**values, rows=rows, deadline=deadline)


def test_given_a_claim_of_another_run_when_claimed_then_it_is_held_or_its_result_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[Any] = [claims.Held(NOW + 5), claims.Done({"state": "done", "ts": "1.1"}), claim()]
    wanted: list[Any] = []

    def take(key: keys.Key, **how: Any) -> Any:
        wanted.append((key, how))
        return taken.pop(0)

    monkeypatch.setattr(claims, "take", take)
    own_sync = sync()

    with pytest.raises(ClaimHeldError) as held:
        own_sync.claim(KEY, text="a")
    assert held.value.until == NOW + 5
    assert own_sync.claim(KEY) is None
    assert own_sync.is_done(KEY)
    assert own_sync.row(KEY) == {"state": "done", "ts": "1.1"}
    assert own_sync.claim(KEY) is None  # without a further call
    assert own_sync.claim(keys.note("1", "other")) is not None
    assert wanted[0] == (KEY, {"settle_after": NOW + 60, "text": "a"})
    assert len(wanted) == 3


@pytest.mark.parametrize("error", [ValueError("x"), RefusedError("Slack", "m", "x")])
@pytest.mark.parametrize("state", ["open", "held", "none"])
def test_given_an_error_when_a_claim_is_open_then_the_next_run_settles_it_soon(
    monkeypatch: pytest.MonkeyPatch, error: Exception, state: str
) -> None:
    ended: list[Any] = []
    taken: Any = claim() if state == "open" else claims.Done({"state": "done"})
    monkeypatch.setattr(claims, "take", lambda _key, **_how: taken)
    monkeypatch.setattr(claims, "ended", lambda *key, **when: ended.append((key, when)))
    own_sync = sync()

    def fail() -> None:
        with own_sync.ends_open_claim():
            if state != "none":
                own_sync.claim(KEY)
            raise error

    with pytest.raises(type(error)):
        fail()

    expected = [((KEY, 1), {"taken": NOW + 60, "settle_after": NOW + 500})]
    assert ended == (expected if state == "open" else [])


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The row of the pace, which the calls change; `conflicts` counts the writes that another run overtakes."""
    row: dict[str, Any] = {"conflicts": 0}

    def update(_key: Any, expression: str, _condition: str, *, value: float, **_before: Any) -> None:
        if row["conflicts"]:
            row["conflicts"] -= 1
            raise ConditionFailedError(dict(row))
        row[expression.split()[1]] = value

    monkeypatch.setattr(table, "get", lambda _key: dict(row))
    monkeypatch.setattr(table, "update", update)
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)
    return row


STEP = channel_pace.SECONDS_A_CHANNEL


@pytest.mark.parametrize(
    ("before", "queue_name", "turn", "after"),
    [
        ({}, "usual_at", NOW, NOW + STEP),
        ({"usual_at": NOW + 10}, "usual_at", NOW + 10 - STEP, NOW + 10 + STEP),
        ({"urgent_at": NOW + 10, "usual_at": NOW + 5}, "usual_at", NOW + 10 - STEP, NOW + 10 + STEP),
        ({"usual_at": NOW + 10}, "urgent_at", NOW, NOW + STEP),
        ({"next_at": NOW + 10}, "urgent_at", NOW + 10 - STEP, NOW + 10 + STEP),
        ({"usual_at": NOW + 75 + STEP}, "usual_at", NOW + 75, NOW + 75 + 2 * STEP),
    ],
)
def test_given_other_cases_when_a_turn_is_reserved_then_it_comes_after_theirs(
    pace: dict[str, Any], before: dict[str, float], queue_name: str, turn: float, after: float
) -> None:
    pace.update(before)

    assert channel_pace._reserve(queue_name) == turn
    assert pace[queue_name] == after


def test_given_too_many_cases_when_a_turn_is_reserved_then_the_run_ends_with_the_time_that_is_missing(
    pace: dict[str, Any],
) -> None:
    pace["usual_at"] = NOW + 75 + STEP + 2

    with pytest.raises(RetryLaterError) as later:
        channel_pace._reserve("usual_at")
    assert (later.value.seconds, pace["usual_at"]) == (2, NOW + 75 + STEP + 2)
    assert channel_pace._reserve("usual_at", 77) == NOW + 77


@pytest.mark.parametrize(
    ("before", "urgent", "wait"),
    [
        ({}, False, 0.0),
        ({"next_at": NOW + STEP}, False, 0.0),
        ({"next_at": NOW + STEP + 1}, False, 1.01),
        ({"urgent_at": NOW + STEP + 2}, False, 2.01),
        ({"urgent_at": NOW + STEP + 2}, True, 0.0),
        ({"next_at": NOW + STEP + 1, "urgent_at": NOW + STEP + 2}, True, 1.01),
    ],
)
def test_given_a_token_when_taken_then_a_usual_case_leaves_the_urgent_ones_theirs(
    pace: dict[str, Any], before: dict[str, float], *, urgent: bool, wait: float
) -> None:
    pace.update(before)

    assert channel_pace._take(urgent=urgent) == pytest.approx(wait)
    if not wait:
        assert pace["next_at"] == max(before.get("next_at", NOW), NOW) + STEP


def test_given_runs_that_always_overtake_when_a_turn_is_taken_then_it_ends_after_some_attempts(
    pace: dict[str, Any],
) -> None:
    pace["conflicts"] = 10**6
    with pytest.raises(RetryLaterError) as later:
        channel_pace._reserve("usual_at")
    error = later.value
    assert (error.service, error.operation, error.code) == ("Slack", "conversations.create", "ratelimited")
    assert (error.seconds, channel_pace._take(urgent=False)) == (1, 0.5)


@pytest.mark.parametrize(
    ("receives", "error", "seconds"),
    [
        (1, ClaimHeldError(NOW + 40), 40.0),
        (1, ClaimHeldError(NOW - 40), 1.0),
        (1, RefusedError("AWS", "m", "ValidationException"), 1.0),
        (3, RefusedError("AWS", "m", "ConflictException"), 8.0),
        (5, RetryLaterError("AWS", "m", "x", 40), 40.0),
        (5, RetryLaterError("AWS", "m", "x", 3), 32.0),
        (9, ClientError({}, "x"), 60.0),
        (None, ValueError("x"), 2.0),
    ],
)
def test_given_a_failed_message_when_it_becomes_visible_then_the_error_and_the_attempts_give_the_time(
    monkeypatch: pytest.MonkeyPatch, receives: int | None, error: Exception, seconds: float
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)
    attributes = {"ApproximateReceiveCount": str(receives)}
    record = queue.Record({"body": "{}", "attributes": attributes}) if receives else None

    assert queue._wait(record, error) == seconds


@pytest.mark.parametrize(("seen", "stored"), [("new", "new"), (None, "old"), ("", "old")])
def test_given_an_erased_case_when_left_then_the_newest_digest_is_kept_and_it_is_never_due(
    monkeypatch: pytest.MonkeyPatch, seen: str | None, stored: str
) -> None:
    released: list[dict[str, Any]] = []

    def release(_lease: Any, **row: Any) -> bool:
        released.append(row)
        return False

    monkeypatch.setattr(leases, "release_synced", release)
    lease: Any = SimpleNamespace(row={"row_digest": "old"})

    assert retention.leave(lease, seen) is False
    assert released == [{"row_digest": stored, "due_at": retention.NEVER}]
