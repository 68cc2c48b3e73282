"""D4: after the fix, failed work returns to its source; nothing is lost or duplicated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from ir_router.errors import InvalidInputError
from ir_router.ops import replay as replay_task
from tests.support.operations import Deployed, deployed_in
from tests.support.world import ACCOUNT, REGION, World
from tests.trials.world import queues

SYNC = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:security-incident-sync:$LATEST"
SLACK = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:security-incident-slack:$LATEST"
APPROVALS = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:security-incident-approval-handler:$LATEST"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:security-incident"
RULES = f"arn:aws:events:{REGION}:{ACCOUNT}:rule"


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    monkeypatch.setattr(replay_task, "WAIT_SECONDS", 0)  # moto's one server needs no long polling
    with deployed_in(world) as deployed:
        yield deployed


@pytest.fixture
def case_id(world: World, deployed: Deployed) -> str:
    made = world.create_case()
    world.settle()
    return made


def from_slack(world: World, case_id: str) -> list[str]:
    return [body for body in world.comments(case_id) if body.startswith("[Slack Update]")]


def replay(world: World, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = world.invoke("operations", {"task": "replay", **options})
    return answer


def outcomes(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(entry["outcome"], entry["queue"]) for entry in answer["entries"]]


def depth(url: str) -> int:
    attributes = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]) + int(attributes["ApproximateNumberOfMessagesNotVisible"])


def write_while_broken(world: World, deployed: Deployed, case_id: str, *texts: str) -> None:
    """Write into the channel while the functions cannot reach the ledger, until the queue gives up."""
    world.environment["IR_TABLE_NAME"] = "gone"
    for text in texts:
        deployed.team[0].post(world.channel_of(case_id), text)
        world.workspace.deliveries.deliver_due()
    while depth(world.environment["DEAD_slack-events"]) < len(texts):
        world._run_queues()
        world.advance(61)
    world.environment["IR_TABLE_NAME"] = "ledger"


def write_and_give_up(world: World, deployed: Deployed, case_id: str, *texts: str) -> None:
    """Do the same in one step: move the messages to the dead-letter queue as SQS does."""
    for text in texts:
        deployed.team[0].post(world.channel_of(case_id), text)
        world.workspace.deliveries.deliver_due()
        queues.give_up("slack-events")


def fail(deployed: Deployed, body: object, **attributes: str) -> None:
    """Put an item into the failures queue, as EventBridge (with message attributes) or Lambda does."""
    boto3.client("sqs").send_message(
        QueueUrl=deployed.failures,
        MessageBody=body if isinstance(body, str) else json.dumps(body),
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )


def given_up(world: World, function: str, payload: object, *, seconds_ago: float = 0) -> dict[str, Any]:
    """Return Lambda's record of an asynchronous invocation that failed permanently."""
    return {
        "version": "1.0",
        "timestamp": datetime.fromtimestamp(world.now() - seconds_ago, UTC).isoformat(timespec="milliseconds"),
        "requestContext": {
            "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
            "functionArn": function,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": payload,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorType": "ClientError", "errorMessage": "secret words of a case"},
    }


def test_given_messages_that_were_given_up_on_when_replayed_then_the_case_has_each_once_in_order(
    world: World, deployed: Deployed, case_id: str
) -> None:
    write_while_broken(world, deployed, case_id, "first", "second", "third")
    deployed.poll()
    assert deployed.red() == {
        "dead letters of slack-events": "3 messages in slack-events-dlq.fifo failed after many attempts"
    }

    answer = replay(world)
    world.settle()

    assert outcomes(answer) == [("moved", "slack-events")] * 3
    assert answer["left"] == {"slack-events": 0, "files": 0, "failures": 0}
    bodies = from_slack(world, case_id)
    assert [word for body in bodies for word in ("first", "second", "third") if word in body] == [
        "first",
        "second",
        "third",
    ]
    assert deployed.red() == {}
    assert replay(world)["entries"] == []


