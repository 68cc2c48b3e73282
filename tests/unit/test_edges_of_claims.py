"""Claims, offers and assignments: who holds an effect at its limit, and which offers an analyst can still request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import clock
from ir_router.errors import LeaseLostError, RefusedError
from ir_router.ledger import (
    activity,
    alerts,
    approvals,
    assignees,
    claims,
    containments,
    creators,
    joined_events,
    keys,
    leases,
    table,
    unavailable,
)
from ir_router.ledger.claims import Claim, ClaimLostError, Done, Held
from ir_router.ledger.containments import ContainmentBusyError, Lock
from ir_router.ledger.table import ConditionFailedError, TransactionFailedError
from ir_router.slack import credentials, installation

NOW = 1_767_261_720.0
KEY = keys.note("7", "notice")


@pytest.fixture(autouse=True)
def _fixed_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr("uuid.uuid4", lambda: SimpleNamespace(hex="me"))
    installation.forget()
    yield
    installation.forget()


@pytest.fixture
def writing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Let writes return these rows in turn, or raise; the others return an empty row."""

    def use(*results: Any) -> list[dict[str, Any]]:
        left, written = list(results), []

        def write(key: keys.Key, *given: Any, **values: Any) -> Any:
            written.append({"key": key, "given": given, **values})
            result = left.pop(0) if left else {}
            if isinstance(result, Exception):
                raise result
            return result

        for name in ("put", "update", "delete"):
            monkeypatch.setattr(table, name, write)
        return written

    return use


def taken_by(**row: Any) -> ConditionFailedError:
    return ConditionFailedError({"state": "claimed", "attempt": 3, "holder": "other", "settle_after": NOW, **row})


@pytest.mark.parametrize(
    ("row", "result"),
    [
        ({"state": "done"}, Done),
        ({"settle_after": NOW + 0.1}, Held),
        ({"settle_after": NOW}, Claim),
        ({"settle_after": NOW + 9, "refused": True}, Claim),
        ({"settle_after": NOW + 9, "holder": "me"}, Claim),
        ({"settle_after": NOW + 9, "refused": False}, Held),
    ],
)
def test_given_a_claim_when_another_run_takes_it_then_its_time_or_a_rejection_decides(
    writing: Callable[..., list[dict[str, Any]]], row: dict[str, Any], result: type[Any]
) -> None:
    written = writing(taken_by(**row), {"attempt": 4, "text": "frozen"})
    taken = claims.take(KEY, settle_after=NOW + 60, text="new")
    assert isinstance(taken, result)
    if isinstance(taken, Held):
        assert (taken.until, len(written)) == (row["settle_after"], 1)
    if isinstance(taken, Claim) and "holder" not in row:
        assert (taken.attempt, taken.must_look, taken.row) == (
            4,
            "refused" not in row,
            {"attempt": 4, "text": "frozen"},
        )
        expected = {"next": 4, "attempt": 3, "holder": "me", "settle_after": NOW + 60, "claimed": "claimed"}
        assert {name: written[1][name] for name in expected} == expected
    if "holder" in row:
        assert (taken.attempt, taken.must_look, len(written)) == (3, False, 1)


def test_given_a_claim_that_a_third_run_takes_first_when_taken_then_its_state_is_returned(
    writing: Callable[..., list[dict[str, Any]]],
) -> None:
    writing(taken_by(), ConditionFailedError({"state": "claimed", "settle_after": NOW + 5}))
    assert claims.take(KEY, settle_after=NOW + 60) == Held(NOW + 5)
    writing(taken_by(), ConditionFailedError({}))
    assert claims.take(KEY, settle_after=NOW + 60) == Held(NOW + 60)
    writing(taken_by(), ConditionFailedError({"state": "done"}))
    assert isinstance(claims.take(KEY, settle_after=NOW + 60), Done)


