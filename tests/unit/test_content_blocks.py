"""Blocks and elements that name a call, a workflow, people or a picture."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.slack.content import reader
from ir_router.slack.content.reading import Ids


def block(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "block_id": "b1", **fields}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (
            block(
                "call",
                call_id="R0EXAMPLE1",
                call={
                    "v1": {
                        "id": "R0EXAMPLE1", "name": "Bridge", "display_id": "123", "join_url": "https://zoom.example/1",
                        "created_by": "U0EXAMPLE1", "channels": ["C0EXAMPLE1"],
                    },
                    "media_backend_type": "platform_call",
                },
            ),
            "[Call] Bridge (https://zoom.example/1)",
        ),
        (
            block(
                "share_shortcut", title="Report an incident", description="For analysts", button_label="Start",
                url="https://slack.com/shortcuts/Ft0EXAMPLE1/x", trigger_type="shortcut", owning_team_id="T0EXAMPLE1",
            ),
            "[Workflow] Report an incident (https://slack.com/shortcuts/Ft0EXAMPLE1/x)\nFor analysts",
        ),
        (
            block(
                "actions",
                elements=[
                    {"type": "users_select", "initial_user": "U0EXAMPLE1"},
                    {"type": "multi_channels_select", "initial_channels": ["C0EXAMPLE1", "C0EXAMPLE2"]},
                ],
            ),
            "@U0EXAMPLE1 #C0EXAMPLE1, #C0EXAMPLE2",
        ),
        (block("of_next_year", owner_id="U0EXAMPLE1", heading="Read me", people=["U0EXAMPLE1"]), "Read me"),
        (
            block("table", rows=[[{"type": "raw_text", "text": "a|b"}], [{"type": "raw_text", "text": "c"}]]),
            "| a\\|b |\n| --- |\n| c |",
        ),
        (
            block("markdown", text="**asked** <@U0EXAMPLE2> in <#C0EXAMPLE3>, a &lt; b"),
            "**asked** @U0EXAMPLE2 in #C0EXAMPLE3, a < b",
        ),
        (
            block("actions", elements=[{"type": "datetimepicker", "action_id": "d", "initial_date_time": 1628633820}]),
            "2021-08-10 22:17:00 UTC",
        ),
    ],
)  # fmt: skip
def test_given_a_block_when_read_then_a_user_reads_what_slack_shows_and_no_ids(
    shown: dict[str, Any], expected: str
) -> None:
    assert reader.read({"text": "", "blocks": [shown]}, Ids()).text == expected


def test_given_a_picture_without_an_address_when_read_then_it_counts_as_missing() -> None:
    picture = block("image", alt_text="screen", slack_file={"id": "F0EXAMPLE1"})
    content = reader.read({"text": "", "blocks": [picture]}, Ids())
    assert (content.text, list(content.missing)) == ("[Image: screen]", ["image"])
