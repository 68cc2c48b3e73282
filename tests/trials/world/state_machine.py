"""An interpreter for state-machine.asl.json in one process. Tasks run through the entry point.

It supports only the features that the definition uses; anything else fails. Retries and waits move the simulated clock
and do not sleep. The responses of Step Functions to the approval handler are AWS's.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from inspect import GEN_RUNNING, getgeneratorstate
from typing import Any

import boto3

from ir_operator.project import PROJECT_ROOT
from ir_router.ops import names
from ir_router.workflow import patterns
from tests.trials.world import ACCOUNT, REGION, FunctionDiedError, HttpAnswer, World, paths

DEFINITION = PROJECT_ROOT / "state-machine.asl.json"
LARGEST_PAYLOAD = 262_144
"""Step Functions' limit for the input or output of an execution and a state, in bytes."""

_TOO_LARGE = "States.DataLimitExceeded"
MACHINE_ARN = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:security-incident"

# Yields None, or the end of a Wait state in seconds since the epoch.
Running = Generator[float | None, None, Any]
# Called with the task's name before each invocation (`after` is False) and after it. Raises to make the attempt fail.
Fault = Callable[[str, bool], None]


class StateFailedError(Exception):
    """An error of a state, by name."""

    def __init__(self, error: str, cause: str = "") -> None:
        """`error` is the name that the definition's retriers and catchers match."""
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


VERIFICATION_ROUND = ("Wait for IAM", "Verify Containment", "Verify Again?", "Verified")


@dataclass
class Execution:
    """One execution. `path` lists the names of the entered states in order. `status` is Step Functions' status."""

    name: str
    arn: str
    input: Any
    started_at: str
    path: list[str] = field(default_factory=list)
    status: str = "RUNNING"
    output: Any = None
    error: str | None = None
    stopped_at: datetime | None = None
    running: Running | None = None

    @property
    def steps(self) -> list[str]:
        """Return `path` without the rounds of the verification, which runs beside the wait for the analyst.

        The number and the order of the rounds depend on the time that passes.
        """
        return [name for name in self.path if name not in VERIFICATION_ROUND]


@dataclass
class _Token:
    execution: Execution
    answered: bool = False
    open: bool = True
    output: Any = None


