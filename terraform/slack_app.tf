# The Slack app, to be pasted at https://api.slack.com/apps: every setting in one piece, with the scopes that are used and
# no others.

locals {
  webhook_url = "${aws_api_gateway_stage.prod.invoke_url}/slack/events"

  slack_scopes = [
    "channels:history", # message.channels; looking before posting again
    "channels:manage",  # public case channels: create, topic, invite
    "channels:read",    # find a channel by its name, its members
    "chat:write",       # post, update
    "commands",         # /security-ir
    "files:read",       # files to the case
    "files:write",      # files from the case
    "groups:history",   # as channels:history, for private channels
    "groups:read",      # as channels:read, for private channels
    "groups:write",     # as channels:manage, for private channels
    "usergroups:read",  # approvers and editors given as a user group
    "users:read",       # real names, guests
    "users:read.email", # watchers to members, members to permissions
  ]

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
        should_escape = false
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
