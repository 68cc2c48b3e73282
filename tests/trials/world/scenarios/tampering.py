"""A containment that others undo or restrict, one of an earlier version, and one caller that makes keys for protected
users.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import boto3

from ir_router.ledger import containments
from tests.trials.world import ACCOUNT, incidents
from tests.trials.world.crashes import Scenario
from tests.trials.world.deployment import DENY_POLICY, earlier_deny_policy
from tests.trials.world.picture import Picture
from tests.trials.world.scenarios.containment import (
    OTHER,
    USER,
    Incident,
    acting,
    contained,
    deciding,
    invoking,
    look,
    watched,
)
from tests.trials.world.world import World

_HOUR = 3600.0
# A run that died holds the lock of the principal until its latest possible end: Lambda's 15 minutes and 30 s.
_MINUTES_UNTIL_RENEWED = 20


def _detached(world: World, there: Incident) -> None:
    """Detach the deny policy, as the caller of a published tool does, and deliver the event."""
    _undo(world, there)
    identity = incidents.user_identity("eve", "AKIAEVE0000000000001")
    record = incidents.call(
        world,
        "DetachUserPolicy",
        eventID="event-7",
        requestID="request-7",
        userIdentity=identity,
        requestParameters={"userName": USER, "policyArn": DENY_POLICY},
    )
    there.machine.start(incidents.event(record) | {"id": "event-7"}, "execution-7")


def _undo(world: World, there: Incident) -> None:
    iam = boto3.client("iam")
    iam.detach_user_policy(UserName=USER, PolicyArn=DENY_POLICY)
    iam.update_access_key(UserName=USER, AccessKeyId=there.keys[0], Status="Active")


def _restricted(world: World) -> Incident:
    """Contain the user, then attach AWS's quarantine policy to it."""
    there = contained(world)
    iam = boto3.client("iam")
    statement = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = iam.create_policy(PolicyName="AWSCompromisedKeyQuarantineV3", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_user_policy(UserName=USER, PolicyArn=arn)
    world.live(1)
    return there


def _approved(world: World) -> Incident:
    there = contained(world)
    invoking("approve")(world, there)
    world.settle(patience=30)
    world.live(2)
    return there


def _undone_after_the_end(world: World, there: Incident) -> None:
    boto3.client("iam").detach_user_policy(UserName=USER, PolicyArn=DENY_POLICY)
    world.advance(_HOUR)


def _protected(world: World) -> Incident:
    there = watched(world)
    users = [f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in (USER, OTHER)]
    world.environment["IR_PROTECTED_PRINCIPALS"] = json.dumps(users)
    there.event(world, 1)
    world.live(1)
    return there


def _second_protected(world: World, there: Incident) -> None:
    there.event(world, 2, user=OTHER)


def _contained_by_earlier_version(world: World) -> Incident:
    """Contain the user, and leave policies and recorded state as a version before 0.2.0 would have left them."""
    # A run that died delays the decision. Other scenarios have reminders.
    world.environment["IR_REMINDER_MINUTES"] = "[1200]"
    there = contained(world)
    iam = boto3.client("iam")
    iam.attach_user_policy(UserName=USER, PolicyArn=earlier_deny_policy(iam))
    iam.detach_user_policy(UserName=USER, PolicyArn=DENY_POLICY)
    arn = f"arn:aws:iam::{ACCOUNT}:user/{USER}"
    row = containments.get(arn)
    assert row is not None
    recorded = {name: value for name, value in row["recorded"].items() if name != "earlier_attached"}
    assert containments.annotate(arn, row["incident"], recorded=recorded)
    return there


def _renewed(world: World, there: Incident) -> None:
    """Let verifications replace the earlier policy, and deny."""
    for _ in range(_MINUTES_UNTIL_RENEWED):
        if _attached() == [DENY_POLICY]:
            break
        world.live(1)
    invoking("deny")(world, there)


def _denied_during_renewal(world: World, there: Incident) -> None:
    """Let one verification attach AWSDenyAll, and deny while both policies are attached."""
    world.live(1)
    invoking("deny")(world, there)


def _attached() -> list[str]:
    found = boto3.client("iam").list_attached_user_policies(UserName=USER)["AttachedPolicies"]
    return sorted(one["PolicyArn"] for one in found)


def _look_at_policies(world: World, there: object) -> Picture:
    taken = look(world, there)
    return replace(taken, workflow=taken.workflow + Counter(f"{USER}: policy {arn}" for arn in _attached()))


TAMPERING = (
    Scenario("containment: tampering, the deny policy is detached", contained, acting(_detached), look),
    Scenario("containment: undone and verified again", contained, acting(_undo), look),
    Scenario("containment: undone after an approval", _approved, acting(_undone_after_the_end), look),
    Scenario(
        "containment: released by button and form",
        _approved,
        acting(deciding("release_access", {"reason": "keys rotated"})),
        look,
        by_person=True,
    ),
    Scenario("containment: denied after a quarantine", _restricted, acting(invoking("deny")), look, by_person=True),
    Scenario(
        "containment: earlier policy, renewed and denied",
        _contained_by_earlier_version,
        acting(_renewed),
        _look_at_policies,
        by_person=True,
    ),
    Scenario(
        "containment: earlier policy, denied during its renewal",
        _contained_by_earlier_version,
        acting(_denied_during_renewal),
        _look_at_policies,
        by_person=True,
    ),
    Scenario("containment: flood, a second protected user", _protected, acting(_second_protected), look),
)