def test_given_failed_work_when_replayed_then_it_is_named_by_ids_and_never_by_its_content(
    world: World, deployed: Deployed, case_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_and_give_up(world, deployed, case_id, "the password is swordfish")
    fail(deployed, given_up(world, SYNC, {"source": "security-ir", "detail": {"caseId": case_id, "x": "swordfish"}}))
    caplog.set_level("DEBUG", "ir-router")

    answer = replay(world)

    shown = json.dumps(answer) + "".join(str(vars(record)) for record in caplog.records)
    assert "replay.completed" in shown, "the log is searched"
    assert "swordfish" not in shown
    assert "secret words" not in shown
    assert f"of channel {world.channel_of(case_id)}" in answer["entries"][0]["what"]
    assert case_id in answer["entries"][1]["what"]


def test_given_a_dead_letter_whose_id_its_queue_has_just_seen_when_replayed_then_it_is_not_swallowed(
    world: World, deployed: Deployed, case_id: str
) -> None:
    sqs = boto3.client("sqs")
    url = world.environment["IR_SLACK_EVENTS_QUEUE_URL"]
    sqs.send_message(QueueUrl=url, MessageBody="{}", MessageGroupId="C1", MessageDeduplicationId="Ev1")
    queues.give_up("slack-events")
    assert depth(url) == 0

    replay(world, queue="slack-events")

    assert depth(url) == 1


def test_given_a_replay_that_dies_at_any_call_when_repeated_then_nothing_is_lost_or_doubled(
    world: World, deployed: Deployed, case_id: str
) -> None:
    number, died = 0, True
    while died:
        number += 1
        text = f"message number {number}."
        write_and_give_up(world, deployed, case_id, text)
        fail(deployed, given_up(world, SYNC, {"source": "security-ir", "detail": {"caseId": case_id}}))
        world.wire.kill_at(number, "after")
        died = world.try_invoke("operations", {"task": "replay"}).error is not None
        world.wire.spare()
        world.advance(150)  # the messages that the dead replay had received become visible again

        left = replay(world)["left"]
        world.settle()

        assert set(left.values()) == {0}
        assert sum(text in body for body in from_slack(world, case_id)) == 1
    assert number > 8, "every call was tried"


def test_given_a_limit_when_replayed_then_no_more_is_moved_and_the_rest_is_counted(
    world: World, deployed: Deployed, case_id: str
) -> None:
    write_and_give_up(world, deployed, case_id, "first", "second", "third")

    answer = replay(world, limit=2)

    assert len(answer["entries"]) == 2
    assert answer["left"]["slack-events"] == 1


@pytest.mark.parametrize("options", [{"limit": 0}, {"limit": 1001}, {"limit": "all"}, {"queue": "slack-events.fifo"}])
def test_given_options_that_make_no_sense_when_replayed_then_the_error_says_which_do(
    world: World, deployed: Deployed, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError, match=r"1 to 1000|slack-events, files, failures"):
        replay(world, **options)


def test_given_a_queue_that_is_gone_when_replayed_then_its_entries_are_kept_with_the_reason(
    world: World, deployed: Deployed, case_id: str
) -> None:
    fail(
        deployed,
        {"detail-type": "CaseUpdated", "id": "1"},
        RULE_ARN=f"{RULES}/security-incident-detect-create-access-key",
        TARGET_ARN=MACHINE,
    )
    boto3.client("stepfunctions").delete_state_machine(stateMachineArn=MACHINE)

    (entry,) = replay(world)["entries"]

    assert entry["outcome"] == "kept"
    assert entry["why"] == "StartExecution returned StateMachineDoesNotExist"
    assert depth(deployed.failures) == 1


def test_given_a_case_event_that_sync_gave_up_on_when_replayed_then_the_case_is_synchronised(
    world: World, deployed: Deployed
) -> None:
    world.drop_native_events = True
    case_id = world.create_case()
    event = {"source": "aws.security-ir", "detail-type": "Case Created", "detail": {"caseId": case_id}}
    fail(deployed, given_up(world, SYNC, event))
    assert "queue failures" in deployed.red()

    (entry,) = replay(world)["entries"]
    world.settle()

    assert (entry["outcome"], entry["to"]) == ("moved", "security-incident-sync")
    assert entry["what"] == f"Case Created {case_id} for security-incident-sync"
    assert world.said(case_id)


def test_given_an_event_that_a_rule_could_not_deliver_when_replayed_then_its_function_gets_it(
    world: World, deployed: Deployed
) -> None:
    world.drop_native_events = True
    case_id = world.create_case()
    event = {"source": "security-ir", "detail-type": "CaseCreated", "detail": {"caseId": case_id}, "id": "1"}
    target = SYNC.removesuffix(":$LATEST")
    fail(deployed, event, RULE_ARN=f"{RULES}/bus/slack-client-rule", TARGET_ARN=target, ERROR_CODE="NO_PERMISSIONS")

    (entry,) = replay(world)["entries"]
    world.settle()

    assert entry["what"] == f"CaseCreated {case_id} of rule slack-client-rule"
    assert world.said(case_id)


def test_given_a_detection_that_did_not_start_the_workflow_when_replayed_twice_then_it_starts_once(
    world: World, deployed: Deployed
) -> None:
    event = {
        "source": "aws.iam",
        "detail-type": "AWS API Call via CloudTrail",
        "id": "ev-1",
        "detail": {"eventID": "e1"},
    }
    rule = f"{RULES}/security-incident-detect-create-access-key"
    for _ in range(2):
        fail(deployed, event, RULE_ARN=rule, TARGET_ARN=MACHINE)
        (entry,) = replay(world)["entries"]
        assert (entry["outcome"], entry["to"]) == ("moved", "the workflow")

    client = boto3.client("stepfunctions")
    (execution,) = client.list_executions(stateMachineArn=MACHINE)["executions"]
    assert json.loads(client.describe_execution(executionArn=execution["executionArn"])["input"]) == event


def test_given_a_notification_that_was_not_logged_when_replayed_then_it_is_on_the_bus_again(
    world: World, deployed: Deployed
) -> None:
    event = {"source": "slack", "detail-type": "Member Joined", "detail": {"caseId": "1"}, "id": "1"}
    target = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/SlackNotificationsRule"
    fail(deployed, event, RULE_ARN=f"{RULES}/bus/SlackNotificationsRule", TARGET_ARN=target)

    (entry,) = replay(world)["entries"]

    assert (entry["outcome"], entry["to"]) == ("moved", "the event bus")
    assert {"source": "slack", "detail-type": "Member Joined", "detail": {"caseId": "1"}} in world.bus
    assert depth(deployed.failures) == 0


def test_given_an_event_that_the_bus_refuses_when_replayed_then_it_stays(world: World, deployed: Deployed) -> None:
    target = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/SlackNotificationsRule"
    fail(deployed, {"source": "slack", "detail": {}}, RULE_ARN=f"{RULES}/bus/SlackNotificationsRule", TARGET_ARN=target)
    world.refuse_events = 1

    (entry,) = replay(world)["entries"]

    assert (entry["outcome"], entry["why"]) == ("kept", "PutEvents returned ThrottlingException")
    assert depth(deployed.failures) == 1


def test_given_work_of_no_use_any_more_when_replayed_then_it_is_dropped_and_why(
    world: World, deployed: Deployed
) -> None:
    schedule = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "id": "1"}
    fail(deployed, schedule, RULE_ARN=f"{RULES}/security-incident-poll", TARGET_ARN=SYNC)
    fail(deployed, given_up(world, SYNC, {"task": "poll"}))
    fail(deployed, given_up(world, SYNC, {"task": "replay"}))

    answer = replay(world)

    reasons = [(entry["outcome"], entry["why"]) for entry in answer["entries"]]
    assert reasons == [
        ("dropped", "later polls have done its work"),
        ("dropped", "later polls have done its work"),
        ("dropped", "run this operation again"),
    ]
    assert depth(deployed.failures) == 0
    assert not world.asynchronous


