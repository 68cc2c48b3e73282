# A home region other than us-east-1: the events of global services appear in us-east-1 alone, so rules there send them to
# the home region's default bus, where the detections' rules take them.

locals {
  forwarding_rule_arns = [
    for id in keys(local.forwarded_detections) :
    "arn:${local.partition}:events:${local.global_events_region}:${local.account}:rule/${local.detection_rules[id]}"
  ]

  forwarding_failures = "${var.name_prefix}-forwarding-failures"
  forwarding_failures_arns = [
    for name in [local.forwarding_failures] :
    "arn:${local.partition}:sqs:${local.global_events_region}:${local.account}:${name}" if length(local.forwarded_detections) > 0
  ]

  forwarding_alarms = "${var.name_prefix}-forwarding-alarms"
  forwarding_topic_arns = [
    for name in [local.forwarding_alarms] :
    "arn:${local.partition}:sns:${local.global_events_region}:${local.account}:${name}" if length(local.forwarded_detections) > 0
  ]
  alarm_regions = distinct(concat([var.region], length(local.forwarded_detections) > 0 ? [local.global_events_region] : []))
}

resource "aws_cloudwatch_event_rule" "forwarded" {
  for_each = local.forwarded_detections
  provider = aws.global_events

  name          = local.detection_rules[each.key]
  description   = "${each.value.title}, to ${var.region}"
  event_pattern = jsonencode(each.value.pattern)
  state         = local.detection_states[each.key]
}

resource "aws_cloudwatch_event_target" "forwarded" {
  for_each = local.forwarded_detections
  provider = aws.global_events

  rule     = aws_cloudwatch_event_rule.forwarded[each.key].name
  arn      = local.arns.default_bus
  role_arn = aws_iam_role.events.arn

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.forwarding_failures[0].arn
  }
}

# A rule's dead-letter queue must be in the rule's region.
resource "aws_sqs_queue" "forwarding_failures" {
  count    = length(local.forwarded_detections) > 0 ? 1 : 0
  provider = aws.global_events

  name                      = local.forwarding_failures
  message_retention_seconds = local.fourteen_days
  sqs_managed_sse_enabled   = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "UndeliveredEvents"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.forwarding_failures_arns
        Condition = { ArnEquals = { "aws:SourceArn" = local.forwarding_rule_arns } }
      },
      {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = local.forwarding_failures_arns
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# An alarm and its topic must be in the region of the metric. The topic carries the text of this one alarm and nothing of
# any incident, so it has no key of its own there.
resource "aws_cloudwatch_metric_alarm" "forwarding_failures" {
  count    = length(aws_sqs_queue.forwarding_failures)
  provider = aws.global_events

  alarm_name          = "${local.forwarding_failures}-not-empty"
  alarm_description   = "Events of IAM or root did not reach ${var.region}, so nothing was done about them. They wait in ${local.forwarding_failures} for 14 days. Mend the cause, then run make replay."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = local.forwarding_failures }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = aws_sns_topic.forwarding_alarms[*].arn
  ok_actions          = aws_sns_topic.forwarding_alarms[*].arn
}

resource "aws_sns_topic" "forwarding_alarms" {
  count    = length(aws_sqs_queue.forwarding_failures)
  provider = aws.global_events

  name = local.forwarding_alarms
}

resource "aws_sns_topic_policy" "forwarding_alarms" {
  count    = length(aws_sns_topic.forwarding_alarms)
  provider = aws.global_events

  arn = aws_sns_topic.forwarding_alarms[count.index].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PublishAlarm"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.forwarding_alarms[count.index].arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.forwarding_alarms[count.index].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "forwarding_email" {
  for_each = length(local.forwarded_detections) > 0 ? toset(var.alert_emails) : toset([])
  provider = aws.global_events

  topic_arn = aws_sns_topic.forwarding_alarms[0].arn
  protocol  = "email"
  endpoint  = each.value
}
