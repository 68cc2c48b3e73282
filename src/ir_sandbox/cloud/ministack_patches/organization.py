"""AWS Organizations: one organisation with two accounts. In the emulator each account is an organisation of its own.

Sources: docs.aws.amazon.com/organizations/latest/APIReference/API_Account.html (fields), and
docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html (`aws:PrincipalOrgID` and
`aws:ResourceOrgID`).
"""

# ruff: noqa: SLF001 - a patch uses private members of the patched module
from __future__ import annotations

from typing import Any

from ir_sandbox.cloud.accounts import ACCOUNTS, HUB, ORGANIZATION_ID
from ir_sandbox.cloud.ministack_patches.originals import checked, module, replace

EVALUATOR = module("core.iam_evaluator")
ORGANIZATIONS = module("services.organizations")
error_response = module("core.responses").error_response_json

Json = dict[str, Any]


def apply() -> None:
    """Patch the reads of the organisation and its condition keys; raises EmulatorChangedError."""
    replace(EVALUATOR, "_principal_org_id", "a582df4ff025", organization_of)
    for operation, name, fingerprint, answer in (
        ("DescribeAccount", "_describe_account", "b356bf5b4d95", describe_account),
        ("DescribeOrganization", "_describe_organization", "175c47dbe82f", describe_organization),
        ("ListAccounts", "_list_accounts", "cd893dceda9f", list_accounts),
    ):
        checked(ORGANIZATIONS, name, fingerprint)
        ORGANIZATIONS._DISPATCH[operation] = answer


def organization_of(account: str) -> str | None:
    """Return the id of the organisation of an account, if it belongs to one."""
    return ORGANIZATION_ID if account in ACCOUNTS else None


def arn_of(account: str) -> str:
    """Return the ARN of an account of the organisation."""
    return f"arn:aws:organizations::{HUB}:account/{ORGANIZATION_ID}/{account}"


def describe_account(request: Json) -> Any:
    """Answer DescribeAccount."""
    account = request.get("AccountId")
    if account not in ACCOUNTS:
        return error_response("AccountNotFoundException", "You specified an account that doesn't exist.", 400)
    return ORGANIZATIONS._json(200, {"Account": described(account)})


def list_accounts(_request: Json) -> Any:
    """Answer ListAccounts."""
    return ORGANIZATIONS._json(200, {"Accounts": [described(account) for account in ACCOUNTS]})


def describe_organization(_request: Json) -> Any:
    """Answer DescribeOrganization."""
    found = {
        "Id": ORGANIZATION_ID,
        "Arn": f"arn:aws:organizations::{HUB}:organization/{ORGANIZATION_ID}",
        "FeatureSet": "ALL",
        "MasterAccountId": HUB,
        "MasterAccountArn": arn_of(HUB),
        "MasterAccountEmail": f"{ACCOUNTS[HUB]}@example.com",
    }
    return ORGANIZATIONS._json(200, {"Organization": found})


def described(account: str) -> Json:
    """Return an account in the format of AWS."""
    return {
        "Id": account,
        "Arn": arn_of(account),
        "Email": f"{ACCOUNTS[account]}@example.com",
        "Name": ACCOUNTS[account],
        "Status": "ACTIVE",
        "JoinedMethod": "CREATED",
        "JoinedTimestamp": 1_767_225_600,
    }
