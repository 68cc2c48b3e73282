# Security alerts of the workflow and the system's own alarms.

resource "aws_sns_topic" "alerts" {
  name = local.names.topic
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.alert_emails)

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}
