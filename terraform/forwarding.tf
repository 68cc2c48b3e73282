# Only for a home region other than us-east-1. Events of global services appear only in us-east-1, so rules there
# forward them to the default bus of the home region, where the detection rules match them.

locals {
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

module "forwarding" {
  source    = "./modules/region"
  count     = length(local.forwarded_detections) > 0 ? 1 : 0
  providers = { aws = aws.global_events }

  name_prefix = var.name_prefix
  bus_arn     = local.arns.default_bus
  role_arn    = aws_iam_role.events.arn
  detections = {
    for id, detection in local.forwarded_detections :
    id => { title = detection.title, pattern = detection.pattern, state = local.detection_states[id] }
  }
}

# Earlier versions had these resources in the root. Terraform moves them in its state and replaces none.
moved {
  from = aws_cloudwatch_event_rule.forwarded
  to   = module.forwarding[0].aws_cloudwatch_event_rule.forwarded
}

moved {
  from = aws_cloudwatch_event_target.forwarded
  to   = module.forwarding[0].aws_cloudwatch_event_target.forwarded
}

moved {
  from = aws_sqs_queue.forwarding_failures[0]
  to   = module.forwarding[0].aws_sqs_queue.failures
}

# An alarm and its topic must be in the region of the metric. The topic carries only the text of this alarm and no
# incident data, so it is not encrypted with a customer-managed key.
resource "aws_cloudwatch_metric_alarm" "forwarding_failures" {
  count    = length(module.forwarding)
  provider = aws.global_events

  alarm_name          = "${local.forwarding_failures}-not-empty"
  alarm_description   = "Events of IAM or root did not reach ${var.region}, so ir-router did not respond to them. They stay in ${local.forwarding_failures} for 14 days. Read them now, fix the cause, then run make replay."
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
  count    = length(module.forwarding)
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
