"""Calls from CloudTrail records: their results, their lasting effects and the CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ir_router.cases import activity, lasting_changes, trail_calls
from ir_router.cases.activity import Activity, Scope
from ir_router.cases.trail_calls import TrailCall

USER = "arn:aws:iam::123456789012:user/mallory"
IDENTITY = {"type": "IAMUser", "userName": "mallory", "accessKeyId": "AKIA1", "arn": USER}


def record(name: str, service: str = "iam", **changes: Any) -> Mapping[str, Any]:
    return {
        "eventID": f"{name}-{changes}",
        "eventTime": "2026-01-15T18:05:00Z",
        "eventName": name,
        "eventSource": f"{service}.amazonaws.com",
        "awsRegion": "us-east-1",
        "userIdentity": IDENTITY,
        **changes,
    }


def call(name: str, service: str = "iam", **changes: Any) -> TrailCall:
    found = trail_calls.of_record(record(name, service, **changes), USER)
    assert found is not None
    return found


def left(*calls: TrailCall) -> list[str]:
    return [one.name for one in lasting_changes.remaining(calls)]


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (None, "succeeded"),
        ("AccessDenied", "denied"),
        ("AccessDeniedException", "denied"),
        ("Client.UnauthorizedOperation", "denied"),
        ("ThrottlingException", "failed"),
    ],
)
def test_given_an_error_code_when_read_then_it_decides_the_result(error: str | None, result: str) -> None:
    assert call("ListUsers", errorCode=error).result == result


def test_given_a_record_without_id_or_time_when_read_then_there_is_no_call() -> None:
    assert trail_calls.of_record(record("ListUsers", eventID=None), USER) is None
    assert trail_calls.of_record(record("ListUsers", eventTime="yesterday"), USER) is None


@pytest.mark.parametrize("parameters", [None, "HIDDEN_DUE_TO_SECURITY_REASONS", [1], {"userName": {"nested": 1}}])
def test_given_unusual_parameters_when_read_then_the_effect_is_listed_all_the_same(parameters: Any) -> None:
    assert left(call("CreateUser", requestParameters=parameters, responseElements=parameters)) == ["user mallory"]


def test_given_long_texts_of_a_record_when_read_then_they_are_cut_at_their_limits() -> None:
    found = call("ListUsers", sourceIPAddress="a" * 101, userAgent="b" * 301, errorCode="c" * 301)
    assert (found.address, found.agent, found.error) == ("a" * 100, "b" * 300, "c" * 300)


def test_given_the_sources_of_a_reading_when_named_then_the_regions_come_first_and_cloudtrail_lake_last() -> None:
    scope = Scope({}, since=0.0, read_at=1.0, regions=["us-east-1", "eu-west-1"], keys=[])
    assert scope.places == "us-east-1, eu-west-1"
    assert replace(scope, lake=True).places == "us-east-1, eu-west-1, and from CloudTrail Lake in all Regions"


def test_given_a_denied_creation_when_read_then_nothing_stays() -> None:
    assert left(call("CreateUser", errorCode="AccessDenied", requestParameters={"userName": "eve"})) == []


def test_given_a_key_of_the_caller_when_created_then_its_user_and_the_command_are_named() -> None:
    created = call("CreateAccessKey", responseElements={"accessKey": {"accessKeyId": "AKIA2", "userName": "mallory"}})
    (effect,) = created.lasting
    assert effect.name == "access key AKIA2 of user mallory"
    assert effect.undo == "aws iam delete-access-key --user-name mallory --access-key-id AKIA2"


def test_given_a_name_for_a_shell_when_read_then_the_command_quotes_it() -> None:
    (effect,) = call("CreateUser", requestParameters={"userName": "eve; rm -rf"}).lasting
    assert effect.undo.endswith("--user-name 'eve; rm -rf'")


def test_given_effects_when_later_calls_remove_them_then_only_the_others_stay() -> None:
    role, user = {"roleName": "r"}, {"userName": "eve"}
    policy = {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    made = [
        call("CreateUser", requestParameters=user),
        call("AttachUserPolicy", requestParameters={**user, **policy}),
        call("PutRolePolicy", requestParameters={**role, "policyName": "p"}),
        call("UpdateAssumeRolePolicy", requestParameters=role),
        call("CreateFunction20150331", "lambda", requestParameters={"functionName": "f"}),
        call("UpdateFunctionCode20150331v2", "lambda", requestParameters={"functionName": "g"}),
    ]
    assert len(left(*made)) == 6
    removed = [
        call("DeleteRolePolicy", requestParameters={**role, "policyName": "p"}),
        call("DeleteUser", requestParameters=user),
        call(
            "DeleteFunction20150331",
            "lambda",
            requestParameters={"functionName": "arn:aws:lambda:us-east-1:123456789012:function:f"},
        ),
    ]
    assert left(*made, *removed) == ["changed trust policy of role r", "changed code of function g"]
    assert left(*made, *removed, call("DeleteRole", requestParameters=role)) == ["changed code of function g"]


@pytest.mark.parametrize(
    ("name", "service", "asked", "read"),
    [
        ("GetSecretValue", "secretsmanager", {"secretId": "db"}, ("secret db",)),
        ("GetParameters", "ssm", {"names": ["/a", "/b"]}, ("parameter /a", "parameter /b")),
        ("GetParametersByPath", "ssm", {"path": "/prod"}, ("parameters under /prod",)),
        ("GetSecretValue", "secretsmanager", None, ("secret (unknown name)",)),
        ("DescribeSecret", "secretsmanager", {"secretId": "db"}, ()),
    ],
)
def test_given_a_read_of_secrets_when_read_then_they_are_named(
    name: str, service: str, asked: Any, read: tuple[str, ...]
) -> None:
    assert call(name, service, requestParameters=asked).read == read


def test_given_a_call_when_stored_and_loaded_then_it_is_the_same() -> None:
    for one in (
        call("CreateUser", requestParameters={"userName": "eve"}),
        call("DeleteUser", requestParameters={"userName": "eve"}),
        call("GetSecretValue", "secretsmanager", requestParameters={"secretId": "db"}),
    ):
        assert trail_calls.from_row(trail_calls.to_row(one)) == one


def test_given_opened_sessions_when_read_then_only_successful_ones_count() -> None:
    opened = {"credentials": {"accessKeyId": "ASIA1"}, "assumedRoleUser": {"arn": "arn:aws:sts::1:assumed-role/r/s"}}
    found = trail_calls.opened_session(record("AssumeRole", "sts", responseElements=opened))
    assert found is not None
    assert (found.key, found.account) == ("ASIA1", "1")
    assert trail_calls.opened_session(record("AssumeRole", "sts", errorCode="AccessDenied")) is None
    assert trail_calls.opened_session(record("GetUser", responseElements=opened)) is None


@pytest.mark.parametrize(
    ("target", "account"),
    [
        ("222222222222", "222222222222"),
        ("arn:aws:iam::222222222222:root", "222222222222"),
        (None, ""),
        ("someone", ""),
    ],
)
def test_given_a_root_session_when_opened_then_its_account_is_the_target(target: str | None, account: str) -> None:
    asked = {
        "targetPrincipal": target,
        "taskPolicyArn": {"arn": "arn:aws:iam::aws:policy/root-task/S3UnlockBucketPolicy"},
    }
    answered = {"credentials": {"accessKeyId": "ASIA1", "sessionToken": "secret", "expiration": "Oct 25, 2026"}}
    found = trail_calls.opened_session(record("AssumeRoot", "sts", requestParameters=asked, responseElements=answered))
    assert found == trail_calls.Session("ASIA1", account)


@pytest.mark.parametrize("agent", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_given_a_formula_as_user_agent_when_written_as_csv_then_no_spreadsheet_executes_it(agent: str) -> None:
    scope = Scope({USER: 0.0}, since=0.0, read_at=1.0, regions=["us-east-1"], keys=["key AKIA1"])
    text = activity.csv_text(Activity([call("ListUsers", userAgent=agent)], scope))
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["user agent"] == f"'{agent}"
    assert row["after containment"] == "yes"


def test_given_many_long_values_when_commented_then_the_comment_names_the_number_of_the_others() -> None:
    calls = [call("ListUsers", eventID=str(number), userAgent=f"{number} {'x' * 400}") for number in range(40)]
    scope = Scope({}, since=0.0, read_at=1.0, regions=["us-east-1"], keys=["key AKIA1"], limited=["some calls"])
    text = activity.comment(Activity(calls, scope), "activity-1.csv")
    assert "- and 25 more" in text
    assert "Not complete: some calls." in text
    assert max(map(len, text.splitlines())) < 400


VALUES = {
    "userName": "U", "roleName": "R", "groupName": "G", "functionName": "F", "accessKeyId": "K", "policyArn": "P",
    "policyName": "N", "statementId": "S", "sAMLProviderArn": "M", "openIDConnectProviderArn": "O",
}  # fmt: skip
# For each call that creates or changes access: its effect, the thing with which the effect disappears, and its undoing.
LASTING = (
    (
        "iam",
        "CreateUser",
        "user U",
        "user U",
        "remove its keys, password and policies, then aws iam delete-user --user-name U",
    ),
    (
        "iam",
        "CreateAccessKey",
        "access key K of user U",
        "user U",
        "aws iam delete-access-key --user-name U --access-key-id K",
    ),
    (
        "iam",
        "CreateLoginProfile",
        "login profile (console password) of user U",
        "user U",
        "aws iam delete-login-profile --user-name U",
    ),
    (
        "iam",
        "UpdateLoginProfile",
        "changed console password of user U",
        "user U",
        "aws iam delete-login-profile --user-name U",
    ),
    (
        "iam",
        "CreateServiceSpecificCredential",
        "service-specific credential of user U",
        "user U",
        "aws iam list-service-specific-credentials --user-name U, then delete-service-specific-credential",
    ),
    (
        "iam",
        "UploadSSHPublicKey",
        "SSH public key of user U",
        "user U",
        "aws iam list-ssh-public-keys --user-name U, then delete-ssh-public-key",
    ),
    (
        "iam",
        "AddUserToGroup",
        "membership of user U in group G",
        "user U",
        "aws iam remove-user-from-group --user-name U --group-name G",
    ),
    (
        "iam",
        "CreateGroup",
        "group G",
        "group G",
        "remove its members and policies, then aws iam delete-group --group-name G",
    ),
    ("iam", "CreateRole", "role R", "role R", "detach and delete its policies, then aws iam delete-role --role-name R"),
    (
        "iam",
        "UpdateAssumeRolePolicy",
        "changed trust policy of role R",
        "role R",
        "set the earlier policy (AWS Config shows it): aws iam update-assume-role-policy --role-name R ...",
    ),
    ("iam", "CreatePolicy", "policy P", "", "aws iam delete-policy --policy-arn P"),
    (
        "iam",
        "CreatePolicyVersion",
        "new version of policy P",
        "policy P",
        "aws iam set-default-policy-version to the earlier version, then delete-policy-version, --policy-arn P",
    ),
    (
        "iam",
        "SetDefaultPolicyVersion",
        "other default version of policy P",
        "policy P",
        "aws iam set-default-policy-version --policy-arn P --version-id <the earlier one>",
    ),
    ("iam", "CreateSAMLProvider", "SAML provider M", "", "aws iam delete-saml-provider --saml-provider-arn M"),
    (
        "iam",
        "CreateOpenIDConnectProvider",
        "OIDC provider O",
        "",
        "aws iam delete-open-id-connect-provider --open-id-connect-provider-arn O",
    ),
    (
        "iam",
        "AttachUserPolicy",
        "policy P attached to user U",
        "user U",
        "aws iam detach-user-policy --user-name U --policy-arn P",
    ),
    (
        "iam",
        "AttachRolePolicy",
        "policy P attached to role R",
        "role R",
        "aws iam detach-role-policy --role-name R --policy-arn P",
    ),
    (
        "iam",
        "AttachGroupPolicy",
        "policy P attached to group G",
        "group G",
        "aws iam detach-group-policy --group-name G --policy-arn P",
    ),
    (
        "iam",
        "PutUserPolicy",
        "inline policy N of user U",
        "user U",
        "aws iam delete-user-policy --user-name U --policy-name N",
    ),
    (
        "iam",
        "PutRolePolicy",
        "inline policy N of role R",
        "role R",
        "aws iam delete-role-policy --role-name R --policy-name N",
    ),
    (
        "iam",
        "PutGroupPolicy",
        "inline policy N of group G",
        "group G",
        "aws iam delete-group-policy --group-name G --policy-name N",
    ),
    ("lambda", "CreateFunction", "function F", "function F", "aws lambda delete-function --function-name F"),
    ("lambda", "UpdateFunctionCode", "changed code of function F", "function F", "deploy function F from its source"),
    (
        "lambda",
        "UpdateFunctionConfiguration",
        "changed configuration of function F",
        "function F",
        "deploy function F from its source",
    ),
    (
        "lambda",
        "AddPermission",
        "permission S to invoke function F",
        "function F",
        "aws lambda remove-permission --function-name F --statement-id S",
    ),
    (
        "lambda",
        "CreateFunctionUrlConfig",
        "public URL of function F",
        "function F",
        "aws lambda delete-function-url-config --function-name F",
    ),
)
REMOVED = (
    ("iam", "DeleteUser", ["user U"]),
    ("iam", "DeleteAccessKey", ["access key K of user U"]),
    ("iam", "DeleteLoginProfile", ["login profile (console password) of user U", "changed console password of user U"]),
    ("iam", "RemoveUserFromGroup", ["membership of user U in group G"]),
    ("iam", "DeleteGroup", ["group G"]),
    ("iam", "DeleteRole", ["role R"]),
    ("iam", "DeletePolicy", ["policy P"]),
    ("iam", "DeleteSAMLProvider", ["SAML provider M"]),
    ("iam", "DeleteOpenIDConnectProvider", ["OIDC provider O"]),
    ("iam", "DetachUserPolicy", ["policy P attached to user U"]),
    ("iam", "DetachRolePolicy", ["policy P attached to role R"]),
    ("iam", "DetachGroupPolicy", ["policy P attached to group G"]),
    ("iam", "DeleteUserPolicy", ["inline policy N of user U"]),
    ("iam", "DeleteRolePolicy", ["inline policy N of role R"]),
    ("iam", "DeleteGroupPolicy", ["inline policy N of group G"]),
    ("lambda", "DeleteFunction", ["function F"]),
    ("lambda", "RemovePermission", ["permission S to invoke function F"]),
    ("lambda", "DeleteFunctionUrlConfig", ["public URL of function F"]),
)


@pytest.mark.parametrize(("service", "name", "effect", "owner", "undo"), LASTING)
def test_given_a_call_that_leaves_access_when_read_then_effect_owner_and_undoing_are_named(
    service: str, name: str, effect: str, owner: str, undo: str
) -> None:
    assert call(name, service, requestParameters=VALUES).lasting == (lasting_changes.Lasting(effect, owner, undo),)


@pytest.mark.parametrize(("service", "name", "removed"), REMOVED)
def test_given_a_call_that_removes_access_when_read_then_the_removed_effects_are_named(
    service: str, name: str, removed: list[str]
) -> None:
    found = call(name, service, requestParameters=VALUES)

    assert found.removed == tuple(removed)
    created = [one for one in LASTING if one[2] in removed]
    assert created or name in ("DeleteSAMLProvider", "DeleteOpenIDConnectProvider")


def test_given_long_names_and_many_secrets_when_read_then_names_are_cut_and_fifty_are_kept() -> None:
    long = "n" * 201
    (made,) = call("CreateUser", requestParameters={"userName": long}).lasting
    assert made.name == f"user {long[:200]}"
    (policy,) = call("CreatePolicy", responseElements={"policy": {"arn": long}}).lasting
    assert policy.name == f"policy {long[:200]}"

    found = call("GetParameters", "ssm", requestParameters={"names": [f"{number}{long}" for number in range(10, 61)]})
    assert [len(one) for one in found.read] == [len("parameter ") + 200] * 50
    assert found.read[-1].startswith("parameter 59n")
