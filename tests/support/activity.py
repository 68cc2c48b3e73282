"""The calls of contained credentials: records for CloudTrail's history, and the results on the case."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from ir_sandbox import cloud_trail
from tests.support.approvals import case_channel
from tests.support.sync import attachment_contents
from tests.support.world import World
from tests.trials.world import ACCOUNT, incidents, organisation
from tests.trials.world.organisation import SHOP, iam_of, moved
from tests.trials.world.state_machine import StateMachine

USER = "backdoor"


def call(world: World, key: str, name: str, *, ago: float = 60, service: str = "iam", **changes: Any) -> dict[str, Any]:
    """Return the record of a call by the contained user, some seconds ago."""
    moment = datetime.fromtimestamp(world.now(), UTC) - timedelta(seconds=ago)
    return cloud_trail.record(name, moment, incidents.user_identity(USER, key), service=service, **changes)


def assumed(world: World, key: str, session_key: str, role: str = "admin", *, ago: float = 50) -> dict[str, Any]:
    """Return the record of the call with which the user opened a session of a role."""
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/evil"
    return call(
        world,
        key,
        "AssumeRole",
        ago=ago,
        service="sts",
        requestParameters={"roleArn": f"arn:aws:iam::{ACCOUNT}:role/{role}", "roleSessionName": "evil"},
        responseElements={
            "credentials": {"accessKeyId": session_key, "sessionToken": "secret"},
            "assumedRoleUser": {"arn": arn, "assumedRoleId": "AROA:evil"},
        },
    )


def by_session(world: World, session_key: str, name: str, *, ago: float = 40, **changes: Any) -> dict[str, Any]:
    identity = {**incidents.role_identity("admin", "evil"), "accessKeyId": session_key}
    moment = datetime.fromtimestamp(world.now(), UTC) - timedelta(seconds=ago)
    return cloud_trail.record(name, moment, identity, **changes)


def case_of(world: World) -> str:
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    return str(case["caseId"])


def shown(world: World) -> list[str]:
    """Return the messages about the activity in the case's channel, oldest first, with their blocks."""
    messages = world.workspace.channel_messages(case_channel(world))
    return [
        json.dumps(one["blocks"], ensure_ascii=False)
        for one in messages
        if "contained credentials" in str(one.get("text")) and one.get("bot_id")
    ]


def comments(world: World) -> list[str]:
    return [body for body in world.comments(case_of(world)) if "Activity of the contained credentials" in body]


def attachments(world: World) -> dict[str, list[dict[str, str]]]:
    """Return the rows of each CSV on the case by its name. Each CSV has a page next to it."""
    files = attached(world)
    tables = {name: content for name, content in files.items() if name.endswith(".csv")}
    assert {*files} - {*tables} == {name.replace(".csv", ".html") for name in tables}
    return {name: list(csv.DictReader(io.StringIO(content))) for name, content in tables.items()}


def attached(world: World) -> dict[str, str]:
    """Return the attachments of the case by name."""
    return {name: content.decode() for name, content in attachment_contents(world, case_of(world)).items()}


def contained_in_member(world: World, machine: StateMachine, name: str = "carol") -> str:
    """Contain a user of a member, whose name a user of the hub has too. Return the key."""
    organisation.found(world)
    for account in (ACCOUNT, SHOP):
        incidents.user(name, 1, account)
    key = iam_of(SHOP).create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    by = cloud_trail.user_identity(SHOP, "mallory", "AKIAMALLORY000000001")
    machine.start(moved(incidents.key_created(world, name, key, userIdentity=by), SHOP))
    world.settle()
    return str(key)


def in_account(record: dict[str, Any], account: str) -> dict[str, Any]:
    return dict(json.loads(json.dumps(record).replace(ACCOUNT, account)))
