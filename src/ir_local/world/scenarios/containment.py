"""Containment of a user's key, from the event to the decision, by button and by Invoke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import boto3

from ir_local.slack.interactions import Interaction
from ir_local.slack.people import Person
from ir_local.world import ACCOUNT, incidents, picture
from ir_local.world.crashes import Scenario
from ir_local.world.picture import Picture, number_cases, steady
from ir_local.world.scenarios.commands import insist
from ir_local.world.state_machine import StateMachine
from ir_local.world.world import World
from ir_router.commands import people

_USER = "backdoor"
_HOUR = 3600.0
# An analyst tries again when the command line shows an error.
_MOST_TRIES = 4
# What a poll that died had begun is settled when it would have ended at the latest: Lambda's 15 minutes, and 30 s.
_MINUTES_UNTIL_SETTLED = 20


@dataclass(frozen=True)
class _Incident:
    jane: Person
    channel: str
    machine: StateMachine
    keys: list[str]
    alerted: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)

    def event(self, world: World, number: int, key: str | None = None) -> None:
        """A key was made for the user (or `key` was used): the rule starts the execution of that number."""
        if key is None:
            key = _key_after(self.keys[-1])
            self.keys.append(key)
        created = incidents.key_created(world, _USER, key, eventID=f"event-{number}", requestID=f"request-{number}")
        self.machine.start(created | {"id": f"event-{number}"}, f"execution-{number}")
        world.settle(patience=30)


def _key_after(key: str) -> str:
    """A new key whose id sorts after that one's, so that lists of keys have the same order in each run."""
    iam = boto3.client("iam")
    while True:
        made = iam.create_access_key(UserName=_USER)["AccessKey"]["AccessKeyId"]
        if made > key:
            return made
        iam.delete_access_key(UserName=_USER, AccessKeyId=made)


def _watched(world: World) -> _Incident:
    """Jane of the response team, the security channel with the app in it, and a user with a key of their own."""
    people.forget_groups()
    jane, channel = incidents.jane_and_her_channel(world)
    machine = StateMachine(world)
    world.carriers.append(machine.carry)
    keys = incidents.user(_USER)
    world.settle()
    world.poll()
    return _Incident(jane, channel, machine, keys)


def _contained(world: World) -> _Incident:
    there = _watched(world)
    there.event(world, 1)
    world.live(1)
    return there


def _acting(act: Callable[[World, _Incident], None]) -> Callable[[World, object], None]:
    def run(world: World, there: object) -> None:
        assert isinstance(there, _Incident)  # noqa: S101 - what `_watched` gave
        act(world, there)
        world.settle(patience=30)
        world.live(1)

    return run


def _event(world: World, there: _Incident) -> None:
    there.event(world, 1)


def _joining(world: World, there: _Incident) -> None:
    there.event(world, 2, there.keys[0])


def _approve(world: World, there: _Incident) -> None:
    insist(world, there.jane, lambda: _press(world, there, "approval_approve"))


def _deny(world: World, there: _Incident) -> None:
    for _ in range(_MOST_TRIES):  # a form that does not come is asked for again
        if there.jane.views() or _press(world, there, "approval_deny") is None:
            break
        world.settle(patience=30)
    if not there.jane.views():
        return
    view = there.jane.views()[-1].id
    for _ in range(_MOST_TRIES):
        attempt, _answer = there.jane.submit(view, {"reason": "planned rotation"})
        if attempt.reason is None:
            break


def _press(world: World, there: _Incident, action: str) -> Interaction | None:
    """Press a button of the question; None when it has none any more."""
    for message in world.workspace.channel_messages(there.channel):
        if action in str(message.get("blocks")):
            return there.jane.press(there.channel, str(message["ts"]), action)
    return None


def _invoking(decision: str) -> Callable[[World, _Incident], None]:
    """What `aws lambda invoke` of the approval handler does, with the token from the queue."""

    def act(world: World, _there: _Incident) -> None:
        (token,) = {message["taskToken"] for message in incidents.asked(world)}
        payload = {"task_token": token, "decision": decision, "analyst": "jane", "notes": "seen"}
        for _ in range(_MOST_TRIES):
            if world.try_invoke("approval-handler", payload).error is None:
                return

    return act


def _nobody(world: World, _there: _Incident) -> None:
    for number, hours in enumerate((1.0, 7.0, 12.0), start=1):  # a reminder after 1, 8 and 20 hours in both channels
        world.advance(hours * _HOUR)
        for _ in range(_MINUTES_UNTIL_SETTLED):
            world.live(1)
            if _reminders(world) >= 2 * number:
                break
    world.advance(4.0 * _HOUR)
    world.live(1)


def _reminders(world: World) -> int:
    said = [
        message for channel in world.workspace.store.channels for message in world.workspace.channel_messages(channel)
    ]
    return sum("Still waiting for a decision" in str(message.get("text")) for message in said)


def _root_signs_in(world: World, there: _Incident) -> None:
    identity = {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root"}
    record = incidents.call(world, "CreateAccessKey", eventID="event-9", requestID="request-9", userIdentity=identity)
    there.machine.start(incidents.event(record) | {"id": "event-9"}, "execution-9")


def look(world: World, there: object) -> Picture:
    """Both sides as always; and IAM, the executions, the audit, and what was said at least once, once each."""
    assert isinstance(there, _Incident)  # noqa: S101 - what `_watched` gave
    state = incidents.iam_state(world, _USER)
    lines = [f"key {key} {status}" for key, status in state.keys.items()]
    lines.append(f"deny policy attached: {state.denied}")
    lines += [f"{one.name} {one.status}: {' > '.join(one.path)}" for one in there.machine.executions.values()]
    lines += [f"audit: {row['action']} by {row['actor']}" for row in incidents.audit_rows()]
    cases = world.security_ir.snapshot()["cases"]
    lines = [number_cases(steady(line), cases) for line in lines]
    alerts, asked = incidents.alerts(world), incidents.asked(world)  # each is told once
    there.alerted.update(number_cases(steady(f"{alert['Subject']}: {alert['Message']}"), cases) for alert in alerts)
    there.asked.update(number_cases(steady(str(_without_what_varies(one))), cases) for one in asked)
    lines += [f"alert: {text}" for text in there.alerted] + [f"asked: {text}" for text in there.asked]
    taken = picture.take(world)
    # In texts keys are shown by their first and last four characters.
    names = {key: f"<key {number}>" for number, key in enumerate(there.keys)}
    names |= {f"{key[:4]}...{key[-4:]}": f"<key {number}>" for number, key in enumerate(there.keys)}
    return replace(taken, workflow=Counter(lines)).with_names(names)


def _without_what_varies(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    varies = ("taskToken", "seconds_from_event", "seconds_from_arrival")
    return {name: _without_what_varies(item) for name, item in value.items() if name not in varies}


CONTAINMENT = (
    Scenario("containment: a key is made and contained", _watched, _acting(_event), look),
    Scenario("containment: a second event joins", _contained, _acting(_joining), look),
    Scenario("containment: approved by button", _contained, _acting(_approve), look, by_person=True),
    Scenario("containment: denied by button and form", _contained, _acting(_deny), look, by_person=True),
    Scenario("containment: approved by Invoke", _contained, _acting(_invoking("approve")), look, by_person=True),
    Scenario("containment: denied by Invoke", _contained, _acting(_invoking("deny")), look, by_person=True),
    Scenario("containment: nobody decides", _contained, _acting(_nobody), look),
    Scenario("containment: root, alerted only", _watched, _acting(_root_signs_in), look),
)
