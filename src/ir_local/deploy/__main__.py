"""`python -m ir_local.deploy plan|apply|verify|replay|resync|rotate`: a person's commands on a deployment."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ir_local.build.project import PROJECT_ROOT
from ir_local.cloud.signals import ToldToEnd, end_in_order
from ir_local.cloud.terraform import TerraformError
from ir_local.deploy import deployment, replaying, rotating, success, terminal, verification
from ir_local.deploy.errors import OperationError
from ir_local.deploy.terraform_root import TerraformRoot, root_of
from ir_router.ops.replay import LIMIT

FAILED = 1
INTERRUPTED = 130
"""The code of a program that was ended by Ctrl-C, as shells have it."""


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; 0 if all is well, else 1 (or Terraform's own code)."""
    options = _parser().parse_args(arguments)
    try:
        with end_in_order():
            return _run(options)
    except (OperationError, TerraformError) as error:
        terminal.line("failed", str(error), sys.stderr)
        return FAILED
    except (KeyboardInterrupt, ToldToEnd):
        terminal.line("failed", "interrupted", sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ir_local.deploy", description="Deploy and operate ir-router in an AWS account."
    )
    default = PROJECT_ROOT / "terraform" / "terraform.tfvars"
    one = argparse.ArgumentParser(add_help=False)
    one.add_argument("--tfvars", type=Path, default=default, help=f"the deployment's variables (default: {default})")
    named = argparse.ArgumentParser(add_help=False, parents=[one])
    named.add_argument("--prefix", help="the deployment's name_prefix, where its Terraform state is not at hand")
    named.add_argument("--region", help="the deployment's region, likewise")
    named.add_argument("--webhook-url", help="the deployment's SlackWebhookUrl, likewise, to look at its door as well")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("plan", parents=[one], help="show what apply would change")
    actions.add_parser("apply", parents=[one], help="deploy, then verify unless SKIP_VERIFICATION=1")
    actions.add_parser("verify", parents=[named], help="check every part; 1 if anything is red")
    replay = actions.add_parser("replay", parents=[named], help="hand failed work back to where it came from")
    replay.add_argument("--queue", help="slack-events, files, failures or forwarding-failures (default: all)")
    replay.add_argument("--limit", type=int, default=LIMIT, help=f"at most so many entries (default: {LIMIT})")
    resync = actions.add_parser("resync", parents=[named], help="synchronise one case now")
    resync.add_argument("case_id", help="the case's id")
    actions.add_parser("rotate", parents=[named], help="store new Slack credentials, all or none; then verify")
    return parser


def _run(options: argparse.Namespace) -> int:
    root = root_of(options.tfvars)
    if options.action == "plan":
        root.init()
        return root.plan()
    if options.action == "apply":
        return _apply(root)
    found = deployment.find(root, options.prefix, options.region, options.webhook_url)
    match options.action:
        case "verify":
            good = verification.result(verification.verify(found)) == "ok"
        case "replay":
            good = replaying.replay(found, options.queue, options.limit)
        case "resync":
            good = replaying.resync(found, options.case_id)
        case _:
            rotating.run(found)
            good = _verified(found)
    return 0 if good else FAILED


def _apply(root: TerraformRoot) -> int:
    root.init()
    code = root.apply()
    if code:
        terminal.line("failed", f"terraform apply ended with {code}; what it had done before stands", sys.stderr)
        return code
    made = deployment.of_outputs(root.outputs())
    print(f"\n{success.DEPLOYED}\n", flush=True)
    good = True
    if not _skips_verification():
        print(f"{success.VERIFYING}\n", flush=True)
        # What waits for the Slack app is what the next steps are about.
        good = verification.result(verification.verify(made)) != "failed"
        print()
    manifest = root.output_command("slack_app_manifest")
    print(f"{success.NEXT_STEPS}\n\n{success.address(str(made.webhook_url), manifest)}")
    if not good:
        print()
        terminal.line("failed", "deployed, but the verification found what is broken: see above")
    return 0 if good else FAILED


def _verified(found: deployment.Deployment) -> bool:
    if _skips_verification():
        return True
    print()
    return verification.result(verification.verify(found)) == "ok"


def _skips_verification() -> bool:
    return os.environ.get("SKIP_VERIFICATION", "") not in ("", "0")


if __name__ == "__main__":
    sys.exit(main())
