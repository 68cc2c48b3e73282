"""A small boto3 stack on the emulator, for the tests of the emulator's patches."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ir_sandbox.cloud.emulator import Emulator
from tests.support.waiting import wait_for

ROLE = "arn:aws:iam::000000000000:role/any"

HANDLER = """
import importlib.util
import json
import logging
import os
import time

calls = 0


class QuotaUsedUpError(Exception):
    pass


def handle(event, context):
    global calls
    calls += 1
    match event.get("do"):
        case "fail":
            raise QuotaUsedUpError(f"nothing left of {event['of']}")
        case "log":
            logging.getLogger().setLevel(logging.INFO)
            logging.getLogger().info("a line of the root logger")
        case "environment":
            modules = ("boto3", "botocore", "ministack", "hypercorn")
            found = [name for name in modules if importlib.util.find_spec(name)]
            return {"modules": found, "variables": dict(os.environ)}
        case "sleep":
            time.sleep(event["seconds"])
        case "show":
            print("SHOWN " + json.dumps(event))
            if event.get("fail"):
                raise QuotaUsedUpError("shown, then failed")
    return {"calls": calls, "pid": os.getpid(), "request_id": context.aws_request_id}
"""


class Stack:
    """Clients and helpers for one emulator; each name is used once."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._names = 0

    def client(self, service: str) -> Any:
        environment = self.emulator.environment
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def name(self, kind: str) -> str:
        self._names += 1
        return f"{kind}-{self._names}"

    def function(self, **settings: Any) -> str:
        """Create a function that runs HANDLER and return its name."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("tiny.py", HANDLER)
        name = self.name("function")
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=ROLE,
            Handler="tiny.handle",
            Code={"ZipFile": content.getvalue()},
            Timeout=900,
            **settings,
        )
        return name

    def invoke(self, function: str, event: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        """Return the response and the kind of error, if any."""
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read()), answer.get("FunctionError")

    def shown(self, function: str) -> list[dict[str, Any]]:
        """Return the events in a function's log, in order."""
        lines = self.log_lines(f"/aws/lambda/{function}")
        return [json.loads(line.split("SHOWN ", 1)[1]) for line in lines if "SHOWN " in line]

    def log_lines(self, group: str) -> list[str]:
        logs = self.client("logs")
        try:
            events = logs.filter_log_events(logGroupName=group)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [line for event in events for line in event["message"].splitlines()]

    def queue(self) -> tuple[str, str]:
        """Create a queue and return its URL and ARN."""
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=self.name("queue"))["QueueUrl"]
        return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def receive(self, url: str) -> dict[str, Any]:
        """Receive and delete one message of a queue."""
        sqs = self.client("sqs")

        def look() -> dict[str, Any] | None:
            answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, MessageAttributeNames=["All"])
            return next(iter(answer.get("Messages", [])), None)

        message = wait_for(look)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return message

    def run(self, definition: dict[str, Any], execution_input: dict[str, Any] | None = None) -> str:
        """Start an execution of a new state machine and return its ARN."""
        states = self.client("stepfunctions")
        machine = states.create_state_machine(
            name=self.name("machine"), definition=json.dumps(definition), roleArn=ROLE
        )["stateMachineArn"]
        answer = states.start_execution(stateMachineArn=machine, input=json.dumps(execution_input or {}))
        return str(answer["executionArn"])

    def ended(self, execution: str) -> dict[str, Any]:
        """Wait until an execution has ended; return its description with `output` decoded."""
        states = self.client("stepfunctions")

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = states.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        found = wait_for(look)
        return {**found, "output": json.loads(found["output"]) if found.get("output") else None}

    def history(self, execution: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.client("stepfunctions").get_execution_history(executionArn=execution)[
            "events"
        ]
        return events


def refusal(call: Callable[[], object]) -> str:
    """Return the error code of a rejected call."""
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def make_stack() -> Iterator[Stack]:
    """Yield a stack on its own emulator; the body of a fixture."""
    with Emulator() as emulator:
        yield Stack(emulator)
