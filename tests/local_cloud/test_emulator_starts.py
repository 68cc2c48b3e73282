"""The start of a function's process; see `ir_sandbox.cloud.ministack_patches.functions.spawn_in_time`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ir_sandbox.cloud.environment import emulator_python
from tests.local_cloud.processes import PROJECT_ROOT

pytestmark = pytest.mark.local_cloud

# It invokes a function whose module hangs at its first HANGS imports. A busy machine may need more starts than that.
PROGRAM = """
import io, json, sys, zipfile
from ir_sandbox.cloud.ministack_patches import functions

functions.INIT_SECONDS = float(sys.argv[1])
functions.STARTS = int(sys.argv[2])
functions.apply()
content = io.BytesIO()
with zipfile.ZipFile(content, "w") as archive:
    archive.writestr("tiny.py", sys.argv[3])
configuration = {
    "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:tiny",
    "FunctionName": "tiny",
    "Handler": "tiny.handle",
    "Runtime": "python3.13",
    "Timeout": 900,
}
worker = functions.module("core.lambda_runtime").Worker("tiny", configuration, content.getvalue())
try:
    print(json.dumps(worker.invoke({}, "request-1")))
except RuntimeError as error:
    print(json.dumps({"status": "not started", "error": str(error)}))
finally:
    worker.kill()
"""

HANDLER = """
import pathlib, time

starts = pathlib.Path({starts!r})
starts.write_text(starts.read_text() + "x")
if len(starts.read_text()) <= {hangs}:
    time.sleep(3600)
{after}

def handle(event, context):
    return len(starts.read_text())
"""


def invoked(folder: Path, hangs: int, seconds: float, starts: int, after: str = "") -> tuple[dict[str, object], int]:
    """Return the result of a call, and how many processes were started for it."""
    file = folder / "starts"
    file.write_text("")
    handler = HANDLER.format(starts=str(file), hangs=hangs, after=after)
    answer = subprocess.run(
        [emulator_python(), "-c", PROGRAM, str(seconds), str(starts), handler],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT_ROOT / "src"), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(answer.stdout), len(file.read_text())


def test_given_a_process_that_never_becomes_ready_when_invoked_then_another_one_answers(tmp_path: Path) -> None:
    result, started = invoked(tmp_path, hangs=1, seconds=2, starts=20)

    assert (result["status"], result["result"]) == ("ok", started)
    assert started > 1


def test_given_no_process_becomes_ready_when_invoked_then_the_call_fails_after_the_last_start(tmp_path: Path) -> None:
    result, started = invoked(tmp_path, hangs=9, seconds=1, starts=2)

    assert result["status"] == "not started"
    assert started <= 2


def test_given_a_module_that_cannot_be_imported_when_invoked_then_it_is_not_started_again(tmp_path: Path) -> None:
    result, started = invoked(tmp_path, hangs=0, seconds=600, starts=3, after="raise KeyError('IR_ROUTES')")

    assert (result["status"], started) == ("not started", 1)
    assert "IR_ROUTES" in str(result["error"])
