"""The document of the deny policy. Anyone who may write IAM policies can replace it, so it is read before use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.observability import logger
from ir_router.workflow import sessions

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


def default_version(client: IAMClient, account: str = "") -> tuple[str, Any, int]:
    """Return the default version's id, its parsed document, and the number of principals that have the policy.

    An empty account is this one.
    """
    arn = sessions.deny_policy_arn(account)
    policy = client.get_policy(PolicyArn=arn)["Policy"]
    version = policy.get("DefaultVersionId", "v1")
    document = client.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    return version, document, policy.get("AttachmentCount", 0)


def is_altered(account: str) -> bool:
    """Whether the default version no longer denies everything. False if it cannot be read: containment must go on."""
    try:
        _version, document, _attached = default_version(sessions.reader(account), account)
    except (ClientError, BotoCoreError) as error:
        logger.error("containment.deny_policy_not_read", extra={"error": type(error).__name__})
        return False
    return not denies_everything(document)


def denies_everything(document: Any) -> bool:
    """Return whether a parsed policy document has Terraform's statement, which denies everything."""
    statements = document.get("Statement", [])
    return any(
        (statement.get("Effect"), statement.get("Action"), statement.get("Resource")) == ("Deny", "*", "*")
        and "Condition" not in statement
        for statement in (statements if isinstance(statements, list) else [statements])
    )
