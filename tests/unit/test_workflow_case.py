"""The notice of a case that the workflow opened fits on a phone's screen."""

from __future__ import annotations

import pytest

from ir_router.sync.workflow_case import for_notice
from ir_router.workflow import wording
from tests.support.texts import channel, facts

TAGS = {"execution": "arn:execution:1"}


def test_given_a_case_of_the_workflow_when_noticed_then_the_links_and_ids_stay_on_the_case() -> None:
    description = wording.case_description(facts.INCIDENT, facts.result(facts.CONTAINED))
    case = channel._CASE.model_copy(update={"description": description})
    assert "Execution: " in description

    shown = for_notice(case, TAGS).description
    assert description.startswith(shown)
    assert shown.endswith("after the event.")
    assert "Event: " not in shown


@pytest.mark.parametrize(
    ("description", "tags"),
    [
        ("a\n\nEvent: e\nExecution: x", {}),
        ("a\n\nEvent: e\nand more", TAGS),
        ("Event: e", TAGS),
        ("", TAGS),
    ],
)
def test_given_another_description_when_noticed_then_it_stays(description: str, tags: dict[str, str]) -> None:
    case = channel._CASE.model_copy(update={"description": description})
    assert for_notice(case, tags) == case
