"""S1 to S5: a case becomes a channel, and the channel follows the case."""

from __future__ import annotations

from tests.support.world import World


def test_given_a_new_case_when_aws_tells_of_it_then_its_channel_shows_it(world: World) -> None:
    jane = world.workspace.create_user("jane.smith", email="jane.smith@example.com", real_name="Jane Smith")
    case_id = world.create_case(watchers=[{"email": "ghost@example.com", "name": "Ghost"}])

    world.settle()

    channel = world.workspace.channel(f"aws-security-incident-response-case-{case_id}")
    assert channel.is_private
    assert jane.id in channel.members
    assert channel.topic["value"] == "Status: Open (Submitted) | Severity: High"
    said = world.said(case_id)
    assert "Suspicious API Activity Detected" in said[0]["text"]
    assert any("ghost@example.com" in message["text"] for message in said)
    assert [text for text in world.comments(case_id) if "Slack channel #" in text] == world.comments(case_id)


def test_given_a_synchronised_case_when_polled_again_then_nothing_more_is_said_or_written(world: World) -> None:
    case_id = world.create_case()
    world.settle()
    before = world.workspace.channel_messages(world.channel_of(case_id)), world.comments(case_id)

    for _ in range(3):
        world.advance(60)
        assert world.poll()["published"] == 0
        world.settle()

    assert before == (world.workspace.channel_messages(world.channel_of(case_id)), world.comments(case_id))
