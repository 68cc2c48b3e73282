# A deployment in the home region of your membership, as a module of your own configuration.

variable "slack_bot_token" {
  type        = string
  description = "The bot token of the Slack app (xoxb-...). Set it with TF_VAR_slack_bot_token."
  default     = null
  ephemeral   = true
  sensitive   = true
}

variable "slack_signing_secret" {
  type        = string
  description = "The signing secret of the Slack app. Set it with TF_VAR_slack_signing_secret."
  default     = null
  ephemeral   = true
  sensitive   = true
}

module "ir_router" {
  source = "../.."

  package_path         = "${path.module}/../../../build/ir_router.zip"
  slack_bot_token      = var.slack_bot_token
  slack_signing_secret = var.slack_signing_secret
  slack_approvers      = ["security@example.com"]
  slack_workspace_id   = var.slack_bot_token == null ? null : "T1234567890"
  alert_emails         = ["security@example.com"]
  containment_mode     = "dry_run"
}

output "slack_webhook_url" {
  description = "The URL for the manifest of the Slack app."
  value       = module.ir_router.SlackWebhookUrl
}
