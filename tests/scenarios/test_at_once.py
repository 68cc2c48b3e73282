"""Two concurrent functions: at each call of the first, a second one does the same work, and each effect happens once.

From the outside, the worst interleaving of two sandboxes is a complete run of the second between two calls of the
first, because they interact only through calls.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ir_router.ledger import approvals, joined_events
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, as_shown
from tests.support.sync import (
    attachments,
    from_slack,
    lines_with,
    shared_files,
    system_comments,
)
from tests.support.world import World
from tests.trials.world.state_machine import Execution
from tests.trials.world.wire import Side

MOST_CALLS = 60


def at_each_call(
    world: World, begin: Callable[[int], None], work: Callable[[], object], second: Callable[[], object]
) -> int:
    """Repeat `begin` and `work`, with `second` at the next call of `work` each time; return the number of calls."""
    for number in range(1, MOST_CALLS):
        met: list[str] = []

        def meet(met: list[str] = met) -> None:
            met.append(str(world.wire.calls[-1]))
            second()

        begin(number)
        world.wire.interrupt_at(number, "after", meet)
        work()
        world.wire.spare()
        world.settle()
        if not met:
            return number - 1
        world.advance(1)
    raise AssertionError(f"more than {MOST_CALLS} calls")


def the_same_again(world: World) -> Callable[[], object]:
    """Deliver the current event to a second function as well."""
    return lambda: world.try_invoke(world.invocations[-1].deployment, world.invocations[-1].event)


def synchronisation(world: World, case_id: str) -> Callable[[], object]:
    """Send AWS's own event of the case."""
    return lambda: world.try_invoke("sync", {"source": "aws.security-ir", "detail": {"caseId": case_id}})


def failures(world: World) -> list[Exception]:
    return [answer.error for answer in world.invocations if answer.error is not None]


@pytest.mark.parametrize("which", ["the same delivery", "the case's synchronisation"])
def test_given_a_message_when_another_function_meets_it_at_any_call_then_one_comment_is_made_and_none_echoes(
    world: World, jane: Person, case_id: str, which: str
) -> None:
    channel = world.channel_of(case_id)
    second = the_same_again(world) if which == "the same delivery" else synchronisation(world, case_id)

    def begin(number: int) -> None:
        jane.post(channel, f"message {number}. " + "long " * 2500)  # two parts
        world.deliver()

    calls = at_each_call(world, begin, world._run_queues, second)

    assert calls > 5
    bodies = from_slack(world, case_id)
    assert [body.split("message ")[1].split(".")[0] for body in bodies if "message " in body] == [
        str(number) for number in range(1, calls + 2)
    ]
    assert len(bodies) == 2 * (calls + 1)
    assert lines_with(world, case_id, "message ") == []
    assert failures(world) == []


def test_given_an_edit_when_another_function_meets_it_at_any_call_then_the_comment_says_it_and_none_echoes(
    world: World, jane: Person, case_id: str
) -> None:
    channel = world.channel_of(case_id)
    posted: list[str] = []

    def begin(number: int) -> None:
        posted.append(jane.post(channel, f"frist thing {number}."))
        world.settle()
        jane.edit(channel, posted[-1], f"first thing {number}.")
        world.deliver()

    calls = at_each_call(world, begin, world._run_queues, synchronisation(world, case_id))

    assert calls > 3
    assert [body.split("\n")[1] for body in from_slack(world, case_id)] == [
        f"first thing {number}." for number in range(1, calls + 2)
    ]
    assert lines_with(world, case_id, "thing") == []


def test_given_a_new_case_when_the_poll_and_aws_report_it_at_once_then_it_has_one_channel_and_one_notice(
    world: World,
) -> None:
    cases: list[str] = []

    def begin(_: int) -> None:
        cases.append(world.create_case())
        world.security_ir.events.wait_until_idle()

    def second() -> None:
        world.poll()
        synchronisation(world, cases[-1])()

    calls = at_each_call(world, begin, world._run_hints, second)
    world.live(2)

    assert calls > 15
    names = [channel.name for channel in world.workspace.store.channels.values()]
    assert names == [f"aws-security-incident-response-case-{case_id}" for case_id in cases]
    for case_id in cases:
        assert len(lines_with(world, case_id, f"Case {case_id}")) == 1
        assert len(lines_with(world, case_id, "could not be invited")) == 1  # the team is not in the workspace
        assert len(system_comments(world, case_id)) == 1


def test_given_a_comment_when_two_events_report_it_at_once_then_one_message_is_posted_in_order(
    world: World, case_id: str
) -> None:
    def begin(number: int) -> None:
        world.security_ir.add_comment_as(case_id, body=f"finding {number}.")
        world.security_ir.events.wait_until_idle()

    calls = at_each_call(world, begin, world._run_hints, synchronisation(world, case_id))

    assert calls > 10
    findings = [line.split("finding ")[1].split(".")[0] for line in lines_with(world, case_id, "finding ")]
    assert findings == [str(number) for number in range(1, calls + 2)]


def test_given_a_file_when_two_functions_copy_it_at_once_then_the_case_has_it_once(
    world: World, jane: Person, case_id: str
) -> None:
    channel = world.channel_of(case_id)

    def begin(number: int) -> None:
        jane.upload(channel, f"log-{number}.txt", b"line\n" * number)
        world.deliver()
        world._run_queue("slack-events", "slack")

    calls = at_each_call(world, begin, lambda: world._run_queue("files", "sync"), the_same_again(world))

    assert calls > 8
    assert len(attachments(world, case_id)) == calls + 1
    assert len(lines_with(world, case_id, "📎 File uploaded to AWS Security IR case")) == calls + 1


def test_given_an_attachment_when_two_functions_copy_it_at_once_then_the_channel_has_it_once(
    world: World, case_id: str
) -> None:
    def begin(number: int) -> None:
        world.security_ir.add_attachment_as(case_id, file_name=f"evidence-{number}.bin", content=b"x" * number)
        world.advance(2)  # AWS has verified it
        synchronisation(world, case_id)()

    calls = at_each_call(world, begin, lambda: world._run_queue("files", "sync"), the_same_again(world))

    assert calls > 8
    assert [file["name"] for file in shared_files(world, case_id)] == [
        f"evidence-{number}.bin" for number in range(1, calls + 2)
    ]


@pytest.mark.parametrize("side", ["before", "after"])
def test_given_an_approval_when_two_functions_show_it_at_once_then_the_message_says_what_is_so_in_the_end(
    world: World, contained: tuple[Execution, str], security_channel: str, side: Side
) -> None:
    approval_id = approvals.id_of(contained[0].arn, "remediate")

    def join(what: str) -> None:
        joined_events.note(approval_id, {"execution": what, "what": what})

    def show() -> object:
        return world.try_invoke(
            "sync",
            {"source": "security-ir", "detail-type": "ApprovalRequested", "detail": {"approval_id": approval_id}},
        )

    for number in range(1, MOST_CALLS):
        met: list[str] = []

        def meet(number: int = number, met: list[str] = met) -> None:
            met.append("met")
            join(f"the later event of {number}")
            show()

        join(f"the earlier event of {number}")
        world.wire.interrupt_at(number, side, meet)
        show()
        world.wire.spare()
        if not met:
            break
        (message,) = approvals_in(world, security_channel)
        assert f"the later event of {number}" in as_shown(message["blocks"]), number
        world.advance(1)
    assert number > 5
    assert failures(world) == []
