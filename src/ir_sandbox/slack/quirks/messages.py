"""The forms in which Slack sends messages and their changes."""

from __future__ import annotations

from ir_sandbox.slack.quirks.quirk import Quirk

PASTED_TABLES = Quirk(
    "messages.pasted_tables",
    "A table that a user pastes is in attachments[].blocks only, and its fallback is a placeholder.",
    "https://github.com/slackapi/slack-skills-plugin/issues/126",
)
FORWARDS_WITHOUT_TEXT = Quirk(
    "messages.forwards_without_text",
    "A forwarded message has an empty text; its words are in message_blocks, and its files in the attachment.",
    "https://github.com/slackapi/slack-skills-plugin/issues/149",
)
BLOCKS_WITHOUT_TEXT = Quirk(
    "messages.blocks_without_text",
    "A message that consists of blocks has an empty text.",
    "https://github.com/mautrix/slack/issues/22",
)
CHANGES_WITHOUT_PREVIOUS = Quirk(
    "messages.changes_without_previous",
    "message_changed has no previous_message.",
    "https://docs.slack.dev/reference/events/message/message_changed",
)
HOUSEKEEPING_CHANGES = Quirk(
    "messages.housekeeping_changes",
    "Slack changes its own notices later, so that message_changed wraps a message with a housekeeping subtype.",
    "https://docs.slack.dev/reference/events/message/message_changed",
)
REPLIES_CHANGE_PARENTS = Quirk(
    "messages.replies_change_parents",
    "A reply changes the counters of its first message, for which Slack sends message_changed.",
    "https://docs.slack.dev/reference/events/message/message_replied",
)
UNFURLS = Quirk(
    "messages.unfurls",
    "A moment after a message with a link Slack sends message_changed with a preview of the page.",
    "https://docs.slack.dev/messaging/unfurling-links-in-messages",
)
HUDDLES = Quirk(
    "messages.huddles",
    "A huddle starts and ends in the channel: Slack posts a huddle_thread message as Slackbot and empties its text.",
    "https://github.com/abdolence/slack-morphism-rust/issues/283",
)
SLACKBOT = Quirk(
    "messages.slackbot",
    "Slackbot answers in the channel as the user USLACKBOT, who is no bot for users.info.",
    "https://github.com/slackapi/bolt-js/issues/794",
)
USER_TOKEN_POSTS = Quirk(
    "messages.user_token_posts",
    "A message that an app posts with a user's token has the user's id together with the app's bot_id and app_id.",
    "https://github.com/anneschuth/claude-threads/issues/526",
)
UNLABELLED_GROUPS = Quirk(
    "messages.unlabelled_groups",
    "A mention of a user group has no label.",
    "https://github.com/mautrix/slack/issues/91",
)
DELETIONS_FIRST = Quirk(
    "messages.deletions_first",
    "The deletion of a message arrives before the message, whose first delivery failed.",
    "https://docs.slack.dev/apis/events-api#retries",
)

QUIRKS: tuple[Quirk, ...] = (
    PASTED_TABLES,
    FORWARDS_WITHOUT_TEXT,
    BLOCKS_WITHOUT_TEXT,
    CHANGES_WITHOUT_PREVIOUS,
    HOUSEKEEPING_CHANGES,
    REPLIES_CHANGE_PARENTS,
    UNFURLS,
    HUDDLES,
    SLACKBOT,
    USER_TOKEN_POSTS,
    UNLABELLED_GROUPS,
    DELETIONS_FIRST,
)
