"""Requests to DynamoDB at their limits: portions of rows, pages, busy rows, names and numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import aws, clock
from ir_router.ledger import groups, keys, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import ConditionFailedError, TransactionFailedError
from tests.support.answers import AnswersInTurn


class CanceledError(ClientError):
    """A cancelled transaction with these reasons."""

    def __init__(self, *codes: str) -> None:
        answer: Any = {
            "Error": {"Code": "TransactionCanceledException"},
            "CancellationReasons": [{"Code": code} if code else {} for code in codes],
        }
        super().__init__(answer, "TransactWriteItems")


class Database(AnswersInTurn):
    """A client of DynamoDB with the exception that callers catch."""

    exceptions = SimpleNamespace(TransactionCanceledException=CanceledError)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Database]:
    def use(*answers: Any) -> Database:
        made = Database(*answers)
        monkeypatch.setattr(aws, "client", {"dynamodb": made}.__getitem__)
        return made

    monkeypatch.setattr(table, "settings", lambda: SimpleNamespace(require=lambda _: "table"))
    return use


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(clock, "sleep", lambda seconds: waited.append(round(seconds, 3)))
    monkeypatch.setattr(random, "uniform", lambda _, most: most)
    return waited


def item(number: int) -> dict[str, Any]:
    return {"PK": {"S": f"p{number}"}, "SK": {"S": "s"}}


def batch(numbers: Sequence[int], left: Sequence[int] = ()) -> dict[str, Any]:
    unprocessed = {"table": {"Keys": [item(number) for number in left]}} if left else {}
    return {"Responses": {"table": [item(number) for number in numbers]}, "UnprocessedKeys": unprocessed}


@pytest.mark.parametrize(("number", "sizes"), [(0, []), (1, [1]), (100, [100]), (101, [100, 1]), (200, [100, 100])])
def test_given_many_keys_when_their_rows_are_read_then_a_request_has_100_of_them(
    answering: Callable[..., Database], number: int, sizes: list[int]
) -> None:
    database = answering(*[batch([1])] * len(sizes))
    assert len(table.get_many([Key(f"p{one}", "s") for one in range(number)])) == len(sizes)
    assert [len(asked["RequestItems"]["table"]["Keys"]) for asked in database.asked] == sizes
    assert all(asked["RequestItems"]["table"]["ConsistentRead"] is True for asked in database.asked)


def test_given_keys_that_are_left_over_when_read_then_they_are_read_again_with_a_pause_only_without_progress(
    answering: Callable[..., Database], waits: list[float]
) -> None:
    wanted = [Key(f"p{number}", "s") for number in range(3)]
    database = answering(batch([0], left=[1, 2]), batch([], left=[1, 2]), batch([1, 2]))
    assert [row["PK"] for row in table.get_many(wanted)] == ["p0", "p1", "p2"]
    assert [len(asked["RequestItems"]["table"]["Keys"]) for asked in database.asked] == [3, 2, 2]
    assert waits == [0.2]


@pytest.mark.parametrize(
    ("limit", "rows", "pages"), [(None, 4, 2), (1, 1, 1), (2, 2, 1), (3, 3, 2), (4, 4, 2), (9, 4, 2)]
)
def test_given_pages_of_a_partition_when_queried_then_the_limit_ends_the_reading(
    answering: Callable[..., Database], limit: int | None, rows: int, pages: int
) -> None:
    last = {"LastEvaluatedKey": {"PK": {"S": "p1"}}}
    database = answering({"Items": [item(0), item(1)], **last}, {"Items": [item(2), item(3)]})
    found = list(table.query("pk", "prefix", descending=True, limit=limit))
    assert [row["PK"] for row in found] == [f"p{number}" for number in range(rows)]
    assert len(database.asked) == pages
    first = database.asked[0]
    assert (first["ScanIndexForward"], first["ConsistentRead"], first.get("Limit")) == (False, True, limit)
    assert first["KeyConditionExpression"] == "PK = :pk AND begins_with(SK, :prefix)"
    assert first["ExpressionAttributeValues"] == {":pk": {"S": "pk"}, ":prefix": {"S": "prefix"}}


def test_given_no_prefix_when_queried_then_the_complete_partition_is_read_in_order(
    answering: Callable[..., Database],
) -> None:
    database = answering({"Items": []}, {"Items": []}, {"Items": []})
    assert [list(table.query("pk")), list(table.query_index("pk")), list(table.query_index("pk", "7#"))] == [[], [], []]
    conditions = [asked["KeyConditionExpression"] for asked in database.asked]
    assert conditions == ["PK = :pk", "index_pk = :pk", "index_pk = :pk AND begins_with(index_sk, :prefix)"]
    assert [asked.get("ScanIndexForward") for asked in database.asked] == [True, None, None]
    assert [asked.get("IndexName") for asked in database.asked] == [None, keys.INDEX, keys.INDEX]


def conflict() -> ClientError:
    return ClientError({"Error": {"Code": "TransactionConflictException"}}, "PutItem")


def test_given_a_row_in_a_transaction_when_written_then_six_attempts_are_made_with_doubled_pauses(
    answering: Callable[..., Database], waits: list[float]
) -> None:
    database = answering(*[conflict()] * 5, {})
    table.put(Key("p", "s"), {"a": 1})
    assert (len(database.asked), waits) == (6, [0.1, 0.2, 0.4, 0.8, 1.6])
    database = answering(*[conflict()] * 6, {})
    with pytest.raises(ClientError):
        table.put(Key("p", "s"), {"a": 1})
    assert len(database.asked) == 6


@pytest.mark.parametrize(
    ("codes", "attempts", "error"),
    [
        (["None", "TransactionConflict"], 6, TransactionFailedError),
        (["ThrottlingError", "None"], 6, CanceledError),
        (["ProvisionedThroughputExceeded", "TransactionConflict"], 6, CanceledError),
        (["ConditionalCheckFailed", "TransactionConflict"], 1, TransactionFailedError),
        (["ConditionalCheckFailed", "ThrottlingError"], 1, TransactionFailedError),
        (["None", "None"], 1, TransactionFailedError),
        (["", "ConditionalCheckFailed"], 1, TransactionFailedError),
    ],
)
def test_given_a_cancelled_transaction_when_only_the_load_prevented_it_then_it_is_repeated_and_no_condition_failed(
    answering: Callable[..., Database], codes: list[str], attempts: int, error: type[Exception]
) -> None:
    database = answering(*[CanceledError(*codes)] * 7)
    with pytest.raises(error) as raised:
        table.transact([])
    assert len(database.asked) == attempts
    if isinstance(raised.value, TransactionFailedError):
        assert raised.value.reasons == [code or "None" for code in codes]


def test_given_a_condition_that_fails_when_written_then_the_stored_row_is_returned(
    answering: Callable[..., Database],
) -> None:
    answer: Any = {"Error": {"Code": "ConditionalCheckFailedException"}, "Item": {"n": {"N": "5"}}}
    database = answering(ClientError(answer, "UpdateItem"))
    with pytest.raises(ConditionFailedError) as error:
        table.update(Key("p", "s"), "SET #state = :state", "#kind = :kind", state="a", kind="b")
    assert error.value.row == {"n": 5}
    (asked,) = database.asked
    assert asked["ExpressionAttributeNames"] == {"#state": "state", "#kind": "kind"}
    assert asked["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
    assert asked["ExpressionAttributeValues"] == {":state": {"S": "a"}, ":kind": {"S": "b"}}
    other = ClientError({"Error": {"Code": "Other"}}, "UpdateItem")
    answering(other)
    with pytest.raises(ClientError):
        table.put(Key("p", "s"), {}, "attribute_not_exists(PK)")


def test_given_attributes_when_assigned_then_none_removes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(table, "update", lambda key, expression, **values: asked.append((expression, values)))
    table.assign(Key("p", "s"), a=1, b=None, c=0, d=None)
    table.assign(Key("p", "s"), a=None)
    table.assign(Key("p", "s"), a=False)
    assert asked == [
        ("SET #a = :a, #c = :c REMOVE #b, #d", {"a": 1, "c": 0}),
        ("REMOVE #a", {}),
        ("SET #a = :a", {"a": False}),
    ]


def test_given_expressions_when_read_then_each_reserved_name_is_found_once() -> None:
    found = table.reserved_names("SET #a = :a, b.#c=#a-#d", None, "NOT (#e<:x OR #f>:y+#g)", "")
    assert found == {name: name[1:] for name in ("#a", "#c", "#d", "#e", "#f", "#g")}
    assert table.reserved_names(None, "a = :b") == {}


def test_given_values_when_stored_and_read_then_they_are_the_same_with_whole_numbers_as_integers() -> None:
    row = {"f": 0.1, "i": 5, "w": 2.0, "l": [1.5, {"x": (0.25,)}], "n": None, "s": {"a"}, "b": True}
    read = table._row(table._item(row))
    assert read == {"f": 0.1, "i": 5, "w": 2, "l": [1.5, {"x": [0.25]}], "n": None, "s": {"a"}, "b": True}
    assert [type(read[name]) for name in ("f", "i", "w")] == [float, int, int]


@pytest.mark.parametrize(
    ("previous", "takes_over", "expected"),
    [
        (None, True, ["group"]),
        ({"execution": "old", "until": 5}, False, ["group"]),
        ({"execution": "old", "until": 5}, True, ["counter old", "counter new", "group"]),
        ({"execution": "old", "until": 5, "counted_in": "new"}, True, ["counter new", "group"]),
    ],
)
def test_given_a_group_when_it_is_opened_then_a_counter_that_is_taken_over_gets_a_pointer_unless_it_is_its_own(
    monkeypatch: pytest.MonkeyPatch, previous: dict[str, Any] | None, *, takes_over: bool, expected: list[str]
) -> None:
    known = {groups._key("g").pk + groups._key("g").sk: "group"}
    known |= {groups._counter(name).pk + groups._counter(name).sk: f"counter {name}" for name in ("old", "new")}
    written: list[tuple[str, Any, Any, dict[str, Any]]] = []

    def change(key: Key, row: Any, condition: Any = None, **values: Any) -> Any:
        written.append((known[key.pk + key.sk], row, condition, values))
        return written[-1]

    monkeypatch.setattr(clock, "now", lambda: 1_000.5)
    monkeypatch.setattr(table, "put_item", change)
    monkeypatch.setattr(table, "update_item", change)
    found: list[Any] = groups.opening("g", "new", previous, takes_over=takes_over)
    assert [one[0] for one in found] == expected
    _, row, condition, values = found[-1]
    counted = {"counted_in": (previous or {}).get("counted_in", "old")} if takes_over and previous else {}
    assert row == {"execution": "new", "until": 4_600.5, "expires_at": 1_000 + 7_200 + 86_400, **counted}
    if previous is None:
        assert (condition, values) == ("attribute_not_exists(PK)", {})
    else:
        assert (condition, values) == ("execution = :opener AND #until = :until", {"opener": "old", "until": 5})
