"""R1: thirty messages that a new user would send. Each comment equals the message in Slack."""

from __future__ import annotations

import re
from typing import Any

from ir_sandbox.slack.people import Person
from tests.support.raw_events import message, send_event
from tests.support.sync import attachments, from_slack
from tests.support.world import World

LONG = "word and more " * 1_000


def words(text: str, **style: bool) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"style": style} if style else {})}


def section(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text_section", "elements": list(elements)}


def listed(*items: str, style: str = "bullet", **more: int) -> dict[str, Any]:
    return {"type": "rich_text_list", "style": style, "elements": [section(words(one)) for one in items], **more}


def typed(world: World, case_id: str) -> list[str]:
    """Return the texts of the comments from Slack without their frames."""
    return ["\n".join(body.split("\n")[1:-2]) for body in from_slack(world, case_id)]


def test_given_thirty_kinds_of_messages_when_a_user_sends_them_then_each_comment_reads_exactly_as_in_slack(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    bob = world.workspace.create_user("bob", real_name="Bob Stone")
    jane.invite(channel, bob.id)
    group = world.workspace.create_user_group("responders", [bob.id])
    plain = {
        "hello": "hello",
        "done :tada: :+1::skin-tone-3:": "done :tada: :+1::skin-tone-3:",
        ":eyes:": ":eyes:",
        "🚨 👩‍💻 🇩🇪 👍🏽": "🚨 👩‍💻 🇩🇪 👍🏽",
        "run `rm -rf a<b` *now* _please_ ~not~": "run `rm -rf a<b` *now* _please_ ~not~",
        "before\n```\nif a < b && c:\n\trun()\n\n\ndone()\n```\nafter": (
            "before\n```\nif a < b && c:\n\trun()\n\n\ndone()\n```\nafter"
        ),
        "> quoted\n> twice\nmine": "> quoted\n> twice\nmine",
        "see https://example.com/a?b=1&c=2#d (and https://example.com)": (
            "see https://example.com/a?b=1&c=2#d (and https://example.com)"
        ),
        "<https://example.com/long|the report> and <mailto:a@example.com|a@example.com>": (
            "the report (https://example.com/long) and a@example.com"
        ),
        f"<@{bob.id}> <!subteam^{group.id}|@responders> <!here> <#{channel}>": (
            f"@Bob Stone @responders @here #{world.workspace.channel(channel).name}"
        ),
        "typed &amp; &lt;b&gt; literally": "typed &amp; &lt;b&gt; literally",
        "שלום <admin> مرحبا 1.2.3.4": "שלום <admin> مرحبا 1.2.3.4",
        "zero\u200bwidth\u2060 joiner\u200d \ufeffbom": "zero\u200bwidth\u2060 joiner\u200d \ufeffbom",
        "first\r\nsecond\rthird": "first\nsecond\nthird",
        "gap\n\n\nend": "gap\n\n\nend",
        "  two spaces  and a\ttab": "  two spaces  and a\ttab",
        "[Slack Update] Eve (2026-01-01)\n(ir-router failure-x)": (
            "> [Slack Update] Eve (2026-01-01)\n> (ir-router failure-x)"
        ),
        "arn:aws:iam::111122223333:user/_svc_*bot*": "arn:aws:iam::111122223333:user/_svc_*bot*",
        '{"Action": "s3:*", "Resource": ["*"]}': '{"Action": "s3:*", "Resource": ["*"]}',
        "$(id) ; ' OR 1=1 -- %s {0} \\n": "$(id) ; ' OR 1=1 -- %s {0} \\n",
    }
    for text, expected in plain.items():
        jane.post(channel, text)
        world.settle()
        assert typed(world, case_id)[-1] == expected
    assert len(from_slack(world, case_id)) == len(plain)

    rich = {
        "• one\n• two & <three>": [listed("one", "two & <three>")],
        "1. one\n    a. inner\n2. two": [
            listed("one", style="ordered"),
            listed("inner", style="ordered", indent=1),
            listed("two", style="ordered", offset=1),
        ],
        "*bold* and `code`\n> quoted": [
            section(words("bold", bold=True), words(" and "), words("code", code=True), words("\n")),
            {"type": "rich_text_quote", "elements": [words("quoted")]},
        ],
    }
    for expected, parts in rich.items():
        blocks = [{"type": "rich_text", "block_id": "r1", "elements": parts}]
        send_event(world, message(world, channel, user=jane.id, text="", blocks=blocks))
        world.settle()
        assert typed(world, case_id)[-1] == expected
    send_event(world, message(world, channel, user=jane.id, subtype="me_message", text="is looking"))
    send_event(world, message(world, channel, bot_id="B0OTHER01", subtype="bot_message", text="deploy", username="ci"))
    world.settle()
    assert typed(world, case_id)[-1] == "is looking"

    count = len(from_slack(world, case_id))
    jane.post(channel, LONG)
    world.settle()
    halves = from_slack(world, case_id)[count:]
    assert [f", part {number} of 2 (" in body for number, body in enumerate(halves, start=1)] == [True, True]
    assert "".join(text.strip() for text in typed(world, case_id)[count:]).replace(" ", "") == LONG.replace(" ", "")


def test_given_replies_edits_deletions_files_and_forwards_when_a_user_sends_them_then_each_comment_is_exact(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    bob = world.workspace.create_user("bob", real_name="Bob Stone")
    other = jane.create_channel("build")
    jane.invite(channel, bob.id)
    jane.invite(other, bob.id, world.app.bot_user_id)
    source = bob.post(other, "the key was *in* the log")

    question = jane.post(channel, "which key?")
    world.settle()
    bob.post(channel, "this one", thread_ts=question)
    bob.post(channel, "and that one", thread_ts=question, broadcast=True)
    wrong = jane.post(channel, "tpyo")
    jane.edit(channel, wrong, "typo\nfixed")
    gone = jane.post(channel, "oops")
    world.settle()
    jane.delete(channel, gone)
    jane.delete(channel, question)
    only_file, _ = jane.upload(channel, "évidence 1.log", b"1")
    with_text, _ = jane.upload_several(channel, {"a.txt": b"a", "b.txt": b"b"}, text="two files")
    jane.forward(channel, other, source, "from the build")
    world.settle()
    jane.react(channel, wrong, "eyes")
    world.settle()

    bodies = from_slack(world, case_id)
    heads = [body.split("\n")[0].rpartition(" (")[0] for body in bodies]
    identity = re.compile(r" [(](?:jane.smith|bob)@example[.]com, U[A-Z0-9]+[)]")
    assert all(identity.search(head) for head in heads)
    heads = [identity.sub("", head) for head in heads]
    assert heads == [
        "[Slack Update] Jane Smith",
        '[Slack Update] Bob Stone, in reply to Jane Smith: "which key?"',
        '[Slack Update] Bob Stone, in reply to Jane Smith: "which key?"',
        "[Slack Update] Jane Smith, edited",
        "[Slack Update] Jane Smith",
        "[Slack Update] Jane Smith",
        "[Slack Update] Jane Smith",
        "[Slack Update] Jane Smith",
    ]
    texts = typed(world, case_id)
    names = {one["fileName"] for one in attachments(world, case_id)}
    first = next(name for name in names if name.startswith("a-"))
    assert texts[:7] == [
        "(This message was deleted in Slack.)\nwhich key?",
        "this one",
        "and that one",
        "typo\nfixed",
        "(This message was deleted in Slack.)\noops",
        f"📎 évidence 1.log (attachment evidence_1-{only_file}.log)",
        f"two files\n📎 a.txt (attachment {first})\n📎 b.txt (attachment b-{with_text}.txt)",
    ]
    assert texts[7].startswith("from the build\nForwarded message by Bob Stone (Posted in #build, ")
    assert texts[7].endswith("):\nthe key was *in* the log")
    assert names == {f"evidence_1-{only_file}.log", first, f"b-{with_text}.txt"}
