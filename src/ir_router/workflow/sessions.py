"""Sessions in the accounts whose principals ir-router contains, this account included.

The function has no permission in IAM. It assumes the role `<prefix>-containment` of the principal's account. A session
policy limits the session to the permissions that the task needs: to read, or to change one principal
(https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, clock, denials
from ir_router.errors import IrRouterError
from ir_router.settings import settings
from ir_router.workflow import accounts, rejections
from ir_router.workflow.incident import Principal

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

# The shortest session of a role. A session is renewed before it ends, so that no invocation outlives its session.
_SECONDS = 900
_RENEWED_SECONDS = 300
_READS = ("iam:Get*", "iam:List*")
_READS_OF_RULES = (
    "events:ListRuleNamesByTarget",
    "events:ListRules",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
)
_NAME_LENGTH = 64

_MODE_TAG = "ir-router-mode"

_kept: dict[tuple[str, str], tuple[float, IAMClient]] = {}
_modes: dict[str, tuple[float, str]] = {}
_keeping = Lock()
# The sessions that this task opens. Nothing waits for a thread of an earlier task: Lambda may have frozen its request.
_opening: dict[tuple[str, str], Lock] = {}
_execution = ["ir-router"]


class NoRoleError(IrRouterError):
    """AWS denied the role of an account. The message gives the possible causes and the fix."""


class AccountClosedError(NoRoleError):
    """The account is closed or suspended, so nothing can be changed in it."""


def begin_task(execution: str) -> None:
    """Name the sessions of this task after its execution, so that CloudTrail shows who changed a principal."""
    _opening.clear()
    _execution[0] = f"ir-{execution}"[:_NAME_LENGTH]


def prepare() -> None:
    """Open the session that reads in this account, and create the client that changes the first principal.

    If that fails, the first use reports the error.
    """
    try:
        reader("")
        aws.prepare_iam_of_session()
    except (IrRouterError, BotoCoreError, ClientError):
        return


def reader(account: str) -> IAMClient:
    """Return a client that reads IAM in an account: 12 digits, or empty for this account. Raises NoRoleError."""
    return _client(account, "ir-read", [{"Effect": "Allow", "Action": _READS, "Resource": "*"}])


def changer(principal: Principal) -> IAMClient:
    """Return a client that can change this principal and no other. Raises NoRoleError."""
    role = role_arn(principal["account"])
    kind = "User" if principal["kind"] == "user" else "Role"
    prefix = f"{role.rpartition(':')[0]}:{kind.lower()}/"
    # A path can have 512 characters, which may not fit into a session policy. A name is unique across all paths.
    resources = [f"{prefix}{_literal(principal['name'])}", f"{prefix}*/{_literal(principal['name'])}"]
    keys = {"Effect": "Allow", "Action": ["iam:UpdateAccessKey", "iam:DeleteAccessKey"], "Resource": resources}
    policies = [
        {
            "Effect": "Allow",
            "Action": [action],
            "Resource": resources,
            "Condition": {"ArnEquals": {"iam:PolicyARN": named}},
        }
        for action, named in (
            (f"iam:Attach{kind}Policy", [deny_policy_arn()]),
            (f"iam:Detach{kind}Policy", [deny_policy_arn(), earlier_deny_policy_arn(principal["account"])]),
        )
    ]
    return _client(principal["account"], _execution[0], [keys, *policies] if kind == "User" else policies)


def inspector(account: str) -> Callable[[str, str], Any]:
    """Return a function that returns a client, by service and region, which reads IAM, rules and queues of an account.

    Raises NoRoleError.
    """
    reads = [{"Effect": "Allow", "Action": [*_READS, *_READS_OF_RULES], "Resource": "*"}]
    credentials = _assume(role_arn(account), "ir-verify", _policy(reads))
    return partial(_client_of_session, credentials)


def trails(account: str) -> Callable[[str], Any]:
    """Return a function that returns a client by region, which reads the event history of an account.

    Raises NoRoleError.
    """
    reads = [{"Effect": "Allow", "Action": ["cloudtrail:LookupEvents"], "Resource": "*"}]
    credentials = _assume(role_arn(account), "ir-activity", _policy(reads))
    return cache(partial(_client_of_session, credentials, "cloudtrail"))


def _client_of_session(credentials: Mapping[str, Any], service: str, region: str) -> Any:
    return aws.client_of_session(service, region, credentials)


def open_ahead(principal: Principal) -> None:
    """Assume the role for `changer` while other work goes on. If that fails, `changer` repeats and reports it."""
    with suppress(NoRoleError, ClientError, BotoCoreError):
        changer(principal)


def mode_of(account: str) -> str:
    """Return the containment mode of another account: the tag of its role, empty without one. Kept like a session.

    Raises NoRoleError if the role cannot read its own tags.
    """
    until, mode = _modes.get(account, (0.0, ""))
    if until > clock.now():
        return mode
    role = role_arn(account)
    try:
        tags = reader(account).list_role_tags(RoleName=role.rpartition("/")[2])["Tags"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in rejections.DENIED:
            raise
        raise NoRoleError(_no_role(role, rejections.read(error)["reason"])) from error
    mode = next((tag["Value"] for tag in tags if tag["Key"] == _MODE_TAG), "")
    _modes[account] = (clock.now() + _SECONDS - _RENEWED_SECONDS, mode)
    return mode


def own_account() -> str:
    """Return the account of this deployment, 12 digits."""
    return settings().require("containment_role_arn").split(":")[4]


def role_arn(account: str) -> str:
    """Return the ARN of the role `<prefix>-containment` of an account; an empty account is this one."""
    return _of_account(settings().require("containment_role_arn"), account)


def deny_policy_arn() -> str:
    """Return the ARN of the deny policy: AWS manages AWSDenyAll, so no principal of an account can change its document.

    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSDenyAll.html
    """
    return f"arn:{_partition()}:iam::aws:policy/AWSDenyAll"


def earlier_deny_policy_arn(account: str) -> str:
    """Return the ARN of the policy that versions before 0.2.0 attached in an account; an empty account is this one."""
    return f"arn:{_partition()}:iam::{account or own_account()}:policy/{settings().name_prefix}-containment-deny"


def _partition() -> str:
    return settings().require("containment_role_arn").split(":")[1]


def forget() -> None:
    """Drop the sessions. Tests change the endpoints."""
    _kept.clear()
    _opening.clear()
    _modes.clear()


def _of_account(arn: str, account: str) -> str:
    parts = arn.split(":")
    return ":".join([*parts[:4], account or parts[4], *parts[5:]])


def _client(account: str, name: str, statements: list[dict[str, Any]]) -> IAMClient:
    role = role_arn(account)
    key = (role + name, _policy(statements))
    # A lock for each session: AssumeRole takes its time, which only a thread that needs this session waits for.
    if (open_already := _open(key)) is not None:
        return open_already
    with _opening.setdefault(key, Lock()):
        if (open_already := _open(key)) is not None:
            return open_already
        until = clock.now() + _SECONDS - _RENEWED_SECONDS
        credentials = _assume(role, name, key[1])
        with _keeping:  # no call goes out in this block
            for ended in [one for one, (end, _) in _kept.items() if end <= clock.now()]:
                del _kept[ended]
            made = aws.iam_of_session(credentials)
            _kept[key] = (until, made)
            return made


def _open(key: tuple[str, str]) -> IAMClient | None:
    until, client = _kept.get(key, (0.0, None))
    return client if until > clock.now() else None


def _policy(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


def _assume(role: str, name: str, policy: str) -> Mapping[str, Any]:
    """Return the credentials of a new session of a role."""
    try:
        answer: dict[str, Any] = aws.client("sts").assume_role(
            RoleArn=role, RoleSessionName=name, Policy=policy, DurationSeconds=_SECONDS
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        why = denials.read(str(error.response["Error"].get("Message", ""))).why
        account = role.split(":")[4]
        if account != own_account() and (found := accounts.of(account, at_most_old=accounts.RECENT_SECONDS)).is_closed:
            raise AccountClosedError(
                f"Account {found.shown} is closed (state {found.state}), so nothing can be changed in it. If AWS opens "
                "it again, check its principals by hand."
            ) from error
        raise NoRoleError(_no_role(role, why)) from error
    credentials: dict[str, Any] = answer["Credentials"]
    return credentials


def _no_role(role: str, why: str) -> str:
    account, name = role.split(":")[4], role.rpartition("/")[2]
    reason = f" ({why})" if why else ""
    if account != own_account():
        return (
            f"{accounts.of(account).shown} cannot be reached: AWS denied the role {name}{reason}. The role is missing, "
            "does not trust ir-router, or a policy of the organisation forbids its use. To fix the role, apply "
            "terraform/modules/account in that account, or update its stack if it belongs to the StackSet."
        )
    return (
        f"ir-router cannot act in account {account}: AWS denied the role {name}{reason}. The role is missing, does not "
        "trust ir-router, or a policy of the organisation forbids its use. To fix the role, deploy again."
    )


def _literal(name: str) -> str:
    """Return a name as a policy matches it literally (policy variables for `$`, `*` and `?`)."""
    for sign in "$*?":
        name = name.replace(sign, f"${{{sign}}}")
    return name
