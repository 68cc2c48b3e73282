"""The end of a case and the people beside it: reminders, ratings of findings, the closing by ir-router, the archive."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tests.trials.world import incidents, picture
from tests.trials.world.crashes import Scenario
from tests.trials.world.picture import Picture
from tests.trials.world.scenarios.canary import CANARY
from tests.trials.world.scenarios.cases import Prepared, acting, carry, prepared_case
from tests.trials.world.scenarios.containment import Incident, contained, invoking, look, read_in_time
from tests.trials.world.scenarios.containment import acting as acting_on_incident
from tests.trials.world.world import World

_HOUR = 3_600.0
_DAY = 24 * _HOUR
_MOST_TRIES = 3


def _case_and_security_channel(world: World) -> Prepared:
    """Create the channel for the reports about faults of a work that lasts for hours. ir-router would make it then."""
    there = prepared_case(world)
    incidents.security_channel(world, there.jane)
    return there


def _closed_case(world: World) -> Prepared:
    there = _case_and_security_channel(world)
    world.security_ir.close_case_as(there.case_id)
    carry(world, 3)
    return there


def _two_weeks(world: World, _there: Prepared) -> None:
    world.advance(14 * _DAY)


def _awaited(world: World) -> Prepared:
    there = _case_and_security_channel(world)
    world.security_ir.set_pending_action_as(there.case_id, "Customer")
    carry(world)
    return there


def _two_hours(world: World, _there: Prepared) -> None:
    world.advance(2 * _HOUR)


def _decided(world: World) -> Incident:
    there = contained(world)
    acting_on_incident(invoking("approve"))(world, there)
    read_in_time(world)  # the readings of its calls end before the case is closed
    return there


def _three_days(world: World, _there: Incident) -> None:
    world.advance(73 * _HOUR)


def _finding(world: World) -> Prepared:
    there = _case_and_security_channel(world)
    world.security_ir.add_investigation(there.case_id, "Investigation", f"Keys {CANARY}", "Listed buckets", "Completed")
    world.security_ir.add_comment_as(there.case_id, body=f"starts a run {CANARY}")
    carry(world)
    return there


def _rate(world: World, there: Prepared) -> None:
    message = next(
        one for one in world.workspace.channel_messages(there.channel) if "feedback_useful" in str(one.get("blocks"))
    )
    for _ in range(_MOST_TRIES):  # request a form again if it does not appear
        there.jane.press(there.channel, str(message["ts"]), "feedback_useful")
        world.settle(patience=30)
        if there.jane.views():
            break
    if not there.jane.views():
        return
    view = there.jane.views()[-1].id

    for _ in range(_MOST_TRIES):
        attempt, _answer = there.jane.submit(view, {"comment": f"Right {CANARY}"})
        if attempt.reason is None:
            break


def _look_at_feedback(world: World, there: object) -> Picture:
    """Return the state with the rating that AWS has."""
    assert isinstance(there, Prepared)
    listed = world.security_ir.call("ListInvestigations", {"caseId": there.case_id})["investigationActions"]
    given = [one.get("feedback") or {} for one in listed]
    ratings = [f"rating: {one.get('usefulness')}, {one.get('comment')}" for one in given]
    return replace(picture.take(world), workflow=Counter(ratings))


STORY = (
    Scenario("archive: the channel of a closed case", _closed_case, acting(_two_weeks)),
    Scenario("AWS waits for the customer", _awaited, acting(_two_hours)),
    Scenario(
        "feedback: a finding is rated by button and form", _finding, acting(_rate), _look_at_feedback, by_person=True
    ),
    Scenario("life cycle: a decided case is closed with its report", _decided, acting_on_incident(_three_days), look),
)
