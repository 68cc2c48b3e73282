"""`python -m ir_sandbox.security_ir`: run the service as a separate process."""

from __future__ import annotations

import argparse
import json
import signal
import threading

from ir_sandbox.security_ir.application import serve
from ir_sandbox.security_ir.clock import AdjustableClock
from ir_sandbox.security_ir.events import PutEventsPublisher
from ir_sandbox.security_ir.service import DEFAULT_ACCOUNT_ID, SecurityIrService


def main() -> None:
    """Serve until SIGINT or SIGTERM; print `{"url": ..., "port": ...}` on one line when ready."""
    parser = argparse.ArgumentParser(prog="python -m ir_sandbox.security_ir", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default) selects a free port")
    parser.add_argument("--events-endpoint", help="EventBridge endpoint for native events (default: send no events)")
    parser.add_argument("--account-id", default=DEFAULT_ACCOUNT_ID)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--seed", type=int, help="seed for repeatable ids")
    arguments = parser.parse_args()

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    publish = PutEventsPublisher(arguments.events_endpoint, arguments.region) if arguments.events_endpoint else None
    service = SecurityIrService(
        publish=publish,
        clock=AdjustableClock(),
        seed=arguments.seed,
        account_id=arguments.account_id,
        region=arguments.region,
    )
    with service, serve(service, arguments.port) as server:
        print(json.dumps({"url": server.url, "port": server.port}), flush=True)
        stopped.wait()


if __name__ == "__main__":
    main()
