"""The crash scenarios of cases and channels in step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ir_local.slack.people import Person
from ir_local.world.crashes import Scenario
from ir_local.world.world import World

_WATCHERS = [
    {"email": "jane.smith@example.com", "name": "Jane Smith"},
    {"email": "ghost@example.com", "name": "Ghost"},
]


def _jane(world: World) -> Person:
    return world.workspace.create_user("jane.smith", email="jane.smith@example.com", real_name="Jane Smith")


def _carry(world: World, minutes: int = 1) -> None:
    world.settle(patience=30)
    world.live(minutes)


def _new_case(world: World, _: object) -> None:
    case_id = world.create_case(watchers=_WATCHERS)
    world.security_ir.add_comment_as(case_id, body="First finding")
    world.security_ir.add_comment_as(case_id, body="Second finding " + "x" * 4000)
    world.security_ir.add_attachment_as(case_id, file_name="evidence.bin", content=b"\x00\x01" * 500)
    world.advance(2)  # AWS has verified the attachment
    _carry(world)


@dataclass(frozen=True)
class _Prepared:
    case_id: str
    jane: Person
    ts: str
    channel: str


def _prepared(world: World) -> _Prepared:
    jane = _jane(world)
    world.workspace.create_user("bob.stone", email="bob@example.com", real_name="Bob Stone")
    case_id = world.create_case(watchers=[{"email": "bob@example.com", "name": "Bob Stone"}])
    world.settle()
    world.poll()
    channel = world.channel_of(case_id)
    ts = jane.post(channel, "said before")
    world.settle()
    return _Prepared(case_id, jane, ts, channel)


def _acting(act: Callable[[World, _Prepared], None]) -> Callable[[World, object], None]:
    def run(world: World, prepared: object) -> None:
        assert isinstance(prepared, _Prepared)  # noqa: S101 - what `_prepared` gave
        act(world, prepared)
        _carry(world)

    return run


def _messages(world: World, there: _Prepared) -> None:
    there.jane.post(there.channel, "one")
    world.deliver()  # what Slack delivers again at once comes before what is said next
    there.jane.post(there.channel, "long " * 3000)
    world.deliver()
    there.jane.post(there.channel, "a reply", thread_ts=there.ts)


def _edit(_: World, there: _Prepared) -> None:
    there.jane.edit(there.channel, there.ts, "said after")


def _longer_edit(_: World, there: _Prepared) -> None:
    there.jane.edit(there.channel, there.ts, "said at length " * 1000)


def _delete(_: World, there: _Prepared) -> None:
    there.jane.delete(there.channel, there.ts)


def _file(_: World, there: _Prepared) -> None:
    there.jane.upload(there.channel, "log März.txt", b"line\n" * 100, text="look")


def _status(world: World, there: _Prepared) -> None:
    world.security_ir.set_status_as(there.case_id, "Detection and Analysis")
    world.security_ir.call("UpdateCase", {"caseId": there.case_id, "title": "Critical breach"})


def _comment_edit(world: World, there: _Prepared) -> None:
    comment_id = world.security_ir.add_comment_as(there.case_id, body="frist")
    world.settle()
    world.security_ir.update_comment_as(there.case_id, comment_id, body="first, and longer " + "y" * 4000)


def _watchers(world: World, there: _Prepared) -> None:
    world.workspace.create_user("new.hand", email="new@example.com", real_name="New Hand")
    change = {
        "watchersToAdd": [{"email": "new@example.com", "name": "New Hand"}],
        "watchersToDelete": [{"email": "bob@example.com", "name": "Bob Stone"}],
    }
    world.security_ir.call("UpdateCase", {"caseId": there.case_id, **change})


def _closing(world: World, there: _Prepared) -> None:
    world.security_ir.add_comment_as(there.case_id, body="Last words")
    world.security_ir.close_case_as(there.case_id)


SCENARIOS = (
    Scenario("new case with comments, a file and watchers", _jane, _new_case),
    Scenario("Slack messages", _prepared, _acting(_messages)),
    Scenario("Slack edit", _prepared, _acting(_edit)),
    Scenario("Slack edit that makes it longer", _prepared, _acting(_longer_edit)),
    Scenario("Slack deletion", _prepared, _acting(_delete)),
    Scenario("Slack file", _prepared, _acting(_file)),
    Scenario("status and title change", _prepared, _acting(_status)),
    Scenario("comment edited on the case", _prepared, _acting(_comment_edit)),
    Scenario("watchers come and go", _prepared, _acting(_watchers)),
    Scenario("closing", _prepared, _acting(_closing)),
)
