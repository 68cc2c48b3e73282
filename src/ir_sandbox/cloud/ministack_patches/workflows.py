"""Step Functions: heartbeats, timeouts, single-use task tokens, failing callbacks, and AWS's parallel branches.

Sources: docs.aws.amazon.com/step-functions/latest/dg/state-task.html (TimeoutSeconds, HeartbeatSeconds and their Path
forms), .../connect-to-resource.html (task tokens), .../state-parallel.html (one failed branch stops the others),
.../concepts-error-handling.html (names), and the API reference of SendTaskSuccess (InvalidToken, TaskTimedOut).
"""

# ruff: noqa: SLF001 - a patch uses private members of the patched module
from __future__ import annotations

import contextvars
import copy
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ir_sandbox.cloud.ministack_patches.originals import checked, module, replace, rewrite

WORKFLOWS = module("services.stepfunctions")
error_response = module("core.responses").error_response_json
json_response = module("core.responses").json_response
now_iso = module("core.responses").now_iso

POLL_SECONDS = 0.1
"""The interval between checks whether an execution has ended while one of its tasks waits."""

Json = dict[str, Any]


@dataclass
class Branch:
    """The early end of a branch: the failure of a sibling, in this or in an outer Parallel state."""

    outer: Branch | None = None
    failed: threading.Event = field(default_factory=threading.Event)

    def ended(self) -> bool:
        """Return whether this branch must stop."""
        return self.failed.is_set() or (self.outer is not None and self.outer.ended())


class AbandonedError(BaseException):
    """Ends the thread of an ended branch or execution; error handlers of states must not catch it."""


_branch: contextvars.ContextVar[Branch | None] = contextvars.ContextVar("branch", default=None)
_execution: contextvars.ContextVar[Json | None] = contextvars.ContextVar("execution", default=None)
_settling = threading.Lock()
_ended_tokens: set[str] = set()
_originals: dict[str, Callable[..., Any]] = {}


def apply() -> None:
    """Patch the run of executions; raises EmulatorChangedError."""
    for name, fingerprint, replacement in (
        ("_run_execution", "996dff84e0e0", run_execution),
        ("_fail_execution", "e6da895fa0b7", fail_execution),
        ("_run_sub_machine", "f8d844168b14", run_branch),
        ("_run_parallel_branches", "b8c7f6915297", run_branches),
        ("_invoke_with_callback", "bbb38423156a", wait_for_callback),
        ("_send_task_success", "12eff48bce57", send_task_success),
        ("_send_task_failure", "c2a489b4ed33", send_task_failure),
        ("_send_task_heartbeat", "56879a4655d1", send_task_heartbeat),
    ):
        _originals[name] = replace(WORKFLOWS, name, fingerprint, replacement)
    checked(WORKFLOWS, "_call_lambda", "25830369b126")

    # Every attempt of a task has its own token.
    count = 'ctx["State"]["RetryCount"] = sum(retry_counts.values())\n'
    renew = '        if is_callback:\n            ctx["Task"] = {"Token": new_uuid()}\n'
    rewrite(WORKFLOWS, "_execute_task", (count, count + renew))
    _originals["_execute_task"] = WORKFLOWS._execute_task
    WORKFLOWS._execute_task = execute_task

    # Describe the tracing configuration as it was set.
    created = '"status": "ACTIVE",\n'
    tracing = '"tracingConfiguration": data.get("tracingConfiguration", {"enabled": False}),\n'
    rewrite(WORKFLOWS, "_create_state_machine", (created, created + "        " + tracing))
    updated = '    if "roleArn" in data:\n'
    update = (
        '    if "tracingConfiguration" in data:\n        sm["tracingConfiguration"] = data["tracingConfiguration"]\n'
    )
    rewrite(WORKFLOWS, "_update_state_machine", (updated, update + updated))


def run_execution(execution_arn: str) -> None:
    """Run an execution with the timeout of its state machine, if it has one."""
    execution: Json = WORKFLOWS._executions.get(execution_arn)
    machine: Json = WORKFLOWS._state_machines.get(execution["stateMachineArn"]) or {}
    seconds = json.loads(machine.get("definition", "{}")).get("TimeoutSeconds")
    clock = None
    if seconds is not None:
        run_in_scope = contextvars.copy_context().run
        clock = threading.Timer(seconds, run_in_scope, (end_by_timeout, execution))
        clock.daemon = True
        clock.start()
    _execution.set(execution)
    try:
        _originals["_run_execution"](execution_arn)
    except AbandonedError:
        return
    finally:
        if clock is not None:
            clock.cancel()


