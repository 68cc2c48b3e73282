"""The simulator's shortcuts of DynamoDB give the answers of moto's own code."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

from tests.support.world import World
from tests.trials.world import dynamodb_speed


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("SET a = :v SET b = :v", 'The "SET" section can only be used once'),
        ("SET a = :v, b = :v, a = :v", "Two document paths overlap"),
        ("SET a = :v REMOVE b, a", "Two document paths overlap"),
    ],
)
def test_given_an_expression_that_dynamodb_refuses_when_a_row_is_updated_then_it_is_refused(
    world: World, expression: str, error: str
) -> None:
    with pytest.raises(ClientError, match=error):
        boto3.client("dynamodb").update_item(
            TableName="ledger",
            Key={"PK": {"S": "a"}, "SK": {"S": "b"}},
            UpdateExpression=expression,
            ExpressionAttributeValues={":v": {"S": "v"}},
        )


def test_given_an_expression_when_it_is_used_twice_then_each_use_has_its_own_values(world: World) -> None:
    client = boto3.client("dynamodb")
    for number in ("1", "2"):
        client.update_item(
            TableName="ledger",
            Key={"PK": {"S": number}, "SK": {"S": "b"}},
            UpdateExpression="SET a = if_not_exists(a, :zero) + :v, #b = :v",
            ExpressionAttributeNames={"#b": "b"},
            ExpressionAttributeValues={":v": {"N": number}, ":zero": {"N": "10"}},
        )
    rows = [client.get_item(TableName="ledger", Key={"PK": {"S": one}, "SK": {"S": "b"}})["Item"] for one in ("1", "2")]
    assert [(row["a"], row["b"]) for row in rows] == [({"N": "11"}, {"N": "1"}), ({"N": "12"}, {"N": "2"})]


_KEY = {"PK": {"S": "a"}, "SK": {"S": "b"}}
_ROW: dict[str, Any] = {
    **_KEY,
    "bare": {"L": []},
    "marked": {"BOOL": False},
    "index_pk": {"S": "open"},
    "index_sk": {"S": "1"},
    "kind": {"S": '"B": é'},
    "parts": {"M": {"rest": {"L": [{"N": "1.50"}, {"SS": ["x", "y"]}, {"M": {}}]}, "none": {"NULL": True}}},
    "amount": {"N": "-12"},
    "amounts": {"NS": ["1", "2"]},
}
_BINARY = {**_KEY, "content": {"B": b"\x00\xff"}, "more": {"M": {"set": {"BS": [b"x"]}}}}
_SET = {"UpdateExpression": "SET #n = :v, parts.inside = :v", "ExpressionAttributeNames": {"#n": "amount"}}
_ON_INDEX = {"IndexName": "index", "KeyConditionExpression": "index_pk = :p"}
_PARTITION = "PK = :a AND begins_with(SK, :s)"
_OF_PARTITION = {
    "KeyConditionExpression": _PARTITION,
    "ExpressionAttributeValues": {":a": {"S": "a"}, ":s": {"S": "b"}},
}
_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("get_item", {"Key": _KEY}),
    ("put_item", {"Item": _ROW}),
    ("put_item", {"Item": _ROW, "ConditionExpression": "attribute_not_exists(PK)"}),
    ("get_item", {"Key": _KEY, "ReturnConsumedCapacity": "TOTAL"}),
    ("get_item", {"Key": _KEY, "ProjectionExpression": "marked, parts.rest, absent"}),
    ("get_item", {"Key": {"PK": {"S": ""}, "SK": {"S": "b"}}}),
    ("get_item", {"Key": _KEY, "TableName": "unknown"}),
    ("query", _OF_PARTITION),
    ("query", _OF_PARTITION | {"Select": "COUNT", "Limit": 1}),
    ("query", _ON_INDEX | {"ExpressionAttributeValues": {":p": {"S": "open"}}}),
    ("scan", {"FilterExpression": "size(kind) > :v", "ExpressionAttributeValues": {":v": {"N": "3"}}}),
    ("update_item", {"Key": _KEY, **_SET, "ExpressionAttributeValues": {":v": {"N": "7"}}}),
    (
        "update_item",
        {
            "Key": _KEY,
            "UpdateExpression": "SET parts = :m, amounts = list_append(bare, :l) REMOVE marked ADD amount :v",
            "ConditionExpression": "amount > :v AND (attribute_exists(parts) OR NOT contains(kind, :t)) AND #k <> :t",
            "ExpressionAttributeNames": {"#k": "kind"},
            "ExpressionAttributeValues": {
                ":m": {"M": {"inner": {"L": [{"N": "1"}]}}},
                ":l": {"L": [{"S": "x"}]},
                ":v": {"N": "5"},
                ":t": {"S": "t"},
            },
            "ReturnValues": "ALL_NEW",
        },
    ),
    ("transact_write_items", {"TransactItems": [{"Put": {"TableName": "rows", "Item": {**_KEY, "SK": {"S": "c"}}}}]}),
    (
        "transact_write_items",
        {
            "TransactItems": [
                {
                    "Put": {
                        "TableName": "rows",
                        "Item": _ROW,
                        "ConditionExpression": "attribute_not_exists(PK)",
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }
                }
            ]
        },
    ),
    ("batch_get_item", {"RequestItems": {"rows": {"Keys": [_KEY]}}}),
    ("put_item", {"Item": _ROW | {"large": {"S": "x" * 404_000}}}),
    ("put_item", {"Item": _ROW | {"large": {"M": {"x": {"L": [{"S": "x" * 405_000}]}}}}}),
    ("put_item", {"Item": _BINARY, "ReturnValues": "ALL_OLD"}),
    ("get_item", {"Key": _KEY}),
    ("delete_item", {"Key": _KEY, "ReturnValues": "ALL_OLD"}),
    ("delete_item", {"Key": _KEY, "ConditionExpression": "attribute_exists(PK)"}),
]


def _answers_of_moto() -> list[Any]:
    with mock_aws():
        client: Any = boto3.client("dynamodb", region_name="us-east-1")
        names = [{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK", "index_pk", "index_sk")]
        of_rows, of_index = (
            [{"AttributeName": a, "KeyType": "HASH"}, {"AttributeName": b, "KeyType": "RANGE"}]
            for a, b in (("PK", "SK"), ("index_pk", "index_sk"))
        )
        projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["marked", "parts", "amount"]}
        client.create_table(
            TableName="rows",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=names,
            KeySchema=of_rows,
            GlobalSecondaryIndexes=[{"IndexName": "index", "KeySchema": of_index, "Projection": projection}],
        )
        answers = []
        for name, arguments in _CALLS:
            of_table = {} if name.startswith(("transact", "batch")) else {"TableName": "rows"}
            try:
                answers.append(getattr(client, name)(**of_table | arguments))
            except ClientError as error:
                answers.append(error.response)
            headers = answers[-1]["ResponseMetadata"].pop("HTTPHeaders")
            assert int(headers["x-amz-crc32"])
            assert answers[-1]["ResponseMetadata"].pop("RequestId")
        return answers


def test_given_rows_of_every_type_when_moto_answers_them_by_a_shortcut_then_its_answers_are_the_same() -> None:
    expected = _answers_of_moto()
    with dynamodb_speed.shortened():
        answers = _answers_of_moto()
    assert answers == expected
    assert sum("Error" in answer for answer in answers) == 6


def test_given_requests_for_rows_when_they_have_no_binary_value_then_they_go_to_the_handler_of_their_caller(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    search = BotocoreStubber.process_request

    def process_request(stubber: Any, request: Any) -> Any:
        found.append(request.headers.get("X-Amz-Target"))
        return search(stubber, request)

    monkeypatch.setattr(BotocoreStubber, "process_request", process_request)
    client: Any = boto3.client("dynamodb")
    client.put_item(TableName="ledger", Item=_KEY)
    assert client.get_item(TableName="ledger", Key=_KEY)["Item"] == _KEY
    other: Any = boto3.client("dynamodb", region_name="eu-west-1")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        other.get_item(TableName="ledger", Key=_KEY)
    member = boto3.client("sts").assume_role(
        RoleArn="arn:aws:iam::222222222222:role/any", RoleSessionName="any", DurationSeconds=900
    )["Credentials"]
    in_member: Any = boto3.client(
        "dynamodb",
        aws_access_key_id=member["AccessKeyId"],
        aws_secret_access_key=member["SecretAccessKey"],
        aws_session_token=member["SessionToken"],
    )
    with pytest.raises(ClientError, match="ResourceNotFound"):
        in_member.get_item(TableName="ledger", Key=_KEY)
    assert found == [None]  # of STS
    client.put_item(TableName="ledger", Item=_BINARY)
    assert found == [None, b"DynamoDB_20120810.PutItem"]