DECISION = {"approval_id": "0123456789abcdef0123", "decision": "deny", "analyst": {"slack_user_id": "U0JANE"}}


@pytest.mark.parametrize(
    ("function", "payload", "why"),
    [
        (
            SLACK,
            {"task": "slash_command", "command": {"text": "close"}},
            "the user must repeat the command",
        ),
        (SLACK, {"task": "interaction", "payload": {}}, "the user must repeat the command"),
        (
            APPROVALS,
            DECISION,
            "the poller delivers it if it was recorded; if not, the analyst must decide again",
        ),
    ],
)
@pytest.mark.parametrize("from_rule", [False, True])
def test_given_what_only_people_may_do_when_replayed_then_it_is_not_done_in_their_name(
    world: World, deployed: Deployed, function: str, payload: dict[str, Any], why: str, from_rule: bool
) -> None:
    """Any caller with access to the failures queue could have put it there."""
    if from_rule:
        fail(deployed, payload, RULE_ARN=f"{RULES}/bus/slack-client-rule", TARGET_ARN=function)
    else:
        fail(deployed, given_up(world, function, payload))

    (entry,) = replay(world)["entries"]

    if from_rule:
        name = function.split(":")[6]
        assert (entry["outcome"], entry["why"]) == ("kept", f"no rule of this deployment invokes {name}")
    else:
        assert (entry["outcome"], entry["why"]) == ("dropped", why)
    assert not world.asynchronous


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        ("not json", {}),
        ("[1]", {}),
        ({"hello": "world"}, {}),
        ({"source": "x"}, {"RULE_ARN": f"{RULES}/x", "TARGET_ARN": "arn:aws:sns:us-east-1:1:topic"}),
        ({"source": "x"}, {"RULE_ARN": f"{RULES}/x"}),
        (
            {"source": "x"},
            {"RULE_ARN": f"{RULES}/x", "TARGET_ARN": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:theirs"},
        ),
    ],
)
def test_given_something_that_is_not_ours_when_replayed_then_it_stays_and_nothing_is_invoked(
    world: World, deployed: Deployed, body: object, attributes: dict[str, str]
) -> None:
    fail(deployed, body, **attributes)

    (entry,) = replay(world)["entries"]

    assert entry["outcome"] == "kept"
    assert entry["why"]
    assert depth(deployed.failures) == 1
    assert not world.asynchronous
