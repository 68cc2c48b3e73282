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
    Statement = [{
      Sid       = "UndeliveredEvents"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.forwarding_failures_arns
      Condition = { ArnEquals = { "aws:SourceArn" = local.forwarding_rule_arns } }
    }]
  })
}
