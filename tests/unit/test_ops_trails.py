"""The trails that feed the detections: the region of global services' events, and the effect of selectors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws

from ir_router import aws
from ir_router.ops import trails
from ir_router.ops.checks import Check, unread
from ir_router.settings import settings
from tests.trials.world import moto_speed

MANAGEMENT = {"Field": "eventCategory", "Equals": ["Management"]}


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    with mock_aws():
        aws.forget_session()
        aws.session().register_component("data_loader", moto_speed.models())
        boto3.setup_default_session(botocore_session=aws.session())
        boto3.client("s3").create_bucket(Bucket="trail-of-the-account")
        yield
    settings.cache_clear()


def trail(region: str = "us-east-1", *, every_region: bool = True, **options: Any) -> Any:
    client = boto3.client("cloudtrail", region_name=region)
    client.create_trail(
        Name=f"of-{region}", S3BucketName="trail-of-the-account", IsMultiRegionTrail=every_region, **options
    )
    client.start_logging(Name=f"of-{region}")
    return client


def lines() -> dict[str, Check]:
    return {check.name: check for check in trails.checks()}


def test_given_no_trail_when_verified_then_nothing_is_detected() -> None:
    assert lines()["trail in us-east-1"].state == "failed"


def test_given_a_trail_of_all_regions_elsewhere_when_verified_then_it_feeds() -> None:
    trail("eu-west-1")

    assert lines()["trail in us-east-1"].state == "ok"


def test_given_a_trail_of_another_region_alone_when_verified_then_it_does_not_feed() -> None:
    trail("eu-west-1", every_region=False, IncludeGlobalServiceEvents=False)

    assert lines()["trail in us-east-1"].state == "failed"


def test_given_a_trail_without_global_services_when_verified_then_iam_is_not_seen() -> None:
    trail(every_region=False, IncludeGlobalServiceEvents=False)

    assert lines()["trail in us-east-1"].state == "failed"


def test_given_a_trail_that_was_never_started_when_verified_then_it_does_not_feed() -> None:
    trail().stop_logging(Name="of-us-east-1")

    assert lines()["trail in us-east-1"].state == "failed"


@pytest.mark.parametrize(
    ("selectors", "state"),
    [
        ([{"FieldSelectors": [MANAGEMENT]}], "ok"),
        ([{"FieldSelectors": [MANAGEMENT, {"Field": "readOnly", "Equals": ["false"]}]}], "warning"),
        ([{"FieldSelectors": [MANAGEMENT, {"Field": "readOnly", "Equals": ["true"]}]}], "failed"),
        ([{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}], "failed"),
        (
            [
                {"FieldSelectors": [MANAGEMENT, {"Field": "readOnly", "Equals": ["true"]}]},
                {"FieldSelectors": [MANAGEMENT, {"Field": "readOnly", "Equals": ["false"]}]},
            ],
            "ok",
        ),
    ],
    ids=json.dumps,
)
def test_given_advanced_selectors_when_verified_then_they_are_read_as_aws_reads_them(
    selectors: list[Any], state: str
) -> None:
    trail().put_event_selectors(TrailName="of-us-east-1", AdvancedEventSelectors=selectors)

    assert lines()["trail in us-east-1"].state == state


def test_given_another_home_region_when_verified_then_both_regions_need_a_trail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    settings.cache_clear()
    trail(every_region=False, IncludeGlobalServiceEvents=True)

    found = lines()

    assert found["trail in us-east-1"].state == "ok"
    assert found["trail in eu-west-1"].state == "failed"
    assert "except global services" in found["trail in eu-west-1"].detail


def test_given_an_organisations_trail_whose_selectors_are_hidden_when_verified_then_it_says_so() -> None:
    trail()

    def refuse(**_: Any) -> Any:
        class Answer:
            status_code = 400
            headers: dict[str, str] = {}  # noqa: RUF012

        return Answer(), {"Error": {"Code": "AccessDeniedException", "Message": "no"}}

    assert boto3.DEFAULT_SESSION is not None
    boto3.DEFAULT_SESSION.events.register("before-call.cloudtrail.GetEventSelectors", refuse)
    try:
        line = lines()["trail in us-east-1"]
    finally:
        boto3.DEFAULT_SESSION.events.unregister("before-call.cloudtrail.GetEventSelectors", refuse)

    assert line.state == "warning"
    assert "has no permission to read its event selectors" in line.detail


def test_given_trails_of_one_name_in_both_regions_when_verified_then_each_counts_for_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    settings.cache_clear()
    boto3.client("s3").create_bucket(Bucket="trails")
    for region in ("us-east-1", "eu-west-1"):
        client = boto3.client("cloudtrail", region_name=region)
        client.create_trail(Name="management-events", S3BucketName="trails")
        client.start_logging(Name="management-events")

    shown = lines()

    assert {name: check.state for name, check in shown.items()} == {
        "trail in eu-west-1": "ok",
        "trail in us-east-1": "ok",
    }


def test_given_a_trail_of_writes_and_one_of_reads_when_verified_then_together_they_feed() -> None:
    for region, kind in (("us-east-1", "WriteOnly"), ("eu-west-1", "ReadOnly")):
        selectors = [{"ReadWriteType": kind, "IncludeManagementEvents": True}]
        trail(region).put_event_selectors(TrailName=f"of-{region}", EventSelectors=selectors)

    assert lines()["trail in us-east-1"].state == "ok"


@pytest.mark.parametrize("operation", ["GetTrailStatus", "GetEventSelectors"])
@pytest.mark.parametrize(("code", "status"), [("ThrottlingException", 400), ("Odd", 429), ("ServiceUnavailable", 503)])
def test_given_a_fault_of_cloudtrail_when_verified_then_the_line_is_unread(
    monkeypatch: pytest.MonkeyPatch, operation: str, code: str, status: int
) -> None:
    trail()

    def failing(client: Any, name: str, parameters: Any) -> Any:
        if name == operation:
            answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(answer, name)
        return ask(client, name, parameters)

    ask = BaseClient._make_api_call  # type: ignore[attr-defined]
    monkeypatch.setattr(BaseClient, "_make_api_call", failing)

    assert list(trails.checks()) == [unread("trail", f"{operation} returned {code}")]
