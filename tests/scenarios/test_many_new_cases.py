"""Many new cases at once: the pace of their channels, and urgent cases first. Slack's rate limits are on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ir_router.errors import RetryLaterError
from ir_router.ledger import keys, leases, table
from ir_router.sync import channel_pace
from ir_sandbox.security_ir import Settings
from tests.support.at_once import at_once
from tests.support.sync import calls
from tests.support.world import World
from tests.trials.world.running import running_world

MINUTE = 60
DELETED = 24


@pytest.fixture
def limited() -> Iterator[World]:
    with running_world(enforce_rate_limits=True) as world:
        world.security_ir.configure(Settings(active_self_managed_cases=1000))
        began = world.now()
        world.use_clock(lambda: began)  # only waits take time, on a machine of any speed
        world.live(1)
        yield world


def created(world: World) -> list[tuple[float, str]]:
    """Return the times and names of the channels in the order in which they were made."""
    return [(channel.created, channel.name) for channel in world.workspace.store.channels.values()]


def with_channels(world: World, count: int) -> list[str]:
    """Return that many cases with their channels."""
    cases = [world.create_case(tags={"severity": "Low"}) for _ in range(count)]
    world.live(1)
    while len(created(world)) < count:
        world.live(1)
    world.live(1)
    return cases


@pytest.mark.parametrize("reported", [True, False], ids=["events", "poll"])
def test_given_many_new_cases_when_created_then_eighteen_channels_a_minute_are_made_without_a_rejection(
    limited: World, *, reported: bool
) -> None:
    limited.drop_native_events = not reported
    before = limited.now()
    cases = [limited.create_case(title=f"case {number}") for number in range(45)]
    limited.security_ir.events.wait_until_idle()
    while len(created(limited)) < len(cases):
        limited.live(1)
        assert limited.now() - before < 10 * MINUTE

    times = [at for at, _ in created(limited)]
    assert times[-1] - times[0] <= len(cases) / 18 * MINUTE + 5
    assert all(sum(at <= other < at + MINUTE for other in times) <= 20 for at in times)
    assert calls(limited, "slack").count("conversations.create") == len(cases)  # none was repeated


def test_given_more_new_cases_than_a_poll_takes_when_polled_then_the_urgent_ones_come_first(limited: World) -> None:
    limited.drop_native_events = True
    for _ in range(22):
        limited.create_case(tags={"severity": "Low"})
    urgent = {limited.create_case(tags={"severity": name}) for name in ("High", "CRITICAL", "high")}
    limited.live(1)

    first = created(limited)[: len(urgent)]
    assert {name.rpartition("-")[2] for _, name in first} == urgent


def test_given_cases_that_wait_when_polled_then_the_urgent_ones_come_first(limited: World) -> None:
    limited.drop_native_events = True
    cases = [limited.create_case(tags={"severity": "Low" if number else "High"}) for number in range(3)][::-1]
    for case_id in cases:
        leases.add_hint(case_id)
        severity = "High" if case_id == cases[-1] else "Low"
        table.update(keys.case(case_id), "SET severity = :severity", severity=severity)
        limited.advance(1)
    limited.live(1)

    assert created(limited)[0][1].endswith(cases[-1])


def test_given_an_urgent_case_that_waits_when_another_wants_a_channel_then_it_leaves_it_the_token(
    limited: World,
) -> None:
    assert [channel_pace._take(urgent=False), channel_pace._take(urgent=False)] == [0.0, 0.0]
    limited.advance(channel_pace.SECONDS_A_CHANNEL)
    for _ in range(3):
        channel_pace._reserve("urgent_at")

    assert channel_pace._take(urgent=False) > channel_pace.SECONDS_A_CHANNEL
    assert channel_pace._take(urgent=True) == 0.0


def test_given_a_full_queue_when_a_turn_is_wanted_then_the_case_waits_for_the_next_poll(limited: World) -> None:
    for _ in range(25):  # two tokens, and one for each 3.25 s of 75
        channel_pace._reserve("usual_at")
    with pytest.raises(RetryLaterError) as raised:
        channel_pace._reserve("usual_at")

    assert raised.value.seconds < channel_pace.SECONDS_A_CHANNEL
    assert channel_pace._reserve("urgent_at") <= limited.now()


def test_given_many_deleted_channels_and_new_cases_when_synchronised_then_no_turn_is_lost_and_urgent_ones_come_first(
    limited: World,
) -> None:
    cases = with_channels(limited, DELETED)
    earlier = dict(limited.workspace.store.channels)
    for channel in earlier.values():
        limited.workspace.channels.delete(channel)
    calls_before = calls(limited, "slack").count("conversations.create")
    with at_once(limited) as running:
        begin = limited.now()
        running.live(1)
        new = [limited.create_case(tags={"severity": name}) for name in ("Low", "HIGH", "Low", "CRITICAL", "Low")]
        limited.security_ir.events.wait_until_idle()
        reported_at = limited.now()
        running.live(int((len(cases) + len(new)) / 18 + 1))

    made = [(at, name) for at, name in created(limited) if at >= begin]
    times = [at for at, _ in made]
    assert len(made) == len(cases) + len(new)
    assert times[-1] - begin <= len(made) / 18 * MINUTE + 10
    assert all(sum(at <= other < at + MINUTE for other in times) <= 20 for at in times)
    assert calls(limited, "slack").count("conversations.create") - calls_before == len(made)
    urgent = [at for at, name in made if name.endswith((new[1], new[3]))]
    assert max(urgent) - reported_at <= 12
