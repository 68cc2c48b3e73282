# The rules of one region that forward security events to the hub, and the queue of events that did not arrive.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account     = data.aws_caller_identity.current.account_id
  partition   = data.aws_partition.current.partition
  region      = data.aws_region.current.id
  home_region = split(":", var.bus_arn)[3]

  bundled = {
    for detection in jsondecode(replace(
      file("${path.module}/../../../src/ir_router/workflow/detections.json"), "$${name_prefix}", var.name_prefix
      )).detections : detection.id => {
      title   = detection.title
      pattern = jsonencode(detection.pattern)
      state   = try(detection.read_only_calls, false) ? "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" : "ENABLED"
    } if contains(var.severities, detection.severity) || try(detection.tampering, false)
  }
  detections = var.detections == null ? local.bundled : var.detections

  # The name of a rule has at most 64 characters.
  rules = {
    for id in keys(local.detections) :
    id => "${var.name_prefix}${length("${var.name_prefix}-detect-${id}") <= 64 ? "-detect-" : "-"}${replace(id, "_", "-")}"
  }
  # One pattern for most rules, because the policy of a queue has a size limit.
  rule_patterns = concat(
    ["${var.name_prefix}-detect-*"],
    [for name in values(local.rules) : name if !startswith(name, "${var.name_prefix}-detect-")],
  )

  queue     = "${var.name_prefix}-forwarding-failures"
  queue_arn = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.queue}"
}

resource "aws_cloudwatch_event_rule" "forwarded" {
  for_each = local.detections

  name          = local.rules[each.key]
  description   = "Forwards to ${local.home_region}: ${each.value.title}"
  event_pattern = each.value.pattern
  state         = each.value.state
}

resource "aws_cloudwatch_event_target" "forwarded" {
  for_each = local.detections

  rule     = aws_cloudwatch_event_rule.forwarded[each.key].name
  arn      = var.bus_arn
  role_arn = var.role_arn

  # A target that is an event bus has no retry policy of its own: AWS refuses one (github.com/aws/aws-cdk/issues/28735).
  # EventBridge retries for its default of 24 hours and 185 times.
  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}

# The dead-letter queue of a rule must be in the account and region of the rule.
# In the hub, -operations raises the largest message size to that of an event, 1 MB.
resource "aws_sqs_queue" "failures" {
  lifecycle {
    ignore_changes = [max_message_size]
  }

  name                      = local.queue
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "UndeliveredEvents"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.queue_arn
        Condition = { ArnLike = { "aws:SourceArn" = [
          for name in local.rule_patterns : "arn:${local.partition}:events:${local.region}:${local.account}:rule/${name}"
        ] } }
      },
      {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = local.queue_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
