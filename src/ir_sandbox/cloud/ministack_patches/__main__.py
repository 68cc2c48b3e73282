"""Run the patched emulator: `python -m ir_sandbox.cloud.ministack_patches`, configured by ministack's variables.

It ends when its standard input closes, so it never outlives its parent, and it stops the processes of its functions.
It deletes no folder: the parent that created the folder deletes it (`run_folder`).
`LOCAL_CLOUD_SCHEDULES=off` prevents scheduled rules from firing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from ir_sandbox.cloud.ministack_patches import (
    alarms,
    authorization,
    connections,
    encryption,
    event_buses,
    events,
    functions,
    organization,
    requests,
    templates,
    trails,
    workflows,
)
from ir_sandbox.cloud.ministack_patches.originals import module

PATIENCE = 15
"""How many seconds an orderly end can take after the parent has ended."""


def main() -> None:
    """Apply the patches, then serve until SIGTERM."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    for service in (
        functions,
        workflows,
        events,
        event_buses,
        trails,
        alarms,
        requests,
        organization,
        templates,
        authorization,
        encryption,
        connections,
    ):
        service.apply()
    if os.environ.get("LOCAL_CLOUD_SCHEDULES") == "off":
        for scheduler in (module("services.eventbridge"), module("services.scheduler")):
            scheduler.start_scheduler = do_not_start
    try:
        module("app").main()
    finally:
        module("core.lambda_runtime").reset()


def do_not_start() -> None:
    """Replace the start of a scheduler with nothing."""


def end_with_parent() -> None:
    """End this process when its parent ends or closes the standard input: in order, or forcibly after PATIENCE."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
