"""The deployments that tests plan."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ir_operator.project import PROJECT_ROOT
from tests.terraform.root import ACCOUNT, digest_of, kept, terraform_root

BROUGHT_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-1111-2222-3333-444444444444"
CODE_SIGNING = f"arn:aws:lambda:us-east-1:{ACCOUNT}:code-signing-config:csc-0123456789abcdef0"
BROUGHT_WORKFLOW_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/99999999-1111-2222-3333-444444444444"
LAKE_STORE = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:eventdatastore/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"

# Built from parts, so that no scanner reports them as real secrets.
SECRETS = {
    "slack_bot_token": "-".join(["xoxb", "4815162342", "2342161584", "CanaryToken0123456789abcd"]),
    "slack_signing_secret": "c0ffee" * 5 + "42",
}
CHANNEL_PREFIX = "canary-of-the-channel-prefix-"

ENFORCING: Mapping[str, Any] = {
    **SECRETS,
    "slack_workspace_id": "T0CANARY1",
    "slack_credentials_version": 2,
    "slack_channel_prefix": CHANNEL_PREFIX,
    "containment_mode": "enforce",
    "dashboard": True,
    "organization_id": "o-a1b2c3d4e5",
    "audit_export_bucket": "example-audit",
    "cloudtrail_lake_event_data_store": LAKE_STORE,
    "protected_principals": [
        f"arn:aws:iam::{ACCOUNT}:role/break-glass-*",
        f"arn:aws:iam::{ACCOUNT}:user/founder",
        f"arn:aws:iam::{ACCOUNT}:user/not-yet",
        f"arn:aws:iam::{ACCOUNT}:role/emergency-*",
    ],
    "kms_key_arn": BROUGHT_KEY,
    "workflow_kms_key_arn": BROUGHT_WORKFLOW_KEY,
    "code_signing_config_arn": CODE_SIGNING,
    "manage_api_gateway_account": True,
    "xray_tracing": True,
}
"""A deployment that contains, with secrets. It uses existing KMS keys, so that the plan shows the policies for them."""


@cache
def role_policies() -> Mapping[str, list[dict[str, Any]]]:
    """Return the statements of each function's role, and of `containment`, in enforcing mode. The plan is cached."""

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch, terraform_root(Path(scratch)) as root:
            plan = root.plan(**ENFORCING)
            keys = plan.role_policies("function_key")
            statements = {role: [*own, *keys[role]] for role, own in plan.role_policies().items()}
            statements["containment"] = plan.containment_policy()
            (folder / "policies.json").write_text(json.dumps(statements))

    sources = [*sorted((PROJECT_ROOT / "terraform").rglob("*.tf")), Path(__file__)]
    detections = PROJECT_ROOT / "src" / "ir_router" / "workflow" / "detections.json"
    folder = kept(f"policies {digest_of([*sources, detections], '')}", make)
    found: dict[str, list[dict[str, Any]]] = json.loads((folder / "policies.json").read_text())
    return found
