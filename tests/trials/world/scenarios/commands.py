"""`/security-ir` commands that change something, typed by Jane in a case's channel.

If Slack shows an error, she waits and repeats the command, unless an answer has arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ir_sandbox.slack.interactions import Interaction
from ir_sandbox.slack.people import Person
from tests.trials.world import incidents
from tests.trials.world.crashes import Scenario
from tests.trials.world.scenarios.canary import CANARY
from tests.trials.world.scenarios.cases import carry
from tests.trials.world.scenarios.containment import Incident, contained_with_calls, look, read_in_time
from tests.trials.world.world import World

_MOST_TRIES = 3


@dataclass(frozen=True)
class _Asked:
    jane: Person
    channel: str


def insist(world: World, person: Person, act: Callable[[], Interaction | None]) -> None:
    """Act as a user does: repeat the action if Slack shows an error and no answer arrives.

    `act` returns None when there is nothing left to do.
    """
    before = len(_told(world, person))
    for _ in range(_MOST_TRIES):
        outcome = act()
        if outcome is None or outcome.error is None:
            return
        world.settle(patience=30)
        if len(_told(world, person)) > before:
            return


def _told(world: World, person: Person) -> list[str]:
    return [answer["text"] for answer in world.workspace.ephemerals(person.id) if answer["via"] != "command"]


def _case(world: World) -> _Asked:
    jane = world.workspace.create_user("jane.smith", email="jane.smith@example.com", real_name="Jane Smith")
    world.workspace.create_user("bob.stone", email="bob@example.com", real_name="Bob Stone")
    watchers = [
        {"email": "jane.smith@example.com", "name": "Jane Smith"},
        {"email": "carol@example.com", "name": "Carol"},
    ]
    case_id = world.create_case(watchers=watchers)
    world.settle()
    world.poll()
    return _Asked(jane, world.channel_of(case_id))


def _typing(text: str) -> Callable[[World, object], None]:
    def act(world: World, there: object) -> None:
        assert isinstance(there, _Asked)
        insist(world, there.jane, lambda: there.jane.command(there.channel, "/security-ir", text))
        carry(world)

    return act


def _asked_to_close(world: World) -> _Asked:
    there = _case(world)
    there.jane.command(there.channel, "/security-ir", "close")
    world.settle()
    return there


def _close(world: World, there: object) -> None:
    assert isinstance(there, _Asked)
    if _question(world, there) is None:  # an error message has replaced the confirmation
        there.jane.command(there.channel, "/security-ir", "close")
        world.settle()
    insist(world, there.jane, lambda: _confirm(world, there))
    carry(world)


def _confirm(world: World, there: _Asked, button: str = "close_confirm") -> Interaction | None:
    """Press the button; return None if an answer has replaced the confirmation."""
    question = _question(world, there, button)
    return None if question is None else there.jane.press(there.channel, question, button)


def _question(world: World, there: _Asked, button: str = "close_confirm") -> str | None:
    """Return the `ts` of Jane's latest message if it is the request to confirm the closing, or another change."""
    last = world.workspace.ephemerals(there.jane.id)[-1]
    return str(last["ts"]) if button in str(last.get("blocks")) else None


def _case_and_security_channel(world: World) -> _Asked:
    """Create the channel for the reports about long faults, too. ir-router would make it then."""
    there = _case(world)
    incidents.security_channel(world, there.jane)
    return there


def _asked_to_escalate(world: World) -> _Asked:
    there = _case_and_security_channel(world)
    there.jane.command(there.channel, "/security-ir", "escalate")
    world.settle()
    return there


def _escalate(world: World, there: object) -> None:
    assert isinstance(there, _Asked)
    if _question(world, there, "escalate_confirm") is None:  # an error message has replaced the confirmation
        there.jane.command(there.channel, "/security-ir", "escalate")
        world.settle()
    insist(world, there.jane, lambda: _confirm(world, there, "escalate_confirm"))
    carry(world)


def _anywhere(world: World) -> _Asked:
    jane = world.workspace.create_user("jane.smith", real_name="Jane Smith")
    return _Asked(jane, world.workspace.create_channel("general-talk", [jane]).id)


def _create(world: World, there: object) -> None:
    assert isinstance(there, _Asked)
    if world.security_ir.call("ListCases", {})["items"]:
        return  # she looked for the case, as the message requested
    for _ in range(_MOST_TRIES):  # request a form again if it does not appear
        there.jane.command(there.channel, "/security-ir", f"create Key found {CANARY}")
        world.settle(patience=30)
        if there.jane.views():
            break
    if not there.jane.views():
        return  # she returns later
    view = there.jane.views()[-1].id
    for _ in range(_MOST_TRIES):
        attempt, _answer = there.jane.submit(view, {"description": f"Seen in public {CANARY}"})
        if attempt.reason is None:
            break
    carry(world)


def _first_activity(world: World) -> Incident:
    """Contain a user with calls, and let the first result by the schedule appear: a request has a result of its own."""
    there = contained_with_calls(world)
    world.live(3)
    return there


def _asking_for_activity(world: World, there: object) -> None:
    assert isinstance(there, Incident)
    (case_id,) = world.security_ir.snapshot()["cases"]
    insist(world, there.jane, lambda: there.jane.command(world.channel_of(case_id), "/security-ir", "activity"))
    world.settle(patience=30)
    read_in_time(world)


# A scenario for each sub-command of the catalogue (tests/unit/test_trials_cover.py).
COMMANDS = (
    Scenario("/security-ir update-status", _case, _typing("update-status Resolved"), by_person=True),
    Scenario("/security-ir update-title", _case, _typing(f"update-title Another title {CANARY}"), by_person=True),
    Scenario(
        "/security-ir update-description", _case, _typing(f"update-description Another text {CANARY}"), by_person=True
    ),
    Scenario("/security-ir add-watcher", _case, _typing("add-watcher bob@example.com"), by_person=True),
    Scenario("/security-ir remove-watcher", _case, _typing("remove-watcher carol@example.com"), by_person=True),
    Scenario("/security-ir comment", _case, _typing(f"comment For AWS alone {CANARY}"), by_person=True),
    Scenario("/security-ir close", _asked_to_close, _close, by_person=True),
    Scenario("/security-ir create", _anywhere, _create, by_person=True),
    Scenario("/security-ir activity", _first_activity, _asking_for_activity, look, by_person=True),
    Scenario("/security-ir escalate", _asked_to_escalate, _escalate, by_person=True),
    Scenario("/security-ir report", _case_and_security_channel, _typing("report"), by_person=True),
    Scenario("/security-ir sync", _case, _typing("sync"), by_person=True),
    Scenario("/security-ir status", _case, _typing("status"), by_person=True),
    Scenario("/security-ir incident-details", _case, _typing("incident-details"), by_person=True),
    Scenario("/security-ir approvals", _case, _typing("approvals"), by_person=True),
    Scenario("/security-ir release", _case, _typing("release"), by_person=True),
    Scenario("/security-ir list", _case, _typing("list"), by_person=True),
    Scenario("/security-ir help", _case, _typing("help"), by_person=True),
)
