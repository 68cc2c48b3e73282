"""The session policies of the workflow, and the clients that it keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ir_router import aws, clock
from ir_router.errors import NotConfiguredError
from ir_router.settings import settings
from ir_router.workflow import sessions

OWN, MEMBER = "111122223333", "444455556666"
MALLORY: Any = {"kind": "user", "name": "mallory", "arn": "arn:u", "account": MEMBER}
DEPLOY: Any = {"kind": "role", "name": "de$ploy*?", "arn": "arn:r", "account": ""}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    requests: list[dict[str, Any]] = []

    def assume_role(**request: Any) -> Any:
        requests.append(request | {"Policy": json.loads(request["Policy"])})
        return {"Credentials": {"AccessKeyId": f"ASIA{len(requests)}"}}

    monkeypatch.setenv("IR_CONTAINMENT_ROLE_ARN", f"arn:aws:iam::{OWN}:role/acme-containment")
    monkeypatch.setattr(aws, "client", lambda _name: SimpleNamespace(assume_role=assume_role))
    monkeypatch.setattr(aws, "iam_of_session", lambda credentials: credentials["AccessKeyId"])
    settings.cache_clear()
    sessions.forget()
    yield requests
    sessions.forget()
    settings.cache_clear()


def test_given_principals_when_changed_then_each_session_names_its_account_execution_and_principal(
    asked: list[dict[str, Any]],
) -> None:
    sessions.begin_task("x" * 80)
    sessions.changer(MALLORY)
    sessions.changer(DEPLOY)
    sessions.begin_task("ir-router")

    user, role = asked
    assert user["RoleArn"] == f"arn:aws:iam::{MEMBER}:role/acme-containment"
    assert role["RoleArn"] == f"arn:aws:iam::{OWN}:role/acme-containment"
    assert user["RoleSessionName"] == f"ir-{'x' * 61}"
    assert user["DurationSeconds"] == 900
    keys, attach, detach = user["Policy"]["Statement"]
    assert keys["Action"] == ["iam:UpdateAccessKey", "iam:DeleteAccessKey"]
    assert keys["Resource"] == attach["Resource"] == detach["Resource"]
    assert keys["Resource"] == [f"arn:aws:iam::{MEMBER}:user/mallory", f"arn:aws:iam::{MEMBER}:user/*/mallory"]
    earlier = f"arn:aws:iam::{MEMBER}:policy/security-incident-containment-deny"
    current = "arn:aws:iam::aws:policy/AWSDenyAll"
    assert attach["Condition"] == {"ArnEquals": {"iam:PolicyARN": [current]}}
    assert detach["Condition"] == {"ArnEquals": {"iam:PolicyARN": [current, earlier]}}
    attach, detach = role["Policy"]["Statement"]
    assert (attach["Action"], detach["Action"]) == (["iam:AttachRolePolicy"], ["iam:DetachRolePolicy"])
    assert attach["Resource"][0] == f"arn:aws:iam::{OWN}:role/de${{$}}ploy${{*}}${{?}}"


def test_given_sessions_when_asked_for_then_one_is_kept_for_each_account_until_five_minutes_before_its_end(
    asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(clock, "now", lambda: now)
    reader: Callable[[str], Any] = sessions.reader
    assert reader("") == reader(OWN) == "ASIA1"
    assert reader(MEMBER) == "ASIA2"
    assert asked[0]["Policy"]["Statement"] == [
        {"Effect": "Allow", "Action": ["iam:Get*", "iam:List*"], "Resource": "*"}
    ]
    now += 599
    assert reader("") == "ASIA1"
    now += 1
    assert reader("") == "ASIA3"


def failing(error: Exception) -> Any:
    def assume_role(**_: Any) -> Any:
        raise error

    def describe_account(**_: Any) -> Any:
        raise refused("AccessDeniedException")

    return lambda _name: SimpleNamespace(assume_role=assume_role, describe_account=describe_account)


def refused(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "AssumeRole")


def test_given_a_role_that_is_denied_when_asked_for_then_the_error_names_account_role_and_policy(
    asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "not authorized to perform: sts:AssumeRole with an explicit deny in a service control policy"
    monkeypatch.setattr(aws, "client", failing(refused("AccessDenied", message)))
    with pytest.raises(sessions.NoRoleError) as error:
        sessions.changer(MALLORY)
    assert f"{MEMBER} cannot be reached: AWS denied the role acme-containment" in str(error.value)
    assert "(explicit deny in a service control policy)" in str(error.value)
    with pytest.raises(sessions.NoRoleError, match=f"in account {OWN}: AWS denied the role acme-containment"):
        sessions.reader("")
    sessions.prepare()  # the first use reports the error

    monkeypatch.setattr(aws, "client", failing(refused("Throttling")))
    with pytest.raises(ClientError):
        sessions.reader("")
    monkeypatch.setattr(aws, "client", failing(EndpointConnectionError(endpoint_url="https://sts.example")))
    sessions.prepare()
    monkeypatch.delenv("IR_CONTAINMENT_ROLE_ARN")
    settings.cache_clear()
    sessions.prepare()
    with pytest.raises(NotConfiguredError):
        sessions.reader("")
    assert asked == []
