"""The teams, organisations, apps and users that Slack names in its envelopes."""

from __future__ import annotations

from ir_sandbox.slack.quirks.quirk import Quirk

ENVELOPE_NAMES_SENDER = Quirk(
    "envelope_names_sender",
    "In a channel that several workspaces share, the outer team_id and enterprise_id of an event are those of another "
    "workspace; only the authorizations name the installation.",
    "https://github.com/slackapi/bolt-js/issues/935",
)
INTERACTION_NAMES_SENDER = Quirk(
    "interaction_names_sender",
    "A command, button or form names the workspace and organisation of the user who acts; only a form's "
    "app_installed_team_id names the installation.",
    "https://github.com/slackapi/bolt-js/issues/1614",
)
ORG_WIDE_INSTALLATION = Quirk(
    "org_wide_installation",
    "The app is installed on the organisation: authorizations and interactions name no workspace, and methods that "
    "work on one need team_id.",
    "https://docs.slack.dev/enterprise/developing-for-enterprise-orgs/",
)
ID_CHANGES_UNANNOUNCED = Quirk(
    "id_changes_unannounced",
    "A channel whose id changes is found under its new id only; channel_id_changed does not arrive.",
    "https://github.com/Netflix/dispatch/issues/560",
)

QUIRKS: tuple[Quirk, ...] = (
    ENVELOPE_NAMES_SENDER,
    INTERACTION_NAMES_SENDER,
    ORG_WIDE_INSTALLATION,
    ID_CHANGES_UNANNOUNCED,
)
