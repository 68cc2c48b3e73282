"""The meaning of Slack's error codes: the subject of each, and the fix. Pure.

Each method's reference page lists its codes, for example https://docs.slack.dev/reference/methods/chat.postMessage.
Only a code about a person is stored for that person, and only a code about a channel is reported as its fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ir_router.errors import RefusedError

About = Literal["app", "person", "channel", "message", "form", "request"]


@dataclass(frozen=True)
class Meaning:
    """The meaning of a code.

    Attributes:
        about: The subject that must change. `request` stands for all others.
        words: The cause, as a clause.
        fix: A sentence with the action for the reader; may be empty.
    """

    about: About
    words: str = ""
    fix: str = ""


_CREDENTIALS = "Ask the operators of ir-router to run make verify and make rotate."
_ADMINISTRATOR = "Ask an administrator of the Slack workspace"
_INSTALL = f"{_ADMINISTRATOR} to approve the app for this workspace. Operators then run make verify."
_ARCHIVED = "Unarchive the channel."
_INVITE = "Invite the app to the channel again."
_POSTING = (
    f"{_ADMINISTRATOR} or a manager of the channel to let the app post (Posting permissions in the channel details)."
)
_ADD = (
    "An administrator of the workspace must first add a person who is not in it, with this e-mail address. Then type "
    "`/invite @name` here."
)
_GUEST = (
    "Apps cannot invite guests. Type `/invite @name` here, or ask an administrator to add the guest to the channel."
)
_SINGLE_CHANNEL = (
    "A single-channel guest cannot join a second channel. An administrator must first change the account type."
)
_BY_HAND = "Type `/invite @name` here. If Slack rejects that too, ask an administrator of the workspace."
_CONNECT = (
    "A user of another workspace needs access to it first: share the channel with that workspace (Slack Connect)."
)


def _all(codes: Iterable[str], meaning: Meaning) -> dict[str, Meaning]:
    return dict.fromkeys(codes, meaning)


TOKEN_ERRORS = frozenset({"invalid_auth", "token_revoked", "token_expired", "account_inactive", "not_authed"})
# The call may have had its effect in spite of these codes.
UNCERTAIN = frozenset(
    {
        "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org",
        "file_update_failed",
    }
)  # fmt: skip
# Rejected for now, without an effect.
RATE_LIMITED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded", "external_channel_migrating"})
# An id that does not exist or that the app may not see.
UNKNOWN = frozenset({"user_not_found", "users_not_found", "user_not_visible", "channel_not_found"})
# The channel cannot be used until a member of it acts, or it no longer exists.
UNAVAILABLE = frozenset({"channel_not_found", "not_in_channel", "is_archived", "is_inactive"})

MEANINGS: Mapping[str, Meaning] = {
    # The app: its token, its scopes, its installation.
    **_all(TOKEN_ERRORS, Meaning("app", "the bot token is not valid", _CREDENTIALS)),
    "missing_scope": Meaning(
        "app", "a scope is missing", "Ask the operators of ir-router to reinstall the app with the current manifest."
    ),
    "no_permission": Meaning("app", "the app has no permission for this", _INSTALL),
    "not_allowed_token_type": Meaning("app", "the token is not a bot token", _CREDENTIALS),
    "app_not_installed": Meaning("app", "the app is not installed", _CREDENTIALS),
    **_all(
        ("team_access_not_granted", "access_denied", "enterprise_is_restricted", "org_login_required"),
        Meaning("app", "the app has no access to this workspace", _INSTALL),
    ),
    "ekm_access_denied": Meaning(
        "app",
        "the organisation's encryption keys are revoked",
        f"{_ADMINISTRATOR} to restore access to the keys (EKM).",
    ),
    "two_factor_setup_required": Meaning("app", "the workspace requires two-factor authentication", _INSTALL),
    "missing_argument": Meaning("app", "the request lacks an argument that this installation needs", _CREDENTIALS),
    "restricted_action": Meaning(
        "app",
        "a policy of the workspace forbids it",
        f"{_ADMINISTRATOR} to allow the app to create and manage channels (Settings & administration, Workspace "
        "settings, Permissions, Channel Management).",
    ),
    **_all(("user_is_bot", "is_bot"), Meaning("app", "Slack does not allow a bot to do this", _CREDENTIALS)),
    "accesslimited": Meaning(
        "app",
        "the workspace does not allow requests from this network",
        f"{_ADMINISTRATOR} to allow the IP addresses of ir-router.",
    ),
    **_all(
        ("method_deprecated", "deprecated_endpoint"),
        Meaning("app", "Slack no longer offers this method", "Ask the operators of ir-router to update it."),
    ),
    **_all(
        ("file_uploads_disabled", "file_uploads_except_images_disabled"),
        Meaning("app", "the workspace does not allow file uploads", f"{_ADMINISTRATOR} to allow file uploads."),
    ),
    **_all(
        ("too_many_convos_for_team", "too_many_convos_for_app_on_team"),
        Meaning("app", "the workspace has its maximum number of channels", f"{_ADMINISTRATOR} to delete channels."),
    ),
    "storage_limit_reached": Meaning(
        "app", "the workspace has no storage left for files", f"{_ADMINISTRATOR} to free or add storage for files."
    ),
    # A person.
    **_all(("users_not_found", "user_not_found"), Meaning("person", "not in this workspace", _ADD)),
    "user_not_visible": Meaning("person", "Slack does not show this user to the app", _BY_HAND),
    "user_disabled": Meaning(
        "person",
        "the account is deactivated",
        "An administrator can reactivate a deactivated account. Otherwise remove the watcher from the case.",
    ),
    "user_is_restricted": Meaning("person", "a guest; apps cannot invite guests", _GUEST),
    **_all(
        ("user_is_ultra_restricted", "ura_max_channels"),
        Meaning("person", "a single-channel guest of another channel", _SINGLE_CHANNEL),
    ),
    **_all(
        ("cant_invite", "no_external_invite_permission"),
        Meaning("person", "Slack does not allow the app to invite this user", _BY_HAND),
    ),
    "user_team_not_in_channel": Meaning("person", "from a workspace that does not share this channel", _CONNECT),
    "org_user_not_in_team": Meaning(
        "person",
        "not a member of this workspace of the organisation",
        "An administrator of the organisation must first add the user to this workspace.",
    ),
    "invitee_cant_see_channel": Meaning("person", "this user cannot see the channel", _CONNECT),
    "external_user_limit_reached": Meaning(
        "person",
        "the channel's limit of external users is reached",
        "Remove external members that no longer need this channel.",
    ),
    # A channel.
    **_all(("is_archived", "is_inactive"), Meaning("channel", "the channel is archived", _ARCHIVED)),
    "not_in_channel": Meaning("channel", "the app is not in the channel", _INVITE),
    **_all(("channel_not_found", "invalid_channel"), Meaning("channel", "the app cannot see the channel", _INVITE)),
    **_all(
        (
            "restricted_action_read_only_channel",
            "restricted_action_thread_only_channel",
            "restricted_action_non_threadable_channel",
            "restricted_action_thread_locked",
            "posting_to_channel_denied",
        ),
        Meaning("channel", "the channel's posting permissions do not let the app post", _POSTING),
    ),
    **_all(
        ("channel_is_limited_access", "channel_limit_exceeded", "too_many_members", "is_frozen"),
        Meaning("channel", "Slack limits this channel", f"{_ADMINISTRATOR} to lift the limit of the channel."),
    ),
    "name_taken": Meaning("channel", "every name for the channel is in use", "Rename the channels with these names."),
    # A file. No retry helps: the administrators of one of the workspaces do not allow it.
    **_all(
        ("blocked_file_type", "slack_connect_blocked_file_type"),
        Meaning("request", "the workspace does not allow files of this type"),
    ),
    **_all(
        ("slack_connect_file_upload_sharing_blocked", "slack_connect_clip_sharing_blocked"),
        Meaning("request", "a workspace that shares this channel does not allow files"),
    ),
    "file_upload_size_restricted": Meaning("request", "the workspace does not allow files of this size"),
    # A message.
    **_all(
        ("message_not_found", "edit_window_closed", "cant_update_message", "cant_delete_message", "thread_not_found"),
        Meaning("message", "the message was deleted or can no longer be changed"),
    ),
    # A form, or the press that opens it.
    **_all(
        (
            "expired_trigger_id",
            "exchanged_trigger_id",
            "invalid_trigger_id",
            "trigger_expired",
            "trigger_exchanged",
            "invalid_trigger",
        ),
        Meaning("form", "Slack did not open the form in time"),
    ),
    **_all(("not_found", "view_not_found", "hash_conflict"), Meaning("form", "the form is closed")),
}
_OTHER = Meaning("request")
# Of `restricted_action`, whose entry above is about channels.
_MAY_NOT_POST = Meaning(
    "app",
    "a policy of the workspace forbids it",
    f"{_ADMINISTRATOR} to let the app post messages and files in this channel.",
)
# Of `access_denied`, which is about a resource of this method. https://docs.slack.dev/reference/methods/files.completeUploadExternal
_NO_ACCESS = Meaning(
    "channel", "Slack denies access to the file or the channel", "Invite the app to the channel again."
)


def meaning_of(error: Exception) -> Meaning:
    """Return the meaning of Slack's error for the rejected method; any other error is about the request."""
    if not isinstance(error, RefusedError) or error.service != "Slack":
        return _OTHER
    if error.code == "restricted_action" and error.operation.startswith(("chat.", "files.")):
        return _MAY_NOT_POST
    if error.code == "access_denied" and error.operation == "files.completeUploadExternal":
        return _NO_ACCESS
    return meaning(error.code)


def meaning(code: str) -> Meaning:
    """Return the meaning of a code; an unknown code is about the request."""
    return MEANINGS.get(code, _OTHER)


def is_expired_trigger(code: str, detail: str) -> bool:
    """Return whether a form could not be opened because its `trigger_id` had expired or was used.

    Slack also reports that as `invalid_arguments`, with the cause in `response_metadata`
    (https://github.com/slackapi/bolt-python/issues/434).
    """
    return "trigger" in code or (code == "invalid_arguments" and "trigger_id" in detail)
