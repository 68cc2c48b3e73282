"""Texts with which AWS Health names a principal: names, unique ids, ARNs of sessions, root and the account."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from moto.iam.models import iam_backends

from tests.support.iam_answers import Answers
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, asked, iam_state, role_is_denied
from tests.trials.world.state_machine import StateMachine

USER_ID, ROLE_ID = "AIDACKCEVSQ6C2EXAMPLE", "AROACKCEVSQ6C2EXAMPLE"
INSTANCE = "i-0123456789abcdef0"


def cases(world: World) -> list[Any]:
    return list(world.security_ir.call("ListCases", {})["items"])


@pytest.mark.parametrize(
    ("entity", "says"),
    [
        ("UNKNOWN", "The event names no IAM user or role"),
        ("deleted-user", "IAM shows no user or role"),
        ("AIDACKCEVSQ6C2EXAMPLE", "IAM shows no user or role"),
        ("AROACKCEVSQ6C2EXAMPLE", "IAM shows no user or role"),
        ("AROACKCEVSQ6C2EXAMPLE:session", "IAM shows no user or role"),
        ("AGPACKCEVSQ6C2EXAMPLE", "IAM shows no user or role"),
        ("root@example.com", "the e-mail address of root"),
        ("AWS_ACCOUNT", "The event names no IAM user or role"),
        (f"arn:aws:iam::{ACCOUNT}:user/team/deleted", "deleted or renamed"),
        (f"arn:aws:iam::{ACCOUNT}:role/deleted", "no longer has"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/deleted/{INSTANCE}", "no longer has"),
        (f"arn:aws:sts::{ACCOUNT}:federated-user/jane", 'Federated session (the caller chose this name): "jane"'),
        (f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/{INSTANCE}", "The event names no IAM user or role"),
        ("ASIAIOSFODNN7EXAMPLE", "The event names no IAM user or role"),
    ],
)
def test_given_an_entity_that_iam_does_not_know_when_reported_then_people_must_act_and_there_is_a_case(
    world: World, machine: StateMachine, entity: str, says: str
) -> None:
    execution = machine.start(support.exposed(entity))

    assert execution.status == "SUCCEEDED"
    (alert,) = alerts(world)
    assert alert["Subject"].startswith("ACT by hand now")
    assert says in alert["Message"]
    assert len(cases(world)) == 1


@pytest.mark.parametrize(
    "form",
    [" {key} ", "{key} (deploy)", f"arn:aws:iam::{ACCOUNT}:access-key/{{key}}", "deploy:{key}", "user/team/deploy"],
)
def test_given_a_key_or_user_amid_other_text_when_reported_then_its_user_is_contained(
    world: World, machine: StateMachine, form: str
) -> None:
    (key,) = support.user("deploy")

    machine.start(support.exposed(form.format(key=key)))

    assert iam_state(world, "deploy") == support.IamState({key: "Inactive"}, denied=True)


@pytest.mark.parametrize(
    "form",
    [
        "AROAEXAMPLEEXAMPLE123:{key}",
        "AROAEXAMPLEEXAMPLE123:x {key}",
        f"{ACCOUNT}:{{key}}",
        "backdoor-{key}",
        "{key}-backdoor",
        "x={key}",
        "user/{key}",
        "role/{key}",
        "user/{key}/backdoor",
        "assumed-role/web/{key}",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/web/{{key}} (web)",
        f"arn:aws:iam::{ACCOUNT}:user/a:{{key}},/backdoor",
        f"arn:aws:iam::{ACCOUNT}:instance-profile/{{key}}",
    ],
)
def test_given_a_key_in_a_name_that_a_caller_can_choose_when_reported_then_its_owner_is_not_contained(
    world: World, machine: StateMachine, form: str
) -> None:
    (key,) = support.user("deploy")

    machine.start(support.exposed(form.format(key=key)))

    assert iam_state(world, "deploy") == support.IamState({key: "Active"}, denied=False)
    assert alerts(world)[0]["Subject"].startswith("ACT by hand now")


@pytest.mark.parametrize("form", ["backdoor-{key}", "user/backdoor-{key}", "user/{key}"])
def test_given_a_user_whose_name_has_the_key_of_another_when_reported_then_that_user_is_contained(
    world: World, machine: StateMachine, form: str
) -> None:
    (key,) = support.user("deploy")
    entity = form.format(key=key)
    named = entity.removeprefix("user/")
    support.user(named)

    machine.start(support.exposed(entity))

    assert iam_state(world, named).denied
    assert not iam_state(world, "deploy").denied


@pytest.mark.parametrize(("entity", "of_role"), [("role/web", True), ("role/app/web", True), ("user/web", False)])
def test_given_a_kind_and_a_name_of_a_user_and_a_role_when_reported_then_the_kind_decides(
    world: World, machine: StateMachine, entity: str, of_role: bool
) -> None:
    support.user("web")
    support.role("web")

    machine.start(support.exposed(entity))

    assert role_is_denied(world, "web") is of_role
    assert iam_state(world, "web").denied is not of_role


def test_given_an_entity_with_two_keys_when_reported_then_people_must_act(world: World, machine: StateMachine) -> None:
    (key,) = support.user("deploy")

    machine.start(support.exposed(f"{key}, AKIAOTHER00000000001"))

    assert not iam_state(world, "deploy").denied
    assert alerts(world)[0]["Subject"].startswith("ACT by hand now")


@pytest.mark.parametrize("entity", ["root", "ROOT", "<root_account>", f"arn:aws:iam::{ACCOUNT}:root"])
def test_given_a_text_for_root_when_reported_then_root_is_alerted_as_critical(
    world: World, machine: StateMachine, entity: str
) -> None:
    machine.start(support.exposed(entity))

    (alert,) = alerts(world)
    assert alert["Subject"].startswith(f"ACT now: root of account {ACCOUNT} - CRITICAL")


@pytest.mark.parametrize("with_path", [False, True])
@pytest.mark.parametrize("services", [(), ("ec2.amazonaws.com",)])
@pytest.mark.parametrize("form", ["name", "id", "id and session", "session"])
def test_given_an_entity_that_means_a_role_when_reported_then_the_rules_for_roles_apply(
    world: World, machine: StateMachine, form: str, services: tuple[str, ...], with_path: bool
) -> None:
    support.role("web-role", "/app/" if with_path else "/", services)
    unique_id = boto3.client("iam").get_role(RoleName="web-role")["Role"]["RoleId"]
    entity = {
        "name": "web-role",
        "id": unique_id,
        "id and session": f"{unique_id}:{INSTANCE}",
        "session": f"arn:aws:sts::{ACCOUNT}:assumed-role/web-role/{INSTANCE}",
    }[form]

    machine.start(support.exposed(entity))

    (alert,) = alerts(world)
    assert role_is_denied(world, "web-role") is not bool(services)
    assert "role web-role" in alert["Subject"]
    assert ("needs an approval before its containment" in alert["Message"]) is bool(services)
    assert (f"Instance: {INSTANCE}" in alert["Message"]) is ("session" in form)
    assert len(asked(world)) == len(cases(world)) == 1


@pytest.mark.parametrize("form", ["name", "id", "e-mail", "path"])
def test_given_an_entity_that_means_a_user_when_reported_then_the_user_is_contained(
    world: World, machine: StateMachine, form: str
) -> None:
    name = "root@example.com" if form == "e-mail" else "alice"
    support.user(name)
    stored: Any = iam_backends[ACCOUNT]["aws"].users[name]
    stored.id = "AIDACKCEVSQ6C2EXAMPLE"
    entity = {
        "name": name,
        "e-mail": name,
        "id": stored.id,
        "path": f"arn:aws:iam::{ACCOUNT}:user/{name}",
    }[form]

    world.environment["IR_CONTAIN_ACTOR"] = "true"
    machine.start(support.exposed(entity))

    assert iam_state(world, name).denied
    (alert,) = alerts(world)
    assert f"user {name} contained" in alert["Subject"]


def test_given_a_name_of_a_user_and_a_role_when_reported_then_the_user_is_contained(
    world: World, machine: StateMachine
) -> None:
    support.user("web")
    support.role("web")

    machine.start(support.exposed("web"))

    assert iam_state(world, "web").denied
    assert not role_is_denied(world, "web")


@pytest.mark.parametrize("status", ["RESOLVED", "UNIMPAIRED", "PENDING", "UNKNOWN"])
def test_given_an_entity_with_any_status_when_the_event_is_open_then_its_user_is_contained_and_the_alert_has_the_status(
    world: World, machine: StateMachine, status: str
) -> None:
    (key,) = support.user("deploy")
    event = support.exposed(key)
    event["detail"]["affectedEntities"][0]["status"] = status

    machine.start(event)

    assert iam_state(world, "deploy") == support.IamState({key: "Inactive"}, denied=True)
    (alert,) = alerts(world)
    assert f"Status of the affected entity in AWS Health: {status}" in alert["Message"]


@pytest.mark.parametrize(("unique_id", "call"), [(USER_ID, "ListUsers"), (ROLE_ID, "ListRoles")])
def test_given_iam_that_denies_the_list_when_a_unique_id_is_reported_then_people_must_act_and_there_is_a_case(
    world: World, machine: StateMachine, unique_id: str, call: str
) -> None:
    Answers(world, call, ("AccessDenied", 403, "no"), until=float("inf"))

    execution = machine.start(support.exposed(unique_id))

    assert execution.status == "SUCCEEDED"
    assert alerts(world)[0]["Subject"].startswith("ACT by hand now")
    assert len(cases(world)) == 1
