output "SlackWebhookUrl" {
  description = "Request URL for the Slack app: events, the command and interactivity."
  value       = local.webhook_url
}

output "rest_api_id" {
  description = "Id of the REST API, of which SlackWebhookUrl is made."
  value       = aws_api_gateway_rest_api.slack.id
}

output "function_names" {
  description = "The functions, by the part they play."
  value       = { for function, resource in aws_lambda_function.this : function => resource.function_name }
}

output "queue_urls" {
  description = "The queues, by what they hold."
  value = {
    slack_events             = aws_sqs_queue.slack_events.url
    slack_events_dead_letter = aws_sqs_queue.slack_events_dlq.url
    files                    = aws_sqs_queue.files.url
    files_dead_letter        = aws_sqs_queue.files_dlq.url
    approval                 = aws_sqs_queue.approval.url
    failures                 = aws_sqs_queue.failures.url
  }
}

output "state_machine_arn" {
  description = "The containment workflow."
  value       = aws_sfn_state_machine.response.arn
}

output "table_name" {
  description = "The ledger."
  value       = aws_dynamodb_table.ledger.name
}

output "event_bus_name" {
  description = "The bus between the parts."
  value       = aws_cloudwatch_event_bus.this.name
}

output "alert_topic_arn" {
  description = "Where security alerts and alarms go."
  value       = aws_sns_topic.alerts.arn
}

output "deny_policy_arn" {
  description = "The policy that contains a principal."
  value       = aws_iam_policy.containment_deny.arn
}

output "parameter_names" {
  description = "The SSM parameters with the Slack credentials and the channel prefix."
  value       = local.parameter_paths
}

output "slack_app_manifest" {
  description = "The Slack app, to be pasted at https://api.slack.com/apps (Create New App, From a manifest)."
  value       = jsonencode(local.slack_app_manifest)
}

output "dashboard_url" {
  description = "Where to look first."
  value       = "https://${var.region}.console.aws.amazon.com/cloudwatch/home?region=${var.region}#dashboards:name=${aws_cloudwatch_dashboard.this.dashboard_name}"
}

output "key_policy" {
  description = "What the policy of the encryption key must allow, for those who bring their own (kms_key_arn)."
  value       = jsonencode(local.key_policy)
}
