"""`/security-ir` commands that change something, as Jane types them in a case's channel.

A person whom Slack shows an error waits, and tries again unless an answer has come after all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from ir_local.slack.interactions import Interaction
from ir_local.slack.people import Person
from ir_local.world import picture
from ir_local.world.crashes import Scenario
from ir_local.world.picture import Picture
from ir_local.world.scenarios.canary import CANARY
from ir_local.world.scenarios.cases import carry
from ir_local.world.world import World

_MOST_TRIES = 3


@dataclass(frozen=True)
class _Asked:
    jane: Person
    channel: str


def insist(world: World, person: Person, act: Callable[[], Interaction | None]) -> None:
    """Do it as a person does: again, when Slack says that it failed and nothing has come of it.

    `act` gives None when there is nothing to do any more.
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
        assert isinstance(there, _Asked)  # noqa: S101 - what `_case` gave
        insist(world, there.jane, lambda: there.jane.command(there.channel, "/security-ir", text))
        carry(world)

    return act


def _asked_to_close(world: World) -> _Asked:
    there = _case(world)
    there.jane.command(there.channel, "/security-ir", "close")
    world.settle()
    return there


def _close(world: World, there: object) -> None:
    assert isinstance(there, _Asked)  # noqa: S101 - what `_asked_to_close` gave
    if _question(world, there) is None:  # an error has taken its place
        there.jane.command(there.channel, "/security-ir", "close")
        world.settle()
    insist(world, there.jane, lambda: _confirm(world, there))
    carry(world)


def _confirm(world: World, there: _Asked) -> Interaction | None:
    """Press the button; None when an answer has taken the question's place."""
    question = _question(world, there)
    return None if question is None else there.jane.press(there.channel, question, "close_confirm")


def _question(world: World, there: _Asked) -> str | None:
    """The `ts` of what Jane was told last, if that is whether to close the case."""
    last = world.workspace.ephemerals(there.jane.id)[-1]
    return str(last["ts"]) if "close_confirm" in str(last.get("blocks")) else None


def _anywhere(world: World) -> _Asked:
    jane = world.workspace.create_user("jane.smith", real_name="Jane Smith")
    return _Asked(jane, world.workspace.create_channel("general-talk", [jane]).id)


def _create(world: World, there: object) -> None:
    assert isinstance(there, _Asked)  # noqa: S101 - what `_anywhere` gave
    if world.security_ir.call("ListCases", {})["items"]:
        return  # she looked for it, as she was told
    for _ in range(_MOST_TRIES):  # a form that does not come is asked for again
        there.jane.command(there.channel, "/security-ir", f"create Key found {CANARY}")
        world.settle(patience=30)
        if there.jane.views():
            break
    if not there.jane.views():
        return  # she comes back later
    view = there.jane.views()[-1].id
    for _ in range(_MOST_TRIES):
        attempt, _answer = there.jane.submit(view, {"description": f"Seen in public {CANARY}"})
        if attempt.reason is None:
            break
    carry(world)


_STATUS_CHANGE = re.compile(r"\*Status\*: (.+?) → (.+?), by")


def _in_one_step(world: World, _: object) -> Picture:
    """As always; but a status that was reached over another one, with time between, is told as one change."""
    taken = picture.take(world)
    changes = {found[1]: (text, found[2]) for text in taken.messages if (found := _STATUS_CHANGE.search(text))}
    first, between = changes.get("Open (Submitted)", ("", ""))
    if between not in changes:
        return taken
    second, after = changes[between]
    told = Counter(
        {
            text: count
            for text, count in taken.messages.items()
            if text not in (first, second) and f"channel topic: Status: {between}" not in text
        }
    )
    return replace(taken, messages=told + Counter([first.replace(between, after)]))


COMMANDS = (
    Scenario("/security-ir update-status", _case, _typing("update-status Resolved"), look=_in_one_step, by_person=True),
    Scenario("/security-ir update-title", _case, _typing(f"update-title Another title {CANARY}"), by_person=True),
    Scenario(
        "/security-ir update-description", _case, _typing(f"update-description Another text {CANARY}"), by_person=True
    ),
    Scenario("/security-ir add-watcher", _case, _typing("add-watcher bob@example.com"), by_person=True),
    Scenario("/security-ir remove-watcher", _case, _typing("remove-watcher carol@example.com"), by_person=True),
    Scenario("/security-ir comment", _case, _typing(f"comment For AWS alone {CANARY}"), by_person=True),
    Scenario("/security-ir close", _asked_to_close, _close, by_person=True),
    Scenario("/security-ir create", _anywhere, _create, by_person=True),
    Scenario("/security-ir sync", _case, _typing("sync"), by_person=True),
)
