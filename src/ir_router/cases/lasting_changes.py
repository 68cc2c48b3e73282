"""Effects of API calls that outlast a containment: access that was created or changed, and read secrets. Pure.

Parameters: the CloudTrail records of IAM, Lambda, Secrets Manager and Systems Manager.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

# Lambda's events end with the version of its API: `CreateFunction20150331`, `UpdateFunctionCode20150331v2`.
_VERSION = re.compile(r"\d{8}(v\d+)?$")
_NAME_LENGTH = 200
_MOST_READ = 50


@dataclass(frozen=True)
class Lasting:
    """An effect that stays. `owner` is the user, role, group or function that it disappears with."""

    name: str
    owner: str
    undo: str


class Effects(NamedTuple):
    """The lasting effects of a call, the names of those that it removed, and the secrets that it read."""

    lasting: tuple[Lasting, ...] = ()
    removed: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


NONE = Effects()


class _Rule(NamedTuple):
    """How to name and undo the effect of an action. Braces stand for parameters of the call."""

    name: str
    owner: str
    undo: str


_USER, _ROLE, _GROUP, _FUNCTION = "user {userName}", "role {roleName}", "group {groupName}", "function {functionName}"
_IAM = "aws iam "

_CREATED: Mapping[tuple[str, str], _Rule] = {
    ("iam", "CreateUser"): _Rule(
        _USER, _USER, f"remove its keys, password and policies, then {_IAM}delete-user --user-name {{userName}}"
    ),
    ("iam", "CreateAccessKey"): _Rule(
        "access key {accessKeyId} of user {userName}",
        _USER,
        f"{_IAM}delete-access-key --user-name {{userName}} --access-key-id {{accessKeyId}}",
    ),
    ("iam", "CreateLoginProfile"): _Rule(
        "login profile (console password) of user {userName}",
        _USER,
        f"{_IAM}delete-login-profile --user-name {{userName}}",
    ),
    ("iam", "UpdateLoginProfile"): _Rule(
        "changed console password of user {userName}", _USER, f"{_IAM}delete-login-profile --user-name {{userName}}"
    ),
    ("iam", "CreateServiceSpecificCredential"): _Rule(
        "service-specific credential of user {userName}",
        _USER,
        f"{_IAM}list-service-specific-credentials --user-name {{userName}}, then delete-service-specific-credential",
    ),
    ("iam", "UploadSSHPublicKey"): _Rule(
        "SSH public key of user {userName}",
        _USER,
        f"{_IAM}list-ssh-public-keys --user-name {{userName}}, then delete-ssh-public-key",
    ),
    ("iam", "AddUserToGroup"): _Rule(
        "membership of user {userName} in group {groupName}",
        _USER,
        f"{_IAM}remove-user-from-group --user-name {{userName}} --group-name {{groupName}}",
    ),
    ("iam", "CreateGroup"): _Rule(
        _GROUP, _GROUP, f"remove its members and policies, then {_IAM}delete-group --group-name {{groupName}}"
    ),
    ("iam", "CreateRole"): _Rule(
        _ROLE, _ROLE, f"detach and delete its policies, then {_IAM}delete-role --role-name {{roleName}}"
    ),
    ("iam", "UpdateAssumeRolePolicy"): _Rule(
        "changed trust policy of role {roleName}",
        _ROLE,
        f"set the earlier policy (AWS Config shows it): {_IAM}update-assume-role-policy --role-name {{roleName}} ...",
    ),
    ("iam", "CreatePolicy"): _Rule("policy {policyArn}", "", f"{_IAM}delete-policy --policy-arn {{policyArn}}"),
    ("iam", "CreatePolicyVersion"): _Rule(
        "new version of policy {policyArn}",
        "policy {policyArn}",
        f"{_IAM}set-default-policy-version to the earlier version, then delete-policy-version, "
        "--policy-arn {policyArn}",
    ),
    ("iam", "SetDefaultPolicyVersion"): _Rule(
        "other default version of policy {policyArn}",
        "policy {policyArn}",
        f"{_IAM}set-default-policy-version --policy-arn {{policyArn}} --version-id <the earlier one>",
    ),
    ("iam", "CreateSAMLProvider"): _Rule(
        "SAML provider {sAMLProviderArn}", "", f"{_IAM}delete-saml-provider --saml-provider-arn {{sAMLProviderArn}}"
    ),
    ("iam", "CreateOpenIDConnectProvider"): _Rule(
        "OIDC provider {openIDConnectProviderArn}",
        "",
        f"{_IAM}delete-open-id-connect-provider --open-id-connect-provider-arn {{openIDConnectProviderArn}}",
    ),
    **{
        ("iam", f"Attach{kind}Policy"): _Rule(
            f"policy {{policyArn}} attached to {owner}",
            owner,
            f"{_IAM}detach-{kind.lower()}-policy --{kind.lower()}-name {{{kind.lower()}Name}} "
            "--policy-arn {policyArn}",
        )
        for kind, owner in (("User", _USER), ("Role", _ROLE), ("Group", _GROUP))
    },
    **{
        ("iam", f"Put{kind}Policy"): _Rule(
            f"inline policy {{policyName}} of {owner}",
            owner,
            f"{_IAM}delete-{kind.lower()}-policy --{kind.lower()}-name {{{kind.lower()}Name}} "
            "--policy-name {policyName}",
        )
        for kind, owner in (("User", _USER), ("Role", _ROLE), ("Group", _GROUP))
    },
    ("lambda", "CreateFunction"): _Rule(
        _FUNCTION, _FUNCTION, "aws lambda delete-function --function-name {functionName}"
    ),
    ("lambda", "UpdateFunctionCode"): _Rule(
        "changed code of function {functionName}", _FUNCTION, "deploy function {functionName} from its source"
    ),
    ("lambda", "UpdateFunctionConfiguration"): _Rule(
        "changed configuration of function {functionName}",
        _FUNCTION,
        "deploy function {functionName} from its source",
    ),
    ("lambda", "AddPermission"): _Rule(
        "permission {statementId} to invoke function {functionName}",
        _FUNCTION,
        "aws lambda remove-permission --function-name {functionName} --statement-id {statementId}",
    ),
    ("lambda", "CreateFunctionUrlConfig"): _Rule(
        "public URL of function {functionName}",
        _FUNCTION,
        "aws lambda delete-function-url-config --function-name {functionName}",
    ),
}

# The name that a call removes. Everything with this owner disappears too.
_REMOVED: Mapping[tuple[str, str], str] = {
    ("iam", "DeleteUser"): _USER,
    ("iam", "DeleteAccessKey"): "access key {accessKeyId} of user {userName}",
    ("iam", "DeleteLoginProfile"): "login profile (console password) of user {userName}",
    ("iam", "RemoveUserFromGroup"): "membership of user {userName} in group {groupName}",
    ("iam", "DeleteGroup"): _GROUP,
    ("iam", "DeleteRole"): _ROLE,
    ("iam", "DeletePolicy"): "policy {policyArn}",
    ("iam", "DeleteSAMLProvider"): "SAML provider {sAMLProviderArn}",
    ("iam", "DeleteOpenIDConnectProvider"): "OIDC provider {openIDConnectProviderArn}",
    **{
        ("iam", f"Detach{kind}Policy"): f"policy {{policyArn}} attached to {owner}"
        for kind, owner in (("User", _USER), ("Role", _ROLE), ("Group", _GROUP))
    },
    **{
        ("iam", f"Delete{kind}Policy"): f"inline policy {{policyName}} of {owner}"
        for kind, owner in (("User", _USER), ("Role", _ROLE), ("Group", _GROUP))
    },
    ("lambda", "DeleteFunction"): _FUNCTION,
    ("lambda", "RemovePermission"): "permission {statementId} to invoke function {functionName}",
    ("lambda", "DeleteFunctionUrlConfig"): "public URL of function {functionName}",
}
_ALSO_REMOVED = {"DeleteLoginProfile": "changed console password of user {userName}"}

# The parameter with the names of the secrets or parameters that a call returns.
_READ: Mapping[tuple[str, str], tuple[str, str]] = {
    ("secretsmanager", "GetSecretValue"): ("secret", "secretId"),
    ("secretsmanager", "BatchGetSecretValue"): ("secret", "secretIdList"),
    ("ssm", "GetParameter"): ("parameter", "name"),
    ("ssm", "GetParameters"): ("parameter", "names"),
    ("ssm", "GetParametersByPath"): ("parameters under", "path"),
    ("ssm", "GetParameterHistory"): ("parameter", "name"),
}


def of(service: str, name: str, asked: Mapping[str, Any], answered: Mapping[str, Any], caller: str) -> Effects:
    """Return the effects of a successful call.

    Args:
        service: The first part of the event source.
        name: The event's name.
        asked: The parameters of the request.
        answered: The elements of the response.
        caller: The name of the user who made the call: calls about one's own credentials name no user.
    """
    action = (service, _VERSION.sub("", name) if service == "lambda" else name)
    values = _values(asked, answered, caller)
    if rule := _CREATED.get(action):
        quoted = _Known({key: shlex.quote(value) for key, value in values.items()})
        shown = rule.name.format_map(values)
        return Effects(lasting=(Lasting(shown, rule.owner.format_map(values), rule.undo.format_map(quoted)),))
    if action in _REMOVED:
        removed = [_REMOVED[action], *filter(None, [_ALSO_REMOVED.get(action[1])])]
        return Effects(removed=tuple(one.format_map(values) for one in removed))
    if action in _READ:
        kind, parameter = _READ[action]
        given = asked.get(parameter)
        found = given if isinstance(given, list) else [given] if given else ["(unknown name)"]
        return Effects(read=tuple(f"{kind} {str(one)[:_NAME_LENGTH]}" for one in found[:_MOST_READ]))
    return NONE


class _Known(dict[str, str]):
    """The values of a call. A missing one is shown as unknown."""

    def __missing__(self, _name: str) -> str:
        return "(unknown)"


def _values(asked: Mapping[str, Any], answered: Mapping[str, Any], caller: str) -> _Known:
    """Return the texts of the request, and those of the response that name the created object."""
    found = {"userName": caller} if caller else {}
    for part in (answered, *(one for one in answered.values() if isinstance(one, Mapping)), asked):
        found |= {str(key): str(value)[:_NAME_LENGTH] for key, value in part.items() if isinstance(value, str)}
    created = answered.get("policy")
    if isinstance(created, Mapping) and created.get("arn"):
        found["policyArn"] = str(created["arn"])[:_NAME_LENGTH]
    if function := found.get("functionName"):
        found["functionName"] = function.rpartition(":function:")[2].partition(":")[0]
    return _Known(found)


class _Effective(Protocol):
    @property
    def lasting(self) -> tuple[Lasting, ...]: ...
    @property
    def removed(self) -> tuple[str, ...]: ...


def remaining(calls: Sequence[_Effective]) -> list[Lasting]:
    """Return the lasting effects that no later call removed, each once. `calls` are in the order of their times."""
    found: dict[str, Lasting] = {}
    for call in calls:
        found |= {one.name: one for one in call.lasting}
        for gone in call.removed:
            found = {name: one for name, one in found.items() if gone not in (name, one.owner)}
    return list(found.values())
