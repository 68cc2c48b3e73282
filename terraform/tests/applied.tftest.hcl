# Checks of values that are known only after an apply.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "global_events"
  source = "./tests/mocks"
}

variables {
  # Any existing file works: the mocked provider uploads nothing.
  package_path = "./versions.tf"

  # Values in the correct format. A test searches for them in everything that Terraform wrote.
  slack_bot_token      = "xoxb-1111111111-2222222222-AppliedCanary"
  slack_signing_secret = "0123456789abcdef0123456789abcdef"
  slack_workspace_id   = "T0APPLIED"
  slack_channel_prefix = "applied-"
}

run "given_a_deployment_when_applied_then_the_slack_app_is_set_up_by_one_paste" {
  assert {
    condition     = endswith(output.SlackWebhookUrl, "/slack/events")
    error_message = "SlackWebhookUrl must end with the path that the specification gives."
  }

  assert {
    condition = toset([
      jsondecode(output.slack_app_manifest).settings.event_subscriptions.request_url,
      jsondecode(output.slack_app_manifest).settings.interactivity.request_url,
      jsondecode(output.slack_app_manifest).features.slash_commands[0].url,
    ]) == toset([output.SlackWebhookUrl])
    error_message = "Events, interactivity and the slash command must all use SlackWebhookUrl."
  }

  assert {
    condition     = jsondecode(output.slack_app_manifest).features.slash_commands[0].command == "/security-ir"
    error_message = "The slash command must have the name that the specification gives."
  }

  assert {
    condition = toset(jsondecode(output.slack_app_manifest).settings.event_subscriptions.bot_events) == toset([
      "message.channels", "message.groups", "member_joined_channel", "member_left_channel", "file_shared",
      "channel_deleted", "channel_id_changed", "group_deleted", "file_deleted", "app_home_opened",
      "app_uninstalled", "tokens_revoked",
    ]) && jsondecode(output.slack_app_manifest).features.app_home.home_tab_enabled
    error_message = "The app must subscribe to the events that the specification gives, to changes of a channel's id, deletions of channels and files, the opened Home tab, and the removal of the app."
  }

  assert {
    condition     = alltrue([for scope in jsondecode(output.slack_app_manifest).oauth_config.scopes.bot : !contains(["im:read", "mpim:read", "channels:join", "admin"], scope)])
    error_message = "The manifest must not contain unused scopes."
  }

  assert {
    condition     = !jsondecode(output.slack_app_manifest).settings.token_rotation_enabled && !jsondecode(output.slack_app_manifest).settings.socket_mode_enabled
    error_message = "Token rotation and socket mode must be off: a rotating token expires within hours, and in socket mode Slack calls no URL."
  }
}
