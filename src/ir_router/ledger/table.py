"""The ledger's table: rows in and out, conditions, transactions. What rows mean is said in the modules beside it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, cast

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from ir_router import aws, clock
from ir_router.ledger.keys import Key
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

Row = dict[str, Any]
_Answer = TypeVar("_Answer")

# A write that meets a transaction on the same row is refused; boto3 does not repeat it, and a few moments are enough.
_CONFLICT_TRIES = 6
_CONFLICT = "TransactionConflict"

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class ConditionFailedError(Exception):
    """The row did not meet the write's condition; `row` is what stands there (empty when absent)."""

    def __init__(self, row: Row) -> None:
        """Keep the row that was in the way."""
        super().__init__("a conditional write found another state")
        self.row = row


class TransactionFailedError(Exception):
    """One of the transaction's conditions did not hold; nothing was written. `reasons` has a code for each item."""

    def __init__(self, reasons: list[str]) -> None:
        """Keep the reasons in the order of the items."""
        super().__init__(f"transaction cancelled: {', '.join(reasons)}")
        self.reasons = reasons


def get(key: Key) -> Row | None:
    """The row, or None. Strongly consistent."""
    answer = aws.client("dynamodb").get_item(TableName=_name(), Key=_key(key), ConsistentRead=True)
    return _row(answer["Item"]) if "Item" in answer else None


def put(key: Key, row: Mapping[str, Any], condition: str | None = None, **values: Any) -> None:
    """Write a whole row. `condition` uses `:name` for `values`; raises ConditionFailedError when it does not hold."""
    request: dict[str, Any] = {"Item": _item({"PK": key.pk, "SK": key.sk, **row})}
    _conditional("put_item", request, condition, values)


def update(key: Key, expression: str, condition: str | None = None, **values: Any) -> Row:
    """Update a row and return it whole, as it is afterwards.

    Attribute names in `expression` and `condition` that are reserved words are written `#name`.
    Raises ConditionFailedError when `condition` does not hold.
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


def delete(key: Key, condition: str | None = None, **values: Any) -> None:
    """Delete a row. Raises ConditionFailedError when `condition` does not hold."""
    _conditional("delete_item", {"Key": _key(key)}, condition, values)


def query(pk: str, prefix: str = "", *, descending: bool = False, limit: int | None = None) -> Iterator[Row]:
    """The rows of a partition whose sort key begins with `prefix`, in order, paged to the end or to `limit` rows."""
    request: dict[str, Any] = {
        "KeyConditionExpression": "PK = :pk" + (" AND begins_with(SK, :prefix)" if prefix else ""),
        "ExpressionAttributeValues": _item({":pk": pk} | ({":prefix": prefix} if prefix else {})),
        "ConsistentRead": True,
        "ScanIndexForward": not descending,
    }
    if limit is not None:
        request["Limit"] = limit
    yield from _pages(request, limit)


def query_index(index_pk: str) -> Iterator[Row]:
    """The rows of one partition of the poller's index, paged to the end. Eventually consistent, as indexes are."""
    yield from _pages(
        {
            "IndexName": "index",
            "KeyConditionExpression": "index_pk = :pk",
            "ExpressionAttributeValues": _item({":pk": index_pk}),
        },
        None,
    )


def transact(items: Sequence[TransactWriteItemTypeDef]) -> None:
    """Write all items or none. Build them with `put_item`, `update_item` and `delete_item` below.

    Raises TransactionFailedError with a reason for each item.
    """
    client = aws.client("dynamodb")
    try:
        _past_conflicts(lambda: client.transact_write_items(TransactItems=items))
    except client.exceptions.TransactionCanceledException as error:
        raise TransactionFailedError(_reasons(error)) from error


def put_item(key: Key, row: Mapping[str, Any], condition: str | None = None, **values: Any) -> TransactWriteItemTypeDef:
    """A Put of a transaction."""
    entry: dict[str, Any] = {"TableName": _name(), "Item": _item({"PK": key.pk, "SK": key.sk, **row})}
    return cast("TransactWriteItemTypeDef", {"Put": _with_condition(entry, condition, values)})


def update_item(key: Key, expression: str, condition: str | None = None, **values: Any) -> TransactWriteItemTypeDef:
    """An Update of a transaction."""
    entry: dict[str, Any] = {"TableName": _name(), "Key": _key(key), "UpdateExpression": expression}
    names = reserved_names(expression, condition)
    if names:
        entry["ExpressionAttributeNames"] = names
    return cast("TransactWriteItemTypeDef", {"Update": _with_condition(entry, condition, values)})


def delete_item(key: Key, condition: str | None = None, **values: Any) -> TransactWriteItemTypeDef:
    """A Delete of a transaction."""
    entry: dict[str, Any] = {"TableName": _name(), "Key": _key(key)}
    return cast("TransactWriteItemTypeDef", {"Delete": _with_condition(entry, condition, values)})


def reserved_names(*expressions: str | None) -> dict[str, str]:
    """`{"#state": "state"}` for every `#name` in the expressions (DynamoDB's reserved words need them)."""
    words = " ".join(expression for expression in expressions if expression)
    for separator in ",()=<>+-":
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
    """Whether nothing but another transaction on the same rows was in the way."""
    if error.response["Error"]["Code"] == "TransactionConflictException":
        return True
    reasons = set(_reasons(error))
    return _CONFLICT in reasons and reasons <= {_CONFLICT, "None"}


def _reasons(error: ClientError) -> list[str]:
    """The code of each item of a cancelled transaction."""
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
