"""Attacks that use an entry of the allowlist for another principal than the one that it names."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.scenarios.test_containment_rejections import forever
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, iam_state
from tests.trials.world.state_machine import StateMachine

SSO = "AWSReservedSSO_Admin_0123456789abcdef"


def starts(world: World, machine: StateMachine, entry: str, identity: dict[str, Any]) -> bool:
    """Let the caller create a key under an allowlist entry; return whether the key's owner is contained."""
    world.environment["IR_ALLOWED_PRINCIPALS"] = json.dumps([entry])
    (key,) = support.user("backdoor")
    machine.start(support.key_created(world, "backdoor", key, userIdentity=identity))
    return iam_state(world, "backdoor").denied


@pytest.mark.parametrize(
    ("entry", "role", "session", "contained"),
    [
        ("sts::{}:assumed-role/deploy/jenkins", "deploy", "jenkins", True),  # the thief chooses this name
        ("sts::{}:assumed-role/deploy/jenkins-*", "deploy", "jenkins-7", True),
        ("sts::{}:assumed-role/deploy*", "deploy-x", "any", True),  # * does not cross a slash
        ("sts::{}:assumed-role/deploy/*", "deploy", "any", False),
        ("iam::{}:role/deploy", "deploy", "any", False),
        (f"sts::{{}}:assumed-role/{SSO}/jane@example.com", SSO, "jane@example.com", False),
        (f"sts::{{}}:assumed-role/{SSO}/jane@example.com", SSO, "bob@example.com", True),
    ],
)
def test_given_a_session_with_a_chosen_name_when_an_entry_has_that_name_then_only_persons_are_recognised_by_it(
    world: World, machine: StateMachine, entry: str, role: str, session: str, contained: bool
) -> None:
    identity = support.role_identity(role, session)
    assert starts(world, machine, f"arn:aws:{entry.format(ACCOUNT)}", identity) is contained


def test_given_a_user_on_another_path_when_an_entry_ends_in_an_asterisk_then_it_is_contained(
    world: World, machine: StateMachine
) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:user/ci/mallory"
    identity = {**support.user_identity("mallory", "AKIAMALLORY000000001"), "arn": arn}
    assert starts(world, machine, f"arn:aws:iam::{ACCOUNT}:user/c*", identity)


def test_given_an_entry_with_a_session_name_when_added_then_a_warning_states_that_it_allows_nothing(
    world: World, machine: StateMachine
) -> None:
    value = f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/jenkins"
    task = {"task": "allowlist_add", "kind": "principal", "value": value, "reason": "deploys", "added_by": "Jane"}
    assert "callers choose the names of their sessions" in world.invoke("workflow", task)["warning"]


def test_given_a_principal_created_with_an_allowlisted_name_when_it_creates_a_key_then_people_are_alerted(
    world: World, machine: StateMachine
) -> None:
    boto3.client("iam").create_user(UserName="deployer")
    identity = support.user_identity("deployer", "AKIADEPLOYER00000001")

    assert not starts(world, machine, f"arn:aws:iam::{ACCOUNT}:user/deployer", identity)

    (alert,) = alerts(world)
    assert "The caller was created within the last 7 days." in alert["Message"]


def test_given_an_allowlisted_caller_that_iam_does_not_show_when_it_creates_a_key_then_it_is_alerted_and_not_contained(
    world: World, machine: StateMachine
) -> None:
    boto3.client("iam").create_user(UserName="deployer")
    forever(world, [("GetUser", "AccessDenied", 403, "not allowed")])
    identity = support.user_identity("deployer", "AKIADEPLOYER00000001")

    assert not starts(world, machine, f"arn:aws:iam::{ACCOUNT}:user/deployer", identity)

    (alert,) = alerts(world)
    assert "IAM did not show when the caller was created." in alert["Message"]


def test_given_a_caller_of_another_account_when_a_new_user_here_has_its_name_then_the_entry_counts(
    world: World, machine: StateMachine
) -> None:
    boto3.client("iam").create_user(UserName="deployer")
    arn = "arn:aws:iam::210987654321:user/deployer"
    identity = support.user_identity("deployer", "AKIADEPLOYER00000001") | {"arn": arn, "accountId": "210987654321"}

    assert not starts(world, machine, arn, identity)

    assert alerts(world) == []


@pytest.mark.parametrize("dies", [None, ("sns", "Publish"), ("dynamodb", "PutItem")])
def test_given_entries_of_deleted_principals_when_a_day_passes_then_one_alert_names_them_once(
    world: World, dies: tuple[str, str] | None
) -> None:
    """An attacker who may create roles can take the name of a deleted one."""
    role, user = support.role("deploy", "/ci/"), f"arn:aws:iam::{ACCOUNT}:user/jenkins"
    iam, sts = f"arn:aws:iam::{ACCOUNT}:", f"arn:aws:sts::{ACCOUNT}:assumed-role/"
    gone = [f"{iam}role/deploy", f"{sts}old-deploy/*", f"{iam}role/any-*", f"{iam}role/dep*", f"{sts}any-*/*", user]
    kept = [role, f"{sts}deploy/*", f"{role} via cloudformation.amazonaws.com", "arn:aws:iam::999999999999:role/e*"]
    kept += [f"{iam}role/ci/dep*", f"{iam}role/c*/deploy", f"{sts}dep*/jane@example.com", f"{iam}user/ja*"]
    support.user("jack")
    world.environment["IR_ALLOWED_PRINCIPALS"] = json.dumps([*kept, *gone[:-1]])
    add = {"task": "allowlist_add", "kind": "principal", "value": user, "reason": "deploys", "added_by": "Jane"}
    world.invoke("workflow", add)
    task = {"task": "check_allowlist_entries"}
    if dies:
        world.wire.kill_on(*dies, "before")
        world.try_invoke("workflow", task)
        assert world.wire.died_at is not None
        world.wire.spare()

    checked = [world.invoke("workflow", task)["missing"] for _ in range(2)]

    assert checked == [sorted(gone), None]
    subjects, messages = set(), set()
    for alert in alerts(world):
        subjects.add(alert["Subject"])
        messages.add(alert["Message"])
    assert subjects == {"REMOVE 6 entries of the allowlist: no principal in IAM has their names"}
    (message,) = messages
    assert all(f"\n{value}\n" in message for value in gone)

    support.user("jenkins")
    world.advance(86_400)
    assert world.invoke("workflow", task)["missing"] == sorted(gone[:-1])
    boto3.client("iam").delete_role(RoleName="deploy")
    world.advance(86_400)
    assert role in world.invoke("workflow", task)["missing"]
    (alert,) = alerts(world)
    assert alert["Subject"] == "REMOVE 6 entries of the allowlist: no principal in IAM has their names"
    assert gone[0] not in alert["Message"].splitlines()
