"""The sub-commands plan, deploy, verify, replay, resync, forget, rotate, approvals and audit."""

from __future__ import annotations

import argparse
import os
import sys

from ir_operator import terminal
from ir_operator.build.dependencies import Target
from ir_operator.build.package import build_package
from ir_operator.deploy import (
    account,
    audited_incident,
    auditing,
    deciding,
    deployment,
    replaying,
    rotating,
    success,
    verification,
)
from ir_operator.deploy.errors import OperationError
from ir_operator.deploy.terraform_root import TerraformRoot, root_of
from ir_operator.project import checkout

_FAILED = 1


def execute_command(options: argparse.Namespace) -> int:
    """Execute `options.command` and return its exit code.

    Raises:
        CommandError: The command could not do its work.
    """
    if options.command == "plan":
        root = root_of(options.tfvars)
        root.init()
        return root.plan(_prepare(root))
    if options.command == "deploy":
        return _deploy(root_of(options.tfvars))
    found = deployment.find(options.tfvars, options.prefix, options.region, options.webhook_url)
    match options.command:
        case "verify":
            good = verification.result(verification.verify(found)) == "ok"
        case "replay":
            good = replaying.replay(found, options.queue, options.limit)
        case "resync":
            good = replaying.resync(found, options.case_id)
        case "forget":
            whom = options.case_or_person
            good = replaying.forget(found, whom) if whom.isdigit() else replaying.forget_person(found, whom)
        case "approvals":
            good = _approvals(found, options)
        case "audit":
            good = _audit(found, options)
        case _:
            rotating.rotate_credentials(found, revoke_previous=options.revoke_previous)
            good = _verified(found)
    return 0 if good else _FAILED


def _audit(found: deployment.Deployment, options: argparse.Namespace) -> bool:
    if options.what is None:
        return auditing.verify(found)
    if options.reference is None:
        raise OperationError("Name the incident: ir-router audit incident CASE, EXECUTION or PRINCIPAL.")
    return audited_incident.show(found, options.reference, as_json=options.json)


def _approvals(found: deployment.Deployment, options: argparse.Namespace) -> bool:
    if options.decision is None:
        return deciding.show(found)
    if options.approval_id is None:
        raise OperationError(f"Name the request: ir-router approvals {options.decision} APPROVAL_ID.")
    return deciding.decide(found, options.approval_id, options.decision, options.analyst, options.reason)


def _prepare(root: TerraformRoot) -> list[str]:
    """Build the zip that the variables ask for, look at the account, and return the options for Terraform."""
    variables = root.variables()
    if variables is None:
        return []
    build_package(Target(variables.lambda_architecture), checkout().build / "ir_router.zip")
    return account.options(variables, root.addresses())


def _deploy(root: TerraformRoot) -> int:
    root.init()
    code = root.apply(_prepare(root))
    if code:
        terminal.line(
            "failed",
            f"terraform apply failed with exit code {code}. Completed changes stay. Fix the error, then deploy again.",
            sys.stderr,
        )
        return code
    deployed = deployment.of_outputs(root.outputs())
    print(f"\n{success.DEPLOYED}\n", flush=True)
    good = True
    if not _skips_verification():
        _accept_large_events(deployed)
        print(f"{success.VERIFYING}\n", flush=True)
        # Checks that wait for the Slack app are no failure. The next steps describe how to create it.
        good = verification.result(verification.verify(deployed)) != "failed"
        print()
    manifest = root.output_command("slack_app_manifest")
    print(f"{success.NEXT_STEPS}\n\n{success.address(str(deployed.webhook_url), manifest)}")
    print(f"\n{success.steps(manifest, os.path.relpath(root.tfvars))}")
    if not good:
        print()
        terminal.line("failed", "deployed, but checks failed: fix the lines marked failed, then run make verify")
    return 0 if good else _FAILED


def _accept_large_events(deployed: deployment.Deployment) -> None:
    """Let the failures queues accept events of 1 MB now, which Terraform cannot do with version 5 of the provider."""
    try:
        deployed.invoke("start_oversized")
    except OperationError as error:
        detail = f"events of more than 256 KB can be lost in the first 15 minutes: {error}"
        terminal.line("warning", detail, sys.stderr)


def _verified(found: deployment.Deployment) -> bool:
    if _skips_verification():
        return True
    print()
    return verification.result(verification.verify(found)) == "ok"


def _skips_verification() -> bool:
    return os.environ.get("SKIP_VERIFICATION", "") not in ("", "0")
