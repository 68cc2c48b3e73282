"""The cases cannot be listed: the poller goes on, and one report states the cause at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from ir_router import aws
from tests.support.operations import Deployed, deployed_in
from tests.support.sync import settled_case
from tests.support.world import World

NO_REGION = EndpointConnectionError(endpoint_url="https://security-ir.ap-southeast-6.api.aws")


@pytest.fixture
def deployed(world: World) -> Iterator[Deployed]:
    with deployed_in(world) as deployed:
        yield deployed


def reports(world: World, deployed: Deployed) -> list[str]:
    messages = world.workspace.channel_messages(deployed.security_channel)
    return [str(message) for message in messages if message.get("bot_id")]


@contextmanager
def unreachable() -> Iterator[None]:
    """Let every call of Security Incident Response fail like in a region without the service."""
    hooks = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]

    def fail(**_: object) -> None:
        raise NO_REGION

    hooks.register("before-call.security-ir", fail)
    aws.forget_clients()
    yield
    hooks.unregister("before-call.security-ir", fail)
    aws.forget_clients()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("SecurityIncidentResponseNotActiveException", "no active membership"),
        ("AccessDeniedException", "cases cannot be read (AccessDeniedException)"),
    ],
)
def test_given_aws_that_refuses_the_list_when_polled_then_the_channel_reads_it_within_a_minute_once_and_its_end(
    world: World, deployed: Deployed, code: str, text: str
) -> None:
    settled_case(world)
    world.security_ir.faults.refuse(code, "ListCases", times=None)

    world.live(1)
    (report,) = reports(world, deployed)
    assert text in report
    world.live(5)

    assert len(reports(world, deployed)) == 1
    assert world.dead == []
    world.security_ir.faults.clear()
    world.live(2)
    assert len(reports(world, deployed)) == 2
    assert "Fixed: cases" in reports(world, deployed)[-1]


def test_given_a_region_without_the_service_when_polled_then_it_is_reported_once_after_minutes_without_dead_letters(
    world: World, deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    with unreachable():
        world.live(2)
        assert reports(world, deployed) == []
        world.live(5)

    (report,) = reports(world, deployed)
    assert "no reachable endpoint in this region (us-east-1)" in report
    assert world.dead == []
    # The alarm polls-failing counts this metric.
    assert capsys.readouterr().out.replace(" ", "").count('"PollFailed":[1') >= 5


def test_given_cases_that_cannot_be_listed_when_another_case_has_an_open_hint_then_it_is_synchronised(
    world: World, deployed: Deployed
) -> None:
    assert deployed
    case_id = settled_case(world)
    world.security_ir.faults.refuse("AccessDeniedException", "ListCases", times=None)
    world.security_ir.faults.throttle("GetCase", times=1, retry_after_seconds=30)
    world.security_ir.set_status_as(case_id, "Detection and Analysis")

    world.live(4)

    topic = world.workspace.channel(world.channel_of(case_id)).topic["value"]
    assert topic.startswith("Status: In Progress")


def test_given_lambda_that_does_not_answer_when_a_problem_is_found_then_the_next_poll_starts_the_verification(
    world: World, deployed: Deployed
) -> None:
    world.security_ir.faults.refuse("AccessDeniedException", "ListCases", times=None)
    failures = iter([EndpointConnectionError(endpoint_url="https://lambda.us-east-1.amazonaws.com")])

    def fail(**_: object) -> None:
        if (error := next(failures, None)) is not None:
            raise error

    hooks = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]
    hooks.register_first("before-call.lambda.Invoke", fail)
    aws.forget_clients()

    world.live(1)
    assert reports(world, deployed) == []
    world.live(1)

    assert len(reports(world, deployed)) == 1
