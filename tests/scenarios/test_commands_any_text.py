"""The webhook answers any typed or sent input, and nothing behind it fails."""

from __future__ import annotations

import html
import json
from urllib.parse import urlencode

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ir_sandbox.slack.signing import signature
from tests.support.commands import answers, case, case_with_channel
from tests.support.world import World

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
# One simulator serves all examples, because only the answer is checked and a start takes seconds.
ONE_WORLD = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


def send(world: World, form: dict[str, str]) -> int:
    """Send a signed form to the webhook; return the status of the response."""
    body = urlencode(form, errors="surrogatepass").encode()
    at = str(int(world.now()))
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": signature(world.app.signing_secret, at, body),
    }
    return world.request(headers, body)[0]


def test_given_any_text_when_it_is_sent_as_a_command_then_the_webhook_answers_200(world: World) -> None:
    @ONE_WORLD
    @given(st.text() | st.text().map("update-title ".__add__))
    @example("\x00")
    @example("\ud800")
    def check(text: str) -> None:
        form = {"command": "/security-ir", "text": text, "team_id": world.workspace.team_id, "trigger_id": "1.2"}
        assert send(world, form) == 200

    check()


def test_given_any_payload_when_it_is_sent_as_an_interaction_then_neither_the_webhook_nor_the_worker_fails(
    world: World,
) -> None:
    team = {"id": world.workspace.team_id}

    @ONE_WORLD
    @given(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["block_actions", "view_submission", "shortcut", "view_closed"]) | JSON},
            optional={"view": JSON, "actions": JSON, "user": JSON, "container": JSON},
        )
    )
    @example({"type": "view_submission", "view": {"callback_id": "create_case", "state": None}})
    def check(payload: dict[str, object]) -> None:
        assert send(world, {"payload": json.dumps({**payload, "team": team})}) == 200
        for _, event, _ in world.asynchronous:
            world.invoke("slack", event)
        world.asynchronous.clear()

    check()


def test_given_any_text_when_it_becomes_the_title_then_the_case_has_it_and_the_answer_shows_it(world: World) -> None:
    case_id, jane = case_with_channel(world)
    channel = world.channel_of(case_id)
    printable = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60)

    @settings(ONE_WORLD, max_examples=15)
    @given(printable)
    @example("<!channel> &amp; <@U0> <b>*bold*</b>")
    @example("x</b>|<!date^1^{date}|click> <@U0|me>")
    def check(text: str) -> None:
        jane.command(channel, "/security-ir", f"update-title {text}")
        for _, event, _ in world.asynchronous:
            world.invoke("slack", event)
        world.asynchronous.clear()
        title = case(world, case_id)["title"]
        answer = answers(world, jane)[-1]
        assert title in answer
        raw = world.workspace.ephemerals(jane.id)[-1]["text"]
        assert "<" not in raw
        assert html.unescape(raw) == answer

    check()
