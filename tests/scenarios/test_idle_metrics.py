"""CloudWatch bills a metric for each hour with a value: an idle deployment measures only the values of an alarm."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.raw_events import send_event
from tests.support.sync import settled_case
from tests.support.world import World


def measured(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """Return the metrics in the log since the last call, with their last values."""
    found: dict[str, float] = {}
    for line in capsys.readouterr().out.splitlines():
        if line.startswith('{"_aws"'):
            entry = json.loads(line)
            for metrics in entry["_aws"]["CloudWatchMetrics"]:
                found |= {metric["Name"]: entry[metric["Name"]][0] for metric in metrics["Metrics"]}
    return found


def test_given_one_idle_case_when_polled_then_nothing_is_measured(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    settled_case(world)
    measured(capsys)
    world.live(3)

    assert measured(capsys) == {}


def test_given_a_change_that_waits_when_polled_then_its_age_is_measured(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    case_id = settled_case(world)
    world.security_ir.faults.throttle("GetCase", times=None, retry_after_seconds=400)
    world.security_ir.add_comment_as(case_id, body="news")
    world.settle()
    world.advance(390)
    measured(capsys)
    world.poll()

    assert measured(capsys)["SyncLagSeconds"] >= 390


@pytest.mark.parametrize("event", [{"type": "app_uninstalled"}, {"type": "tokens_revoked", "tokens": {"bot": ["U1"]}}])
def test_given_slack_that_removed_the_app_when_its_event_arrives_then_the_alarm_of_the_deployment_is_raised(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, event: dict[str, Any]
) -> None:
    assert send_event(world, event) == 200
    assert measured(capsys) == {"DeploymentDifferences": 1}
    assert [one.levelname for one in caplog.records if "slack.app_removed" in one.getMessage()] == ["ERROR"]


def test_given_a_revoked_token_of_a_user_when_its_event_arrives_then_no_alarm_is_raised(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send_event(world, {"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": []}}) == 200
    assert measured(capsys) == {}
