"""What tests of the local cloud do as a person at a terminal, and as somebody who looks at the whole account."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from ir_local.build.project import PROJECT_ROOT
from ir_local.cloud.launcher import LocalCloud

T = TypeVar("T")

PREFIX = "security-incident"


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    lines: list[str]

    def line(self, beginning: str) -> str:
        """The first line that begins so; raises AssertionError with all of them."""
        found = next((line for line in self.lines if line.startswith(beginning)), None)
        assert found is not None, "\n".join(self.lines)
        return found

    def red(self) -> list[str]:
        """The lines that failed, but for the result."""
        return [line for line in self.lines if line.startswith("failed ") and "verified: " not in line]


def run(
    cloud: LocalCloud,
    action: str,
    *options: str,
    prefix: str = PREFIX,
    webhook_url: str | None = None,
    **environment: str,
) -> Ended:
    """`python -m ir_local.deploy` on a deployment, with nothing in its environment but this cloud."""
    named = ("--prefix", prefix, "--region", "us-east-1", "--webhook-url", webhook_url or cloud.webhook_url)
    answer = subprocess.run(
        [sys.executable, "-m", "ir_local.deploy", action, *options, *named],
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "src", **cloud.environment, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Ended(answer.returncode, (answer.stdout + answer.stderr).splitlines())


def wait_for(look: Callable[[], T | None], seconds: float = 150) -> T:
    """What `look` finds, as soon as it finds something; a busy machine is given time."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing found in {seconds} s"
        time.sleep(0.5)
    return found


def make_trail(cloud: LocalCloud) -> None:
    """The account's trail, without which nothing would be detected; it is nobody's deployment."""
    cloud.client("s3").create_bucket(Bucket="trail-of-the-account")
    trail = cloud.client("cloudtrail")
    trail.create_trail(Name="everything", S3BucketName="trail-of-the-account", IsMultiRegionTrail=True)
    trail.start_logging(Name="everything")


def inventory(cloud: LocalCloud) -> set[tuple[str, str]]:
    """Kind and name of everything in the account that a deployment is made of."""
    return set(_everything(cloud))


def _everything(cloud: LocalCloud) -> Iterator[tuple[str, str]]:
    for service, operation, found, name in (
        ("lambda", "list_functions", "Functions", "FunctionName"),
        ("lambda", "list_event_source_mappings", "EventSourceMappings", "EventSourceArn"),
        ("dynamodb", "list_tables", "TableNames", ""),
        ("sqs", "list_queues", "QueueUrls", ""),
        ("sns", "list_topics", "Topics", "TopicArn"),
        ("sns", "list_subscriptions", "Subscriptions", "TopicArn"),
        ("stepfunctions", "list_state_machines", "stateMachines", "name"),
        ("apigateway", "get_rest_apis", "items", "name"),
        ("ssm", "describe_parameters", "Parameters", "Name"),
        ("logs", "describe_log_groups", "logGroups", "logGroupName"),
        ("logs", "describe_resource_policies", "resourcePolicies", "policyName"),
        ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
        ("kms", "list_aliases", "Aliases", "AliasName"),
        ("iam", "list_roles", "Roles", "RoleName"),
    ):
        for item in _pages(cloud.client(service), operation, found):
            yield found, str(item[name] if name else item)
    for policy in _pages(cloud.client("iam"), "list_policies", "Policies", Scope="Local"):
        yield "Policies", policy["PolicyName"]
    events = cloud.client("events")
    for bus in events.list_event_buses()["EventBuses"]:
        yield "EventBuses", bus["Name"]
        for rule in events.list_rules(EventBusName=bus["Name"])["Rules"]:
            yield "Rules", f"{bus['Name']}/{rule['Name']}"


def _pages(client: Any, operation: str, found: str, **parameters: Any) -> Iterator[Any]:
    """The items of an answer, all of its pages."""
    if not client.can_paginate(operation):
        yield from getattr(client, operation)(**parameters).get(found, [])
        return
    for page in client.get_paginator(operation).paginate(**parameters):
        yield from page.get(found, [])
