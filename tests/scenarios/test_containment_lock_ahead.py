"""C10: ir-router takes the lock by the name in the event, and gives it back if IAM shows another principal."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import boto3
import pytest
from moto.iam.models import iam_backends

from ir_router import together
from ir_router.ledger import containments
from tests.scenarios.test_containment_identity import rename
from tests.support.iam_answers import Answers
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.incidents import IamState, asked, decide, iam_state
from tests.trials.world.state_machine import StateMachine

USER = f"arn:aws:iam::{ACCOUNT}:user/"


@pytest.fixture(params=["ahead", "late"])
def order(request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let everything that runs at the same time end first, or begin last."""

    def started(work: Callable[[], Any]) -> Callable[[], Any]:
        if request.param == "late":
            return work
        try:
            return partial(_same, work())
        except Exception as error:  # noqa: BLE001 - the thread of the caller gets it
            return partial(_raised, error)

    assert world
    monkeypatch.setattr(together, "started", started)
    return str(request.param)


def _same(value: Any) -> Any:
    return value


def _raised(error: Exception) -> Any:
    raise error


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ARNs whose locks were taken, in order."""
    names: list[str] = []
    take = containments.take

    def noted(principal: str, until: float) -> containments.Lock:
        names.append(principal.removeprefix(USER))
        return take(principal, until)

    monkeypatch.setattr(containments, "take", noted)
    return names


def rows() -> dict[str, dict[str, Any]]:
    """Return the rows of contained or locked principals by the name in the ledger."""
    items = boto3.resource("dynamodb").Table("ledger").scan()["Items"]
    found = {str(item["PK"]).removeprefix("CONTAINMENT#"): dict(item) for item in items if item["SK"] == "META"}
    return {name.removeprefix(USER): row for name, row in found.items() if name.startswith(USER)}


@pytest.mark.usefixtures("order")
def test_given_an_event_with_the_right_name_when_contained_then_one_lock_is_taken_and_a_denial_restores_exactly(
    world: World, machine: StateMachine, taken: list[str]
) -> None:
    first, second = support.user("backdoor", 2)
    boto3.client("iam").update_access_key(UserName="backdoor", AccessKeyId=second, Status="Inactive")

    machine.start(support.key_created(world, "backdoor", first))

    assert taken == ["backdoor"]
    assert iam_state(world, "backdoor") == IamState({first: "Inactive", second: "Inactive"}, denied=True)
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    assert iam_state(world, "backdoor") == IamState({first: "Active", second: "Inactive"}, denied=False)
    assert rows() == {}


def test_given_an_event_with_an_old_name_when_contained_then_the_lock_of_that_name_is_given_back(
    world: World, machine: StateMachine, taken: list[str], order: str
) -> None:
    (key,) = support.user("backdoor")
    created = support.key_created(world, "backdoor", key)
    rename("backdoor", "elsewhere")

    machine.start(created)

    assert taken == ["backdoor", "elsewhere"], order
    assert iam_state(world, "elsewhere") == IamState({key: "Inactive"}, denied=True)
    assert list(rows()) == ["elsewhere"]
    assert "lock_until" not in rows()["elsewhere"]


@pytest.mark.usefixtures("order")
def test_given_an_old_name_that_a_contained_user_has_now_when_contained_then_neither_changes_the_other(
    world: World, machine: StateMachine
) -> None:
    (key,), (other,) = support.user("backdoor"), support.user("carol")
    created = support.key_created(world, "backdoor", key)
    rename("backdoor", "elsewhere")
    rename("carol", "backdoor")
    machine.start(support.key_created(world, "backdoor", other, userIdentity=support.user_identity("eve", "AKIAEVE1")))
    (request,) = asked(world)

    machine.start(created)

    assert iam_state(world, "elsewhere") == IamState({key: "Inactive"}, denied=True)
    decide(world, request["taskToken"], "deny")
    machine.advance()
    assert iam_state(world, "backdoor") == IamState({other: "Active"}, denied=False)
    assert iam_state(world, "elsewhere").denied
    assert all("lock_until" not in row for row in rows().values())


@pytest.mark.usefixtures("order")
def test_given_a_protected_user_when_an_event_names_it_then_no_lock_stays(world: World, machine: StateMachine) -> None:
    world.environment["IR_PROTECTED_PRINCIPALS"] = json.dumps([f"{USER}admins/founder"])
    iam = boto3.client("iam")
    iam.create_user(UserName="founder", Path="/admins/")
    key = iam.create_access_key(UserName="founder")["AccessKey"]["AccessKeyId"]

    machine.start(support.key_created(world, "founder", key))

    assert iam_state(world, "founder") == IamState({key: "Active"}, denied=False)
    assert rows() == {}


@pytest.mark.usefixtures("order")
@pytest.mark.parametrize("mode", ["dry_run", "off"])
def test_given_a_mode_that_changes_nothing_when_an_event_arrives_then_no_lock_is_taken(
    world: World, machine: StateMachine, taken: list[str], mode: str
) -> None:
    world.environment["IR_CONTAINMENT_MODE"] = mode

    machine.start(support.key_created(world, "backdoor", *support.user("backdoor")))

    assert taken == []


@pytest.mark.usefixtures("order")
def test_given_a_lock_that_another_run_holds_at_first_when_contained_then_it_is_taken_as_soon_as_it_is_free(
    world: World, machine: StateMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = containments.take
    refused: list[str] = []

    def busy_at_first(principal: str, until: float) -> containments.Lock:
        if not refused:
            refused.append(principal)
            raise containments.ContainmentBusyError("another run holds the lock")
        return take(principal, until)

    monkeypatch.setattr(containments, "take", busy_at_first)
    (key,) = support.user("backdoor")

    execution = machine.start(support.key_created(world, "backdoor", key))

    assert refused == [f"{USER}backdoor"]
    assert execution.path.count("Immediate Containment") == 1
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)


@pytest.mark.usefixtures("order")
def test_given_a_namesake_of_a_contained_user_when_contained_then_its_state_is_read_under_its_own_lock(
    world: World, machine: StateMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.start(support.key_created(world, "backdoor", *support.user("backdoor")))
    rename("backdoor", "elsewhere")
    key, other = support.user("backdoor", 2)
    take = containments.take

    def end_of_another_run(principal: str, until: float) -> containments.Lock:
        if "#" in principal:
            keys: Any = iam_backends[ACCOUNT]["aws"].users["backdoor"].access_keys
            next(one for one in keys if one.access_key_id == other).status = "Inactive"
        return take(principal, until)

    monkeypatch.setattr(containments, "take", end_of_another_run)
    identity = support.user_identity("eve", "AKIAEVE1")
    machine.start(support.key_created(world, "backdoor", key, userIdentity=identity))

    assert iam_state(world, "backdoor") == IamState({key: "Inactive", other: "Inactive"}, denied=True)
    decide(world, asked(world)[-1]["taskToken"], "deny")
    machine.advance()
    assert iam_state(world, "backdoor") == IamState({key: "Active", other: "Inactive"}, denied=False)


@pytest.mark.usefixtures("order")
@pytest.mark.parametrize("earlier", ["denied", "approved"])
def test_given_a_user_with_an_earlier_containment_that_renames_itself_when_contained_then_its_own_keys_are_disabled(
    world: World, machine: StateMachine, earlier: str
) -> None:
    first, second = support.user("backdoor", 2)
    machine.start(support.key_created(world, "backdoor", first))
    decide(world, asked(world)[0]["taskToken"], "deny" if earlier == "denied" else "approve")
    machine.advance()
    world.advance(7200)
    named = (
        first
        if earlier == "denied"
        else boto3.client("iam").create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]
    )
    created = support.key_created(world, "backdoor", named, userIdentity=support.user_identity("eve", "AKIAEVE1"))
    rename("backdoor", "elsewhere")

    machine.start(created)

    state = iam_state(world, "elsewhere")
    assert state.denied
    assert state.keys == {named: "Inactive", second: "Inactive"}


@pytest.mark.usefixtures("order")
def test_given_another_user_with_the_old_name_when_contained_then_its_state_is_not_recorded(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    machine.start(support.key_created(world, "backdoor", key))
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    world.advance(7200)
    created = support.key_created(world, "backdoor", key, userIdentity=support.user_identity("eve", "AKIAEVE1"))
    rename("backdoor", "elsewhere")
    support.user("carol")
    rename("carol", "backdoor")
    boto3.client("iam").attach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)

    machine.start(created)

    assert iam_state(world, "elsewhere") == IamState({key: "Inactive"}, denied=True)
    decide(world, asked(world)[-1]["taskToken"], "deny")
    machine.advance()
    assert iam_state(world, "elsewhere") == IamState({key: "Active"}, denied=False)


@pytest.mark.usefixtures("order")
def test_given_iam_shows_the_keys_of_a_new_user_late_when_contained_then_the_named_key_is_disabled(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    created = support.key_created(world, "backdoor", key)
    missing = ("NoSuchEntity", 404, "The user with name backdoor cannot be found.")
    Answers(world, "ListAccessKeys", missing)

    machine.start(created)

    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
