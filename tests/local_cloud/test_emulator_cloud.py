"""The launcher of the local cloud: the deployed root on the emulator, with Slack and Security IR; and its end."""

from __future__ import annotations

import io
import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ir_sandbox.cloud import background
from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.cloud.progress import Progress
from ir_sandbox.cloud.run_folder import OWNER_LOCK, RUNS
from ir_sandbox.cloud.saved import SAVED
from tests.local_cloud.processes import descendants, is_alive, is_listening, lines_of, program
from tests.support.waiting import wait_for

pytestmark = pytest.mark.local_cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as cloud:
        yield cloud


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


def test_given_the_deployed_root_when_planned_again_then_nothing_would_change(cloud: LocalCloud) -> None:
    assert cloud.pending_changes() == []


def test_given_the_slack_app_when_slack_verifies_its_request_url_then_the_deployed_function_answers(
    cloud: LocalCloud,
) -> None:
    assert cloud.slack_app.request_url == cloud.webhook_url
    assert wait_for(lambda: cloud.slack.verify_request_url(cloud.slack_app))


def test_given_the_functions_when_described_then_they_know_the_services_of_this_run(cloud: LocalCloud) -> None:
    functions = cloud.client("lambda")
    for name in cloud.outputs["function_names"].values():
        variables = functions.get_function(FunctionName=name)["Configuration"]["Environment"]["Variables"]
        assert variables["AWS_ENDPOINT_URL_SECURITY_IR"] == cloud.security_ir_url
        assert variables["SLACK_API_BASE_URL"] == cloud.slack_api_base_url
    for url in cloud.outputs["queue_urls"].values():
        assert port_of(url) == cloud.emulator.port
        cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])


def test_given_an_event_of_security_ir_when_a_case_is_created_then_it_reaches_the_default_bus(
    cloud: LocalCloud,
) -> None:
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url = sqs.create_queue(QueueName="seen-by-the-test")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="seen-by-the-test", EventPattern=json.dumps({"source": ["aws.security-ir"]}))
    events.put_targets(Rule="seen-by-the-test", Targets=[{"Id": "queue", "Arn": arn}])

    case_id = cloud.security_ir.create_case_as(
        {
            "resolverType": "Self",
            "title": "Key of a test",
            "description": "Made by a test of the launcher.",
            "engagementType": "Security Incident",
            "reportedIncidentStartDate": int(time.time()),
            "impactedAccounts": ["000000000000"],
            "watchers": [],
        }
    )

    def look() -> dict[str, Any] | None:
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
        return next(iter(answer.get("Messages", [])), None)

    event = json.loads(wait_for(look)["Body"])
    assert (event["detail-type"], event["detail"]["caseId"]) == ("Case Created", case_id)


def test_given_a_kept_cloud_when_started_again_beside_the_first_then_it_deploys_nothing_and_has_its_own_addresses(
    cloud: LocalCloud,
) -> None:
    shown = io.StringIO()
    with LocalCloud(progress=Progress(shown)) as second:
        assert second.emulator.port != cloud.emulator.port
        assert wait_for(lambda: second.slack.verify_request_url(second.slack_app))
        ports = [port_of(url) for url in (second.emulator.url, second.security_ir_url, second.slack_api_base_url)]
        pids = {second.emulator.pid}

    assert "Terraform" not in shown.getvalue()
    assert not any(is_listening(port) for port in ports)
    assert not any(is_alive(pid) for pid in pids)


# A deployment can be complete before a late signal comes. Then the test deploys once more.
ATTEMPTS = 3
DEPLOYING = """
from ir_sandbox.cloud.launcher import LocalCloud
from ir_operator.signals import graceful_stop

with graceful_stop(), LocalCloud(variables={"log_retention_days": 7}) as cloud:
    print("deployed though it should have been ended")
"""


@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "SIGKILL", "SIGINT without a reader"])
def test_given_a_deployment_under_way_when_ended_then_nothing_is_left(end: str) -> None:
    try:
        for _ in range(ATTEMPTS):
            forget_saved()
            if end_while_deploying(end):
                assert not saved_by_this_test()
                return
        pytest.fail(f"Each of {ATTEMPTS} deployments was complete before the signal.")
    finally:
        forget_saved()


def end_while_deploying(end: str) -> bool:
    """Send the signal to a process that deploys, and return whether it was still deploying.

    Expect that the processes end and the folders are removed.
    """
    with program("-c", DEPLOYING) as owner:
        for line in lines_of(owner):
            if line.startswith("waiting  Deploying") and " of " in line:
                break
        else:
            pytest.fail("The process ended without a deployment.")
        # The emulator, the lifeline, Terraform and its provider. Each step of Terraform has a provider of its own.
        started = wait_for(
            lambda: found if len(found := descendants(owner.pid)) >= 4 or owner.poll() is not None else None
        )
        if owner.poll() is not None:
            return False
        own_folders = run_folders_of(owner.pid)
        assert own_folders

        if end.endswith("without a reader") and owner.stdout is not None:
            owner.stdout.close()
        was_saved = bool(saved_by_this_test())
        owner.send_signal(signal.Signals[end.split()[0]])
        owner.wait()

    wait_for(lambda: not any(is_alive(pid) for pid in started))
    if end != "SIGKILL":
        assert not [folder for folder in own_folders if folder.exists()]
    return not was_saved


def forget_saved() -> None:
    """Remove the saved clouds of this test, so that the next start deploys."""
    for state in saved_by_this_test():
        shutil.rmtree(state.parent)


def saved_by_this_test() -> list[Path]:
    """Return the saved clouds with the retention of DEPLOYING. Other tests save clouds at the same time.

    In theirs, only the group of access logs has this retention.
    """
    states = sorted(SAVED.glob("*/terraform.tfstate"))
    return [state for state in states if state.read_text("utf-8").count('"retention_in_days": 7,') > 1]


def run_folders_of(pid: int) -> list[Path]:
    """Return the run folders whose lock the process holds. Other tests make and remove folders at the same time."""
    opened = (file.readlink() for file in Path(f"/proc/{pid}/fd").iterdir())
    return [path.parent for path in opened if path.name == OWNER_LOCK and path.is_relative_to(RUNS)]


def test_given_make_up_when_it_has_ended_then_the_cloud_runs_until_make_down() -> None:
    if background.holder_pid() is not None:
        pytest.skip("a cloud of `make up` is running, and this test would stop it")
    with program("-m", "ir_sandbox.cloud", "up") as up:
        output = "".join(lines_of(up))
    assert up.returncode == 0, output
    try:
        assert "ok       the local cloud is running" in output
        description = background.find()
        assert description is not None
        processes = {description["pid"], *descendants(description["pid"])}
        ports = [port_of(description[name]) for name in ("webhook_url", "security_ir_url", "slack_api_base_url")]
        assert all(is_listening(port) for port in ports)
        assert background.DESCRIPTION.stat().st_mode & 0o077 == 0
        with program("-m", "ir_sandbox.cloud", "status") as status:
            assert description["webhook_url"] in "".join(lines_of(status))
        assert status.returncode == 0
    finally:
        with program("-m", "ir_sandbox.cloud", "down") as down:
            output = "".join(lines_of(down))
    assert down.returncode == 0, output
    wait_for(lambda: not any(is_alive(pid) for pid in processes))
    assert not any(is_listening(port) for port in ports)
    assert background.find() is None
    assert not background.DESCRIPTION.exists()