class StateMachine:
    """The workflow of one simulator. `fault` makes selected attempts fail. `tokens` lists the issued
    tokens in order.
    """

    def __init__(self, world: World) -> None:
        """Start without executions, and replace the API of Step Functions in the simulator."""
        self.world = world
        self.definition = json.loads(DEFINITION.read_text("utf-8"))
        self.executions: dict[str, Execution] = {}
        self.tokens: dict[str, _Token] = {}
        self.fault: Fault = lambda _task, _after: None
        hooks = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]
        hooks.register("before-call.stepfunctions.SendTaskSuccess", self._send_task_success)
        hooks.register("before-call.stepfunctions.DescribeExecution", self._describe_execution)
        hooks.register("before-call.stepfunctions.StartExecution", self._start_execution)
        hooks.register("before-call.stepfunctions.ListExecutions", self._list_executions)

    # Executions

    def start(self, event: Any, name: str | None = None) -> Execution:
        """Deliver an event as EventBridge does, and run its execution until it waits or ends.

        The rules of the deployment choose the path (`ir_router.ops.names`, which a test compares with Terraform's
        plan). A rule of a MEDIUM or LOW detection sends the event to the intake. An event that no rule matches, or one
        for which the caller names the execution, was given to StartExecution.

        Returns:
            The execution; one without a path if the intake counted the event.
        """
        if name is not None:
            return self._begin(event, name)
        targets = self._targets(event)
        for _ in range(targets.count("intake")):
            self.send_to_intake(event)
        if "workflow" in targets or "intake" not in targets:
            return self._begin(event)
        before = set(self.executions)
        self.world.run_intake()
        started = [one for arn, one in self.executions.items() if arn not in before]
        return started[0] if started else Execution("counted", "", event, "", status="SUCCEEDED")

    def send_to_intake(self, event: Any) -> None:
        """Send an event to the intake queue, as a rule does. `World.run_intake` and `World.settle` deliver it."""
        url = self.world.environment["INTAKE_QUEUE_URL"]
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(event))

    def _targets(self, event: Any) -> list[str]:
        """Return the targets of the detections' rules in the home region that match the event, one for each rule."""
        if not isinstance(event, dict):
            return []
        self.world.become("workflow")
        reads = isinstance(event.get("detail"), dict) and event["detail"].get("readOnly") is True
        return [
            rule.target
            for rule in names.rules()
            if rule.pattern is not None
            and rule.target != "bus"
            and (rule.state != "ENABLED" or not reads)
            and patterns.compiled(rule.pattern)(event)
        ]

    def _begin(self, event: Any, name: str | None = None) -> Execution:
        name = name or f"{len(self.executions) + 1:08d}-{secrets.token_hex(4)}"
        arn = MACHINE_ARN.replace("stateMachine", "execution") + f":{name}"
        began = datetime.fromtimestamp(self.world.now(), UTC).isoformat().replace("+00:00", "Z")
        execution = Execution(name, arn, event, began)
        self.executions[arn] = execution
        execution.running = self._run(self.definition, json.loads(json.dumps(event)), execution)
        self.advance(execution)
        return execution

    def advance(self, *executions: Execution) -> None:
        """Run the given executions (default: all) until each waits or has ended."""
        for execution in executions or tuple(self.executions.values()):
            if execution.running is None or execution.status != "RUNNING":
                continue
            if getgeneratorstate(execution.running) == GEN_RUNNING:
                continue  # its task made the other executions advance
            try:
                next(execution.running)
            except StopIteration as ended:
                execution.status, execution.output = "SUCCEEDED", ended.value
            except StateFailedError as failure:
                execution.status, execution.error = "FAILED", failure.error
                execution.stopped_at = datetime.fromtimestamp(self.world.now(), UTC)

    def carry(self) -> bool:
        """Advance all executions; return whether any of them changed. For `World.carriers`."""
        before = [(len(execution.path), execution.status) for execution in self.executions.values()]
        self.advance()
        return before != [(len(execution.path), execution.status) for execution in self.executions.values()]

    def abort(self, execution: Execution) -> None:
        """Stop an execution, as an operator does in the console."""
        execution.status = "ABORTED"
        for token in self.tokens.values():
            if token.execution is execution:
                token.open = False

    def send(self, token: str, output: Any) -> None:
        """Send SendTaskSuccess, as any holder of the token can."""
        found = self.tokens[token]
        found.answered, found.output = True, output
        self.advance(found.execution)

    # The API of Step Functions, for the functions

    def _send_task_success(self, params: Mapping[str, Any], **_: Any) -> Any:
        with self.world.wire.call("stepfunctions", "SendTaskSuccess"):
            return self._take_answer(json.loads(params["body"]))

    def _take_answer(self, body: Mapping[str, Any]) -> Any:
        token = self.tokens.get(body["taskToken"])
        if token is None:
            return _refusal("InvalidToken")
        if not token.open or token.answered or token.execution.status != "RUNNING":
            return _refusal("TaskTimedOut" if token.execution.status == "RUNNING" else "TaskDoesNotExist")
        token.answered, token.output = True, json.loads(body["output"])
        return HttpAnswer(200), {"ResponseMetadata": {"HTTPStatusCode": 200}}

    def _describe_execution(self, params: Mapping[str, Any], **_: Any) -> Any:
        body = json.loads(params["body"])
        execution = self.executions.get(body["executionArn"])
        if execution is None:
            return _refusal("ExecutionDoesNotExist")
        answer: dict[str, str | None] = {"status": execution.status}
        if body.get("includedData") != "METADATA_ONLY":  # the rest is encrypted with the key of the state machine
            answer |= {"input": json.dumps(execution.input), "error": execution.error}
        told = {name: value for name, value in answer.items() if value is not None}
        return HttpAnswer(200), {**told, "ResponseMetadata": {"HTTPStatusCode": 200}}

    def _list_executions(self, params: Mapping[str, Any], **_: Any) -> Any:
        wanted = json.loads(params["body"])["statusFilter"]
        found = [
            {"executionArn": one.arn, "name": one.name, "status": one.status, "stopDate": one.stopped_at}
            for one in reversed(self.executions.values())
            if one.status == wanted
        ]
        return HttpAnswer(200), {"executions": found, "ResponseMetadata": {"HTTPStatusCode": 200}}

    def _start_execution(self, params: Mapping[str, Any], **_: Any) -> Any:
        with self.world.wire.call("stepfunctions", "StartExecution"):
            body = json.loads(params["body"])
            if len(body["input"].encode()) > LARGEST_PAYLOAD:
                return _refusal("ValidationException")
            if any(execution.name == body["name"] for execution in self.executions.values()):
                return _refusal("ExecutionAlreadyExists")
            caller = self.world.current
            execution = self._begin(json.loads(body["input"]), body["name"])
            self.world.become(caller)
            return HttpAnswer(200), {"executionArn": execution.arn, "ResponseMetadata": {"HTTPStatusCode": 200}}

    # The interpreter

    def _run(self, machine: Mapping[str, Any], data: Any, execution: Execution) -> Running:
        name = machine["StartAt"]
        while True:
            execution.path.append(name)
            state = machine["States"][name]
            context = {
                "Execution": {
                    "Id": execution.arn,
                    "Name": execution.name,
                    "StartTime": execution.started_at,
                    "Input": execution.input,
                },
                "StateMachine": {"Id": MACHINE_ARN},
                "State": {"Name": name, "RetryCount": 0},
            }
            kind = state["Type"]
            if kind == "Fail":
                raise StateFailedError(state["Error"], state["Cause"])
            if kind == "Succeed":
                return data
            if kind == "Choice":
                name = next((rule["Next"] for rule in state["Choices"] if paths.chosen(rule, data)), state["Default"])
                continue
            if kind == "Wait":
                until = self.world.now() + state["Seconds"]
                while self.world.now() < until:
                    yield until
                name = state["Next"]
                continue
            try:
                data = yield from self._attempts(state, data, context, execution)
            except _CaughtError as caught:
                data, name = caught.data, caught.next
                continue
            if state.get("End"):
                return data
            name = state["Next"]

    def _attempts(self, state: Mapping[str, Any], data: Any, context: dict[str, Any], execution: Execution) -> Running:
        used = [0] * len(state.get("Retry", []))
        while True:
            try:
                result = yield from self._once(state, data, context, execution)
            except StateFailedError as failure:
                if self._retries(state, failure, used):
                    context = {**context, "State": {**context["State"], "RetryCount": sum(used)}}
                    continue
                for catcher in state.get("Catch", []):
                    if _names(catcher["ErrorEquals"], failure.error):
                        error = {"Error": failure.error, "Cause": failure.cause}
                        raise _CaughtError(
                            paths.put(data, catcher.get("ResultPath", "$"), error), catcher["Next"]
                        ) from failure
                raise
            if "ResultSelector" in state:
                result = paths.filled(state["ResultSelector"], result, context)
            data = paths.put(data, state.get("ResultPath", "$"), result)
            return paths.value_at(state.get("OutputPath", "$"), data, context)

    def _retries(self, state: Mapping[str, Any], failure: StateFailedError, used: list[int]) -> bool:
        for number, retrier in enumerate(state.get("Retry", [])):
            if not _names(retrier["ErrorEquals"], failure.error):
                continue
            if used[number] >= retrier.get("MaxAttempts", 3):
                return False
            pause = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2) ** used[number]
            self.world.advance(min(pause, retrier.get("MaxDelaySeconds", pause)))
            if failure.error == "ContainmentBusyError":
                self.advance()  # the wait of one execution may let another advance
            used[number] += 1
            return True
        return False

    def _once(self, state: Mapping[str, Any], data: Any, context: dict[str, Any], execution: Execution) -> Running:
        if state["Type"] == "Pass":
            return (
                paths.filled(state["Parameters"], data, context) if "Parameters" in state else state.get("Result", data)
            )
        if state["Type"] == "Parallel":
            return (yield from self._parallel(state, data, execution))
        if state["Type"] != "Task":
            raise NotImplementedError(state["Type"])
        waits = state["Resource"].endswith(".waitForTaskToken")
        token = secrets.token_hex(60)
        if waits:
            context = {**context, "Task": {"Token": token}}
            self.tokens[token] = _Token(execution)
        parameters = paths.filled(state["Parameters"], data, context)
        if len(json.dumps(parameters, ensure_ascii=False).encode()) > LARGEST_PAYLOAD:
            raise StateFailedError(_TOO_LARGE)
        try:
            answer = self._invoke(parameters["Payload"])
        except StateFailedError:
            if waits:
                self.tokens[token].open = False
            raise
        if not waits:
            return {"Payload": answer, "StatusCode": 200}
        until = self.world.now() + min(state["HeartbeatSeconds"], state["TimeoutSeconds"])
        while not self.tokens[token].answered:
            if self.world.now() >= until:
                self.tokens[token].open = False
                raise StateFailedError("States.HeartbeatTimeout")
            yield None
        return self.tokens[token].output

    def _invoke(self, payload: Mapping[str, Any]) -> Any:
        try:
            self.fault(payload["task"], False)
            answer = self.world.invoke("workflow", payload)
            self.fault(payload["task"], True)
        except FunctionDiedError as error:
            raise StateFailedError("Lambda.Unknown", "The sandbox ended without an answer.") from error
        except Exception as error:
            self.world.unexpected.note(f"state machine: task {payload['task']}", error)
            cause = json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)})
            raise StateFailedError(type(error).__name__, cause) from error
        return json.loads(json.dumps(answer))

    def _parallel(self, state: Mapping[str, Any], data: Any, execution: Execution) -> Running:
        branches: dict[int, Running] = {
            number: self._run(branch, data, execution) for number, branch in enumerate(state["Branches"])
        }
        results: dict[int, Any] = {}
        while branches:
            waits: list[float | None] = []
            for number, branch in list(branches.items()):
                try:
                    waits.append(next(branch))
                except StopIteration as ended:
                    results[number] = ended.value
                    del branches[number]
            ends = [until for until in waits if until is not None]
            if branches and len(ends) == len(waits):  # only Wait states are left, so the clock moves on
                self.world.advance(max(0.0, min(ends) - self.world.now()))
            elif branches:
                yield None
        return [results[number] for number in sorted(results)]


class _CaughtError(Exception):
    def __init__(self, data: Any, following: str) -> None:
        super().__init__(following)
        self.data = data
        self.next = following


def _refusal(code: str) -> tuple[HttpAnswer, dict[str, Any]]:
    metadata = {"HTTPStatusCode": 400}
    return HttpAnswer(400), {"Error": {"Code": code, "Message": code}, "ResponseMetadata": metadata}


def _names(errors: list[str], error: str) -> bool:
    if error == _TOO_LARGE:
        return error in errors  # "States.ALL" does not match it
    if error in errors or "States.ALL" in errors:
        return True
    return "States.TaskFailed" in errors and error != "States.Timeout"