def test_given_several_effects_when_claimed_together_then_one_is_a_put_and_more_are_a_transaction(
    monkeypatch: pytest.MonkeyPatch, writing: Callable[..., list[dict[str, Any]]]
) -> None:
    transactions: list[list[Any]] = []
    monkeypatch.setattr(table, "transact", transactions.append)
    monkeypatch.setattr(table, "put_item", lambda key, row, condition: (key, row, condition))
    written = writing()
    other = keys.note("7", "other")

    def together(*chosen: keys.Key) -> list[Claim] | None:
        return claims.take_together([(key, {"text": key.sk}) for key in chosen], settle_after=NOW + 60)

    one, two = together(KEY), together(KEY, other)
    assert [claim.key for claim in [*(one or []), *(two or [])]] == [KEY, KEY, other]
    assert (len(written), [len(items) for items in transactions]) == (1, [2])
    stored = {"state": "claimed", "attempt": 1, "holder": "me", "settle_after": NOW + 60, "claimed_at": NOW}
    assert transactions[0][1] == (other, {"text": other.sk, **stored}, "attribute_not_exists(PK)")
    writing(taken_by(), taken_by(holder="me"))
    assert (together(KEY), len(together(KEY) or [])) == (None, 1)

    def fails(_items: Any) -> None:
        raise TransactionFailedError(["None", "ConditionalCheckFailed"])

    monkeypatch.setattr(table, "transact", fails)
    assert together(KEY, other) is None


@pytest.mark.parametrize(
    ("row", "is_confirmed"),
    [
        ({"state": "done", "attempt": 2}, True),
        ({"state": "done", "attempt": 3}, False),
        ({"state": "claimed", "attempt": 2}, False),
        ({}, False),
    ],
)
def test_given_a_confirmation_whose_answer_was_lost_when_repeated_then_only_its_own_attempt_counts(
    writing: Callable[..., list[dict[str, Any]]], row: dict[str, Any], *, is_confirmed: bool
) -> None:
    written = writing(ConditionFailedError(row))
    claim = Claim(KEY, 2, must_look=False, row={})
    if is_confirmed:
        claims.confirm(claim, ts="1.2")
    else:
        with pytest.raises(ClaimLostError):
            claims.confirm(claim, ts="1.2")
    assert written[0]["given"] == (
        "SET #state = :done, #ts = :ts REMOVE refused, given_up",
        "#state = :claimed AND attempt = :attempt",
    )


@pytest.mark.parametrize(
    ("conflict", "holds"),
    [(None, True), ({"lease_holder": "other"}, False), ({"lease_holder": "me"}, True), ({}, False)],
)
def test_given_a_lease_when_taken_then_only_an_own_lost_answer_counts_as_taken(
    writing: Callable[..., list[dict[str, Any]]], conflict: dict[str, Any] | None, *, holds: bool
) -> None:
    row = {"fence": 4, **(conflict or {})}
    writing(row if conflict is None else ConditionFailedError(row))
    lease = leases.take("7", NOW + 60)
    assert (lease is not None) is holds
    if lease is not None:
        assert (lease.fence, lease.until, lease.hints, lease.row) == (4, NOW + 60, 0, row)


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        ({"fence": 4, "lease_until": NOW + 1}, False),
        ({"fence": 4, "synced_hints": 2}, True),
        ({"fence": 4, "synced_hints": 1}, None),
        ({"fence": 5, "lease_until": NOW + 1, "synced_hints": 2}, None),
        (None, None),
    ],
)
def test_given_hints_that_moved_when_a_lease_is_released_then_the_row_shows_why_the_write_failed(
    monkeypatch: pytest.MonkeyPatch,
    writing: Callable[..., list[dict[str, Any]]],
    row: dict[str, Any] | None,
    outcome: bool | None,
) -> None:
    writing(ConditionFailedError({}))
    monkeypatch.setattr(table, "get", lambda key: row)
    lease = leases.Lease("7", 4, NOW + 60, 2, {})
    if outcome is None:
        with pytest.raises(LeaseLostError):
            leases.release_synced(lease)
    else:
        assert leases.release_synced(lease) is outcome


