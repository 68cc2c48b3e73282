"""S1 to S3, S5: a case becomes a channel, and the channel follows the case."""

from __future__ import annotations

from ir_sandbox.slack.rendering import visible_text
from tests.support.commands import case_with_channel, type_command
from tests.support.sync import (
    channel_messages,
    configured,
    lines_with,
    make_jane,
    settled_case,
    shown,
    system_comments,
)
from tests.support.world import World


def test_given_a_new_case_when_aws_reports_it_then_its_channel_shows_it(world: World) -> None:
    jane = make_jane(world)
    case_id = world.create_case(watchers=[{"email": "ghost@example.com", "name": "Ghost"}])

    world.settle()

    channel = world.workspace.channel(f"aws-security-incident-response-case-{case_id}")
    assert channel.is_private
    assert jane.id in channel.members
    assert channel.topic["value"] == "Status: Open (Submitted) | Severity: High"
    (comment,) = world.comments(case_id)
    assert f"#aws-security-incident-response-case-{case_id}" in comment
    assert comment.startswith("[AWS Security IR Update]")


def test_given_a_new_case_when_its_notice_is_read_then_it_says_what_and_where(world: World) -> None:
    case_id = settled_case(world, description="Keys used from <unknown> & new networks\nsee the log")

    notice = world.said(case_id)[0]

    text = shown(notice)
    for fact in (case_id, "Suspicious API Activity Detected", "High", "Open (Submitted)", "Keys used from <unknown> &"):
        assert fact in text
    created = int(world.security_ir.call("GetCase", {"caseId": case_id})["createdDate"].timestamp())
    assert f"<!date^{created}^" in text
    assert f"<https://console.aws.amazon.com/security-ir/home?region=us-east-1#/cases/{case_id}|" in text
    assert notice["blocks"][0]["type"] == "header"
    assert notice["text"].startswith(f"[AWS Security IR Update] Case {case_id}: Suspicious API Activity Detected.")


def test_given_public_channels_when_a_case_is_new_then_everybody_finds_its_channel(world: World) -> None:
    with configured(world, IR_CHANNEL_VISIBILITY="public"):
        case_id = world.create_case()
        world.settle()

    assert not world.workspace.channel(world.channel_of(case_id)).is_private


def test_given_comments_and_a_file_on_a_case_when_it_is_first_seen_then_they_come_over_in_order(world: World) -> None:
    world.drop_native_events = True
    case_id = world.create_case()
    for number in range(28):  # more than a page
        world.security_ir.add_comment_as(case_id, body=f"finding {number}.")
    world.security_ir.add_attachment_as(case_id, file_name="evidence.bin", content=b"x" * 100)
    world.live(2)

    findings = [line.split("finding ")[1].split(".")[0] for line in lines_with(world, case_id, "finding ")]
    assert findings == [str(number) for number in range(28)]
    files = [m for m in world.workspace.channel_messages(world.channel_of(case_id)) if m.get("files")]
    assert len(files) == 1
    assert "📎 New attachment from AWS Security IR case" in files[0]["text"]


def test_given_a_comment_when_it_comes_over_then_author_time_and_tag_are_shown_and_nothing_in_it_acts(
    world: World,
) -> None:
    case_id = settled_case(world)
    body = "<!channel> <@U123> see https://evil.example and <https://evil.example|this> & that"
    world.security_ir.add_comment_as(case_id, body=body)
    world.settle()

    message = world.said(case_id)[-1]

    heading, comment = message["blocks"]
    assert visible_text(message).endswith(f"\n{body}")
    assert "<!channel>" not in message["text"]
    assert [element["text"] for element in heading["elements"][:2]] == ["[AWS Security IR Update]", "AWS Responder"]
    assert heading["elements"][2]["text"].startswith("commented <!date^")
    # In rich text mentions and links have elements of their own, and a text is only text.
    assert comment["elements"] == [{"type": "rich_text_section", "elements": [{"type": "text", "text": body}]}]


def test_given_a_long_comment_when_it_comes_over_then_every_part_is_there_in_order(world: World) -> None:
    case_id = settled_case(world)
    body = " ".join(f"word{number}" for number in range(1300))
    world.security_ir.add_comment_as(case_id, body=body)
    world.settle()

    messages = [m for m in world.said(case_id) if "AWS Responder" in m["text"]]

    assert len(messages) > 3
    assert all(f"(part {number} of {len(messages)})" in m["text"] for number, m in enumerate(messages, 1))
    assert "".join(visible_text({"blocks": m["blocks"][1:]}) for m in messages) == body


