"""Test that the trials cover every sub-command and every scheduled task. A new one fails here by name."""

from __future__ import annotations

import re
from collections.abc import Collection

import pytest

from ir_operator.project import PROJECT_ROOT
from ir_router.commands.catalogue import SUB_COMMANDS
from tests.support.command_examples import EXAMPLES
from tests.trials.bench import calls
from tests.trials.proof.hostile.commands import EFFECTS
from tests.trials.world.scenarios.commands import COMMANDS

_PREFIX = "/security-ir "
# Where functions die in a task of the rule `-upkeep`: a scenario of the trials, or a test.
CRASHES = {
    "open_missing_cases": "tests/trials/world/scenarios/upkeep.py",
    "start_oversized": "tests/scenarios/test_operations_oversized.py",
    "watch": "tests/scenarios/test_operations_watch.py",
    "witness_audit": "tests/attacks/test_silencing.py",
    "check_allowlist_entries": "tests/attacks/test_allowlist.py",
}


COVERED: dict[str, Collection[str]] = {
    "the crash trials (COMMANDS in tests/trials/world/scenarios/commands.py)": [
        scenario.name.removeprefix(_PREFIX) for scenario in COMMANDS if scenario.name.startswith(_PREFIX)
    ],
    "the hostile input (EFFECTS in tests/trials/proof/hostile/commands.py)": EFFECTS,
    "the bench (COMMANDS in tests/trials/bench/calls.py)": calls.COMMANDS,
    "the scenarios (EXAMPLES in tests/support/command_examples.py)": EXAMPLES,
}


@pytest.mark.parametrize("where", COVERED)
@pytest.mark.parametrize("name", SUB_COMMANDS)
def test_given_a_sub_command_when_the_trials_are_read_then_each_covers_it(name: str, where: str) -> None:
    assert name in COVERED[where], f"{name} is missing in {where}"


@pytest.mark.parametrize("where", COVERED)
def test_given_the_trials_when_the_catalogue_is_read_then_they_name_no_other_sub_command(where: str) -> None:
    assert sorted(set(COVERED[where]) - set(SUB_COMMANDS)) == []


def test_given_the_hostile_input_when_the_catalogue_is_read_then_what_changes_a_case_may_do_so_there() -> None:
    for name, fields in EFFECTS.items():
        assert fields is None or SUB_COMMANDS[name].changes, f"{name} changes a case"


def test_given_the_tasks_of_the_schedule_when_the_trials_are_read_then_functions_die_in_each() -> None:
    rule = (PROJECT_ROOT / "terraform" / "events.tf").read_text("utf-8")
    (tasks,) = re.findall(r"for_each = \{ (open_missing_cases = .*) \}", rule)

    assert [task.partition(" ")[0] for task in tasks.split(", ")] == list(CRASHES)
    for task, file in CRASHES.items():
        text = (PROJECT_ROOT / file).read_text("utf-8")
        assert f'"{task}"' in text, f"{task} is missing in {file}"
        assert "kill_on(" in text or "Scenario(" in text, f"no function dies in {file}"
