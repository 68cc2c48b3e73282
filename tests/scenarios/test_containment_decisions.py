"""W6, W7, X3, E1-E5: first, second, late and lost decisions, and incidents that further events join."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.support.approvals import approvals_in
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import IamState, alerts, asked, contain, decide, iam_state
from tests.trials.world.state_machine import StateMachine


def pending(world: World) -> list[dict[str, Any]]:
    return list(world.invoke("approval-handler", {"task": "list_approvals"})["approvals"])


# Answers


@pytest.mark.parametrize("token", ["AQC-not-a-token", "TOKEN_FROM_SQS", ""])
def test_given_a_bad_token_when_deciding_then_nothing_is_decided_and_the_answer_says_where_tokens_are(
    world: World, waiting: Any, token: str
) -> None:
    answer = decide(world, token, "approve")

    assert answer["status"] == "unknown_token"
    assert "taskToken" in answer["message"]
    assert len(pending(world)) == 1


@pytest.mark.parametrize("decision", ["yes", "", "approve!", None, 1])
def test_given_an_unknown_decision_when_deciding_then_it_is_refused(world: World, waiting: Any, decision: Any) -> None:
    answer = decide(world, waiting[2], decision)

    assert answer["status"] == "unknown_decision"
    assert "approve, deny, withdraw, assign, contain_creator or release" in answer["message"]
    assert len(pending(world)) == 1


@pytest.mark.parametrize("analyst", [None, "", {}, {"name": " "}])
def test_given_no_analyst_when_deciding_then_it_is_refused(world: World, waiting: Any, analyst: Any) -> None:
    assert decide(world, waiting[2], "approve", analyst)["status"] == "analyst_missing"


def test_given_a_used_token_when_another_analyst_decides_then_the_first_is_named(
    world: World, machine: StateMachine, waiting: Any
) -> None:
    _execution, key, token = waiting
    decide(world, token, "deny", "jane")
    machine.advance()

    answer = decide(world, token, "approve", "john")

    assert answer["status"] == "already_decided"
    assert "Already denied by jane" in answer["message"]
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_an_aborted_execution_when_deciding_then_it_is_too_late_and_why(
    world: World, machine: StateMachine, waiting: Any
) -> None:
    execution, key, token = waiting
    machine.abort(execution)

    answer = decide(world, token, "approve")

    assert answer["status"] == "too_late"
    assert "aborted" in answer["message"]
    assert pending(world) == []
    assert key in iam_state(world, "backdoor").keys


def test_given_the_owner_of_the_credentials_when_deciding_in_slack_then_it_is_refused(
    world: World, machine: StateMachine
) -> None:
    support.user("backdoor")
    boto3.client("iam").tag_user(UserName="backdoor", Tags=[{"Key": "slack-email", "Value": "Owner@example.com"}])
    machine.start(support.key_created(world, "backdoor"))
    token = asked(world)[0]["taskToken"]

    owner = {"slack_user_id": "U1", "email": "owner@example.com", "name": "The Owner"}
    assert decide(world, token, "deny", owner)["status"] == "not_allowed"
    colleague = {"slack_user_id": "U2", "email": "jane@example.com", "name": "Jane"}
    assert decide(world, token, "deny", colleague)["status"] == "denied"


def test_given_pending_approvals_when_listed_then_all_is_there_but_the_token(world: World, waiting: Any) -> None:
    execution, _key, token = waiting

    (row,) = pending(world)

    assert row["execution"] == execution.arn
    assert row["headline"] == "user backdoor contained"
    assert row["state"] == "pending"
    assert token not in str(row)


def test_given_an_approval_when_everything_is_searched_then_the_token_is_in_queue_and_token_rows_alone(
    world: World, machine: StateMachine, waiting: Any
) -> None:
    token = waiting[2]
    decide(world, token, "approve")
    machine.advance()

    rows = boto3.resource("dynamodb").Table("ledger").scan()["Items"]
    assert {str(row["PK"]).split("#")[0] for row in rows if token in str(row)} == {"TOKEN"}
    assert token not in str(world.bus)
    assert token not in str(alerts(world))
    assert token not in str(world.security_ir.call("ListCases", {"maxResults": 25}))


# Delivery


def lose_answers(monkeypatch: pytest.MonkeyPatch, operation: str, times: int, *, before: bool) -> None:
    """Lose the next responses of Step Functions. With `before`, the requests are lost too."""
    left = [times]

    def lost(**kwargs: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise EndpointConnectionError(endpoint_url="https://states")

    hook = "before-parameter-build" if before else "after-call"
    boto3.DEFAULT_SESSION.events.register(f"{hook}.stepfunctions.{operation}", lost)  # type: ignore[union-attr]


def test_given_no_way_to_step_functions_when_deciding_then_it_is_recorded_and_delivered_by_the_next_call(
    world: World, machine: StateMachine, waiting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution, key, token = waiting
    lose_answers(monkeypatch, "SendTaskSuccess", 1, before=True)

    first = decide(world, token, "approve", "jane")
    assert first["status"] == "recorded"
    assert pending(world)[0]["state"] == "decided"
    machine.advance()
    assert execution.status == "RUNNING"

    second = decide(world, token, "deny", "john")
    machine.advance()

    assert second["status"] == "already_decided"
    assert "approved by jane" in second["message"]
    assert execution.status == "SUCCEEDED"
    assert key not in iam_state(world, "backdoor").keys


def test_given_a_lost_answer_when_the_decision_arrived_then_the_next_call_says_so(
    world: World, machine: StateMachine, waiting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution, _key, token = waiting
    lose_answers(monkeypatch, "SendTaskSuccess", 1, before=False)

    assert decide(world, token, "deny", "jane")["status"] == "recorded"
    # The state after the wait has not run yet: the token is used, and nothing records the decision.
    assert decide(world, token, "deny", "jane")["status"] == "recorded"
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert decide(world, token, "deny", "jane")["status"] == "already_decided"


def test_given_a_retry_of_the_question_when_deciding_with_either_token_then_the_decision_arrives(
    world: World, machine: StateMachine
) -> None:
    world.expect(ClientError)
    attempts: list[str] = []

    def lose_first_answer(task: str, after: bool) -> None:
        if task == "request_approval" and after:
            attempts.append(task)
            if len(attempts) == 1:
                raise ClientError({"Error": {"Code": "answer lost"}}, "Invoke")

    machine.fault = lose_first_answer
    execution, key = contain(world, machine)
    tokens = [message["taskToken"] for message in asked(world)]
    assert len(set(tokens)) == 2
    assert len(pending(world)) == 1

    assert decide(world, tokens[0], "approve")["status"] == "approved"
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert key not in iam_state(world, "backdoor").keys


def test_given_a_decision_before_the_retried_question_when_asked_again_then_it_is_kept_and_delivered(
    world: World, machine: StateMachine
) -> None:
    world.expect(ClientError)
    answers: list[Any] = []

    def decide_between(task: str, after: bool) -> None:
        if task == "request_approval" and after and not answers:
            answers.append(decide(world, asked(world)[0]["taskToken"], "deny", "jane"))
            for token in machine.tokens.values():
                token.answered = False
            raise ClientError({"Error": {"Code": "answer lost"}}, "Invoke")

    machine.fault = decide_between
    execution, key = contain(world, machine)
    token = asked(world)[-1]["taskToken"]

    answer = decide(world, token, "approve", "john")

    assert "denied by jane" in answer["message"].lower()
    assert key in iam_state(world, "backdoor").keys
    assert execution.status == "RUNNING"


def test_given_a_name_of_many_lines_when_decided_at_the_command_line_then_alerts_show_one_short_line(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)
    name = "jane\n\nDenied by the boss " + "x" * 300

    answer = decide(world, asked(world)[0]["taskToken"], "approve", name)
    machine.advance()

    said = alerts(world)[-1]["Message"]
    assert "Approved by jane Denied by the boss xxx" in said
    assert "\nDenied" not in said + answer["message"]
    assert "x" * 100 not in said + answer["message"]


def test_given_a_decision_that_reached_the_workflow_too_late_when_it_has_ended_then_it_is_not_reported_as_missing(
    world: World, machine: StateMachine, security_channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    contain(world, machine)
    world.settle()
    (message,) = asked(world)
    world.advance(86_390)
    lose_answers(monkeypatch, "SendTaskSuccess", 1, before=True)
    assert decide(world, message["taskToken"], "approve")["status"] == "recorded"

    world.advance(11)
    machine.advance()
    world.settle()

    (shown,) = approvals_in(world, security_channel)
    assert "No valid decision: jane" in shown["text"]
    assert "approved after the 24-hour deadline" in shown["text"]
    assert "deadline passed" not in shown["text"]
