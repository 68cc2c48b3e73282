"""X5 for commands: the function may die at any of its calls, before or after the effect, and the
command happens once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ir_router.commands.execution import StillAtWorkError
from ir_sandbox.slack.people import Person
from tests.support.commands import answers, case, case_with_channel, identified
from tests.support.world import World
from tests.trials.world.branches import Branches
from tests.trials.world.incidents import audit_actions

MOST_CALLS = 60


def crash_everywhere(world: World, begin: Callable[[int], None], check: Callable[[int], None]) -> int:
    """Repeat the command in branches, dying at the next call each time; return the number of deaths of `-slack`."""
    with Branches(world) as branches:
        for number in range(MOST_CALLS):
            if not branches.run(partial(dies, world, begin, check, number)):
                return number  # the command has succeeded
    raise AssertionError(f"more than {MOST_CALLS} calls")


def dies(world: World, begin: Callable[[int], None], check: Callable[[int], None], number: int) -> bool:
    begin(number)
    # A death before a call is equal to a death after the previous call.
    world.wire.kill_at(max(1, number), "after" if number else "before")
    world.settle()
    world.wire.spare()
    if world.wire.died_at is None or world.wire.died_at.deployment != "slack":
        return False
    check(number)
    assert world.dead == [], world.wire.died_at
    return True


def test_given_a_death_at_any_call_when_the_title_is_changed_then_it_is_changed_once_and_reported(world: World) -> None:
    world.unexpected.allow(StillAtWorkError)
    case_id, jane = case_with_channel(world)
    channel = world.channel_of(case_id)

    def begin(attempt: int) -> None:
        jane.command(channel, "/security-ir", f"update-title Title {attempt}")

    def check(attempt: int) -> None:
        assert case(world, case_id)["title"] == f"Title {attempt}"
        changed = f'to "Title {attempt}" by {identified(jane)} from Slack.'
        assert sum(changed in text for text in world.comments(case_id)) == 1, world.wire.died_at
        told = [text for text in answers(world, jane) if f'New title: "Title {attempt}"' in text]
        assert 1 <= len(told) <= 2, world.wire.died_at
        assert len(set(told)) == 1 or all(text.startswith("✅ Case title updated\nOld title:") for text in told)
        in_channel = [m["text"] for m in world.said(case_id) if m["text"].endswith(f"Title {attempt}, by Jane Smith")]
        assert len(in_channel) == 1, world.wire.died_at
        assert audit_actions() == ["command_executed"], world.wire.died_at

    assert crash_everywhere(world, begin, check) > 8


def test_given_a_death_at_any_call_when_aws_is_written_to_then_there_is_one_comment_and_none_in_the_channel(
    world: World,
) -> None:
    world.unexpected.allow(StillAtWorkError)
    case_id, jane = case_with_channel(world)
    channel = world.channel_of(case_id)

    def begin(attempt: int) -> None:
        jane.command(channel, "/security-ir", f"comment Note <{attempt}>")

    def check(attempt: int) -> None:
        assert sum(f"Note <{attempt}>" in text for text in world.comments(case_id)) == 1, world.wire.died_at
        assert not any(f"{attempt}&gt;" in message["text"] for message in world.said(case_id)), world.wire.died_at

    assert crash_everywhere(world, begin, check) > 8


def test_given_a_death_at_any_call_when_a_case_is_closed_then_it_is_closed_and_the_person_hears_of_it(
    world: World,
) -> None:
    world.unexpected.allow(StillAtWorkError)
    case_id, jane = case_with_channel(world)

    def begin(_: int) -> None:
        press_close(world, jane, case_id)

    def check(_: int) -> None:
        assert case(world, case_id)["caseStatus"] == "Closed", world.wire.died_at
        told = [text for text in answers(world, jane) if f"Case ID: {case_id}" in text]
        assert [text.split("\n")[0] for text in told] == ["🔒 Case closed successfully"], world.wire.died_at
        assert sum("is closing this case from Slack" in text for text in world.comments(case_id)) == 1, (
            world.wire.died_at
        )

    assert crash_everywhere(world, begin, check) > 8


def press_close(world: World, person: Person, case_id: str) -> None:
    channel = world.channel_of(case_id)
    person.command(channel, "/security-ir", "close")
    world.settle()
    person.press(channel, world.workspace.ephemerals(person.id)[-1]["ts"], "close_confirm")


def test_given_a_death_at_any_call_when_a_form_was_submitted_then_one_case_is_opened(world: World) -> None:
    world.unexpected.allow(StillAtWorkError)
    jane = world.workspace.create_user("jane.smith", real_name="Jane Smith")
    channel = world.workspace.create_channel("general-talk", [jane]).id

    def begin(attempt: int) -> None:
        jane.command(channel, "/security-ir", f"create Case {attempt}")
        world.settle()
        _, answer = jane.submit(jane.views()[-1].id, {"description": "Seen"})
        assert answer is None, answer

    def check(attempt: int) -> None:
        assert [item["title"] for item in all_cases(world)].count(f"Case {attempt}") == 1, world.wire.died_at
        told = [text for text in answers(world, jane) if f"Title: Case {attempt}\n" in text]
        assert 1 <= len(told) <= 2, world.wire.died_at

    assert crash_everywhere(world, begin, check) > 8


def all_cases(world: World) -> list[dict[str, str]]:
    items: list[dict[str, str]] = []
    more: dict[str, str] = {}
    while True:
        answer = world.security_ir.call("ListCases", {"maxResults": 25, **more})
        items += answer.get("items", [])
        if not answer.get("nextToken"):
            return items
        more = {"nextToken": answer["nextToken"]}
