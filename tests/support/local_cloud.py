"""Helpers for tests of the local cloud: run operator commands and list the account's resources."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from ir_operator.project import PROJECT_ROOT
from ir_sandbox.cloud.launcher import LocalCloud

T = TypeVar("T")

PREFIX = "security-incident"


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    lines: list[str]

    def line(self, beginning: str) -> str:
        """Return the first line with this start; raises AssertionError with all lines."""
        found = next((line for line in self.lines if line.startswith(beginning)), None)
        assert found is not None, "\n".join(self.lines)
        return found

    def red(self) -> list[str]:
        """Return the failed lines, without the result line."""
        return [line for line in self.lines if line.startswith("failed ") and "verified: " not in line]


def run(
    cloud: LocalCloud,
    action: str,
    *options: str,
    prefix: str = PREFIX,
    webhook_url: str | None = None,
    **environment: str,
) -> Ended:
    """Run `ir-router` on a deployment; its environment contains only this cloud."""
    named = ("--prefix", prefix, "--region", "us-east-1", "--webhook-url", webhook_url or cloud.webhook_url)
    answer = subprocess.run(
        [sys.executable, "-m", "ir_operator", action, *options, *named],
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "src", **cloud.environment, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(answer.returncode, (answer.stdout + answer.stderr).splitlines())


def make_trail(cloud: LocalCloud) -> None:
    """Create the account's trail, which detections need. It belongs to no deployment."""
    cloud.client("s3").create_bucket(Bucket="trail-of-the-account")
    trail = cloud.client("cloudtrail")
    trail.create_trail(Name="everything", S3BucketName="trail-of-the-account", IsMultiRegionTrail=True)
    trail.start_logging(Name="everything")


def inventory(cloud: LocalCloud) -> set[tuple[str, str]]:
    """List the kind and name of every resource in the account that a deployment creates."""
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
    """Yield the items of all pages of a response."""
    if not client.can_paginate(operation):
        yield from getattr(client, operation)(**parameters).get(found, [])
        return
    for page in client.get_paginator(operation).paginate(**parameters):
        yield from page.get(found, [])
