"""The reader of messages accepts every input, including input that Slack never sends."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ir_router.slack.content import reader
from ir_router.slack.content.reading import Ids

KINDS = (
    "section", "header", "context", "divider", "image", "video", "actions", "context_actions", "input", "file",
    "rich_text", "rich_text_section", "rich_text_list", "rich_text_quote", "rich_text_preformatted", "table",
    "data_table", "markdown", "text", "link", "user", "usergroup", "channel", "broadcast", "emoji", "date",
    "color", "mrkdwn", "plain_text", "raw_text", "raw_number", "button", "radio_buttons", "checkboxes",
    "static_select", "feedback_buttons", "card", "carousel", "container", "task_card", "plan", "call",
    "new_type",
)  # fmt: skip
NAMES = (
    "type", "text", "blocks", "elements", "fields", "rows", "accessory", "title", "attachments",
    "message_blocks", "message", "files", "id", "name", "mode", "is_share", "is_msg_unfurl", "from_url",
    "footer", "ts", "fallback", "pretext", "style", "indent", "offset", "border", "url", "timestamp",
    "options", "placeholder", "element", "label", "initial_option", "value", "author_name", "author_id",
    "channel_id", "caption", "skin_tone",
)  # fmt: skip
leaf = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(KINDS)
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(["&lt;b&gt;", "<!date^1^{x}>", "<@U1>", "<#C1|>", "<!subteam^S1>", "[no preview available]"])
)
parts = st.recursive(
    leaf,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=25,
)
messages = st.dictionaries(st.sampled_from(["text", "blocks", "attachments", "files"]), parts | st.lists(parts))


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages)
def test_given_a_message_of_any_shape_when_it_is_read_then_nothing_fails_and_it_equals_itself(
    message: dict[str, Any],
) -> None:
    content = reader.read(message, Ids())
    fingerprint = reader.fingerprint(message)

    assert content.text.encode("utf-8").decode("utf-8") == content.text
    assert reader.is_same_content(fingerprint, reader.fingerprint(dict(message)))


def test_given_parts_nested_without_end_when_they_are_read_then_the_depth_is_limited() -> None:
    block: Any = {"type": "new", "text": "the deepest words"}
    attachment: Any = {"text": "one", "is_share": True}
    for _ in range(300):
        block = {"type": "new", "inner": [block]}
        attachment = {"attachments": [attachment], "files": [{"id": "F1"}]}

    content = reader.read({"blocks": [block], "attachments": [attachment]}, Ids())

    assert content.missing
    assert [file["id"] for file in content.forwarded_files] == ["F1"]
