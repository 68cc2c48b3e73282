"""The simulator's ledger table: the faster parts of moto still behave as DynamoDB does."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.world import World


@pytest.fixture
def table(world: World) -> Any:
    return boto3.resource("dynamodb").Table("ledger")


def test_given_rows_when_a_transaction_fails_then_every_row_is_as_it_was(table: Any) -> None:
    table.put_item(Item={"PK": "A", "SK": "1", "count": 1})
    client = boto3.client("dynamodb")
    change: Any = {
        "TableName": "ledger",
        "Key": {"PK": {"S": "A"}, "SK": {"S": "1"}},
        "UpdateExpression": "SET #count = :two",
        "ExpressionAttributeNames": {"#count": "count"},
        "ExpressionAttributeValues": {":two": {"N": "2"}},
    }
    added: Any = {"TableName": "ledger", "Item": {"PK": {"S": "A"}, "SK": {"S": "2"}}}
    refused: Any = {
        "TableName": "ledger",
        "Item": {"PK": {"S": "B"}, "SK": {"S": "1"}},
        "ConditionExpression": "attribute_exists(PK)",
    }

    with pytest.raises(ClientError) as error:
        client.transact_write_items(TransactItems=[{"Update": change}, {"Put": added}, {"Put": refused}])

    assert error.value.response["Error"]["Code"] == "TransactionCanceledException"
    assert table.scan()["Items"] == [{"PK": "A", "SK": "1", "count": 1}]
    client.transact_write_items(TransactItems=[{"Update": change}, {"Put": added}])
    assert [row.get("count") for row in table.scan()["Items"]] == [2, None]


def test_given_many_partitions_when_one_is_queried_then_its_rows_come_in_order_page_by_page(table: Any) -> None:
    for number in range(30):
        table.put_item(
            Item={"PK": f"P{number % 3}", "SK": f"{number:02}", "index_pk": "I", "index_sk": f"{-number:03}"}
        )
    table.put_item(Item={"PK": "P0", "SK": "not in the index"})
    client = boto3.client("dynamodb")
    query: Any = {
        "TableName": "ledger",
        "KeyConditionExpression": "PK = :pk AND begins_with(SK, :sk)",
        "ExpressionAttributeValues": {":pk": {"S": "P1"}, ":sk": {"S": "1"}},
        "Limit": 2,
    }

    first = client.query(**query)
    second = client.query(**query, ExclusiveStartKey=first["LastEvaluatedKey"])

    assert [row["SK"]["S"] for row in first["Items"] + second["Items"]] == ["10", "13", "16", "19"]
    assert (
        client.query(**{**query, "ExpressionAttributeValues": {":pk": {"S": "P9"}, ":sk": {"S": "1"}}})["Items"] == []
    )
    indexed: Any = {
        "TableName": "ledger",
        "IndexName": "index",
        "KeyConditionExpression": "index_pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "I"}},
    }
    shown = [row["index_sk"]["S"] for row in client.query(**indexed)["Items"]]
    assert len(shown) == 30
    assert shown == sorted(shown)


def test_given_a_transaction_whose_answer_was_lost_when_it_is_sent_again_then_it_has_one_effect(
    table: Any, world: World
) -> None:
    # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html, ClientRequestToken
    client = boto3.client("dynamodb")
    once: Any = {
        "TableName": "ledger",
        "Item": {"PK": {"S": "A"}, "SK": {"S": "1"}},
        "ConditionExpression": "attribute_not_exists(PK)",
    }
    client.transact_write_items(TransactItems=[{"Put": once}], ClientRequestToken="the-first")

    client.transact_write_items(TransactItems=[{"Put": once}], ClientRequestToken="the-first")

    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.transact_write_items(TransactItems=[{"Put": once}])
    other = once | {"Item": {"PK": {"S": "B"}, "SK": {"S": "1"}}}
    with pytest.raises(client.exceptions.IdempotentParameterMismatchException):
        client.transact_write_items(TransactItems=[{"Put": other}], ClientRequestToken="the-first")
    world.advance(601)
    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.transact_write_items(TransactItems=[{"Put": once}], ClientRequestToken="the-first")
    assert len(table.scan()["Items"]) == 1
