"""The files and commands that the pages mention exist. The example policy denies the calls that its page names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.iam import allows

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("terraform/modules/*/README.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_given_a_page_when_its_links_are_followed_then_each_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_given_a_page_when_it_names_a_make_target_then_there_is_one(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z][a-z-]*)", page.read_text("utf-8")))
    assert named - targets == set()


def guard() -> dict[str, Any]:
    text = (ROOT / "docs/organization-guard.json").read_text("utf-8")
    assert len(text) < 5_120  # AWS's limit for a service control policy
    policy: dict[str, Any] = json.loads(text)
    return policy


@pytest.mark.parametrize(
    ("action", "name", "by", "denied"),
    [
        ("iam:DetachUserPolicy", "security-incident-containment-deny", "user/mallory", True),
        ("iam:DetachRolePolicy", "security-incident-containment-deny", "role/Admin", True),
        ("iam:DetachRolePolicy", "security-incident-containment-deny", "role/YOUR-DEPLOYMENT-ROLE", True),
        ("iam:DetachUserPolicy", "security-incident-containment-deny", "role/security-incident-containment", False),
        ("iam:DetachUserPolicy", "ReadOnlyAccess", "role/Admin", False),
        ("iam:AttachUserPolicy", "security-incident-containment-deny", "role/Admin", False),
        ("iam:CreatePolicyVersion", "security-incident-containment-deny", "role/Admin", True),
        ("iam:SetDefaultPolicyVersion", "security-incident-containment-deny", "role/Admin", True),
        ("iam:DeletePolicyVersion", "security-incident-containment-deny", "role/security-incident-workflow", True),
        ("iam:DeletePolicy", "security-incident-containment-deny", "role/YOUR-DEPLOYMENT-ROLE", False),
        ("iam:CreatePolicyVersion", "security-incident-containment-deny", "role/stacksets-exec-0123abcd", False),
        ("iam:DetachUserPolicy", "security-incident-containment-deny", "role/stacksets-exec-0123abcd", True),
        ("iam:CreatePolicyVersion", "own-policy", "user/mallory", False),
        ("iam:DetachUserPolicy", "AWSDenyAll", "user/mallory", True),
        ("iam:DetachRolePolicy", "AWSDenyAll", "role/Admin", True),
        ("iam:DetachRolePolicy", "AWSDenyAll", "role/YOUR-DEPLOYMENT-ROLE", True),
        ("iam:DetachUserPolicy", "AWSDenyAll", "role/stacksets-exec-0123abcd", True),
        ("iam:DetachUserPolicy", "AWSDenyAll", "role/security-incident-containment", False),
        ("iam:AttachUserPolicy", "AWSDenyAll", "role/Admin", False),
    ],
)
def test_given_the_guard_when_a_principal_calls_iam_about_the_deny_policy_then_only_the_named_calls_are_denied(
    action: str, name: str, by: str, denied: bool
) -> None:
    full_access = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = f"arn:aws:iam::{'aws' if name == 'AWSDenyAll' else '111122223333'}:policy/{name}"
    changes_policy = "Version" in action or action == "iam:DeletePolicy"
    resource = policy if changes_policy else "arn:aws:iam::111122223333:user/target"
    context = {"aws_PrincipalArn": f"arn:aws:iam::111122223333:{by}"}
    context |= {} if changes_policy else {"iam_PolicyARN": policy}

    assert allows([full_access, *guard()["Statement"]], action, resource, **context) is not denied


DEPLOYMENT, OPERATIONS = "222233334444:role/YOUR-DEPLOYMENT-ROLE", "YOUR-HUB-ACCOUNT:role/security-incident-operations"
RULE = "arn:aws:events:us-east-1:222233334444:rule/security-incident-detect-access-key-created"
QUEUE = "arn:aws:sqs:us-east-1:222233334444:security-incident-forwarding-failures"


@pytest.mark.parametrize(
    ("action", "resource", "by", "denied"),
    [
        ("iam:UpdateAssumeRolePolicy", "role/security-incident-containment", "222233334444:role/Admin", True),
        ("iam:TagRole", "role/security-incident-containment", "222233334444:role/security-incident-containment", True),
        ("iam:UpdateAssumeRolePolicy", "role/security-incident-containment", DEPLOYMENT, False),
        ("iam:DeleteRole", "role/security-incident-forwarding", "222233334444:user/mallory", True),
        ("iam:DeleteRole", "role/security-incident-forwarding-eu-west-1", "222233334444:user/mallory", True),
        ("iam:PutRolePolicy", "role/security-incident-containment", "222233334444:role/stacksets-exec-0123abcd", False),
        ("events:PutRule", RULE, "222233334444:role/stacksets-exec-0123abcd", False),
        ("iam:CreateRole", "role/stacksets-exec-mallory", "222233334444:role/Admin", True),
        ("iam:UpdateAssumeRolePolicy", "role/stacksets-exec-0123abcd", "222233334444:role/Admin", True),
        ("iam:CreateRole", "role/YOUR-DEPLOYMENT-ROLE", "222233334444:role/Admin", True),
        ("iam:DeleteRole", "role/Admin", "222233334444:user/mallory", False),
        ("events:DisableRule", RULE, "222233334444:role/Admin", True),
        ("events:PutTargets", RULE, DEPLOYMENT, False),
        ("events:DisableRule", RULE.replace("security-incident", "other"), "222233334444:role/Admin", False),
        ("sqs:PurgeQueue", QUEUE, "222233334444:role/security-incident-operations", True),
        ("sqs:SetQueueAttributes", QUEUE, OPERATIONS, False),
        ("sqs:ReceiveMessage", QUEUE, "222233334444:role/Admin", False),
    ],
)
def test_given_the_guard_when_a_member_changes_the_path_of_events_then_only_the_named_roles_can(
    action: str, resource: str, by: str, denied: bool
) -> None:
    full_access = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    resource = resource if resource.startswith("arn:") else f"arn:aws:iam::222233334444:{resource}"
    context = {"aws_PrincipalArn": f"arn:aws:iam::{by}"}

    assert allows([full_access, *guard()["Statement"]], action, resource, **context) is not denied
