# The Slack credentials. Secrets are write-only arguments of ephemeral variables, so they never appear in the plan, the
# state or the environment of a function. Terraform writes them only when slack_credentials_version changes, so the next
# apply does not undo a rotation outside Terraform (`make rotate`). For the same reason, do not change the key or the
# description of a parameter without a new version: Terraform would have no value to write, and AWS refuses an empty
# one.

locals {
  parameter_folder = var.name_prefix == local.default_prefix ? "/SecurityIncidentResponse" : "/SecurityIncidentResponse/${var.name_prefix}"

  parameter_paths = {
    bot_token      = "${local.parameter_folder}/slackBotToken"
    signing_secret = "${local.parameter_folder}/slackSigningSecret"
    workspace_id   = "${local.parameter_folder}/slackWorkspaceId"
    channel_prefix = "${local.parameter_folder}/slackChannelPrefix"
  }

  # Placeholder until the Slack app exists. A parameter cannot be created conditionally on an ephemeral value.
  not_configured = "not-configured"
}

# AWS's sample integration uses the same names. Terraform shows the first line of a resource with the error of AWS.
resource "aws_ssm_parameter" "bot_token" { # ParameterAlreadyExists: adopt the parameter, or set another name_prefix (docs/troubleshooting.md)
  name             = local.parameter_paths.bot_token
  description      = "Bot User OAuth Token of the Slack app"
  type             = "SecureString"
  key_id           = local.key_arn
  value_wo         = coalesce(var.slack_bot_token, local.not_configured)
  value_wo_version = var.slack_credentials_version
}

resource "aws_ssm_parameter" "signing_secret" { # ParameterAlreadyExists: adopt the parameter, or set another name_prefix (docs/troubleshooting.md)
  name             = local.parameter_paths.signing_secret
  description      = "Signing Secret of the Slack app"
  type             = "SecureString"
  key_id           = local.key_arn
  value_wo         = coalesce(var.slack_signing_secret, local.not_configured)
  value_wo_version = var.slack_credentials_version
}

resource "aws_ssm_parameter" "workspace_id" { # ParameterAlreadyExists: adopt the parameter, or set another name_prefix (docs/troubleshooting.md)
  name             = local.parameter_paths.workspace_id
  description      = "Slack workspace whose requests are answered"
  type             = "String"
  value_wo         = coalesce(var.slack_workspace_id, local.not_configured)
  value_wo_version = var.slack_credentials_version
}

resource "aws_ssm_parameter" "channel_prefix" { # ParameterAlreadyExists: adopt the parameter, or set another name_prefix (docs/troubleshooting.md)
  name           = local.parameter_paths.channel_prefix
  description    = "Prefix of the names of case channels"
  type           = "String"
  insecure_value = var.slack_channel_prefix
}