def test_given_an_edited_comment_when_it_grows_and_shrinks_then_its_messages_say_what_it_says(world: World) -> None:
    case_id = settled_case(world)
    comment_id = world.security_ir.add_comment_as(case_id, body="short")
    world.settle()
    world.security_ir.update_comment_as(case_id, comment_id, body="long " * 1500)
    world.settle()
    grown = [m for m in world.said(case_id) if "AWS Responder" in m["text"]]
    world.advance(60)
    world.security_ir.update_comment_as(case_id, comment_id, body="short again")
    world.settle()
    world.live(2)

    assert len(grown) > 2
    assert "".join(visible_text({"blocks": m["blocks"][1:]}) for m in grown) == "long " * 1500
    messages = [m for m in world.said(case_id) if m["ts"] in {one["ts"] for one in grown}]
    assert "short again" in shown(messages[0])
    assert "edited <!date^" in shown(messages[0])
    assert all("This part of the comment was removed by an edit." in shown(m) for m in messages[1:])
    assert len(lines_with(world, case_id, "short again")) == 1


def test_given_a_message_that_was_deleted_when_its_comment_is_edited_then_the_edit_is_shown_again(
    world: World,
) -> None:
    case_id = settled_case(world)
    first = world.security_ir.add_comment_as(case_id, body="first finding")
    world.settle()
    admin = world.workspace.create_user("admin", is_admin=True)
    admin.delete(world.channel_of(case_id), world.said(case_id)[-1]["ts"])
    world.security_ir.update_comment_as(case_id, first, body="first finding, corrected")
    world.security_ir.add_comment_as(case_id, body="second finding")
    world.settle()
    world.live(2)

    assert len(lines_with(world, case_id, "first finding, corrected")) == 1
    assert len(lines_with(world, case_id, "second finding")) == 1


def test_given_status_and_title_change_when_synchronised_then_one_message_reports_both(world: World) -> None:
    case_id = settled_case(world)
    world.security_ir.call("UpdateCase", {"caseId": case_id, "title": "Critical <breach>"})
    world.security_ir.set_status_as(case_id, "Detection and Analysis")
    world.settle()
    world.live(2)

    (line,) = lines_with(world, case_id, "2 changes, by AWS Responder:")
    assert "*Title*: Suspicious API Activity Detected → Critical <breach>" in line
    assert "*Status*: Open (Submitted) → In Progress (Detection and Analysis)" in line
    topic = world.workspace.channel(world.channel_of(case_id)).topic["value"]
    assert topic == "Status: In Progress (Detection and Analysis) | Severity: High"


def test_given_one_change_when_synchronised_then_it_is_one_line_with_who_did_it(world: World) -> None:
    case_id = settled_case(world)
    world.security_ir.set_pending_action_as(case_id, "Customer")
    world.settle()

    assert world.said(case_id)[-1]["text"] == (
        "[AWS Security IR Update] *Pending action*: None → Customer, by AWS Responder"
    )


def test_given_a_value_that_a_person_once_set_when_aws_sets_it_again_then_that_person_is_not_named_for_it(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)
    type_command(world, jane, case_id, "update-status In Progress")
    for status in ("Post-incident Activities", "Detection and Analysis"):
        world.advance(120)
        world.security_ir.set_status_as(case_id, status)
        world.settle()

    told = [message["text"].rpartition(", by ")[2] for message in world.said(case_id) if "*Status*" in message["text"]]
    assert told == ["Jane Smith", "AWS Responder", "AWS Responder"]


def test_given_changes_of_two_people_when_reported_in_one_message_then_each_line_says_whose_it_is(world: World) -> None:
    case_id, jane = case_with_channel(world)
    world.drop_native_events = True
    world.refuse_events = 1  # the hint of the command
    type_command(world, jane, case_id, 'update-title "Stolen key"')
    world.security_ir.set_status_as(case_id, "Detection and Analysis")
    world.live(2)

    (line,) = lines_with(world, case_id, "2 changes:")
    assert "*Title*: Suspicious API Activity Detected → Stolen key, by Jane Smith" in line
    assert "→ In Progress (Detection and Analysis)" in line
    assert line.count("Jane Smith") == 2  # once in the blocks, once in the fallback


def test_given_a_comment_after_a_change_when_reported_then_the_commenter_is_not_named_for_the_change(
    world: World,
) -> None:
    case_id = settled_case(world)
    world.drop_native_events = True
    world.security_ir.call(
        "UpdateCase", {"caseId": case_id, "title": "New title"}, as_principal="arn:aws:iam::123456789012:user/alice"
    )
    world.security_ir.add_comment_as(case_id, body="just saying")
    world.live(1)

    assert len(lines_with(world, case_id, "New title, by alice")) == 1


