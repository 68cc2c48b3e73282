"""Read and write the ledger's DynamoDB table: rows, conditions, transactions. The other modules define the rows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, cast

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from ir_router import aws, clock
from ir_router.ledger import keys
from ir_router.ledger.keys import Key
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

Row = dict[str, Any]
_Answer = TypeVar("_Answer")

# DynamoDB rejects a write during a transaction on the same row. boto3 does not retry it; a few moments are enough.
_CONFLICT_TRIES = 6
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_ROWS_A_READ = 100
_CONFLICT = "TransactionConflict"
# A busy partition cancels a transaction with these codes. No condition failed.
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
_BUSY = frozenset({"ProvisionedThroughputExceeded", "ThrottlingError"})

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class ConditionFailedError(Exception):
    """The row did not meet the write's condition. `row` is the stored row, empty when there is none."""

    def __init__(self, row: Row) -> None:
        """Keep the stored row."""
        super().__init__("the stored row does not meet the condition of the write")
        self.row = row


class TransactionFailedError(Exception):
    """A condition of the transaction failed. Nothing was written. `reasons` has a code for each item."""

    def __init__(self, reasons: list[str]) -> None:
        """Keep the reasons in the order of the items."""
        super().__init__(f"transaction cancelled: {', '.join(reasons)}")
        self.reasons = reasons


def get(key: Key) -> Row | None:
    """Return the row, or None, with a strongly consistent read."""
    answer = aws.client("dynamodb").get_item(TableName=_name(), Key=_key(key), ConsistentRead=True)
    return _row(answer["Item"]) if "Item" in answer else None


def put(key: Key, row: Mapping[str, Any], condition: str | None = None, **values: Any) -> None:
    """Write a complete row.

    Args:
        key: Key of the row.
        row: The other attributes.
        condition: ConditionExpression, with `:name` for `values`.
        values: Values of the condition.

    Raises:
        ConditionFailedError: The condition does not hold.
    """
    request: dict[str, Any] = {"Item": _item({"PK": key.pk, "SK": key.sk, **row})}
    _conditional("put_item", request, condition, values)


def update(key: Key, expression: str, condition: str | None = None, **values: Any) -> Row:
    """Update a row and return the complete new row.

    Write attribute names that are reserved words as `#name`.

    Args:
        key: Key of the row.
        expression: UpdateExpression, with `:name` for `values`.
        condition: ConditionExpression, with `:name` for `values`.
        values: Values of both expressions.

    Raises:
        ConditionFailedError: The condition does not hold.
    """
    request: dict[str, Any] = {
        "Key": _key(key),
        "UpdateExpression": expression,
        "ReturnValues": "ALL_NEW",
    }
    names = reserved_names(expression, condition)
    if names:
        request["ExpressionAttributeNames"] = names
    answer = _conditional("update_item", request, condition, values)
    return _row(answer["Attributes"])


def assign(key: Key, **values: Any) -> None:
    """Set attributes of a row, which need not exist; None removes one."""
    assigned = {name: value for name, value in values.items() if value is not None}
    removed = [f"#{name}" for name, value in values.items() if value is None]
    parts = ["SET " + ", ".join(f"#{name} = :{name}" for name in assigned)] if assigned else []
    parts += ["REMOVE " + ", ".join(removed)] if removed else []
    update(key, " ".join(parts), **assigned)


def delete(key: Key, condition: str | None = None, **values: Any) -> None:
    """Delete a row. Raises ConditionFailedError when `condition` does not hold."""
    _conditional("delete_item", {"Key": _key(key)}, condition, values)


def query(pk: str, prefix: str = "", *, descending: bool = False, limit: int | None = None) -> Iterator[Row]:
    """Yield the rows of a partition in the order of their sort keys.

    Args:
        pk: Partition key.
        prefix: Beginning of the sort key.
        descending: Whether to start with the largest sort key.
        limit: Largest number of rows. Default: all.
    """
    request: dict[str, Any] = {
        "KeyConditionExpression": "PK = :pk" + (" AND begins_with(SK, :prefix)" if prefix else ""),
        "ExpressionAttributeValues": _item({":pk": pk} | ({":prefix": prefix} if prefix else {})),
        "ConsistentRead": True,
        "ScanIndexForward": not descending,
    }
    if limit is not None:
        request["Limit"] = limit
    yield from _pages(request, limit)


def query_index(index_pk: str, prefix: str = "") -> Iterator[Row]:
    """Yield the rows of one partition of the poller's index. Index reads are eventually consistent.

    Args:
        index_pk: Partition key of the index.
        prefix: Beginning of the index's sort key.
    """
    yield from _pages(
        {
            "IndexName": keys.INDEX,
            "KeyConditionExpression": "index_pk = :pk" + (" AND begins_with(index_sk, :prefix)" if prefix else ""),
            "ExpressionAttributeValues": _item({":pk": index_pk} | ({":prefix": prefix} if prefix else {})),
        },
        None,
    )


def get_many(wanted: Sequence[Key]) -> list[Row]:
    """Return the rows of these keys that exist, in any order, with strongly consistent reads of 100 rows each."""
    rows: list[Row] = []
    for start in range(0, len(wanted), _ROWS_A_READ):
        missing: Any = [_key(key) for key in wanted[start : start + _ROWS_A_READ]]
        while missing:
            asked = len(missing)
            answer: Any = aws.client("dynamodb").batch_get_item(
                RequestItems={_name(): {"Keys": missing, "ConsistentRead": True}}
            )
            rows += [_row(item) for item in answer["Responses"].get(_name(), [])]
            # A large answer, or a busy partition, leaves keys over.
            missing = (answer.get("UnprocessedKeys") or {}).get(_name(), {}).get("Keys", [])
            if len(missing) == asked:
                clock.sleep(random.uniform(0.05, 0.2))  # noqa: S311
    return rows