def end_by_timeout(execution: Json) -> None:
    """End an execution that exceeds its state machine's timeout."""
    if execution["status"] != "RUNNING":
        return
    execution.update(status="TIMED_OUT", error="States.Timeout", cause="", stopDate=now_iso())
    WORKFLOWS._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
    WORKFLOWS._emit_execution_status_event(execution)


def fail_execution(execution: Json, error: str, cause: str) -> None:
    """Fail an execution unless it has already ended (stopped or timed out)."""
    if execution["status"] == "RUNNING":
        _originals["_fail_execution"](execution, error, cause)


def over_check() -> Callable[[], bool]:
    """Return a function that any thread can use to check whether this thread's execution or branch has ended."""
    execution, branch = _execution.get(), _branch.get()
    return lambda: (
        (execution is not None and execution["status"] != "RUNNING") or (branch is not None and branch.ended())
    )


def stop_if_over() -> None:
    """Raise AbandonedError if this thread's execution or branch has ended."""
    if over_check()():
        raise AbandonedError


def execute_task(state: Json, raw_input: Any, execution: Json, context: Json) -> Any:
    """Run a Task state with its timeouts as numbers, also where the definition contains paths to them."""
    resolved = dict(state)
    for name in ("TimeoutSeconds", "HeartbeatSeconds"):
        path = resolved.pop(f"{name}Path", None)
        if path is not None:
            resolved[name] = WORKFLOWS._resolve_path_or_ctx(path, raw_input, context)
    return _originals["_execute_task"](resolved, raw_input, execution, context)


def run_branches(state: Json, raw_input: Any, execution: Json, context: Json) -> tuple[Any, str | None]:
    """Run the branches of a Parallel state concurrently; the first failure ends the other branches and the state."""
    effective = WORKFLOWS._apply_input_path(state, raw_input, context)
    effective = WORKFLOWS._apply_parameters(state, effective, context)
    definitions = state.get("Branches", [])
    results: list[Any] = [None] * len(definitions)
    errors: list[Exception] = []
    branch = Branch(outer=_branch.get())

    def run(index: int) -> None:
        _branch.set(branch)
        definition = definitions[index]
        try:
            results[index] = run_branch(definition["States"], definition["StartAt"], effective, execution, context)
        except AbandonedError:
            return
        except Exception as error:  # noqa: BLE001 - the thread of the state raises it
            errors.append(error)
            branch.failed.set()

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(run, index), daemon=True)
        for index in range(len(definitions))
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and not branch.failed.is_set():
        for thread in threads:
            thread.join(POLL_SECONDS / len(threads))
    stop_if_over()
    if errors:
        known = isinstance(errors[0], WORKFLOWS._ExecutionError)
        raise errors[0] if known else WORKFLOWS._ExecutionError("States.BranchFailed", str(errors[0]))
    selected = WORKFLOWS._apply_result_selector(state, results)
    output = WORKFLOWS._apply_result_path(state, raw_input, selected)
    output = WORKFLOWS._apply_output_path(state, output, context)
    return output, WORKFLOWS._next_or_end(state)


def run_branch(states: Json, start_at: str, branch_input: Any, execution: Json, outer_context: Json) -> Any:
    """Run the states of a branch with a separate context object, and record each state in the history."""
    context = dict(outer_context)
    name: str | None = start_at
    data = copy.deepcopy(branch_input)
    while name:
        stop_if_over()
        state = states[name]
        kind = state["Type"]
        context["State"] = {"Name": name, "EnteredTime": now_iso(), "RetryCount": 0}
        note(execution, f"{kind}StateEntered", "stateEntered", name, input=data)
        data, following = run_state(state, data, execution, context)
        note(execution, f"{kind}StateExited", "stateExited", name, output=data)
        name = following
    return data


