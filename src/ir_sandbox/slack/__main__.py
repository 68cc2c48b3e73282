"""`python -m ir_sandbox.slack`: run a workspace as a separate process."""

from __future__ import annotations

import argparse
import json
import signal
import threading

from ir_sandbox.slack.clock import AdjustableClock
from ir_sandbox.slack.server import serve
from ir_sandbox.slack.workspace import SlackWorkspace


def main() -> None:
    """Serve until SIGINT or SIGTERM.

    When the server is ready, print one line of JSON with the addresses and the app's ids and credentials.
    """
    parser = argparse.ArgumentParser(prog="python -m ir_sandbox.slack", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default) selects a free port")
    parser.add_argument("--team-id", default="T0LC0000001")
    parser.add_argument("--team-name", default="Local Workspace")
    parser.add_argument("--enterprise-id", help="make the workspace part of an Enterprise Grid organisation")
    parser.add_argument("--app-name", default="ir-router")
    parser.add_argument("--token", help="the app's bot token (default: generated)")
    parser.add_argument("--signing-secret", help="the app's signing secret (default: generated)")
    parser.add_argument("--request-url", help="the URL that receives events, commands and interactions")
    parser.add_argument("--command", action="append", help="a slash command of the app (default: /security-ir)")
    parser.add_argument(
        "--enforce-rate-limits", action="store_true", help="respond with 429 above each method's rate tier"
    )
    parser.add_argument(
        "--delivery-workers", type=int, default=1, help="threads that deliver events (1 keeps the order)"
    )
    parser.add_argument(
        "--redelivery-time-scale", type=float, default=1.0, help="factor for Slack's retry delays (0, 60 and 300 s)"
    )
    arguments = parser.parse_args()

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    workspace = SlackWorkspace(
        team_id=arguments.team_id,
        team_name=arguments.team_name,
        enterprise_id=arguments.enterprise_id,
        clock=AdjustableClock(),
        enforce_rate_limits=arguments.enforce_rate_limits,
        delivery_workers=arguments.delivery_workers,
        redelivery_time_scale=arguments.redelivery_time_scale,
    )
    with workspace, serve(workspace, arguments.port) as server:
        app = workspace.create_app(
            arguments.app_name,
            commands=arguments.command or ["/security-ir"],
            request_url=arguments.request_url,
            token=arguments.token,
            signing_secret=arguments.signing_secret,
        )
        ready = {
            "url": server.url,
            "port": server.port,
            "api_base_url": f"{server.url}/api/",
            "team_id": workspace.team_id,
            "app_id": app.app_id,
            "bot_id": app.bot_id,
            "bot_user_id": app.bot_user_id,
            "token": app.token,
            "signing_secret": app.signing_secret,
        }
        print(json.dumps(ready), flush=True)
        stopped.wait()


if __name__ == "__main__":
    main()
