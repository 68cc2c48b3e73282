"""Make moto's DynamoDB fast for thousands of rows, safe for several threads, and idempotent for transactions.

moto copies the table for each transaction and restores the copy on failure, which also reverts other callers' writes.
It sorts the table for each query. It parses each update expression twice per call. It repeats a transaction that
arrives again with the same token.
"""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from moto.core.responses import ActionResult
from moto.dynamodb.exceptions import DynamodbException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.expressions import UpdateExpressionParser  # type: ignore[attr-defined]
from moto.dynamodb.responses import DynamoHandler

# ClientRequestToken of TransactWriteItems, in DynamoDB's API reference. botocore sends one with every transaction.
_TOKEN_SECONDS = 600.0


@contextmanager
def isolated(now: Callable[[], float]) -> Iterator[None]:
    """Serialise calls, limit transactions and queries to their own rows, and honour ClientRequestToken."""
    call_action = DynamoHandler.call_action
    handle_transaction = DynamoHandler.transact_write_items
    transact = DynamoDBBackend.transact_write_items
    query = Table.query
    lock = threading.RLock()

    def one_at_a_time(handler: Any) -> Any:
        with lock:
            return call_action(handler)

    done: dict[str, tuple[Any, float]] = {}

    def once(handler: Any) -> Any:
        token, items = handler.body.get("ClientRequestToken"), handler.body["TransactItems"]
        known, at = done.get(token, (None, 0.0))
        if known is not None and now() < at + _TOKEN_SECONDS:
            if known != items:
                raise DynamodbException("IdempotentParameterMismatchException", "The token came with other items.")
            return ActionResult({})
        answer = handle_transaction(handler)
        if token:
            done[token] = items, now()
        return answer

    def with_rows_kept(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        kept = [_kept(backend, operation) for item in transact_items for operation in item.values()]
        try:
            with mock.patch.object(Table, "__deepcopy__", lambda table, _memo: table, create=True):
                transact(backend, transact_items)
        except Exception:
            for put_back in kept:
                put_back()
            raise

    def in_its_rows(table: Table, hash_key: Any, *arguments: Any, **options: Any) -> Any:
        index_name = options.get("index_name") or (arguments[6] if len(arguments) > 6 else None)
        narrow = copy.copy(table)
        if index_name is None:
            narrow.items = {hash_key: table.items[hash_key]} if hash_key in table.items else {}  # type: ignore[assignment]
        else:
            narrow.items = _of_index(table, index_name)  # type: ignore[assignment]
        return query(narrow, hash_key, *arguments, **options)

    with (
        mock.patch.object(DynamoHandler, "call_action", one_at_a_time),
        mock.patch.object(DynamoHandler, "transact_write_items", once),
        mock.patch.object(DynamoDBBackend, "transact_write_items", with_rows_kept),
        mock.patch.object(Table, "query", in_its_rows),
        mock.patch.object(UpdateExpressionParser, "make", functools.lru_cache(UpdateExpressionParser.make)),
    ):
        yield


def _kept(backend: DynamoDBBackend, operation: Mapping[str, Any]) -> Any:
    """Return a function that restores the row of one operation of a transaction."""
    table = backend.get_table(operation["TableName"])
    hash_key, range_key = backend.get_keys_value(table, operation.get("Item") or operation["Key"])
    row = copy.deepcopy(table.items[hash_key].get(range_key))

    def put_back() -> None:
        if row is None:
            table.items[hash_key].pop(range_key, None)
        else:
            table.items[hash_key][range_key] = row

    return put_back


def _of_index(table: Table, name: str) -> dict[Any, Any]:
    """Return the rows that an index contains."""
    index = next((index for index in table.all_indexes() if index.name == name), None)
    names = [key["AttributeName"] for key in index.schema] if index is not None else []
    found = {
        hash_key: {range_key: row for range_key, row in rows.items() if all(one in row.attrs for one in names)}
        for hash_key, rows in table.items.items()
    }
    return {hash_key: rows for hash_key, rows in found.items() if rows}
