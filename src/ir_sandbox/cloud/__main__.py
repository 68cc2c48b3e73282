"""`python -m ir_sandbox.cloud up|down|status`: the local cloud in the background."""

from __future__ import annotations

import argparse
import sys

from ir_sandbox.cloud import background
from ir_sandbox.cloud.background import DESCRIPTION, Description
from ir_sandbox.cloud.launcher import ERRORS
from ir_sandbox.cloud.progress import Progress

INTERRUPTED = 130
"""The exit code that shells use after Ctrl-C."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ir_sandbox.cloud", description="The local cloud in the background."
    )
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("up", help="start it in the background and print its addresses")
    down_parser = actions.add_parser("down", help="stop it")
    down_parser.add_argument("--quiet", action="store_true", help="print nothing if it is not running")
    actions.add_parser("status", help="print its state and addresses")
    hold_parser = actions.add_parser("hold", help="(internal: the process that `up` starts)")
    hold_parser.add_argument("answers", type=int)
    options = parser.parse_args(arguments)
    try:
        match options.action:
            case "up":
                return up()
            case "down":
                return down(quiet=options.quiet)
            case "status":
                return status()
            case _:
                return background.hold(options.answers)
    except ERRORS as error:
        print(f"failed   {error}", file=sys.stderr)
        return 1
    except background.NotStartedError:
        return 1
    except KeyboardInterrupt:
        print("\nstopped  no process is left running", file=sys.stderr)
        return INTERRUPTED


def up() -> int:
    """Start the cloud unless it is running, and print its addresses."""
    description = background.find()
    if description is None:
        description = background.start()
    show(description)
    return 0


def down(*, quiet: bool) -> int:
    """Stop the cloud."""
    if background.holder_pid() is None:
        if not quiet:
            print("ok       the local cloud is not running")
        return 0
    with Progress().step("Stopping the local cloud"):
        background.end()
    return 0


def status() -> int:
    """Print the cloud's state and addresses."""
    description = background.find()
    if description is None:
        starting = background.holder_pid() is not None
        print("waiting  the local cloud is starting" if starting else "stopped  the local cloud is not running")
        return 0
    show(description)
    return 0


def show(description: Description) -> None:
    """Print a cloud's addresses."""
    rows = {
        "AWS": description["environment"]["AWS_ENDPOINT_URL"],
        "Security Incident Response": description["security_ir_url"],
        "Slack Web API": description["slack_api_base_url"],
        "Slack requests go to": description["webhook_url"],
        "Credentials, outputs": str(DESCRIPTION),
    }
    for name, value in rows.items():
        print(f"         {name:<28} {value}")
    print("ok       the local cloud is running; `make down` stops it")


if __name__ == "__main__":
    sys.exit(main())
