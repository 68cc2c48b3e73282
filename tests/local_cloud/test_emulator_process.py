"""The emulator as a process: its start and end, its saved state, and nothing else left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import types
from pathlib import Path
from typing import Any

import pytest

from ir_sandbox.cloud.emulator import Emulator, EmulatorError, free_port
from ir_sandbox.cloud.environment import emulator_python
from ir_sandbox.cloud.ministack_patches import originals
from tests.local_cloud.emulator_stack import Stack
from tests.local_cloud.processes import PROJECT_ROOT, is_alive, is_listening, lines_of, program
from tests.support.waiting import wait_for

OWNER = """
import sys, time
from pathlib import Path
from ir_sandbox.cloud.emulator import Emulator
from tests.local_cloud.emulator_stack import Stack

with Emulator() as emulator:
    stack = Stack(emulator)
    function = stack.function()
    answer, _ = stack.invoke(function, {})
    stack.client("lambda").invoke(
        FunctionName=function, InvocationType="Event", Payload='{"do": "sleep", "seconds": 800}'
    )
    print(emulator.pid, answer["pid"], emulator.port, flush=True)
    time.sleep(900)
"""


@pytest.mark.local_cloud
def test_given_an_emulator_when_closed_then_its_processes_port_and_folders_are_gone() -> None:
    with Emulator() as emulator:
        stack = Stack(emulator)
        answer, _ = stack.invoke(stack.function(), {})
        pids = [emulator.pid, answer["pid"]]
        assert all(is_alive(pid) for pid in pids)
        assert is_listening(emulator.port)
        folder = emulator._scratch.path if emulator._scratch else Path()
        assert (folder / "tmp").is_dir()

    assert not any(is_alive(pid) for pid in pids)
    assert not is_listening(emulator.port)
    assert not folder.exists()


@pytest.mark.local_cloud
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_given_an_emulator_at_work_when_its_owner_dies_then_it_and_its_functions_end(end: signal.Signals) -> None:
    with program("-c", OWNER) as owner:
        emulator, function, port = map(int, next(lines_of(owner)).split())
        assert is_alive(emulator)

        owner.send_signal(end)
        owner.wait()

        wait_for(lambda: not is_alive(emulator) and not is_alive(function))
    assert not is_listening(port)


@pytest.mark.local_cloud
def test_given_an_emulator_that_is_killed_when_a_function_is_at_work_then_the_function_ends_too() -> None:
    with Emulator() as emulator:
        stack = Stack(emulator)
        function = stack.function()
        answer, _ = stack.invoke(function, {})
        stack.client("lambda").invoke(
            FunctionName=function, InvocationType="Event", Payload='{"do": "sleep", "seconds": 800}'
        )

        os.kill(emulator.pid, signal.SIGKILL)

        wait_for(lambda: not is_alive(answer["pid"]))
        assert not emulator.is_running()


@pytest.mark.local_cloud
def test_given_an_emulator_whose_temporary_folder_is_gone_when_it_ends_then_it_removes_no_other(tmp_path: Path) -> None:
    next_best = tmp_path / "next-best"
    next_best.mkdir()
    (next_best / "somebody-elses").touch()
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT_ROOT / "src"),
        # The variables that `tempfile` reads, in its order.
        "TMPDIR": str(tmp_path / "gone"),
        "TEMP": str(next_best),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
    }

    with subprocess.Popen(
        [emulator_python(), "-m", "ir_sandbox.cloud.ministack_patches"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=tmp_path,
    ) as emulator:
        wait_for(lambda: is_listening(port))
        assert emulator.stdin is not None
        emulator.stdin.close()
        assert emulator.wait() == 0

    assert (next_best / "somebody-elses").exists()


@pytest.mark.local_cloud
def test_given_a_state_folder_when_started_again_then_everything_is_there(tmp_path: Path) -> None:
    with Emulator(state=tmp_path / "state") as emulator:
        stack = Stack(emulator)
        function = stack.function()
        url, _ = stack.queue()
        stack.client("sqs").send_message(QueueUrl=url, MessageBody="kept")
        stack.client("s3").create_bucket(Bucket="package")
        stack.client("s3").put_object(Bucket="package", Key="zip", Body=b"content")

    second = Emulator(state=tmp_path / "state")
    second.start(port=emulator.port)
    try:
        stack = Stack(second)
        assert stack.invoke(function, {})[1] is None
        assert stack.receive(url)["Body"] == "kept"
        assert stack.client("s3").get_object(Bucket="package", Key="zip")["Body"].read() == b"content"
    finally:
        second.close()


@pytest.mark.local_cloud
def test_given_a_port_in_use_when_started_on_it_then_the_error_holds_the_log_and_nothing_is_left() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        emulator = Emulator()

        with pytest.raises(EmulatorError, match="already in use"):
            emulator.start(port=taken.getsockname()[1])

    assert not emulator.is_running()
    assert emulator._scratch is None


@pytest.mark.local_cloud
def test_given_a_schedule_that_is_due_when_schedules_are_off_then_it_does_not_fire_and_when_on_it_does(
    tmp_path: Path,
) -> None:
    emulator = Emulator(state=tmp_path / "state", schedules=False)
    emulator.start()
    port = emulator.port
    try:
        stack = Stack(emulator)
        url, arn = stack.queue()
        events = stack.client("events")
        events.put_rule(Name="minute", ScheduleExpression="rate(1 minute)")
        events.put_targets(Rule="minute", Targets=[{"Id": "queue", "Arn": arn}])
    finally:
        emulator.close()
    saved = tmp_path / "state" / "eventbridge.json"
    saved.write_text(re.sub(r'"CreationTime": \d+', '"CreationTime": 1000', saved.read_text()))

    for schedules in (False, True):
        emulator = Emulator(state=tmp_path / "state", schedules=schedules)
        emulator.start(port=port)
        try:
            if schedules:
                Stack(emulator).receive(url)
            else:
                assert "Messages" not in stack.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=4)
        finally:
            emulator.close()


def test_given_a_free_port_when_asked_for_then_nothing_listens_on_it() -> None:
    assert not is_listening(free_port())


def a_module(source: str, folder: Path) -> types.ModuleType:
    """A separate module, like a part of the emulator."""
    file = folder / "part.py"
    file.write_text(source)
    module = types.ModuleType("part")
    module.__file__ = str(file)
    exec(compile(source, str(file), "exec"), module.__dict__)
    return module


def test_given_a_function_that_changed_when_replaced_then_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    part = a_module("seconds = 10\ndef act():\n    return 1\n", tmp_path)
    original = part.act

    with pytest.raises(originals.EmulatorChangedError, match=r"part\.act has changed"):
        originals.replace(part, "act", "0" * 12, lambda: 2)
    with pytest.raises(originals.EmulatorChangedError, match=r"part\.gone does not exist"):
        originals.replace(part, "gone", "0" * 12, lambda: 2)

    assert part.act is original
    with pytest.raises(originals.EmulatorChangedError, match=r"part\.seconds is 10, not 11"):
        originals.replace_value(part, "seconds", 11, 1)
    replaced: Any = originals.replace(part, "act", originals.fingerprint(original), lambda: 2)
    assert (part.act(), replaced()) == (2, 1)


@pytest.mark.parametrize("old", ["gone", "1"])
def test_given_a_text_that_is_not_there_exactly_once_when_rewritten_then_it_is_refused(
    old: str, tmp_path: Path
) -> None:
    part = a_module("def act():\n    return 1 + 1\n", tmp_path)

    with pytest.raises(originals.EmulatorChangedError, match="not once"):
        originals.rewrite(part, "act", (old, "2"))

    originals.rewrite(part, "act", ("1 + 1", "40 + answer"))
    part.__dict__["answer"] = 2
    assert part.act() == 42
