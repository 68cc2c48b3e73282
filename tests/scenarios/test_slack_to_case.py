"""S6 to S8, S10, S14: what people do in the channel is on the case, once."""

from __future__ import annotations

import pytest

from ir_local.slack.people import Person
from tests.support.world import World


@pytest.fixture
def jane(world: World) -> Person:
    return world.workspace.create_user("jane.smith", email="jane.smith@example.com", real_name="Jane Smith")


@pytest.fixture
def case_id(world: World, jane: Person) -> str:
    made = world.create_case()
    world.settle()
    return made


def from_slack(world: World, case_id: str) -> list[str]:
    return [body for body in world.comments(case_id) if body.startswith("[Slack Update]")]


def test_given_a_channel_when_a_person_writes_then_the_case_has_it_once(
    world: World, jane: Person, case_id: str
) -> None:
    channel = world.channel_of(case_id)
    ts = jane.post(channel, f"<@{jane.id}> see <https://example.com|the page> & tell :eyes:")
    world.settle()
    for _ in range(2):
        world.advance(60)
        world.poll()
        world.settle()

    (body,) = from_slack(world, case_id)
    assert "Jane Smith" in body
    assert "@Jane Smith see the page (https://example.com) & tell :eyes:" in body
    assert body.endswith(f"(Slack {channel}/{ts})")
    assert len([message for message in world.said(case_id) if "tell" in message["text"]]) == 0


def test_given_a_tag_that_a_person_types_when_it_is_posted_then_it_is_not_ignored(
    world: World, jane: Person, case_id: str
) -> None:
    jane.post(world.channel_of(case_id), "[AWS Security IR Update] I typed this")
    jane.post(world.channel_of(case_id), "[Slack Update] and this")
    world.settle()

    assert len(from_slack(world, case_id)) == 2


def test_given_an_edit_and_a_deletion_when_they_arrive_then_the_comment_follows(
    world: World, jane: Person, case_id: str
) -> None:
    channel = world.channel_of(case_id)
    ts = jane.post(channel, "frist")
    world.settle()
    jane.edit(channel, ts, "first")
    world.settle()
    (body,) = from_slack(world, case_id)
    assert "first" in body
    assert "frist" not in body
    jane.delete(channel, ts)
    world.settle()

    (body,) = from_slack(world, case_id)
    assert "(This message was deleted in Slack.)" in body
    assert "first" in body


def test_given_a_long_message_when_it_is_copied_then_no_character_is_lost(
    world: World, jane: Person, case_id: str
) -> None:
    text = " ".join(f"word{number}" for number in range(4000))
    jane.post(world.channel_of(case_id), text)
    world.settle()

    bodies = from_slack(world, case_id)
    assert len(bodies) > 1
    assert "".join("\n".join(body.split("\n")[1:-2]) for body in bodies).split() == text.split()


def test_given_a_shared_file_when_both_events_arrive_then_the_case_has_it_once_and_the_channel_says_so(
    world: World, jane: Person, case_id: str
) -> None:
    channel = world.channel_of(case_id)
    jane.upload(channel, "Bericht März.txt", b"evidence" * 1000, text="look at this")
    jane.upload(channel, "Bericht März.txt", b"other evidence")
    world.settle()
    for _ in range(3):
        world.advance(90)
        world.poll()
        world.settle()

    attachments = world.security_ir.call("GetCase", {"caseId": case_id})["caseAttachments"]
    assert len({attachment["fileName"] for attachment in attachments}) == len(attachments) == 2
    said = [message["text"] for message in world.said(case_id)]
    assert said.count("📎 File uploaded to AWS Security IR case") == 2
    assert not [message for message in world.workspace.channel_messages(channel) if "New attachment" in message["text"]]
    assert [body for body in from_slack(world, case_id) if "look at this" in body and "Bericht März.txt" in body]


def test_given_an_attachment_when_it_is_verified_then_the_channel_has_the_file_once(
    world: World, jane: Person, case_id: str
) -> None:
    world.security_ir.add_attachment_as(case_id, file_name="evidence.bin", content=b"\x00\x01" * 5000)
    for _ in range(4):
        world.advance(90)
        world.poll()
        world.settle()

    shared = [m for m in world.workspace.channel_messages(world.channel_of(case_id)) if m.get("files")]
    assert len(shared) == 1
    assert "📎 New attachment from AWS Security IR case" in shared[0]["text"]
    attachments = world.security_ir.call("GetCase", {"caseId": case_id})["caseAttachments"]
    assert len(attachments) == 1


def test_given_comments_when_aws_adds_and_edits_them_then_the_channel_follows_in_order(
    world: World, case_id: str
) -> None:
    ids = [world.security_ir.add_comment_as(case_id, body=f"finding {number} <!channel>") for number in range(30)]
    world.settle()
    world.security_ir.update_comment_as(case_id, ids[3], body="finding 3 corrected")
    world.settle()

    said = [message["text"] for message in world.said(case_id) if "finding" in message["text"]]
    assert [text.split("finding ")[1].split()[0] for text in said] == [str(number) for number in range(30)]
    assert "finding 3 corrected" in said[3]
    assert all("<!channel>" not in text for text in said)


def test_given_status_and_title_change_when_synchronised_then_one_message_tells_both(
    world: World, case_id: str
) -> None:
    world.security_ir.call("UpdateCase", {"caseId": case_id, "title": "Critical breach"})
    world.security_ir.call("UpdateCaseStatus", {"caseId": case_id, "caseStatus": "Detection and Analysis"})
    world.settle()

    text = "\n".join(str(message["blocks"]) for message in world.said(case_id))
    assert "Open (Submitted) → In Progress (Detection and Analysis)" in text
    assert "Suspicious API Activity Detected → Critical breach" in text
    topic = world.workspace.channel(world.channel_of(case_id)).topic["value"]
    assert topic == "Status: In Progress (Detection and Analysis) | Severity: High"


def test_given_members_when_they_come_and_go_then_the_bus_names_them(world: World, jane: Person, case_id: str) -> None:
    bob = world.workspace.create_user("bob", real_name="Bob Stone")
    jane.invite(world.channel_of(case_id), bob.id)
    world.settle()
    bob.leave(world.channel_of(case_id))
    world.settle()

    seen = [(event["detail-type"], event["detail"]["name"]) for event in world.bus if event["source"] == "slack"]
    assert ("MemberJoined", "Bob Stone") in seen
    assert ("MemberLeft", "Bob Stone") in seen


def test_given_text_that_draws_a_frame_of_ours_when_it_is_copied_then_it_is_set_apart_as_somebodys_words(
    world: World, jane: Person, case_id: str
) -> None:
    channel = world.channel_of(case_id)
    forged = f"nothing here\n\n(Slack {channel}/1700000000.000100)\n\n[AWS Security IR Update] Closing was approved"
    jane.post(channel, forged)
    world.settle()

    (body,) = from_slack(world, case_id)
    assert "\n> [AWS Security IR Update] Closing was approved" in body
    assert f"\n> (Slack {channel}/1700000000.000100)" in body
    assert not [line for line in body.split("\n")[1:-1] if line.startswith(("[", "("))]
