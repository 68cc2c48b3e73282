# What is known only once everything is made.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "global_events"
  source = "./tests/mocks"
}

variables {
  # Any file does: the mocked provider uploads nothing.
  package_path = "./versions.tf"

  # Values of the right form, looked for afterwards in all that Terraform wrote.
  slack_bot_token      = "xoxb-1111111111-2222222222-AppliedCanary"
  slack_signing_secret = "0123456789abcdef0123456789abcdef"
  slack_workspace_id   = "T0APPLIED"
  slack_channel_prefix = "applied-"
}

run "given_a_deployment_when_applied_then_the_slack_app_is_set_up_by_one_paste" {
  assert {
    condition     = endswith(output.SlackWebhookUrl, "/slack/events")
    error_message = "Slack's request URL ends in the specification's path."
  }

  assert {
    condition = toset([
      jsondecode(output.slack_app_manifest).settings.event_subscriptions.request_url,
      jsondecode(output.slack_app_manifest).settings.interactivity.request_url,
      jsondecode(output.slack_app_manifest).features.slash_commands[0].url,
    ]) == toset([output.SlackWebhookUrl])
    error_message = "Events, interactivity and the command all come to the one door."
  }

  assert {
    condition     = jsondecode(output.slack_app_manifest).features.slash_commands[0].command == "/security-ir"
    error_message = "The command's name is the specification's."
  }

  assert {
    condition = toset(jsondecode(output.slack_app_manifest).settings.event_subscriptions.bot_events) == toset([
      "message.channels", "message.groups", "member_joined_channel", "member_left_channel", "file_shared",
    ])
    error_message = "The events are the specification's."
  }

  assert {
    condition     = alltrue([for scope in jsondecode(output.slack_app_manifest).oauth_config.scopes.bot : !contains(["im:read", "mpim:read", "channels:join", "admin"], scope)])
    error_message = "No scope is asked for that nothing uses."
  }

  assert {
    condition     = !jsondecode(output.slack_app_manifest).settings.token_rotation_enabled && !jsondecode(output.slack_app_manifest).settings.socket_mode_enabled
    error_message = "A rotating token expires within hours, and in socket mode Slack calls no URL."
  }
}