def run_state(state: Json, data: Any, execution: Json, context: Json) -> tuple[Any, str | None]:
    """Run one state of a branch and return its output and the next state, or None at the end."""
    kind = state["Type"]
    if kind == "Fail":
        raise WORKFLOWS._ExecutionError(*WORKFLOWS._fail_state_error(state, data, context))
    if kind == "Succeed":
        data = WORKFLOWS._apply_input_path(state, data, context)
        return WORKFLOWS._apply_output_path(state, data, context), None
    run: Callable[..., tuple[Any, str | None]] = getattr(WORKFLOWS, f"_execute_{kind.lower()}")
    if kind in {"Task", "Parallel", "Map"}:
        return run(state, data, execution, context)
    return run(state, data, context)


def note(execution: Json, event: str, details: str, name: str, **payload: Any) -> None:
    """Record in an execution's history that a state was entered or exited."""
    as_text = {key: json.dumps(value) for key, value in payload.items()}
    WORKFLOWS._add_event(execution, event, {f"{details}EventDetails": {"name": name, **as_text}})


def wait_for_callback(resource: str, task_input: Any, token: str, state: Json) -> Any:
    """Make a task's call and wait for the response to its token; if the call fails, the task fails.

    Raises the emulator's state error: the call's error, the error from SendTaskFailure, States.Timeout (measured from
    before the call) or States.HeartbeatTimeout.
    """
    start = time.monotonic()
    task: Json = {"event": threading.Event(), "result": None, "error": None, "heartbeat": start, "over": over_check()}
    WORKFLOWS._task_tokens[token] = task
    try:
        WORKFLOWS._invoke_resource(resource.replace(".waitForTaskToken", ""), task_input)
        while not task["event"].wait(POLL_SECONDS):
            stop_if_over()
            fail_if_late(task, start, state)
    finally:
        with _settling:
            WORKFLOWS._task_tokens.pop(token, None)
            _ended_tokens.add(token)
    if task["error"]:
        raise WORKFLOWS._ExecutionError(task["error"]["Error"], task["error"]["Cause"])
    return json.loads(task["result"])


def fail_if_late(task: Json, start: float, state: Json) -> None:
    """Raise the timeout of a waiting task that exceeds TimeoutSeconds or HeartbeatSeconds."""
    now = time.monotonic()
    if now - start >= state.get("TimeoutSeconds", float("inf")):
        raise WORKFLOWS._ExecutionError("States.Timeout", "")
    if now - task["heartbeat"] >= state.get("HeartbeatSeconds", float("inf")):
        raise WORKFLOWS._ExecutionError("States.HeartbeatTimeout", "")


def send_task_success(request: Json) -> Any:
    """SendTaskSuccess: only the first response to a token has an effect."""
    return settle(request, result=request.get("output", "{}"))


def send_task_failure(request: Json) -> Any:
    """SendTaskFailure: only the first response to a token has an effect."""
    failure = {"Error": request.get("error", "States.TaskFailed"), "Cause": request.get("cause", "")}
    return settle(request, error=failure)


def settle(request: Json, **outcome: Any) -> Any:
    """Record the outcome of a waiting task and wake it, once."""
    with _settling:
        refusal = refuse(request)
        if refusal is not None:
            return refusal
        task = WORKFLOWS._task_tokens[request["taskToken"]]
        task.update(outcome)
        task["event"].set()
    return json_response({})


def send_task_heartbeat(request: Json) -> Any:
    """SendTaskHeartbeat: restart the measurement of HeartbeatSeconds."""
    with _settling:
        refusal = refuse(request)
        if refusal is not None:
            return refusal
        WORKFLOWS._task_tokens[request["taskToken"]]["heartbeat"] = time.monotonic()
    return json_response({})


def never() -> bool:
    """Stand in for the check of an activity's task, which has no branch."""
    return False


def refuse(request: Json) -> Any:
    """Return the error for an unknown or no longer awaited token, or None if a task waits for it."""
    token = request.get("taskToken")
    task = WORKFLOWS._task_tokens.get(token)
    if task is not None and not task["event"].is_set() and not task.get("over", never)():
        return None
    if task is not None or token in _ended_tokens:
        return error_response("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'", 400)
    return error_response("InvalidToken", "Invalid Token: 'Invalid token'", 400)
