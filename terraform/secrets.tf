# The Slack credentials. Secrets are write-only arguments of ephemeral variables: in neither plan nor state, nor in any
# function's environment. They are written when slack_credentials_version changes, so that a rotation outside
# Terraform (`make rotate`) is not undone by the next apply. For the same reason their key or description cannot change
# without a new version: Terraform would have no value to write them again with, and AWS refuses an empty one.

locals {
  parameter_folder = var.name_prefix == local.default_prefix ? "/SecurityIncidentResponse" : "/SecurityIncidentResponse/${var.name_prefix}"

  parameter_paths = {
    bot_token      = "${local.parameter_folder}/slackBotToken"
    signing_secret = "${local.parameter_folder}/slackSigningSecret"
    workspace_id   = "${local.parameter_folder}/slackWorkspaceId"
    channel_prefix = "${local.parameter_folder}/slackChannelPrefix"
  }

  # Stands in a parameter until the Slack app exists: whether a parameter exists cannot depend on an ephemeral value.
  not_configured = "not-configured"
}

resource "aws_ssm_parameter" "bot_token" {
  name             = local.parameter_paths.bot_token
  description      = "Bot User OAuth Token of the Slack app"
  type             = "SecureString"
  key_id           = local.key_arn
  value_wo         = coalesce(var.slack_bot_token, local.not_configured)
  value_wo_version = var.slack_credentials_version
}

resource "aws_ssm_parameter" "signing_secret" {
  name             = local.parameter_paths.signing_secret
  description      = "Signing Secret of the Slack app"
  type             = "SecureString"
  key_id           = local.key_arn
  value_wo         = coalesce(var.slack_signing_secret, local.not_configured)
  value_wo_version = var.slack_credentials_version
}

resource "aws_ssm_parameter" "workspace_id" {
  name             = local.parameter_paths.workspace_id
  description      = "Slack workspace whose requests are answered"
  type             = "String"
  value_wo         = coalesce(var.slack_workspace_id, local.not_configured)
  value_wo_version = var.slack_credentials_version
}

resource "aws_ssm_parameter" "channel_prefix" {
  name           = local.parameter_paths.channel_prefix
  description    = "What the names of case channels begin with"
  type           = "String"
  insecure_value = var.slack_channel_prefix
}
