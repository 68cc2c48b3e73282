"""A containment that others undo or restrict, and one caller that makes keys for protected users."""

from __future__ import annotations

import json

import boto3

from tests.trials.world import ACCOUNT, incidents
from tests.trials.world.crashes import Scenario
from tests.trials.world.deployment import DENY_POLICY
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
    Scenario("containment: flood, a second protected user", _protected, acting(_second_protected), look),
)