def transact(items: Sequence[TransactWriteItemTypeDef]) -> None:
    """Write all items or none. Build the items with `put_item`, `update_item` and `delete_item`.

    Raises TransactionFailedError with a reason for each item, or ClientError if only the load prevented it.
    """
    client = aws.client("dynamodb")
    try:
        _past_conflicts(lambda: client.transact_write_items(TransactItems=items))
    except client.exceptions.TransactionCanceledException as error:
        reasons = _reasons(error)
        if _BUSY & set(reasons) and _is_for_now(reasons):
            raise
        raise TransactionFailedError(reasons) from error


def put_item(key: Key, row: Mapping[str, Any], condition: str | None = None, **values: Any) -> TransactWriteItemTypeDef:
    """Return a Put for `transact`. The arguments are those of `put`."""
    entry: dict[str, Any] = {"TableName": _name(), "Item": _item({"PK": key.pk, "SK": key.sk, **row})}
    names = reserved_names(condition)
    if names:
        entry["ExpressionAttributeNames"] = names
    return cast("TransactWriteItemTypeDef", {"Put": _with_condition(entry, condition, values)})


def update_item(key: Key, expression: str, condition: str | None = None, **values: Any) -> TransactWriteItemTypeDef:
    """Return an Update for `transact`. The arguments are those of `update`."""
    entry: dict[str, Any] = {"TableName": _name(), "Key": _key(key), "UpdateExpression": expression}
    names = reserved_names(expression, condition)
    if names:
        entry["ExpressionAttributeNames"] = names
    return cast("TransactWriteItemTypeDef", {"Update": _with_condition(entry, condition, values)})


def delete_item(key: Key, condition: str | None = None, **values: Any) -> TransactWriteItemTypeDef:
    """Return a Delete for `transact`. The arguments are those of `delete`."""
    entry: dict[str, Any] = {"TableName": _name(), "Key": _key(key)}
    return cast("TransactWriteItemTypeDef", {"Delete": _with_condition(entry, condition, values)})


def reserved_names(*expressions: str | None) -> dict[str, str]:
    """Return `{"#state": "state"}` for every `#name` in the expressions. DynamoDB's reserved words need them."""
    words = " ".join(expression for expression in expressions if expression)
    for separator in ",()=<>+-.":
        words = words.replace(separator, " ")
    return {word: word[1:] for word in words.split() if word.startswith("#")}


def _conditional(
    operation: str, request: dict[str, Any], condition: str | None, values: Mapping[str, Any]
) -> dict[str, Any]:
    request = {"TableName": _name(), **_with_condition(request, condition, values)}
    if condition:
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        names = reserved_names(condition)
        if names:
            request["ExpressionAttributeNames"] = request.get("ExpressionAttributeNames", {}) | names
    try:
        return cast("dict[str, Any]", _past_conflicts(lambda: getattr(aws.client("dynamodb"), operation)(**request)))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        raise ConditionFailedError(_row(cast("dict[str, Any]", error.response).get("Item", {}))) from error


def _past_conflicts(call: Callable[[], _Answer]) -> _Answer:
    for attempt in range(1, _CONFLICT_TRIES):
        try:
            return call()
        except ClientError as error:
            if not _is_conflict(error):
                raise
            clock.sleep(random.uniform(0.02, 0.05) * 2**attempt)  # noqa: S311
    return call()


def _is_conflict(error: ClientError) -> bool:
    """Return whether another transaction on the same rows, or the load, was the only reason for the failure."""
    return error.response["Error"]["Code"] == "TransactionConflictException" or _is_for_now(_reasons(error))


def _is_for_now(reasons: Sequence[str]) -> bool:
    failed = set(reasons) - {"None"}
    return bool(failed) and failed <= {_CONFLICT, *_BUSY}


def _reasons(error: ClientError) -> list[str]:
    """Return the code of each item of a cancelled transaction."""
    reasons = cast("list[dict[str, str]]", cast("dict[str, Any]", error.response).get("CancellationReasons", []))
    return [reason.get("Code", "None") for reason in reasons]


def _with_condition(request: dict[str, Any], condition: str | None, values: Mapping[str, Any]) -> dict[str, Any]:
    if condition:
        request["ConditionExpression"] = condition
    if values:
        request["ExpressionAttributeValues"] = _item({f":{name}": value for name, value in values.items()})
    return request


def _pages(request: dict[str, Any], limit: int | None) -> Iterator[Row]:
    count = 0
    while True:
        answer = aws.client("dynamodb").query(TableName=_name(), **request)
        for item in answer["Items"]:
            yield _row(item)
            count += 1
            if limit is not None and count >= limit:
                return
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _name() -> str:
    return settings().require("table_name")


def _key(key: Key) -> dict[str, Any]:
    return {"PK": {"S": key.pk}, "SK": {"S": key.sk}}


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialize(_to_dynamodb(value)) for name, value in row.items()}


def _row(item: Mapping[str, Any]) -> Row:
    return {name: _from_dynamodb(_deserialize(value)) for name, value in item.items()}


def _to_dynamodb(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {name: _to_dynamodb(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_to_dynamodb(inner) for inner in value]
    return value


def _from_dynamodb(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _from_dynamodb(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_from_dynamodb(inner) for inner in value]
    return value
