# The Slack app, to be pasted at https://api.slack.com/apps: every setting in one piece, with the scopes that are used and
# no others.

locals {
  webhook_url = "${aws_api_gateway_stage.prod.invoke_url}/slack/events"

  # With what each is for: the same list that `make verify` holds the installed app to.
  slack_scopes = keys(jsondecode(file("${path.module}/../src/ir_router/slack/scopes.json")))

  slack_app_manifest = {
    display_information = {
      name        = "AWS Security Incident Response"
      description = "Cases and their channels in step; approvals of containments"
    }
    features = {
      bot_user = {
        display_name  = "Security IR"
        always_online = true
      }
      slash_commands = [{
        command       = "/security-ir"
        url           = local.webhook_url
        description   = "Manage AWS Security Incident Response cases"
        usage_hint    = "[status|update-status|update-description|update-title|close|incident-details] [args]"
        should_escape = true
      }]
    }
    oauth_config = {
      scopes = { bot = local.slack_scopes }
    }
    settings = {
      event_subscriptions = {
        request_url = local.webhook_url
        bot_events  = ["file_shared", "member_joined_channel", "member_left_channel", "message.channels", "message.groups"]
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
