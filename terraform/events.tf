# EventBridge: our own bus between the parts, the default bus for AWS's events, and the schedule of the poller.

locals {
  detections = {
    for detection in jsondecode(file("${path.module}/../src/ir_router/workflow/detections.json")).detections : detection.id => detection
  }

  # Read-only API calls (List, Get, Describe) match a rule only in this state.
  detection_states = {
    for id, detection in local.detections : id => detection.read_only_calls ? "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" : "ENABLED"
  }
  detection_rules = { for id in keys(local.detections) : id => "${var.name_prefix}-detect-${replace(id, "_", "-")}" }

  forwarded_detections = {
    for id, detection in local.detections : id => detection if detection.global_service && var.region != local.global_events_region
  }

  # Rules that invoke -sync, by the statement id of their permission.
  sync_rules = {
    SlackClientRule = "${local.arns.custom_bus_rules}/${local.names.slack_client_rule}"
    Approvals       = "${local.arns.custom_bus_rules}/${local.names.approvals_rule}"
    CaseEvents      = "${local.arns.default_bus_rules}/${local.names.case_events_rule}"
    Poll            = "${local.arns.default_bus_rules}/${local.names.poll_rule}"
  }

  rule_arns = concat(
    values(local.sync_rules),
    [local.slack_notifications_rule_arn],
    [for name in values(local.detection_rules) : "${local.arns.default_bus_rules}/${name}"],
  )

  slack_notifications_rule_arn = "${local.arns.custom_bus_rules}/${local.names.slack_notifications_rule}"
}

resource "aws_cloudwatch_event_bus" "this" {
  name = local.names.bus
}

# Cases to Slack: what the poller found.
resource "aws_cloudwatch_event_rule" "slack_client" {
  name           = local.names.slack_client_rule
  description    = "Case changes that the poller found, to ${local.function_names.sync}"
  event_bus_name = aws_cloudwatch_event_bus.this.name

  event_pattern = jsonencode({
    source      = ["security-ir"]
    detail-type = ["CaseCreated", "CaseUpdated", "CommentAdded", "AttachmentAdded"]
  })
}

resource "aws_cloudwatch_event_target" "slack_client" {
  rule           = aws_cloudwatch_event_rule.slack_client.name
  event_bus_name = aws_cloudwatch_event_bus.this.name
  arn            = aws_lambda_function.this["sync"].arn

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 10
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}

# Approvals to Slack: asked, decided, timed out.
resource "aws_cloudwatch_event_rule" "approvals" {
  name           = local.names.approvals_rule
  description    = "Approvals to be shown in Slack, to ${local.function_names.sync}"
  event_bus_name = aws_cloudwatch_event_bus.this.name

  event_pattern = jsonencode({
    source      = ["security-ir"]
    detail-type = ["ApprovalRequested", "ApprovalDecided", "ApprovalTimedOut"]
  })
}

resource "aws_cloudwatch_event_target" "approvals" {
  rule           = aws_cloudwatch_event_rule.approvals.name
  event_bus_name = aws_cloudwatch_event_bus.this.name
  arn            = aws_lambda_function.this["sync"].arn

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}

# AWS's own case events, seconds after the change. The prefix takes both spellings that AWS's pages have for a new
# comment (Case Comment Added, Case Comment Created) and leaves membership events out.
resource "aws_cloudwatch_event_rule" "case_events" {
  name        = local.names.case_events_rule
  description = "AWS Security Incident Response's own case events, to ${local.function_names.sync}"

  event_pattern = jsonencode({
    source      = ["aws.security-ir"]
    detail-type = [{ prefix = "Case " }]
  })
}

resource "aws_cloudwatch_event_target" "case_events" {
  rule = aws_cloudwatch_event_rule.case_events.name
  arn  = aws_lambda_function.this["sync"].arn

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 10
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}

# The poller, every minute: the safety net for whatever else was lost. A poll that is late is replaced by the next.
resource "aws_cloudwatch_event_rule" "poll" {
  name                = local.names.poll_rule
  description         = "The poller of ${local.function_names.sync}, every minute"
  schedule_expression = "rate(1 minute)"
}

resource "aws_cloudwatch_event_target" "poll" {
  rule  = aws_cloudwatch_event_rule.poll.name
  arn   = aws_lambda_function.this["sync"].arn
  input = jsonencode({ task = "poll" })

  retry_policy {
    maximum_event_age_in_seconds = 60
    maximum_retry_attempts       = 1
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}

resource "aws_lambda_permission" "rules" {
  for_each = local.sync_rules

  statement_id  = each.key
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["sync"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = each.value
}

# What was synchronised from Slack, on record.
resource "aws_cloudwatch_event_rule" "slack_notifications" {
  name           = local.names.slack_notifications_rule
  description    = "What happened in case channels (messages and files synchronised, members, commands), to CloudWatch Logs"
  event_bus_name = aws_cloudwatch_event_bus.this.name

  event_pattern = jsonencode({ source = ["slack"] })
}

resource "aws_cloudwatch_event_target" "slack_notifications" {
  rule           = aws_cloudwatch_event_rule.slack_notifications.name
  event_bus_name = aws_cloudwatch_event_bus.this.name
  arn            = aws_cloudwatch_log_group.slack_notifications.arn

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 10
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }

  depends_on = [aws_cloudwatch_log_resource_policy.slack_notifications]
}

resource "aws_cloudwatch_log_group" "slack_notifications" {
  # EventBridge writes to groups below /aws/events/ only.
  name              = "/aws/events/${local.names.slack_notifications_rule}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.key_arn
}

resource "aws_cloudwatch_log_resource_policy" "slack_notifications" {
  policy_name = "${var.name_prefix}-slack-notifications"

  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EventBridgeWritesSlackNotifications"
      Effect    = "Allow"
      Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "${aws_cloudwatch_log_group.slack_notifications.arn}:*"
    }]
  })
}

# Detections: one rule for each entry of detections.json, all to the workflow.
resource "aws_cloudwatch_event_rule" "detection" {
  for_each = local.detections

  name          = local.detection_rules[each.key]
  description   = "${each.value.severity}: ${each.value.title}"
  event_pattern = jsonencode(each.value.pattern)
  state         = local.detection_states[each.key]
}

resource "aws_cloudwatch_event_target" "detection" {
  for_each = local.detections

  rule     = aws_cloudwatch_event_rule.detection[each.key].name
  arn      = aws_sfn_state_machine.response.arn
  role_arn = aws_iam_role.events.arn

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}
