"""`python -m ir_local.cloud up|down|status`: the local cloud in the background."""

from __future__ import annotations

import argparse
import sys

from ir_local.cloud import background
from ir_local.cloud.background import DESCRIPTION, Description
from ir_local.cloud.launcher import ERRORS
from ir_local.cloud.progress import Progress

INTERRUPTED = 130
"""The code of a program that was ended by Ctrl-C, as shells have it."""


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; 0 if all is well."""
    parser = argparse.ArgumentParser(prog="python -m ir_local.cloud", description="The local cloud in the background.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("up", help="start it, leave it running and print its addresses")
    down_parser = actions.add_parser("down", help="end it")
    down_parser.add_argument("--quiet", action="store_true", help="say nothing if there is nothing to end")
    actions.add_parser("status", help="say whether it runs, and print its addresses")
    hold_parser = actions.add_parser("hold", help="(what `up` starts)")
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
        print("\nstopped  nothing is left running", file=sys.stderr)
        return INTERRUPTED


def up() -> int:
    """Start the cloud, or say that it runs already."""
    description = background.find()
    if description is None:
        description = background.start()
    show(description)
    return 0


def down(*, quiet: bool) -> int:
    """End the cloud."""
    if background.holder_pid() is None:
        if not quiet:
            print("ok       the local cloud does not run")
        return 0
    with Progress().step("Ending the local cloud"):
        background.end()
    return 0


def status() -> int:
    """Say whether and where the cloud runs."""
    description = background.find()
    if description is None:
        starting = background.holder_pid() is not None
        print("waiting  the local cloud is starting" if starting else "stopped  the local cloud does not run")
        return 0
    show(description)
    return 0


def show(description: Description) -> None:
    """Print where a cloud is."""
    rows = {
        "AWS": description["environment"]["AWS_ENDPOINT_URL"],
        "Security Incident Response": description["security_ir_url"],
        "Slack Web API": description["slack_api_base_url"],
        "Slack requests go to": description["webhook_url"],
        "Credentials, outputs": str(DESCRIPTION),
    }
    for name, value in rows.items():
        print(f"         {name:<28} {value}")
    print("ok       the local cloud runs; `make down` ends it")


if __name__ == "__main__":
    sys.exit(main())
