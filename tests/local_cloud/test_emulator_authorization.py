"""The emulator's enforcement of policies; see `ir_sandbox.cloud.ministack_patches.authorization`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ir_sandbox.cloud.emulator import Emulator
from tests.local_cloud.emulator_stack import Stack

pytestmark = pytest.mark.local_cloud

Json = dict[str, Any]
TABLE = "ledger"
ALLOWED_POLICY = "arn:aws:iam::000000000000:policy/containment-deny"
OTHER_POLICY = "arn:aws:iam::000000000000:policy/other"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    emulator = Emulator(enforce_iam=True)
    emulator.start()
    try:
        stack = Stack(emulator)
        stack.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK", "index_pk")],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "index",
                    "KeySchema": [{"AttributeName": "index_pk", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        for arn in (ALLOWED_POLICY, OTHER_POLICY):
            stack.client("iam").create_policy(
                PolicyName=arn.rpartition("/")[2], PolicyDocument=policy("Deny", "*", "*", {})
            )
        yield stack
    finally:
        emulator.close()


def policy(effect: str, action: str, resource: str, condition: Json) -> str:
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    if condition:
        statement["Condition"] = condition  # type: ignore[assignment]
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def user_with(stack: Stack, document: str) -> Callable[[str], Any]:
    """Create a user with a policy; return a factory of clients that act as that user."""
    iam, name = stack.client("iam"), stack.name("user")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return lambda service: boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=stack.emulator.url,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def allowed(call: Callable[[], object]) -> bool:
    """Return whether a call is allowed; raise any other error."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"AccessDenied", "AccessDeniedException"}:
            raise
        return False
    return True


