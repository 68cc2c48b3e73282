"""The longest values of every variable, with every option on: the extremes that a plan is measured at."""

from __future__ import annotations

import json
from typing import Any

from ir_operator.project import PROJECT_ROOT
from tests.terraform.deployments import BROUGHT_KEY, BROUGHT_WORKFLOW_KEY, LAKE_STORE
from tests.terraform.root import ACCOUNT

PREFIX = "a-prefix-of-28-letters-xxxxx"
REGION = "ap-southeast-1"
"""A region with the longest name of those that the variable accepts. It forwards the events of global services."""


def long_arn(kind: str, number: int) -> str:
    """Return an ARN of 200 characters, the longest that the variables accept."""
    return f"arn:aws:iam::{ACCOUNT}:{kind}/{number:03}".ljust(200, "x")


def filled(start: str, most: int) -> list[str]:
    """Return e-mail addresses whose JSON has at most `most` characters."""
    address = f"{start}-0000@example.com"
    return [f"{start}-{number:04}@example.com" for number in range((most - 2) // (len(address) + 3))]


def changed_severities(most: int) -> dict[str, str]:
    """Return severities of the first detections, whose JSON has at most `most` characters."""
    table = json.loads((PROJECT_ROOT / "src" / "ir_router" / "workflow" / "detections.json").read_text("utf-8"))
    found: dict[str, str] = {}
    for name in sorted(detection["id"] for detection in table["detections"]):
        longer = {**found, name: "CRITICAL"}
        if len(json.dumps(longer, separators=(",", ":"))) <= most:
            found = longer
    return found


EXTREME: dict[str, Any] = {
    "name_prefix": PREFIX,
    "region": REGION,
    "containment_mode": "enforce",
    "organization_id": f"o-{'x' * 32}",
    "kms_key_arn": BROUGHT_KEY.replace("us-east-1", REGION),
    "workflow_kms_key_arn": BROUGHT_WORKFLOW_KEY.replace("us-east-1", REGION),
    "web_acl_arn": f"arn:aws:wafv2:{REGION}:{ACCOUNT}:regional/webacl/{'w' * 128}/00000000-1111-2222-3333-444444444444",
    "manage_api_gateway_account": True,
    "xray_tracing": True,
    "slack_channel_prefix": "c" * 48,
    "slack_channel_visibility": "private",
    "security_channel_id": "C" + "0" * 20,
    "slack_approvers": filled("approver", 700),
    "slack_case_editors": filled("editor", 700),
    "case_resolver_type": "Self",
    "initial_import": "open",
    "owner_tag": "t" * 128,
    "allowed_cidrs": [f"2001:db8:{number:04x}:ffff:ffff:ffff:ffff:ffff/128" for number in range(500)],
    "allowed_principals": [long_arn("role", number) for number in range(200)],
    "protected_principals": [long_arn("user", number) for number in range(200)],
    "alert_emails": [f"recipient-{number}@example.com" for number in range(20)],
    "audit_retention_days": 36500,
    "audit_export_bucket": "b" * 63,
    "case_retention_days": 36500,
    "archive_channels_after_days": 3650,
    "report_message_text": True,
    "cloudtrail_lake_event_data_store": LAKE_STORE.replace("us-east-1", REGION),
    "close_decided_cases_after_hours": 8760,
    "extra_environment": {"LONG": "x" * 489},
    "watcher_domains": ["a.io"],
    "severity_overrides": changed_severities(1048),
    "extra_detections_path": "./tests/extra_detections.json",
    "mirror_bots": True,
    "remove_former_watchers": True,
    "contain_actor": True,
    "containment_scope": "principal",
    "ask_before_containing_roles": "service_roles",
    "log_level": "debug",
    "log_retention_days": 3653,
    "previous_signing_secret_hours": 168,
    "max_containments_per_hour": 1000,
    "max_containments_per_hour_per_account": 1000,
}
