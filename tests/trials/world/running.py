"""Run a simulator for the length of a `with` block: in a test, or outside one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import boto3
from moto import mock_aws

from ir_router import aws, clock
from ir_sandbox.security_ir.application import Application as SecurityIrApplication
from ir_sandbox.slack import SlackApplication
from tests.trials.world import (
    deployment,
    dynamodb_speed,
    endpoints,
    loopback,
    moto_speed,
    queues,
    service_credentials,
    tables,
    threads,
)
from tests.trials.world.deployment import forget_everything
from tests.trials.world.wire import connected
from tests.trials.world.world import World


@contextmanager
def running_world(*, enforce_rate_limits: bool = False) -> Iterator[World]:
    """Run a simulator for the length of a `with` block. It replaces `clock.now` and `clock.sleep` meanwhile."""
    before = dict(os.environ)
    world = World(deployment.environment(), enforce_rate_limits=enforce_rate_limits)
    try:
        applications = SecurityIrApplication(world.security_ir), SlackApplication(world.workspace)
        with loopback.served(*applications) as (security_ir, slack):
            world.workspace.store.base_url = slack
            world.environment["AWS_ENDPOINT_URL_SECURITY_IR"] = security_ir
            world.environment["SLACK_API_BASE_URL"] = f"{slack}/api/"
            os.environ.update(world.environment)
            with (
                mock_aws(),
                tables.isolated(world.now),
                dynamodb_speed.shortened(),
                moto_speed.unsigned(),
                queues.on_clock(world.now),
                service_credentials.in_iam(world.now),
            ):
                aws.forget_session()
                aws.session().register_component("data_loader", moto_speed.models())
                boto3.setup_default_session(botocore_session=aws.session())
                forget_everything()
                with (
                    mock.patch.multiple(clock, now=world.now, sleep=world.sleep),
                    connected(world.wire),
                    threads.in_order(),
                    moto_speed.kept_clients(),
                    endpoints.kept(),
                ):
                    world.build()
                    world.unexpected.attach()
                    yield world
        world.unexpected.check()
    finally:
        world.unexpected.detach()
        world.workspace.close()
        world.security_ir.close()
        os.environ.clear()
        os.environ.update(before)
        forget_everything()
