"""Containment of a user's key, from the event to the decision, by button and by Invoke."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from moto.iam.models import iam_backends

from ir_router.commands import people
from ir_sandbox import cloud_trail
from ir_sandbox.slack.interactions import Interaction
from ir_sandbox.slack.people import Person
from tests.trials.world import ACCOUNT, incidents, picture
from tests.trials.world.crashes import Scenario
from tests.trials.world.picture import Picture, number_cases, steady
from tests.trials.world.state_machine import StateMachine
from tests.trials.world.world import World

USER = "backdoor"
OTHER = "second"  # the same caller makes a key for this user too
_HOUR = 3600.0
# A subject has at most 100 characters, so that it may end within the id of a key.
_CUT_KEY = re.compile(r"AKIA\w*\.\.\.$")
# An analyst retries when the command line shows an error.
_MOST_TRIES = 4
# Work that a dead poll had started is settled after the poll's latest possible end: Lambda's 15 minutes and 30 s.
_MINUTES_UNTIL_SETTLED = 20


@dataclass(frozen=True)
class Incident:
    """The people, the channel and the workflow of one scenario, with the keys of the user."""

    jane: Person
    channel: str
    machine: StateMachine
    keys: list[str]
    alerted: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)

    def event(self, world: World, number: int, key: str | None = None, user: str = USER) -> None:
        """Report a new key of the user (or `key`), and start the execution with this number."""
        if key is None:
            key = _key_after(self.keys[-1], user)
            self.keys.append(key)
        created = incidents.key_created(world, user, key, eventID=f"event-{number}", requestID=f"request-{number}")
        self.machine.start(created | {"id": f"event-{number}"}, f"execution-{number}")
        world.settle(patience=30)


def _key_after(key: str, user: str) -> str:
    """Create a key whose id sorts after the given one, so that lists of keys have the same order in each run."""
    iam = boto3.client("iam")
    while True:
        made = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
        if made > key:
            return made
        iam.delete_access_key(UserName=user, AccessKeyId=made)


def watched(world: World) -> Incident:
    """Create Jane (response team), the security channel with the app in it, and a user with a key."""
    people.forget_groups()
    jane, channel = incidents.jane_and_her_channel(world)
    machine = StateMachine(world)
    world.carriers.append(machine.carry)
    keys = incidents.user(USER)
    incidents.user(OTHER, keys=0)
    world.settle()
    world.poll()
    return Incident(jane, channel, machine, keys)


def contained(world: World) -> Incident:
    """Report a new key, so that its user is contained."""
    there = watched(world)
    there.event(world, 1)
    world.live(1)
    return there


def contained_with_calls(world: World) -> Incident:
    """Report a new key, whose calls CloudTrail shows on two pages."""
    # Other scenarios have reminders. A poll that dies delays one by up to a quarter of an hour.
    world.environment["IR_REMINDER_MINUTES"] = "[1200]"
    there = watched(world)
    there.event(world, 1)
    moment = datetime.fromtimestamp(world.now(), UTC)
    caller = incidents.user_identity(USER, there.keys[0])
    world.trail.add(
        *(
            cloud_trail.record("ListUsers", moment - timedelta(seconds=60 + number), caller, eventID=f"call-{number}")
            for number in range(60)
        )
    )
    return there


def read_in_time(world: World, _there: object = None) -> None:
    """Let the calls be read, up to the last reading after an hour."""
    world.live(3)
    world.advance(_HOUR)
    world.live(2)


def _flooded(world: World) -> Incident:
    there = contained(world)
    there.event(world, 2, user=OTHER)
    world.live(1)
    return there


def _contained_by_mallory(world: World) -> Incident:
    name = incidents.ATTACKER["name"]
    incidents.user(name, 0)
    iam_backends[ACCOUNT]["aws"].users[name].id = incidents.user_identity(name, "")["principalId"]
    return contained(world)


def acting(act: Callable[[World, Incident], None]) -> Callable[[World, object], None]:
    """Return the action, followed by the work that it causes."""

    def run(world: World, there: object) -> None:
        assert isinstance(there, Incident)
        act(world, there)
        world.settle(patience=30)
        world.live(1)

    return run


def _event(world: World, there: Incident) -> None:
    there.event(world, 1)


def _joining(world: World, there: Incident) -> None:
    there.event(world, 2, there.keys[0])


def _joining_for_actor(world: World, there: Incident) -> None:
    there.event(world, 2, user=OTHER)


def deciding(action: str, values: dict[str, object]) -> Callable[[World, Incident], None]:
    """Return a function that decides by a button and its form."""

    def act(world: World, there: Incident) -> None:
        for _ in range(_MOST_TRIES):  # request a form again if it does not appear
            if there.jane.views() or _press(world, there, action) is None:
                break
            world.settle(patience=30)
        if not there.jane.views():
            return
        view = there.jane.views()[-1].id
        for _ in range(_MOST_TRIES):
            attempt, _answer = there.jane.submit(view, values)
            if attempt.reason is None:
                break

    return act


def pressing(action: str) -> Callable[[World, Incident], None]:
    """Return a function that presses a button without a form, and once more if Slack shows an error."""

    def act(world: World, there: Incident) -> None:
        for _ in range(_MOST_TRIES):
            pressed = _press(world, there, action)
            world.settle(patience=30)
            if pressed is None or pressed.error is None:
                break

    return act


def _press(world: World, there: Incident, action: str) -> Interaction | None:
    """Press a button whose action id begins so; return None if no approval message has such a button any more."""
    for message in world.workspace.channel_messages(there.channel):
        elements = [one for block in message.get("blocks") or [] for one in block.get("elements") or []]
        for name in (str(one.get("action_id")) for one in elements):
            if name.startswith(action):
                return there.jane.press(there.channel, str(message["ts"]), name)
    return None


def _contain_creator(world: World, there: Incident) -> None:
    for _ in range(_MOST_TRIES):  # request a form again if it does not appear
        if there.jane.views() or _press(world, there, "creator_contain") is None:
            break
        world.settle(patience=30)
    if not there.jane.views():
        return
    view = there.jane.views()[-1].id
    for _ in range(_MOST_TRIES):
        attempt, _answer = there.jane.submit(view, {})
        if attempt.reason is None:
            break


def invoking(decision: str) -> Callable[[World, Incident], None]:
    """Return a function that invokes the approval handler with the token from the queue, as `aws
    lambda invoke` does.
    """

    def act(world: World, there: Incident) -> None:
        # An analyst who repeats the command uses the same token.
        there.tokens.update(message["taskToken"] for message in incidents.waiting(world))
        (token,) = there.tokens
        payload = {"task_token": token, "decision": decision, "analyst": "jane", "notes": "seen"}
        for _ in range(_MOST_TRIES):
            if world.try_invoke("approval-handler", payload).error is None:
                return

    return act


def _nobody(world: World, _there: Incident) -> None:
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


def _root_signs_in(world: World, there: Incident) -> None:
    identity = {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root"}
    record = incidents.call(world, "CreateAccessKey", eventID="event-9", requestID="request-9", userIdentity=identity)
    there.machine.start(incidents.event(record) | {"id": "event-9"}, "execution-9")


def look(world: World, there: object) -> Picture:
    """Return the state of both sides, with IAM, the executions, the audit, and each alert and approval message once."""
    assert isinstance(there, Incident)
    # The rule -upkeep. It deletes messages of decided requests that a function had hidden when it died.
    world.try_invoke("workflow", {"task": "open_missing_cases"})
    lines = []
    for user in (USER, OTHER):
        state = incidents.iam_state(world, user)
        lines += [f"{user}: key {key} {status}" for key, status in state.keys.items()]
        lines.append(f"{user}: deny policy attached: {state.denied}")
    creator = incidents.ATTACKER["name"]
    if any(user["UserName"] == creator for user in boto3.client("iam").list_users()["Users"]):
        lines.append(f"deny policy attached to the creator: {incidents.iam_state(world, creator).denied}")
    lines += [f"{one.name} {one.status}: {' > '.join(one.steps)}" for one in there.machine.executions.values()]
    lines += [f"audit: {row['action']} by {row['actor']}" for row in incidents.audit_rows()]
    cases = world.security_ir.snapshot()["cases"]
    lines = [number_cases(steady(line), cases) for line in lines]
    alerts = incidents.alerts(world)  # reading empties this queue
    told = [f"{_CUT_KEY.sub('<key>', str(alert['Subject']))}: {alert['Message']}" for alert in alerts]
    there.alerted.update(number_cases(steady(text), cases) for text in told)
    asked = {number_cases(steady(str(_without_what_varies(one))), cases) for one in incidents.waiting(world)}
    lines += [f"alert: {text}" for text in there.alerted] + [f"asked: {text}" for text in asked]
    taken = picture.take(world)
    # Texts show the first and last four characters of a key.
    names = {key: f"<key {number}>" for number, key in enumerate(there.keys)}
    names |= {f"{key}": f"<key {number}>" for number, key in enumerate(there.keys)}
    return replace(taken, workflow=Counter(lines)).with_names(names)


def _without_what_varies(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    varies = ("taskToken", "seconds_from_event", "seconds_from_arrival")
    return {name: _without_what_varies(item) for name, item in value.items() if name not in varies}


CONTAINMENT = (
    Scenario("containment: a key is made and contained", watched, acting(_event), look),
    Scenario("containment: a second event joins", contained, acting(_joining), look),
    Scenario("containment: a second user of one caller joins", contained, acting(_joining_for_actor), look),
    Scenario("containment: two users, approved", _flooded, acting(invoking("approve")), look, by_person=True),
    Scenario("containment: two users, denied", _flooded, acting(invoking("deny")), look, by_person=True),
    Scenario(
        "containment: approved by button and form",
        contained,
        acting(deciding("approval_approve", {})),
        look,
        by_person=True,
    ),
    Scenario(
        "containment: denied by button and form",
        contained,
        acting(deciding("approval_deny", {"reason": "planned rotation"})),
        look,
        by_person=True,
    ),
    Scenario("containment: approved by Invoke", contained, acting(invoking("approve")), look, by_person=True),
    Scenario("containment: denied by Invoke", contained, acting(invoking("deny")), look, by_person=True),
    Scenario(
        "containment: the creator by button and form",
        _contained_by_mallory,
        acting(_contain_creator),
        look,
        by_person=True,
    ),
    Scenario("containment: its calls are read", contained_with_calls, acting(read_in_time), look),
    Scenario("containment: nobody decides", contained, acting(_nobody), look),
    Scenario("containment: root, alerted only", watched, acting(_root_signs_in), look),
)