@pytest.fixture(scope="module")
def rows_of_cases(stack: Stack) -> Any:
    """A DynamoDB client whose user can access table and index rows that start with `CASE#`."""
    condition = {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["CASE#*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{TABLE}"
    return user_with(stack, policy("Allow", "dynamodb:*", f"{arn}*", condition))("dynamodb")


def key(partition: str) -> Json:
    return {"PK": {"S": partition}, "SK": {"S": "META"}}


@pytest.mark.parametrize(("partition", "expected"), [("CASE#1", True), ("TOKEN#1", False)])
@pytest.mark.parametrize("operation", ["get", "put", "update", "delete", "query", "index", "batch_get", "batch_write"])
def test_given_a_right_to_some_partition_keys_when_rows_are_touched_then_only_those_are_let_through(
    operation: str, partition: str, expected: bool, rows_of_cases: Any
) -> None:
    dynamodb, row = rows_of_cases, {"Key": key(partition)}
    condition = {"KeyConditionExpression": "#key = :value", "ExpressionAttributeValues": {":value": {"S": partition}}}
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: dynamodb.get_item(TableName=TABLE, **row),
        "put": lambda: dynamodb.put_item(TableName=TABLE, Item=key(partition)),
        "update": lambda: dynamodb.update_item(TableName=TABLE, **row),
        "delete": lambda: dynamodb.delete_item(TableName=TABLE, **row),
        "query": lambda: dynamodb.query(TableName=TABLE, ExpressionAttributeNames={"#key": "PK"}, **condition),
        "index": lambda: dynamodb.query(
            TableName=TABLE, IndexName="index", ExpressionAttributeNames={"#key": "index_pk"}, **condition
        ),
        "batch_get": lambda: dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": [key("CASE#2"), key(partition)]}}),
        "batch_write": lambda: dynamodb.batch_write_item(
            RequestItems={TABLE: [{"PutRequest": {"Item": key("CASE#2")}}, {"DeleteRequest": row}]}
        ),
    }

    assert allowed(calls[operation]) is expected


def test_given_a_right_to_some_partition_keys_when_all_rows_are_scanned_then_it_is_refused(rows_of_cases: Any) -> None:
    assert not allowed(lambda: rows_of_cases.scan(TableName=TABLE))


@pytest.mark.parametrize(
    ("resource", "expected"),
    [("arn:aws:cloudwatch:us-east-1:000000000000:alarm:*", True), ("arn:aws:sns:us-east-1:000000000000:alerts", False)],
)
def test_given_a_right_to_all_alarms_when_some_are_described_by_name_then_that_is_let_through(
    resource: str, expected: bool, stack: Stack
) -> None:
    cloudwatch = user_with(stack, policy("Allow", "cloudwatch:DescribeAlarms", resource, {}))("cloudwatch")

    assert allowed(lambda: cloudwatch.describe_alarms(AlarmNames=["one", "two"])) is expected


def test_given_rights_by_action_when_a_transaction_is_written_then_each_item_needs_its_own(stack: Stack) -> None:
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{TABLE}"
    rights = {"dynamodb:PutItem": "AUDIT#*", "dynamodb:UpdateItem": "CASE#*"}
    statements = [
        {
            "Effect": "Allow",
            "Action": action,
            "Resource": arn,
            "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [rows]}},
        }
        for action, rows in rights.items()
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    dynamodb = user_with(stack, document)("dynamodb")

    def write(put: str, update: str) -> bool:
        items = [
            {"Put": {"TableName": TABLE, "Item": key(put)}},
            {
                "Update": {
                    "TableName": TABLE,
                    "Key": key(update),
                    "UpdateExpression": "SET seen = :seen",
                    "ExpressionAttributeValues": {":seen": {"BOOL": True}},
                }
            },
        ]
        return allowed(lambda: dynamodb.transact_write_items(TransactItems=items))

    assert write("AUDIT#1", "CASE#1")
    assert not write("CASE#2", "CASE#1")
    assert not write("AUDIT#1", "AUDIT#2")


def test_given_a_right_to_attach_one_policy_when_others_are_attached_then_they_are_refused(stack: Stack) -> None:
    condition = {"ArnEquals": {"iam:PolicyARN": ALLOWED_POLICY}}
    iam = user_with(stack, policy("Allow", "iam:*", "arn:aws:iam::000000000000:user/*", condition))("iam")
    stack.client("iam").create_user(UserName="suspect")

    assert allowed(lambda: iam.attach_user_policy(UserName="suspect", PolicyArn=ALLOWED_POLICY))
    assert not allowed(lambda: iam.attach_user_policy(UserName="suspect", PolicyArn=OTHER_POLICY))
    assert allowed(lambda: iam.detach_user_policy(UserName="suspect", PolicyArn=ALLOWED_POLICY))
    assert not allowed(lambda: iam.put_user_policy(UserName="suspect", PolicyName="any", PolicyDocument="{}"))


def test_given_a_right_to_users_when_the_owner_of_a_key_is_read_then_it_is_the_resource(stack: Stack) -> None:
    admin = stack.client("iam")
    admin.create_user(UserName="owner", Path="/teams/")
    key = admin.create_access_key(UserName="owner")["AccessKey"]["AccessKeyId"]

    def may_read(resource: str, key_id: str = key) -> bool:
        iam = user_with(stack, policy("Allow", "iam:GetAccessKeyLastUsed", resource, {}))("iam")
        return allowed(lambda: iam.get_access_key_last_used(AccessKeyId=key_id))

    assert may_read("arn:aws:iam::000000000000:user/*")
    assert may_read("arn:aws:iam::000000000000:user/teams/owner")
    assert not may_read("arn:aws:iam::000000000000:user/another")
    assert not may_read("arn:aws:iam::000000000000:user/*", "AKIAIOSFODNN7EXAMPLE")


@pytest.mark.parametrize("operation", ["DescribeRule", "ListTargetsByRule"])
def test_given_a_right_to_one_rule_of_each_bus_when_rules_are_read_then_only_those_are_let_through(
    stack: Stack, operation: str
) -> None:
    bus = stack.name("bus")
    events = stack.client("events")
    events.create_event_bus(Name=bus)
    for name in ("ours", "other"):
        for where in ("default", bus):
            events.put_rule(Name=name, EventBusName=where, EventPattern='{"source": ["any"]}')
    rules = "arn:aws:events:us-east-1:000000000000:rule"
    allows = [{"Effect": "Allow", "Action": "events:*", "Resource": [f"{rules}/ours", f"{rules}/{bus}/ours"]}]
    reader = user_with(stack, json.dumps({"Version": "2012-10-17", "Statement": allows}))("events")

    def read(name: str, **where: str) -> bool:
        if operation == "DescribeRule":
            return allowed(lambda: reader.describe_rule(Name=name, **where))
        return allowed(lambda: reader.list_targets_by_rule(Rule=name, **where))

    assert read("ours")
    assert read("ours", EventBusName="default")
    assert read("ours", EventBusName=bus)
    assert not read("other")
    assert not read("other", EventBusName=bus)


def test_given_a_right_to_one_log_group_when_logs_are_searched_then_only_that_one_is_let_through(stack: Stack) -> None:
    for name in ("/ours/sync", "/ours/other"):
        stack.client("logs").create_log_group(logGroupName=name)
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:/ours/sync:*"
    logs = user_with(stack, policy("Allow", "logs:FilterLogEvents", arn, {}))("logs")

    assert allowed(lambda: logs.filter_log_events(logGroupName="/ours/sync"))
    assert not allowed(lambda: logs.filter_log_events(logGroupName="/ours/other"))


def test_given_a_queue_that_refuses_requests_without_tls_when_one_with_the_right_sends_then_it_is_let_through(
    stack: Stack,
) -> None:
    queue = stack.name("queue")
    arn = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
    refusal = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": arn}
    plain = {**refusal, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [plain]})
    url = stack.client("sqs").create_queue(QueueName=queue, Attributes={"Policy": document})["QueueUrl"]
    sender = user_with(stack, policy("Allow", "sqs:SendMessage", arn, {}))("sqs")

    assert allowed(lambda: sender.send_message(QueueUrl=url, MessageBody="hello"))
    assert not allowed(lambda: sender.receive_message(QueueUrl=url))


def test_given_an_aws_service_that_we_play_when_it_puts_an_event_then_it_needs_no_policy_of_ours(stack: Stack) -> None:
    events = boto3.client(
        "events",
        endpoint_url=stack.emulator.url,
        region_name="us-east-1",
        aws_access_key_id="security-ir",
        aws_secret_access_key="security-ir",
    )

    answer = events.put_events(Entries=[{"Source": "aws.security-ir", "DetailType": "Case Created", "Detail": "{}"}])

    assert answer["FailedEntryCount"] == 0


def test_given_awsdenyall_when_attached_then_it_denies_what_other_policies_allow(stack: Stack) -> None:
    everything = user_with(stack, policy("Allow", "*", "*", {}))
    name = stack.client("iam").list_users()["Users"][-1]["UserName"]
    assert allowed(lambda: everything("sqs").list_queues())

    stack.client("iam").attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")

    assert not allowed(lambda: everything("sqs").list_queues())


def test_given_a_user_without_rights_when_anything_is_called_then_it_is_refused(stack: Stack) -> None:
    nobody = user_with(stack, policy("Deny", "*", "*", {}))

    assert not allowed(lambda: nobody("sqs").list_queues())
    assert not allowed(lambda: nobody("dynamodb").get_item(TableName=TABLE, Key=key("CASE#1")))