def test_given_a_closing_when_synchronised_then_it_is_shown_and_the_case_is_left_alone(world: World) -> None:
    case_id = settled_case(world)
    world.security_ir.add_comment_as(case_id, body="last words")
    world.security_ir.close_case_as(case_id)
    world.settle()
    world.live(1)

    assert len(lines_with(world, case_id, "→ Closed, by AWS Responder")) == 1
    assert len(lines_with(world, case_id, "last words")) == 1
    channel = world.workspace.channel(world.channel_of(case_id))
    assert channel.topic["value"] == "Status: Closed | Severity: High"
    assert not channel.is_archived
    world.wire.calls.clear()
    world.live(3)
    assert {call.operation for call in world.wire.calls if call.service == "security-ir"} == {"ListCases"}


def test_given_a_topic_that_was_overwritten_when_polled_then_it_is_put_back(world: World) -> None:
    jane = make_jane(world)
    case_id = settled_case(world)
    jane.set_topic(world.channel_of(case_id), "lunch at noon")
    world.live(1)

    topic = world.workspace.channel(world.channel_of(case_id)).topic["value"]
    assert topic == "Status: Open (Submitted) | Severity: High"


def test_given_another_severity_tag_when_polled_then_within_its_turns_the_channel_shows_it(world: World) -> None:
    case_id = settled_case(world)
    arn = world.security_ir.call("GetCase", {"caseId": case_id})["caseArn"]
    world.security_ir.call("TagResource", {"resourceArn": arn, "tags": {"severity": "Critical"}})
    world.live(11)

    assert len(lines_with(world, case_id, "*Severity*: High → Critical")) == 1
    assert world.workspace.channel(world.channel_of(case_id)).topic["value"].endswith("Severity: Critical")


def test_given_no_native_events_when_the_case_changes_then_the_next_poll_brings_it_over(world: World) -> None:
    case_id = settled_case(world)
    world.drop_native_events = True
    world.security_ir.add_comment_as(case_id, body="found by polling")
    world.live(1)

    assert len(lines_with(world, case_id, "found by polling")) == 1


def test_given_a_synchronised_case_when_polled_again_then_nothing_more_is_said_or_written(world: World) -> None:
    case_id = settled_case(world)
    before = world.workspace.channel_messages(world.channel_of(case_id)), world.comments(case_id)

    for _ in range(3):
        world.advance(60)
        assert world.poll()["published"] == 0
        world.settle()

    assert before == (world.workspace.channel_messages(world.channel_of(case_id)), world.comments(case_id))


def test_given_five_hundred_comments_when_the_case_is_new_then_they_come_over_once_at_slacks_pace(
    paced_world: World,
) -> None:
    world = paced_world
    world.drop_native_events = True
    case_id = world.create_case()
    for number in range(500):
        world.security_ir.add_comment_as(case_id, body=f"finding {number}.")
    began = world.now()
    world.live(2)
    world.settle()
    world.live(2)

    findings = [line.split("finding ")[1].split(".")[0] for line in lines_with(world, case_id, "finding ")]
    assert findings == [str(number) for number in range(500)]
    assert 480 <= world.slept <= world.now() - began <= 15 * 60  # one message a second
    outcomes = [
        answer.value["outcome"]
        for answer in world.invocations
        if isinstance(answer.value, dict) and "outcome" in answer.value
    ]
    assert outcomes.count("continues") >= 8
    assert "failed" not in outcomes
    assert not [call for call in world.workspace.calls if call.error not in (None, "ratelimited", "users_not_found")]
    assert len(system_comments(world, case_id)) == 1
    assert len(channel_messages(world, case_id)) == 502  # the notice and who could not be invited


def test_given_a_crash_after_the_notice_when_the_title_changes_before_it_is_settled_then_the_change_is_reported(
    world: World,
) -> None:
    world.drop_native_events = True
    case_id = world.create_case(title="first title")
    world.wire.kill_on("slack", "chat.postMessage", "after")
    world.live(1)
    assert str(world.wire.died_at) == "sync: slack chat.postMessage"
    world.security_ir.call("UpdateCase", {"caseId": case_id, "title": "second title"})
    world.live(4)

    assert len(lines_with(world, case_id, f"Case {case_id}")) == 1
    assert len(lines_with(world, case_id, "*Title*: first title → second title")) == 1
