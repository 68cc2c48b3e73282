"""The imports of a deployment at its start: its routes, and nothing that the first answer does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ir_router
from ir_router.router import CLIENTS, ROUTES

SOURCES = Path(__file__).parents[2] / "src"
# The discard service: connections are refused at once.
NOBODY_LISTENS = "http://127.0.0.1:9"
HEAVY = ("aws_lambda_powertools", "boto3", "pydantic", "s3transfer", "slack_sdk")


def imported(code: str, **environment: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after running the code."""
    environment = {
        "PYTHONPATH": str(SOURCES),
        "PATH": os.environ["PATH"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": NOBODY_LISTENS,
        "AWS_MAX_ATTEMPTS": "1",
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_given_the_webhook_when_it_starts_then_its_route_is_there_and_nothing_heavy() -> None:
    modules = imported("import ir_router.handler", IR_ROUTES="webhook")

    assert "ir_router.webhook" in modules
    assert not modules & set(HEAVY)


def test_given_the_doors_modules_when_imported_then_nothing_heavy_comes_with_them() -> None:
    modules = imported("import ir_router.commands.forms, ir_router.slack.envelopes")

    assert not modules & {*HEAVY, "botocore"}


def test_given_a_deployment_when_it_starts_then_the_clients_of_its_routes_are_there_and_no_others() -> None:
    code = """
import ir_router.handler
from ir_router import aws
made = aws._client.cache_info()
assert (made.misses, made.currsize) == (3, 3), made
for name in ("ssm", "sqs", "lambda"):
    aws.client(name)
assert aws._client.cache_info().misses == 3
"""
    imported(code, IR_ROUTES="webhook")


def test_given_a_deployment_when_it_starts_then_the_collector_works_afterwards_and_leaves_out_what_was_loaded() -> None:
    code = """
import gc
began = []
gc.callbacks.append(lambda phase, _: began.append(phase))
import ir_router.handler
assert not began
assert gc.isenabled()
assert gc.get_freeze_count() > 10_000
"""
    imported(code, IR_ROUTES="webhook")


def test_given_a_route_when_clients_are_listed_then_it_exists() -> None:
    assert set(CLIENTS) <= set(ROUTES)


@pytest.mark.parametrize("routes", ["poll,sync_case", "workflow", ""])
def test_given_a_deployment_when_it_starts_then_it_imports_its_routes_and_no_others(routes: str) -> None:
    modules = imported("import ir_router.handler", IR_ROUTES=routes)

    served = set(filter(None, routes.split(",")))
    assert {route for route, module in ROUTES.items() if module in modules} >= served
    assert "ir_router.webhook" not in modules
    if not served:
        assert not modules & {*ROUTES.values()}


def test_given_a_route_that_there_is_not_when_a_deployment_starts_then_it_starts() -> None:
    assert "ir_router.webhook" in imported("import ir_router.handler", IR_ROUTES="webhook,none")


def test_given_the_first_line_of_an_invocation_when_it_is_logged_then_it_has_the_invocations_id() -> None:
    code = """
from types import SimpleNamespace
from ir_router import observability
for number in ("first", "second"):
    observability.begin_invocation(SimpleNamespace(aws_request_id=number))
    observability.logger.error("said")
    observability.correlate("case")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SOURCES), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["version"] for line in lines} == {ir_router.__version__}
    assert [line["function_request_id"] for line in lines] == ["first", "second"]
    assert not any("correlation_id" in line for line in lines)
