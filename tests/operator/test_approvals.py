"""P8: `ir-router approvals` lists, decides and releases with permission for the approval handler alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.client import BaseClient

from ir_operator import __main__ as command
from ir_operator.policies.rendering import policies
from tests.operator.test_auditing import recording
from tests.support.operations import Deployed, deployed_in
from tests.support.world import ACCOUNT, REGION, World
from tests.terraform.iam import allows
from tests.trials.world import incidents
from tests.trials.world.incidents import iam_state
from tests.trials.world.state_machine import StateMachine

NAMED = ["--prefix", "security-incident", "--region", REGION]


@pytest.fixture
def deployed(world: World) -> Iterator[Deployed]:
    with deployed_in(world) as deployed:
        yield deployed


@pytest.fixture
def machine(world: World) -> StateMachine:
    return StateMachine(world)


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str]:
        """Return the exit code and the terminal's lines without the functions' logs."""
        capsys.readouterr()
        code = command.main(["approvals", *arguments, *NAMED])
        printed = capsys.readouterr()
        return code, "\n".join(line for line in f"{printed.out}{printed.err}".splitlines() if line[:1] != "{")

    return run


def open_request(world: World) -> dict[str, Any]:
    (request,) = world.invoke("approval-handler", {"task": "list_approvals"})["approvals"]
    return dict(request)


def test_given_an_open_request_when_listed_approved_and_released_then_the_handler_alone_is_invoked(
    world: World, machine: StateMachine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = incidents.contain(world, machine)
    request = open_request(world)
    calls: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(BaseClient, "_make_api_call", recording(calls))

    code, text = run()
    assert code == 0
    assert f"HIGH: user backdoor contained. Decide by {request['decide_by']}." in text
    assert f"Approve   permanently deletes key {key}." in text
    assert f"https://console.aws.amazon.com/security-ir/home?region={REGION}#/cases/{request['case_id']}" in text
    assert text.splitlines()[-1] == "ok       1 open approval request"

    code, text = run("approve", request["approval_id"], "--reason", "not ours")
    assert (code, text.splitlines()[-1][:25]) == (0, "ok       Approved by moto")
    machine.advance()
    assert iam_state(world, "backdoor").keys == {}
    assert run()[1] == "ok       no open approval requests"

    code, text = run("release", request["approval_id"])
    assert (code, text) == (1, "failed   Nothing was released: enter a reason.")
    code, text = run("release", request["approval_id"], "--reason", "rebuilt", "--analyst", "Jane Smith")
    world.settle()
    assert code == 0
    assert not iam_state(world, "backdoor").denied

    (document,) = policies("analyst", "security-incident", REGION)
    handler = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:security-incident-approval-handler"
    mine = [parameters for name, parameters in calls if name == "Invoke" and "Payload" in parameters]
    invoked = {parameters["FunctionName"] for parameters in mine if parameters.get("InvocationType") != "Event"}
    assert invoked == {"security-incident-approval-handler"}
    assert allows(document["Statement"], "lambda:InvokeFunction", handler)


def test_given_an_event_that_joins_after_the_list_when_denied_then_nothing_is_decided(
    world: World, machine: StateMachine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    incidents.contain(world, machine)
    request = open_request(world)
    listed = world.invoke("approval-handler", {"task": "list_approvals"})
    machine.start(incidents.key_created(world, "backdoor"))
    monkeypatch.setattr("ir_operator.deploy.deciding._pending", lambda _: listed["approvals"])
    code, text = run("deny", request["approval_id"])

    assert code == 1
    assert text.splitlines()[-1].startswith("failed   Decision not recorded: 1 more event joined since you opened this")
    assert open_request(world)["joined_events"] == 1


def test_given_an_unknown_request_or_none_when_decided_then_the_error_names_the_fix(world: World, run: Run) -> None:
    assert run("approve")[1] == "failed   Name the request: ir-router approvals approve APPROVAL_ID."
    code, text = run("approve", "0" * 20)
    assert code == 1
    assert "no approval request has this" in text
    assert json.dumps(text).isascii()
