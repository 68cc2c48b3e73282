"""Unusual ids, texts and principals: each has a defined outcome, nothing is lost, nothing loops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ir_router.errors import InvalidInputError
from ir_sandbox.slack.rendering import visible_text
from tests.support.sync import from_slack, lines_with, make_jane, settled_case, shown
from tests.support.world import World

TEXTS = {
    "only emoji": "👀" * 300,
    "right to left": "שלום עולם مرحبا",
    "overrides": "\u202egpj.exe\u202c",
    "markup": "<!here> *bold* `code` <https://evil.example|x> & &amp;",
    "controls": "a\x07b\x1b[2Jc",
    "lines": "\n\n\nline\r\n\r\nline\n",
    "long word": "x" * 12_000,
    "long emoji": "😀" * 6_000,
    "spaces": " \t ",
}


def formatted_texts(value: Any) -> Iterator[str]:
    """Yield the texts in which Slack reads mentions, links and formatting: those of the type `mrkdwn`."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            yield str(value["text"])
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from formatted_texts(inner)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_given_texts_of_every_kind_on_a_case_when_synchronised_then_the_channel_shows_them_and_nothing_acts(
    world: World, text: str
) -> None:
    case_id = world.create_case(title=text[:300], description=text[:8000], tags={})
    world.security_ir.add_comment_as(case_id, body=text)
    world.settle()
    world.security_ir.call("UpdateCase", {"caseId": case_id, "description": (text + "!")[-8000:]})
    world.settle()
    world.live(2)

    assert [answer.error for answer in world.invocations if answer.error] == []
    messages = world.said(case_id)
    assert len([m for m in messages if "commented" in shown(m)]) >= 1
    assert len(lines_with(world, case_id, "*Description*")) == 1
    for message in messages:
        formatted = " ".join(formatted_texts(message["blocks"]))
        assert "<!here>" not in formatted + message["text"]
        assert "<https://evil.example" not in formatted
        assert "<https://evil.example|" not in message["text"]
        raw = str(message["blocks"]) + message["text"]
        assert "\x1b" not in raw
        assert "\u202e" not in raw
    assert world.poll()["published"] == 0


WITHOUT_A_CASE: tuple[dict[str, Any], ...] = (
    {"source": "aws.security-ir", "detail": {}},
    {"source": "aws.security-ir", "detail": None},
    {"source": "aws.security-ir", "detail": {"caseId": ""}},
    {"source": "security-ir", "detail-type": "CaseUpdated", "detail": {"caseId": "poller"}},
    {"source": "security-ir", "detail-type": "CaseUpdated", "detail": {"caseId": ["1234567890"]}},
    {"source": "security-ir", "detail-type": "CaseUpdated", "detail": {"caseId": "1234567890\nMETA"}},
    {"source": "security-ir", "detail-type": "CaseUpdated", "detail": {"caseId": "1" * 5000}},
    {"source": "aws.security-ir", "detail": {"caseId": "1234567890-with more? #x/../y"}},
    {"source": "aws.security-ir", "resources": ["arn:aws:security-ir:us-east-1:123456789012:membership/m-1"]},
)


def test_given_events_that_name_no_case_when_they_come_then_each_is_refused_and_nothing_is_called(world: World) -> None:
    for event in WITHOUT_A_CASE:
        with pytest.raises(InvalidInputError):
            world.invoke("sync", event)
    assert world.wire.calls == []


def test_given_a_case_that_does_not_exist_when_an_event_names_it_then_nothing_is_made_or_kept(world: World) -> None:
    answer = world.invoke("sync", {"source": "aws.security-ir", "detail": {"caseId": "9999999999"}})

    assert answer["outcome"] == "unknown case"
    assert world.poll()["published"] == 0
    assert list(world.workspace.store.channels) == []


def test_given_a_case_named_by_its_arn_alone_when_the_event_comes_then_it_is_synchronised(world: World) -> None:
    world.drop_native_events = True
    case_id = world.create_case()
    arn = world.security_ir.call("GetCase", {"caseId": case_id})["caseArn"]

    assert world.invoke("sync", {"source": "aws.security-ir", "resources": [arn]})["outcome"] == "synced"
    assert world.said(case_id)


@pytest.mark.parametrize(
    ("creator", "name"),
    [
        ("AWS Responder", "AWS Responder"),
        ("security-ir.amazonaws.com", "AWS Security Incident Response"),
        ("123456789012", "123456789012"),
        ("arn:aws:sts::123456789012:assumed-role/Admin/jane@example.com", "jane@example.com"),
        ("arn:aws:iam::123456789012:root", "root of account 123456789012"),
        ("AWS Responder <!channel>", "AWS Responder <!channel>"),
    ],
)
def test_given_a_comment_by_any_principal_when_it_comes_over_then_it_is_named_as_people_do(
    world: World, creator: str, name: str
) -> None:
    case_id = settled_case(world)
    world.security_ir.add_comment_as(case_id, creator, "who am I")
    world.settle()

    message = world.said(case_id)[-1]
    assert f"{name} commented" in visible_text(message)
    assert "<!channel>" not in " ".join(formatted_texts(message["blocks"]))


def test_given_a_name_with_lines_and_markup_when_its_owner_writes_then_the_comments_frame_stays_intact(
    world: World,
) -> None:
    mallory = world.workspace.create_user("mallory", real_name="Mallory\n[AWS Security IR Update] <!here>" + "y" * 200)
    make_jane(world)
    case_id = settled_case(world)
    world.workspace.person("ir-router").invite(world.channel_of(case_id), mallory.id)
    mallory.post(world.channel_of(case_id), "hello")
    world.settle()

    (body,) = from_slack(world, case_id)
    first, text, _, reference = body.split("\n")
    assert first.startswith("[Slack Update] Mallory [AWS Security IR Update]")
    assert len(first) < 200
    assert text == "hello"
    assert reference.startswith("(Slack ")


def test_given_a_comment_that_copies_our_reference_when_it_comes_then_it_is_still_treated_as_another_authors(
    world: World,
) -> None:
    jane = make_jane(world)
    case_id = settled_case(world)
    jane.post(world.channel_of(case_id), "the original")
    world.settle()
    (ours,) = from_slack(world, case_id)
    world.security_ir.add_comment_as(case_id, body=ours.replace("the original", "a forgery"))
    world.security_ir.add_comment_as(case_id, body=ours)
    world.settle()

    assert len(lines_with(world, case_id, "a forgery")) == 1
    assert len(lines_with(world, case_id, "the original")) == 1  # AWS's copy, not Jane's own


def test_given_thirty_watchers_and_fifty_attachments_when_the_case_is_new_then_all_are_dealt_with(
    world: World,
) -> None:
    for number in range(30):
        world.workspace.create_user(f"user{number}", email=f"user{number}@example.com", real_name=f"User {number}")
    world.drop_native_events = True
    case_id = world.create_case(watchers=[{"email": f"user{number}@example.com"} for number in range(30)])
    for number in range(50):
        world.security_ir.add_attachment_as(case_id, file_name=f"a{number}.txt", content=b"x%d" % number)
    world.advance(2)
    world.live(3)

    channel = world.workspace.channel(world.channel_of(case_id))
    assert len(channel.members) == 31
    (line,) = lines_with(world, case_id, "Added to this channel as watcher or response team member:")
    assert all(f"User {number}" in line for number in range(30))
    files = [file["name"] for m in world.workspace.channel_messages(channel.id) for file in m.get("files", [])]
    assert sorted(files) == sorted(f"a{number}.txt" for number in range(50))
