output "SlackWebhookUrl" {
  description = "Request URL of the Slack app, for events, the slash command and interactivity."
  value       = local.webhook_url
}

output "rest_api_id" {
  description = "Id of the REST API that serves SlackWebhookUrl."
  value       = aws_api_gateway_rest_api.slack.id
}

output "function_names" {
  description = "Names of the functions, by purpose."
  value       = { for function, resource in aws_lambda_function.this : function => resource.function_name }
}

output "queue_urls" {
  description = "URLs of the queues, by content."
  value = {
    slack_events             = aws_sqs_queue.slack_events.url
    slack_events_dead_letter = aws_sqs_queue.slack_events_dlq.url
    files                    = aws_sqs_queue.files.url
    files_dead_letter        = aws_sqs_queue.files_dlq.url
    intake                   = aws_sqs_queue.intake.url
    approval                 = aws_sqs_queue.approval.url
    failures                 = aws_sqs_queue.failures.url
  }
}

output "state_machine_arn" {
  description = "ARN of the state machine of the containment workflow."
  value       = aws_sfn_state_machine.response.arn
}

output "table_name" {
  description = "Name of the DynamoDB table that holds the ledger."
  value       = aws_dynamodb_table.ledger.name
}

output "event_bus_name" {
  description = "Name of the custom event bus."
  value       = aws_cloudwatch_event_bus.this.name
}

output "detections_bus_arn" {
  description = "ARN of the bus for events of the organisation's other accounts (modules/account and modules/region), or null without organization_id."
  value       = var.organization_id == null ? null : local.detections_bus_arn
}

output "workflow_role_arn" {
  description = "ARN of the role that the members of the organisation trust (modules/account)."
  value       = aws_iam_role.function["workflow"].arn
}

output "alert_topic_arn" {
  description = "ARN of the SNS topic for security alerts and alarms."
  value       = aws_sns_topic.alerts.arn
}

output "page_topic_arn" {
  description = "ARN of the SNS topic for pages. Subscribe the HTTPS endpoint of PagerDuty's or Opsgenie's CloudWatch integration."
  value       = aws_sns_topic.page.arn
}

output "parameter_names" {
  description = "Names of the SSM parameters for the Slack credentials and the channel prefix."
  value       = local.parameter_paths
}

output "slack_app_manifest" {
  description = "Manifest of the Slack app. Paste it at https://api.slack.com/apps (Create New App, From a manifest)."
  value       = jsonencode(local.slack_app_manifest)
}

output "dashboard_url" {
  description = "URL of the CloudWatch dashboard, if the variable dashboard is true. Look here first."
  value       = one([for name in aws_cloudwatch_dashboard.this[*].dashboard_name : "https://${var.region}.console.aws.amazon.com/cloudwatch/home?region=${var.region}#dashboards:name=${name}"])
}

output "key_policy" {
  description = "Key policy that your own encryption key needs if you set kms_key_arn."
  value       = jsonencode(local.key_policy)
}

output "workflow_key_policy" {
  description = "Key policy that your own key needs if you set workflow_kms_key_arn."
  value       = jsonencode(local.workflow_key_policy)
}

output "protected_principals" {
  description = "The users and roles that each entry of protected_principals protects. An empty list protects none: correct the entry, or plan again when the principal exists."
  value       = module.account.protected_entries
}