def test_given_creators_of_a_request_when_offered_then_a_decision_or_a_result_ends_an_offer() -> None:
    offers: dict[str, Any] = {
        name: {"who": name, "arn": name, "note": "", "does": "d", "facts": {}} for name in ("a", "b")
    }
    unable = {"c": {"who": "c", "arn": "c", "note": ""}}
    row: dict[str, Any] = {"kind": "remediate", "creators": {**offers, **unable}, "creator_result_b": "contained"}
    assert list(creators.offered(row)) == ["a"]
    assert list(creators.offered({**row, "decision": "approve"})) == ["a"]
    assert creators.offered({**row, "decision": "deny"}) == {}
    assert list(creators.offered({**row, "kind": "contain"})) == ["a"]
    assert creators.offered({**row, "kind": "contain", "decision": "approve"}) == {}
    assert creators.offered({"kind": "contain"}) == {}
    assert [creators.result(row, name) for name in "ab"] == ["", "contained"]


def test_given_a_permission_when_its_creator_is_looked_for_then_the_second_request_counts_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second = {"approval_id": "second", "creator_b": {"analyst": {}}}
    monkeypatch.setattr(approvals, "get", {approvals.id_of("e", "remediate"): second}.get)
    row = {"kind": "contain", "execution": "e", "creator_a": {"analyst": {}}}
    assert creators.requested_row(row, "a") == row
    assert creators.requested_row(row, "b") == second
    assert creators.requested_row(row, "c") is None
    assert creators.requested_row({**row, "kind": "remediate"}, "b") is None


@pytest.mark.parametrize(("pressed_at", "at"), [(None, NOW), (NOW - 5, NOW - 5), (NOW + 5, NOW)])
def test_given_a_press_when_a_user_takes_a_request_then_its_time_is_never_in_the_future(
    writing: Callable[..., list[dict[str, Any]]], pressed_at: float | None, at: float
) -> None:
    written = writing({}, ConditionFailedError({}))
    analyst = {"name": "Jane", "slack_user_id": "U1", "via": "", "email": "j@x.com"}
    assert assignees.assign("a", analyst, pressed_at)
    assert not assignees.assign("a", {"name": "Jane"}, pressed_at)
    assert written[0]["assignee"] == {"name": "Jane", "slack_user_id": "U1", "at": at}
    assert (written[0]["pressed_at"], [one["who"] for one in written]) == (at, ["U1", ""])


@pytest.mark.parametrize(
    ("error", "is_released"), [(None, True), (ContainmentBusyError("x"), True), (KeyError("x"), False)]
)
def test_given_a_lock_when_its_work_ends_then_an_unknown_error_leaves_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None, *, is_released: bool
) -> None:
    released: list[Lock] = []
    monkeypatch.setattr(containments, "release", released.append)
    lock = Lock("arn", "me", {})

    def work() -> None:
        with containments.holding(lock):
            if error:
                raise error

    if error:
        with pytest.raises(type(error)):
            work()
    else:
        work()
    assert released == ([lock] if is_released else [])


def test_given_credentials_when_watched_then_only_a_difference_is_stored_next_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = {"credentials": [{"arn": "a", "keys": ["1"]}, {"arn": "b", "keys": []}]}
    saved: list[dict[str, Any]] = []
    monkeypatch.setattr(table, "get", lambda key: row)
    monkeypatch.setattr(table, "assign", lambda key, **values: saved.append(values))
    assert not activity.watch("7", [{"arn": "a", "keys": ["1"]}])
    assert saved == []
    assert activity.watch("7", [{"arn": "a", "keys": ["1", "2"]}, {"arn": "c", "keys": []}])
    changed = [{"arn": "a", "keys": ["1", "2"]}, {"arn": "b", "keys": []}, {"arn": "c", "keys": []}]
    assert saved == [{"credentials": changed}]


