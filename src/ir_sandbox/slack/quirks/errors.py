"""Errors that Slack returns on methods, commands and forms."""

from __future__ import annotations

from ir_sandbox.slack.quirks.quirk import Quirk

EXPIRY_IN_ARGUMENTS = Quirk(
    "expiry_in_arguments",
    "An expired trigger_id is rejected as invalid_arguments, and only response_metadata names it.",
    "https://github.com/slackapi/bolt-python/issues/434",
)
EXPIRY_AS_TRIGGER_EXPIRED = Quirk(
    "expiry_as_trigger_expired",
    "An expired trigger_id is rejected as trigger_expired.",
    "https://github.com/slackapi/node-slack-sdk/issues/1131",
)
TRIGGER_ALWAYS_EXPIRED = Quirk(
    "trigger_always_expired",
    "Every trigger_id has expired when a form is opened, as after a slow start of the app.",
    "https://github.com/slackapi/bolt-python/issues/886",
)
FORM_CLOSED_AT_ONCE = Quirk(
    "form_closed_at_once",
    "The user closes a form before the app can update it: views.update finds none.",
    "https://docs.slack.dev/reference/methods/views.update",
)
CHANNELS_BY_ADMINISTRATORS = Quirk(
    "channels_by_administrators",
    "The workspace lets only administrators create channels: conversations.create returns restricted_action.",
    "https://github.com/HubSpot/slack-client/issues/234",
)
CHANNEL_READ_ONLY = Quirk(
    "channel_read_only",
    "Posting permissions exclude the app: chat.postMessage returns restricted_action_read_only_channel.",
    "https://docs.slack.dev/reference/methods/chat.postMessage",
)
APP_REFUSED = Quirk(
    "app_refused",
    "Every method returns an error about the app, in turn: its token, its scopes, its access to the workspace.",
    "https://docs.slack.dev/reference/methods/chat.postMessage#errors",
)
# The errors of APP_REFUSED.
ABOUT_THE_APP = ("missing_scope", "token_revoked", "account_inactive", "team_access_not_granted", "invalid_auth")

QUIRKS: tuple[Quirk, ...] = (
    EXPIRY_IN_ARGUMENTS,
    EXPIRY_AS_TRIGGER_EXPIRED,
    TRIGGER_ALWAYS_EXPIRED,
    FORM_CLOSED_AT_ONCE,
    CHANNELS_BY_ADMINISTRATORS,
    CHANNEL_READ_ONLY,
    APP_REFUSED,
)
