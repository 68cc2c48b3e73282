"""The answers of the local Slack have the fields and types that Slack's own library publishes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slack_sdk import WebClient

from ir_operator.project import PROJECT_ROOT
from ir_sandbox.slack import Person
from ir_sandbox.slack.testing import LocalSlack

_PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("slack_response_shapes.json").read_text("utf-8"))
_TYPES = {"string": str, "number": int | float, "boolean": bool}
# Documented, but not in the library: https://docs.slack.dev/reference/objects/conversation-object and
# https://docs.slack.dev/reference/methods/auth.revoke.
_DOCUMENTED = {"is_frozen", "parent_conversation", "revoked"}
# Of every answer (https://docs.slack.dev/apis/web-api#responses).
_OF_EVERY_ANSWER = {"ok", "warning", "response_metadata"}
_METHOD = re.compile(r'"((?:auth|bookmarks|chat|conversations|files|usergroups|users|views)\.[a-z][A-Za-z.]+)"')
_NO_METHODS = {"files.fifo", "files.slack.com"}
MODAL = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "Form"},
    "blocks": [{"type": "section", "text": {"type": "plain_text", "text": "Text"}}],
}


def differences(answer: object, published: object, place: str) -> Iterator[str]:
    """Yield each field of an answer that the published type does not have, or has with another type."""
    if published == "message":
        published = _PUBLISHED["message"]
    if answer is None or published == "any":
        return
    if isinstance(published, dict):
        if not isinstance(answer, dict):
            yield f"{place} is no object"
            return
        for name, value in answer.items():
            if name not in published and name not in _DOCUMENTED:
                yield f"{place}.{name} is not published"
            else:
                yield from differences(value, published.get(name, "any"), f"{place}.{name}")
    elif isinstance(published, list):
        if not isinstance(answer, list):
            yield f"{place} is no list"
            return
        for one in answer:
            yield from differences(one, published[0], f"{place}[]")
    elif not isinstance(answer, _TYPES[str(published)]) or (published == "number" and isinstance(answer, bool)):
        yield f"{place} is no {published}"


def answers(slack: LocalSlack, client: WebClient, channel: str, jane: Person) -> Iterator[tuple[str, dict[str, Any]]]:
    """Call every method, and yield its name and answer."""

    def call(method: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
        body = (
            {"json": arguments}
            if method.startswith(("chat.p", "chat.u", "views.", "files.c"))
            else {"params": arguments}
        )
        return method, dict(client.api_call(method, **body).data)  # type: ignore[arg-type]

    yield call("auth.test")
    yield call("auth.teams.list")
    yield call("conversations.create", name="case-2", is_private="true")
    bob = slack.workspace.create_user("bob")
    yield call("conversations.invite", channel=channel, users=bob.id)
    yield call("conversations.members", channel=channel)
    yield call("conversations.setTopic", channel=channel, topic="a topic")
    yield call("conversations.setPurpose", channel=channel, purpose="Approvals")
    added = call("bookmarks.add", channel_id=channel, title="Case", type="link", link="https://example.com")
    yield added
    yield call("bookmarks.edit", channel_id=channel, bookmark_id=added[1]["bookmark"]["id"], link="https://example.org")
    yield call("bookmarks.list", channel_id=channel)
    yield call("bookmarks.remove", channel_id=channel, bookmark_id=added[1]["bookmark"]["id"])
    yield call("conversations.kick", channel=channel, user=bob.id)
    posted = call("chat.postMessage", channel=channel, text="hello")
    ts = posted[1]["ts"]
    yield posted
    jane.post(channel, "a reply", thread_ts=ts)
    file_id, with_file = jane.upload(channel, "a.txt", b"a", text="a file")
    jane.react(channel, with_file, "eyes")
    jane.edit(channel, jane.post(channel, "tpyo"), "typo")
    yield call("chat.update", channel=channel, ts=ts, text="hello again")
    yield call("chat.getPermalink", channel=channel, message_ts=ts)
    yield call("chat.postEphemeral", channel=channel, user=jane.id, text="only you")
    yield call("conversations.history", channel=channel, include_all_metadata="true")
    yield call("conversations.replies", channel=channel, ts=ts)
    yield call("conversations.info", channel=channel, include_num_members="true")
    yield call("users.conversations", types="private_channel")
    yield call("users.info", user=jane.id)
    yield call("users.lookupByEmail", email=jane.user.email)
    group = slack.workspace.create_user_group("responders", [jane.id])
    yield call("usergroups.list", include_users="true")
    yield call("usergroups.users.list", usergroup=group.id)
    yield call("files.info", file=file_id)
    upload = call("files.getUploadURLExternal", filename="b.txt", length=1)
    yield upload
    slack.workspace.files.receive(upload[1]["upload_url"].rsplit("/", 1)[1], [b"b"])
    yield call("files.completeUploadExternal", files=[{"id": upload[1]["file_id"]}], channel_id=channel)
    yield call("files.delete", file=upload[1]["file_id"])
    jane.command(channel, "/security-ir", "create")
    trigger = slack.received.bodies()[-1]["trigger_id"]
    view = call("views.open", trigger_id=trigger, view=MODAL)
    yield view
    yield call("views.update", view_id=view[1]["view"]["id"], view=MODAL)
    yield call("views.publish", user_id=jane.id, view={"type": "home", "blocks": MODAL["blocks"]})
    yield call("chat.delete", channel=channel, ts=ts)
    yield call("conversations.archive", channel=channel)
    yield call("auth.revoke")


def test_given_every_method_when_the_local_slack_answers_then_its_fields_are_those_that_slack_publishes(
    slack: LocalSlack, client: WebClient, channel: str, jane: Person
) -> None:
    called: set[str] = set()
    wrong: list[str] = []
    for method, answer in answers(slack, client, channel, jane):
        called.add(method)
        shown = {name: value for name, value in answer.items() if name not in _OF_EVERY_ANSWER}
        wrong += differences(shown, _PUBLISHED["methods"][method], method)

    assert wrong == []
    assert called == set(_PUBLISHED["methods"])


def test_given_the_methods_that_the_code_names_when_compared_then_each_answer_is_validated_above() -> None:
    sources = [file for name in ("ir_router", "ir_operator") for file in (PROJECT_ROOT / "src" / name).rglob("*.py")]
    named = {found for file in sources for found in _METHOD.findall(file.read_text("utf-8"))}
    assert "chat.postMessage" in named
    assert named - _NO_METHODS <= set(_PUBLISHED["methods"])