def test_given_an_alert_when_noted_then_its_row_has_every_part_for_two_weeks(
    writing: Callable[..., list[dict[str, Any]]],
) -> None:
    written = writing({}, ConditionFailedError({}))
    alert = alerts.Alert("id", "HIGH", "s", "t", "7", "arn:e", ["p"], "allow", mention=True)
    name = alerts.note(alert)
    assert alerts.note(alert) == name
    assert (len(name), written[0]["key"]) == (24, keys.slack_alert(name))
    assert written[0]["given"][0] == {
        "alert_id": "id",
        "severity": "HIGH",
        "subject": "s",
        "text": "t",
        "case_id": "7",
        "execution": "arn:e",
        "principals": ["p"],
        "allow": "allow",
        "mention": True,
        "at": NOW,
        "expires_at": int(NOW) + 14 * 86_400,
    }


@pytest.mark.parametrize(
    ("before", "principal", "counter"),
    [
        (0, None, "joined_events"),
        (19, None, "joined_events"),
        (20, None, "summarised_events"),
        (20, "arn", "joined_events"),
    ],
)
def test_given_many_events_when_another_joins_then_from_the_21st_on_only_one_with_a_principal_counts(
    monkeypatch: pytest.MonkeyPatch, before: int, principal: str | None, counter: str
) -> None:
    written: list[Any] = []
    monkeypatch.setattr(approvals, "get", lambda _: {"joined_events": before})
    monkeypatch.setattr(table, "put_item", lambda *given: ("put", *given))
    monkeypatch.setattr(table, "update_item", lambda key, expression, condition, **values: (expression, values))
    monkeypatch.setattr(table, "transact", written.extend)
    more: dict[str, Any] = {"joined_owners": {"o"}, "none": set()}
    joined_events.note("a", {"execution": "e", "what": "w"}, principal=principal, more=more)
    expression, values = written[1]
    sets = {**({"joined_principals": {"arn"}} if principal else {}), "joined_owners": {"o"}}
    added = "".join(f", {name} :{name}" for name in sets)
    assert expression == f"ADD {counter} :one{added} SET last_joined = :event"
    assert {name: values.get(name) for name in sets} == sets
    assert written[0][2] == {"expires_at": int(NOW) + 7 * 86_400}


def test_given_the_ids_of_the_app_when_asked_for_again_then_they_are_kept_for_ten_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    answers: dict[str, Any] = {
        "auth.test": {"team_id": "T1", "enterprise_id": "E1"},
        "auth.teams.list": {"teams": [{"id": "T5"}, {"id": "T6"}]},
    }

    def read(method: str) -> Any:
        asked.append(method)
        return answers[method]

    slack: Any = SimpleNamespace(read=read)
    monkeypatch.setattr(credentials, "workspace_id", lambda: "E1")
    for moment in (NOW, NOW + 599.9, NOW + 600):
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        assert installation.own(slack) == installation.Installation("T1", "E1")
        assert installation.team_id(slack) == "T5"
    assert asked == ["auth.test", "auth.teams.list"] * 2
    monkeypatch.setattr(credentials, "workspace_id", lambda: "T9")
    assert installation.team_id(slack) == "T9"
    colleague = [installation.is_colleague(slack, *ids) for ids in (("T9", ""), ("T1", ""), ("T2", "E1"), ("T2", ""))]
    assert colleague == [True, True, True, False]


@pytest.mark.parametrize(
    ("error", "is_unavailable"),
    [
        (("GetItem", "ThrottlingException"), True),
        (("TransactWriteItems", "Any"), True),
        (("GetItem", "ValidationException"), False),
        (("PutEvents", "Any"), False),
    ],
)
def test_given_an_error_of_aws_when_it_is_one_of_the_ledger_then_the_ledger_is_unavailable(
    error: tuple[str, str], *, is_unavailable: bool
) -> None:
    raised = ClientError({"Error": {"Code": error[1]}}, error[0])
    assert unavailable.is_unavailable(raised) is is_unavailable
    with pytest.raises(unavailable.LedgerUnavailableError if is_unavailable else ClientError), unavailable.reported():
        raise raised
    with pytest.raises(RefusedError), unavailable.reported():
        raise RefusedError("AWS", "GetItem", "Any")
