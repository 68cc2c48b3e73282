"""S6, S7, S10, S14: actions of users in the channel appear on the case, once and in order."""

from __future__ import annotations

import threading

import pytest

from ir_sandbox.slack.people import Person
from tests.support.sync import configured, from_slack, lines_with
from tests.support.world import World


def text_of(body: str) -> str:
    """Return the text of a comment from Slack without its frame."""
    return "\n".join(body.split("\n")[1:-2])


def test_given_a_channel_when_a_person_writes_then_the_case_has_it_once(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    ts = jane.post(channel, f"<@{jane.id}> see <https://example.com|the page> & tell :eyes: 👀")
    world.settle()
    world.live(2)

    (body,) = from_slack(world, case_id)
    assert text_of(body) == "@Jane Smith see the page (https://example.com) & tell :eyes: 👀"
    assert body.startswith(f"[Slack Update] Jane Smith ({jane.user.email}, {jane.id}) (20")
    assert " UTC)\n" in body
    assert body.endswith(f"(Slack {channel}/{ts})")
    assert lines_with(world, case_id, "tell") == []


def test_given_mentions_of_people_channels_groups_and_everybody_when_copied_then_they_are_names(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    bob = world.workspace.create_user("bob", real_name="Bob Stone")
    general = jane.create_channel("general")
    group = world.workspace.create_user_group("responders", [bob.id])
    jane.post(
        channel, f"<@{bob.id}> <#{general}> <!subteam^{group.id}|@responders> <!here> <mailto:a@b.example|a@b.example>"
    )
    world.settle()

    (body,) = from_slack(world, case_id)
    assert text_of(body) == "@Bob Stone #general @responders @here a@b.example"


@pytest.mark.parametrize("tag", ["[AWS Security IR Update]", "[Slack Update]", "(ir-router channel)"])
def test_given_a_tag_that_a_person_types_when_it_is_posted_then_it_is_not_ignored(
    world: World, jane: Person, case_id: str, channel: str, tag: str
) -> None:
    jane.post(channel, f"{tag} I typed this {tag}")
    world.settle()
    world.live(1)

    (body,) = from_slack(world, case_id)
    assert text_of(body) == f"> {tag} I typed this {tag}"  # distinct from ir-router's own frame
    assert lines_with(world, case_id, "I typed this") == []


def test_given_a_reply_when_copied_then_it_says_what_it_answers(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    ts = jane.post(channel, "Who saw the key last? " + "x" * 100)
    world.settle()
    jane.post(channel, "I did", thread_ts=ts)
    jane.post(channel, "for everybody", thread_ts=ts, broadcast=True)
    world.settle()

    _, reply, broadcast = from_slack(world, case_id)
    assert ', in reply to Jane Smith: "Who saw the key last? xxx' in reply.split("\n")[0]
    assert text_of(reply) == "I did"
    assert text_of(broadcast) == "for everybody"


def test_given_an_edit_and_a_deletion_when_they_arrive_then_the_comment_follows(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    ts = jane.post(channel, "frist thing")
    world.settle()
    jane.edit(channel, ts, "first thing")
    world.settle()
    (edited,) = from_slack(world, case_id)
    jane.delete(channel, ts)
    world.settle()
    world.live(2)

    assert text_of(edited) == "first thing"
    assert f"Jane Smith ({jane.user.email}, {jane.id}), edited (20" in edited
    (deleted,) = from_slack(world, case_id)
    assert "(This message was deleted in Slack.)\nfirst thing" in deleted
    assert lines_with(world, case_id, "thing") == []


def test_given_a_thread_when_its_first_message_is_deleted_then_its_comment_says_so(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    ts = jane.post(channel, "the question")
    jane.post(channel, "an answer", thread_ts=ts)
    world.settle()
    jane.delete(channel, ts)
    world.settle()

    question, answer = from_slack(world, case_id)
    assert "(This message was deleted in Slack.)\nthe question" in question
    assert text_of(answer) == "an answer"


def test_given_an_edit_that_makes_a_message_longer_then_shorter_when_copied_then_all_of_it_is_there(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    long = " ".join(f"word{number}" for number in range(2500))
    ts = jane.post(channel, "short")
    world.settle()
    jane.edit(channel, ts, long)
    world.settle()
    grown = from_slack(world, case_id)
    jane.edit(channel, ts, "short again")
    world.settle()
    world.live(2)

    assert "".join(text_of(body) for body in grown) == long
    shrunk = from_slack(world, case_id)
    assert len(shrunk) == len(grown) == 2
    assert text_of(shrunk[0]) == "short again"
    assert text_of(shrunk[1]) == "(This part was removed by an edit in Slack.)"
    assert lines_with(world, case_id, "word7") == []


def test_given_edits_out_of_order_when_they_arrive_then_the_last_one_wins(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    ts = jane.post(channel, "one")
    world.settle()
    world.workspace.deliveries.disturb("delay", seconds=90, matches=lambda envelope: "two" in str(envelope["event"]))
    jane.edit(channel, ts, "two")
    jane.edit(channel, ts, "three")
    world.settle()
    world.live(3)

    (body,) = from_slack(world, case_id)
    assert text_of(body) == "three"


def test_given_a_link_that_unfolds_when_slack_reports_it_then_nothing_is_called(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    ts = jane.post(channel, "see https://example.com")
    world.settle()
    before = world.comments(case_id)
    world.wire.calls.clear()
    world.workspace.unfurl(channel, ts)
    world.settle()

    assert world.comments(case_id) == before
    assert world.wire.calls == []


def test_given_a_message_over_the_limit_when_copied_then_no_character_is_lost(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    text = " ".join(f"word{number}" for number in range(4000))
    jane.post(channel, text)
    world.settle()

    bodies = from_slack(world, case_id)
    assert len(bodies) > 2
    assert all(f", part {number} of {len(bodies)} (" in body for number, body in enumerate(bodies, 1))
    assert "".join(text_of(body) for body in bodies) == text


def test_given_a_comment_from_slack_when_it_is_edited_on_the_case_then_the_channel_shows_it_once(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    jane.post(channel, "the key is safe")
    world.settle()
    listed = world.security_ir.call("ListComments", {"caseId": case_id})["items"]
    comment_id = next(item["commentId"] for item in listed if "the key is safe" in item["body"])
    world.security_ir.update_comment_as(case_id, comment_id, body="the key is NOT safe " + "x" * 4000)
    world.settle()
    world.live(3)

    assert len(lines_with(world, case_id, "the key is NOT safe")) == 1
    assert sum(line.count("x") for line in lines_with(world, case_id, "xxxx")) >= 4000


def test_given_a_message_of_another_channel_when_it_arrives_then_the_case_does_not_have_it(
    world: World, jane: Person, case_id: str
) -> None:
    app = world.workspace.person("ir-router")
    other = jane.create_channel("general")
    jane.invite(other, app.id)
    jane.post(other, "lunch?")
    world.settle()

    assert from_slack(world, case_id) == []


@pytest.mark.parametrize("mirrored", [False, True])
def test_given_another_bot_when_it_posts_then_the_variable_decides(
    world: World, jane: Person, case_id: str, channel: str, mirrored: bool
) -> None:
    other = world.workspace.create_app("scanner", deliver=lambda *_: (200, {}, b""))
    jane.invite(channel, other.bot_user_id)
    with configured(world, IR_MIRROR_BOTS=str(mirrored).lower()):
        world.workspace.person("scanner").post(channel, "scan finished")
        world.settle()

    assert [text_of(body) for body in from_slack(world, case_id)] == (["scan finished"] if mirrored else [])


def test_given_members_when_they_come_and_go_then_the_bus_names_them(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    bob = world.workspace.create_user("bob", real_name="Bob Stone")
    jane.invite(channel, bob.id)
    world.settle()
    bob.leave(channel)
    world.settle()

    events = [event for event in world.bus if event["source"] == "slack" and event["detail"].get("userId") == bob.id]
    assert [(event["detail-type"], event["detail"]["name"]) for event in events] == [
        ("MemberJoined", "Bob Stone"),
        ("MemberLeft", "Bob Stone"),
    ]
    assert all(event["detail"]["caseId"] == case_id for event in events)


def test_given_a_message_when_it_is_copied_then_the_bus_has_its_ids_and_not_its_text(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.bus.clear()
    ts = jane.post(channel, "secret words")
    world.settle()

    (event,) = [event for event in world.bus if event["detail-type"] == "MessageSynchronized"]
    assert (event["detail"]["channelId"], event["detail"]["ts"]) == (channel, ts)
    assert "secret words" not in str(world.bus)


def test_given_one_event_delivered_three_times_when_handled_then_one_comment_is_made(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.workspace.deliveries.disturb("duplicate", times=2)
    jane.post(channel, "only once")
    world.settle()
    world.advance(600)  # beyond the queue's own deduplication
    for delivery in list(world.workspace.deliveries.log):
        if delivery.event_type == "message" and b"only once" in delivery.body:
            world.request(*_signed(world, delivery.body))
    world.settle()

    assert len(from_slack(world, case_id)) == 1


def _signed(world: World, body: bytes) -> tuple[dict[str, str], bytes]:
    from ir_router.slack.signature import sign

    timestamp = str(int(world.now()))
    headers = {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": sign(world.app.signing_secret, timestamp, body),
    }
    return headers, body


def test_given_three_concurrent_deliveries_when_handled_at_once_then_one_comment_is_made(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    ts = jane.post(channel, "at once")
    event = {"type": "message", "channel": channel, "user": jane.id, "text": "at once", "ts": ts}
    body = {"event_id": "Ev1", "team_id": world.workspace.team_id, "app_id": world.app.app_id, "event": event}
    world.workspace.deliveries.log.clear()
    records = [world.record("slack-events", body, message_id=f"m{number}") for number in range(3)]
    threads = [threading.Thread(target=world.try_invoke, args=("slack", {"Records": [record]})) for record in records]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.settle()
    world.live(2)

    assert len(from_slack(world, case_id)) == 1
    assert lines_with(world, case_id, "at once") == []


def test_given_a_crash_after_the_comment_was_made_when_aws_reports_it_first_then_it_does_not_echo(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    jane.post(channel, "no echo")
    world.deliver()
    world.wire.kill_on("security-ir", "CreateCaseComment", "after")
    world._run_queues()
    assert str(world.wire.died_at) == "slack: security-ir CreateCaseComment"
    world._run_hints()  # AWS's event, while the claim is open
    world.settle()
    world.live(2)

    assert len(from_slack(world, case_id)) == 1
    assert lines_with(world, case_id, "no echo") == []


def test_given_messages_one_after_the_other_when_copied_then_their_order_is_kept(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    for number in range(12):
        jane.post(channel, f"message {number}")
    world.security_ir.faults.throttle("CreateCaseComment", times=4, retry_after_seconds=2)
    world.settle()

    assert [text_of(body) for body in from_slack(world, case_id)] == [f"message {number}" for number in range(12)]


def test_given_text_that_draws_a_frame_of_ours_when_it_is_copied_then_it_is_set_apart_as_a_users_words(
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
