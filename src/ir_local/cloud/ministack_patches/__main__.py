"""Run the patched emulator: `python -m ir_local.cloud.ministack_patches`, settings in ministack's own variables.

It ends when its standard input ends, so that it never outlives who started it, and takes the processes of its functions
with it. It removes no folder: that is for who made it (`run_folder`), who knows which one it is.
`LOCAL_CLOUD_SCHEDULES=off` keeps scheduled rules from firing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from ir_local.cloud.ministack_patches import alarms, authorization, connections, events, functions, requests, workflows
from ir_local.cloud.ministack_patches.originals import module

PATIENCE = 15
"""Seconds that an orderly end may take when the starting process is gone."""


def main() -> None:
    """Patch, then serve until told to end."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    for service in (functions, workflows, events, alarms, requests, authorization, connections):
        service.apply()
    if os.environ.get("LOCAL_CLOUD_SCHEDULES") == "off":
        for scheduler in (module("services.eventbridge"), module("services.scheduler")):
            scheduler.start_scheduler = do_not_start
    try:
        module("app").main()
    finally:
        module("core.lambda_runtime").reset()


def do_not_start() -> None:
    """Stand in for the start of a scheduler."""


def end_with_parent() -> None:
    """End this process in order when its parent closes our standard input or dies, with force if that takes long."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
