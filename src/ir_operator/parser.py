"""The command line of `ir-router`: every sub-command, its options, and the module that executes it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ir_router import __version__

ARCHITECTURES = ("arm64", "x86_64")
"""Lambda's processor architectures."""

POLICY_ROLES = ("deployer", "oncall", "analyst", "break-glass", "auditor", "organization")
"""The roles of `ir_operator.policies.rendering`."""

_REPLAY_LIMIT = 100
"""The default of the operations function (`ir_router.ops.replay.LIMIT`)."""

_EPILOG = """\
policies, backtest and report work anywhere. verify, rotate, replay, resync, forget, approvals and audit do with
--prefix and --region; without these they read the deployment's name from the Terraform state of a clone. build, plan,
deploy and release need a clone.
Run `ir-router SUB-COMMAND --help` for the options of a sub-command."""


class _Command(NamedTuple):
    help: str
    module: str
    add_options: Callable[[argparse.ArgumentParser], None]


def _build_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", choices=["lambda", "local"], default="lambda", help="for AWS, or for this machine")
    parser.add_argument(
        "--architecture",
        choices=ARCHITECTURES,
        default="arm64",
        help="processor of the Lambda functions; the variant local ignores it (default: arm64)",
    )
    parser.add_argument("--output", type=Path, help="file to write (default: build/ir_router[-local].zip of the clone)")


def _tfvars_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tfvars",
        type=Path,
        help="file with the variables of the deployment (default: terraform/terraform.tfvars of the clone)",
    )


def _deployment_options(parser: argparse.ArgumentParser) -> None:
    _tfvars_option(parser)
    parser.add_argument("--prefix", help="the deployment's name_prefix, if you cannot read its Terraform state")
    parser.add_argument("--region", help="the deployment's AWS region, if you cannot read its Terraform state")
    parser.add_argument(
        "--webhook-url", help="the deployment's SlackWebhookUrl, which adds the external check of the webhook endpoint"
    )


def _rotate_options(parser: argparse.ArgumentParser) -> None:
    _deployment_options(parser)
    parser.add_argument(
        "--revoke-previous",
        action="store_true",
        help="revoke the earlier bot tokens afterwards; without new credentials, do only this",
    )


def _replay_options(parser: argparse.ArgumentParser) -> None:
    _deployment_options(parser)
    parser.add_argument("--queue", help="slack-events, files, failures or forwarding-failures (default: all)")
    parser.add_argument(
        "--limit", type=int, default=_REPLAY_LIMIT, help=f"maximum number of entries (default: {_REPLAY_LIMIT})"
    )


def _resync_options(parser: argparse.ArgumentParser) -> None:
    _deployment_options(parser)
    parser.add_argument("case_id", help="id of the case")


def _forget_options(parser: argparse.ArgumentParser) -> None:
    _deployment_options(parser)
    parser.add_argument("case_or_person", help="id of a closed case, or a Slack user id or e-mail address")


def _audit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="?", choices=["incident"], help="show the records of one incident (default: verify all records)"
    )
    parser.add_argument(
        "reference", nargs="?", help="the incident: id of its case, ARN or name of its execution or of a principal"
    )
    parser.add_argument("--json", action="store_true", help="print the incident as one JSON object")
    _deployment_options(parser)


def _approvals_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "decision",
        nargs="?",
        choices=["approve", "deny", "withdraw", "release"],
        help="what to do with one request (default: list the open requests)",
    )
    parser.add_argument("approval_id", nargs="?", help="id of the request")
    parser.add_argument("--analyst", help="your name for the audit (default: the name of your AWS session)")
    parser.add_argument("--reason", default="", help="why; release needs a reason")
    _deployment_options(parser)


def _no_options(parser: argparse.ArgumentParser) -> None:
    """The sub-command has none."""


def _backtest_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "trail", type=Path, help="file or folder of CloudTrail logs, GuardDuty findings and Health events"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object for each record instead of the table"
    )
    parser.add_argument("--extra", type=Path, help="file with further detections, as in extra_detections_path")


def _policies_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prefix", default="security-incident", help="the deployment's name_prefix")
    parser.add_argument("--region", default="us-east-1", help="the deployment's AWS region")
    parser.add_argument("--role", choices=POLICY_ROLES, default="deployer", help="whose policies (default: deployer)")
    parser.add_argument("--output", type=Path, help="folder for one file per policy (default: print them)")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        help="ARN of an encryption key; repeat it for each (default: the deployer may create keys, and change none)",
    )


def _report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["verify"], help="check the file")
    parser.add_argument("file", type=Path, help="report-N.html or report-N.json")
    parser.add_argument("--record", help="hash of the report's audit record, from the Slack message")
    parser.add_argument("--prefix", help="the deployment's name_prefix, to compare the file with its audit")
    parser.add_argument("--region", help="the deployment's AWS region, to compare the file with its audit")


COMMANDS = {
    "build": _Command("build the zip for the Lambda functions", "ir_operator.build.command", _build_options),
    "plan": _Command("show the changes that deploy would make", "ir_operator.deploy.command", _tfvars_option),
    "deploy": _Command("deploy with Terraform, then verify", "ir_operator.deploy.command", _tfvars_option),
    "verify": _Command("check every part of a deployment", "ir_operator.deploy.command", _deployment_options),
    "rotate": _Command("store new Slack credentials, then verify", "ir_operator.deploy.command", _rotate_options),
    "replay": _Command("return failed work to its queue or function", "ir_operator.deploy.command", _replay_options),
    "resync": _Command("synchronise one case now", "ir_operator.deploy.command", _resync_options),
    "forget": _Command("erase the rows of closed cases", "ir_operator.deploy.command", _forget_options),
    "approvals": _Command("list, decide and release", "ir_operator.deploy.command", _approvals_options),
    "audit": _Command("verify the audit, or show one incident", "ir_operator.deploy.command", _audit_options),
    "report": _Command("check the file of a report", "ir_operator.report", _report_options),
    "backtest": _Command("run recorded events through the detections", "ir_operator.backtest", _backtest_options),
    "policies": _Command("print the IAM policies of a role", "ir_operator.policies.command", _policies_options),
    "release": _Command("make the files of a release", "ir_operator.release.command", _no_options),
}
"""The sub-commands in the order of the help text."""


def parser() -> argparse.ArgumentParser:
    """Return the parser; its result has `command`, `module` and the sub-command's options."""
    made = argparse.ArgumentParser(
        prog="ir-router",
        description="Build, deploy and operate ir-router in an AWS account.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"ir-router {__version__}")
    commands = made.add_subparsers(title="commands", metavar="SUB-COMMAND", dest="command", required=True)
    for name, command in COMMANDS.items():
        sentence = f"{command.help[0].upper()}{command.help[1:]}."
        sub_parser = commands.add_parser(name, help=command.help, description=sentence)
        sub_parser.set_defaults(module=command.module)
        command.add_options(sub_parser)
    return made
