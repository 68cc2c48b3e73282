# The manifest of the Slack app, to paste at https://api.slack.com/apps. It contains every setting and only the scopes
# that ir-router uses.

locals {
  webhook_url = "${aws_api_gateway_stage.prod.invoke_url}/slack/events"

  # The file also states the purpose of each scope. `make verify` compares the installed app with the same list.
  slack_scopes = keys(jsondecode(file("${path.module}/../src/ir_router/slack/scopes.json")))

  slack_app_manifest = {
    display_information = {
      name        = "AWS Security Incident Response"
      description = "Syncs cases with channels and requests approval of containments"
    }
    features = {
      app_home = {
        home_tab_enabled     = true
        messages_tab_enabled = false
      }
      bot_user = {
        display_name  = "Security IR"
        always_online = true
      }
      slash_commands = [{
        command       = "/security-ir"
        url           = local.webhook_url
        description   = "Manage AWS Security Incident Response cases"
        usage_hint    = "[help|status|list|approvals|release|create|comment|update-status|close|incident-details] [args]"
        should_escape = true
      }]
    }
    oauth_config = {
      scopes = { bot = local.slack_scopes }
    }
    settings = {
      event_subscriptions = {
        request_url = local.webhook_url
        bot_events = [
          "app_home_opened", "app_uninstalled", "channel_deleted", "channel_id_changed", "file_deleted", "file_shared",
          "group_deleted", "member_joined_channel", "member_left_channel", "message.channels", "message.groups",
          "tokens_revoked",
        ]
      }
      interactivity = {
        is_enabled  = true
        request_url = local.webhook_url
      }
      org_deploy_enabled     = false
      socket_mode_enabled    = false
      token_rotation_enabled = false
    }
  }
}
