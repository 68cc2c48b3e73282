"""Scenarios that synchronise cases and channels. All user text carries CANARY, so that a leak is detected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ir_sandbox.slack.people import Person
from tests.trials.world.crashes import Scenario
from tests.trials.world.scenarios.canary import CANARY
from tests.trials.world.world import World

_MORE_THAN_A_PAGE = 30
_WATCHERS = [
    {"email": "jane.smith@example.com", "name": "Jane Smith"},
    {"email": "ghost@example.com", "name": "Ghost"},
]


def jane_smith(world: World) -> Person:
    """Create Jane, a member of the response team."""
    return world.workspace.create_user("jane.smith", email="jane.smith@example.com", real_name="Jane Smith")


def carry(world: World, minutes: int = 1) -> None:
    """Process all pending work, then run this number of scheduled polls."""
    world.settle(patience=30)
    world.live(minutes)


def _new_case(world: World, _: object) -> None:
    case_id = world.create_case(watchers=_WATCHERS)
    world.security_ir.add_comment_as(case_id, body=f"First finding {CANARY}")
    world.security_ir.add_comment_as(case_id, body=f"Second finding {CANARY} " + "x" * 4000)
    world.security_ir.add_attachment_as(case_id, file_name=f"evidence-{CANARY}.bin", content=b"\x00\x01" * 500)
    world.advance(2)  # AWS has verified the attachment
    carry(world)


@dataclass(frozen=True)
class Prepared:
    """A case with a channel in which Jane has posted a message."""

    case_id: str
    jane: Person
    ts: str
    channel: str


def prepared_case(world: World) -> Prepared:
    """Create the case, its channel and a first message, and process all work."""
    jane = jane_smith(world)
    world.workspace.create_user("bob.stone", email="bob@example.com", real_name="Bob Stone")
    case_id = world.create_case(watchers=[{"email": "bob@example.com", "name": "Bob Stone"}])
    world.settle()
    world.poll()
    channel = world.channel_of(case_id)
    ts = jane.post(channel, f"said before {CANARY}")
    world.settle()
    return Prepared(case_id, jane, ts, channel)


def acting(act: Callable[[World, Prepared], None]) -> Callable[[World, object], None]:
    """Return a function that acts on a prepared case and processes the work."""

    def run(world: World, prepared: object) -> None:
        assert isinstance(prepared, Prepared)
        act(world, prepared)
        carry(world)

    return run


def _messages(world: World, there: Prepared) -> None:
    there.jane.post(there.channel, f"one {CANARY}")
    world.deliver()  # Slack's immediate redelivery comes before the next message
    there.jane.post(there.channel, f"{CANARY} " + "long " * 3000)
    world.deliver()
    there.jane.post(there.channel, f"a reply {CANARY}", thread_ts=there.ts)


def _edit(_: World, there: Prepared) -> None:
    there.jane.edit(there.channel, there.ts, f"said after {CANARY}")


def _longer_edit(_: World, there: Prepared) -> None:
    there.jane.edit(there.channel, there.ts, f"{CANARY} " + "said at length " * 1000)


def _delete(_: World, there: Prepared) -> None:
    there.jane.delete(there.channel, there.ts)


def _file(_: World, there: Prepared) -> None:
    there.jane.upload(there.channel, f"log März {CANARY}.txt", b"line\n" * 100, text=f"look {CANARY}")


def _status(world: World, there: Prepared) -> None:
    world.security_ir.set_status_as(there.case_id, "Detection and Analysis")
    world.security_ir.call("UpdateCase", {"caseId": there.case_id, "title": f"Critical breach {CANARY}"})


def _comment_edit(world: World, there: Prepared) -> None:
    comment_id = world.security_ir.add_comment_as(there.case_id, body=f"frist {CANARY}")
    world.settle()
    world.security_ir.update_comment_as(there.case_id, comment_id, body=f"first, and longer {CANARY} " + "y" * 4000)


def _case_with_two_pages_of_comments(world: World) -> Prepared:
    there = prepared_case(world)
    for number in range(_MORE_THAN_A_PAGE):
        world.security_ir.add_comment_as(there.case_id, body=f"finding {number} {CANARY}")
        world.advance(1)
    carry(world)
    world.advance(300)
    return there


def _old_comment_edit(world: World, there: Prepared) -> None:
    """Edit a comment that a run reads only when it compares all comments, and add a new one."""
    oldest = world.security_ir.call("ListComments", {"caseId": there.case_id})
    oldest = world.security_ir.call("ListComments", {"caseId": there.case_id, "nextToken": oldest["nextToken"]})
    comment_id = next(one["commentId"] for one in oldest["items"] if one["body"].startswith("finding 0 "))
    world.security_ir.update_comment_as(there.case_id, comment_id, body=f"corrected {CANARY}")
    world.security_ir.add_comment_as(there.case_id, body=f"the newest {CANARY}")


def _watchers(world: World, there: Prepared) -> None:
    world.workspace.create_user("new.hand", email="new@example.com", real_name="New Hand")
    change = {
        "watchersToAdd": [{"email": "new@example.com", "name": "New Hand"}],
        "watchersToDelete": [{"email": "bob@example.com", "name": "Bob Stone"}],
    }
    world.security_ir.call("UpdateCase", {"caseId": there.case_id, **change})


def _closing(world: World, there: Prepared) -> None:
    world.security_ir.add_comment_as(there.case_id, body=f"Last words {CANARY}")
    world.security_ir.close_case_as(there.case_id)


CASES = (
    Scenario("new case with comments, a file and watchers", jane_smith, _new_case),
    Scenario("Slack messages", prepared_case, acting(_messages)),
    Scenario("Slack edit", prepared_case, acting(_edit)),
    Scenario("Slack edit that makes it longer", prepared_case, acting(_longer_edit)),
    Scenario("Slack deletion", prepared_case, acting(_delete)),
    Scenario("Slack file", prepared_case, acting(_file)),
    Scenario("status and title change", prepared_case, acting(_status)),
    Scenario("comment edited on the case", prepared_case, acting(_comment_edit)),
    Scenario("old comment edited on a long case", _case_with_two_pages_of_comments, acting(_old_comment_edit)),
    Scenario("watchers come and go", prepared_case, acting(_watchers)),
    Scenario("closing", prepared_case, acting(_closing)),
)
