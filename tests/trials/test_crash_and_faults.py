"""Test a few points of the crash matrix and of the faults, and that broken bounds are reported."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trials.proof import crash, faults
from tests.trials.proof.part import Run
from tests.trials.world.crashes import Outcome, Point
from tests.trials.world.outages import Outage
from tests.trials.world.wire import Call

EDIT = "Slack edit that makes it longer"


def test_given_a_sample_of_a_scenario_when_functions_die_there_then_each_point_is_covered_and_nothing_leaks() -> None:
    run = Run("short", only=EDIT, workers=1)

    figures = crash.measure(run)

    assert crash.broken(figures) == []
    assert (figures["points"], figures["lost"], figures["doubled"], figures["different"]) == (2, 0, 0, 0)
    assert figures["scenarios"][EDIT]["calls"] > 20
    assert sum(search.logged for search in run.searches) > 0
    assert [line for search in run.searches for line in search.found] == []
    assert ("calls not interrupted", "0", "0") in crash.rows(figures)


def outcome(*differences: str, died: bool = True) -> Outcome:
    return Outcome(EDIT, Point(3, "after", Call("sqs", "SendMessage", "webhook")), died, differences)


@pytest.mark.parametrize(
    ("differences", "kind"),
    [
        (["comments: 1 missing: said"], "lost"),
        (["comments: 2 too many: said"], "doubled"),
        (["comments: 1 too many: said", "comments: 1 missing: sad"], "different"),
        (["channels: one instead of another"], "different"),
    ],
)
def test_given_another_end_when_the_figures_are_made_then_its_kind_is_counted_and_how_to_try_it_again_is_said(
    differences: list[str], kind: str
) -> None:
    figures = crash._figures([outcome(*differences), outcome()], {EDIT: 40})

    assert {name: figures[name] for name in ("lost", "doubled", "different")} == {
        "lost": 0,
        "doubled": 0,
        "different": 0,
    } | {kind: 1}
    (line,) = crash.broken(figures)
    assert f"make proof PARTS=crash ONLY='{EDIT}: after call 3 (webhook: sqs SendMessage)'" in line


def test_given_a_call_at_which_nothing_died_when_judged_then_the_run_fails() -> None:
    figures = crash._figures([outcome(died=False)], {EDIT: 40})

    assert crash.broken(figures) == [f"a call was not interrupted: {EDIT}: after call 3 (webhook: sqs SendMessage)"]


def test_given_services_that_fail_for_a_while_when_that_is_over_then_all_is_well_by_the_next_poll() -> None:
    figures = faults.measure(Run("short", only=f"{EDIT}: dynamodb UpdateItem, server error, 600 s", workers=1))

    assert faults.broken(figures) == []
    (one,) = figures
    assert one["struck"] > 10
    assert 0 < one["recovered_after_seconds"] <= faults.RECOVERY_BOUND_SECONDS


@pytest.mark.parametrize(
    "changes", [{"seconds": None}, {"seconds": 121.0}, {"reports": {"comments": 2}}, {"struck": 0}]
)
def test_given_a_late_recovery_or_a_failure_reported_twice_when_judged_then_a_bound_is_broken(
    changes: dict[str, Any],
) -> None:
    fault = faults.Fault("slack", "chat.postMessage", "server error", 30.0, EDIT)
    good: dict[str, Any] = {"struck": 3, "seconds": 60.0, "reports": {"comments": 1}, "done_again": False, "wrong": ()}

    assert faults.broken([faults._figures(faults.Recovery(fault, **good))]) == []
    (line,) = faults.broken([faults._figures(faults.Recovery(fault, **good | changes))])
    assert f"make proof PARTS=faults ONLY='{fault}'" in line


@pytest.mark.parametrize(("acted", "began"), [(1_090.0, 1_030.0), (4_600.0, 4_540.0)])
def test_given_an_action_that_goes_on_after_the_fault_when_judged_then_the_recovery_counts_from_shortly_before_its_end(
    acted: float, began: float
) -> None:
    outage = Outage("slack", "chat.postMessage", "server error", 30.0, began=1_000.0)

    assert faults._counted_from(outage, acted) == began


@pytest.mark.parametrize(
    ("service", "operation", "lasted", "seconds", "good"),
    [
        ("files", "GET slack", 600.0, 1_200.0, True),
        ("files", "GET slack", 30.0, 180.0, True),
        ("files", "GET slack", 30.0, 181.0, False),
        ("files", "GET slack", None, 181.0, False),
        ("sqs", "ChangeMessageVisibility", 30.0, 720.0, True),
        ("sqs", "ChangeMessageVisibility", 600.0, 721.0, False),
        ("slack", "files.getUploadURLExternal", 600.0, 1_201.0, False),
        ("slack", "files.info", 600.0, 121.0, False),
    ],
)
def test_given_a_file_that_waits_for_its_next_transfer_when_judged_then_it_may_come_as_late_as_documented(
    service: str, operation: str, lasted: float | None, seconds: float, good: bool
) -> None:
    fault = faults.Fault(service, operation, "server error", lasted, "Slack file")

    recovery = faults.Recovery(fault, 1, seconds, {}, done_again=False, wrong=())

    assert recovery.is_bad is not good


def test_given_a_message_that_comes_late_when_judged_then_the_pauses_of_files_do_not_count() -> None:
    fault = faults.Fault("sqs", "ChangeMessageVisibility", "server error", 30.0, EDIT)

    assert faults.Recovery(fault, 1, 121.0, {}, done_again=False, wrong=()).is_bad


_ENDS = " SUCCEEDED: Evaluate Severity > Alert Only > Group Opened? > "
_LATER = [
    f"workflow: 1 too many: event-a{_ENDS}Alerted",
    f"workflow: 1 missing: event-b{_ENDS}Collect for an Hour > Alert the Count > Alerted",
    "workflow: 1 too many: alert: CHECK: user eve, 2 times in an hour: CHECK: user eve\nEvent: 7",
    "workflow: 1 missing: alert: CHECK: user eve, 2 times in an hour: CHECK: user eve\nEvent: 4",
    "messages: 1 too many: ir-router : CHECK: user eve [{'event': 7}]",
    "messages: 1 missing: ir-router : CHECK: user eve [{'event': 4}]",
]


@pytest.mark.parametrize(
    ("operation", "wrong", "good"),
    [
        ("StartExecution", _LATER, True),
        ("StopExecution", _LATER, False),
        *(("StartExecution", [*_LATER[:left], *_LATER[left + 1 :]], False) for left in range(2, 6)),
        ("StartExecution", [*_LATER, "workflow: 1 too many: event-a SUCCEEDED: Immediate Containment"], False),
        ("StartExecution", [*_LATER, "comments: 1 missing: one"], False),
    ],
)
def test_given_another_event_that_starts_the_execution_of_its_group_when_judged_then_its_alerts_must_be_as_many(
    operation: str, wrong: list[str], good: bool
) -> None:
    fault = faults.Fault("stepfunctions", operation, "server error", None, EDIT)

    recovery = faults.Recovery(fault, 1, None, {}, done_again=False, wrong=tuple(wrong))

    assert recovery.is_bad is not good
