# EventBridge: the custom bus for ir-router's own events, the default bus for AWS events, and the schedule of the
# poller.

locals {
  # Rules that invoke -sync or -operations. Each key is the statement id of the permission.
  function_rules = {
    SlackClientRule = "${local.arns.custom_bus_rules}/${local.names.slack_client_rule}"
    Approvals       = "${local.arns.custom_bus_rules}/${local.names.approvals_rule}"
    CaseEvents      = "${local.arns.default_bus_rules}/${local.names.case_events_rule}"
    Poll            = "${local.arns.default_bus_rules}/${local.names.poll_rule}"
    Upkeep          = local.upkeep_rule_arn
  }

  rule_arns = concat(
    values(local.function_rules),
    [local.slack_notifications_rule_arn, local.key_changes_rule_arn, local.executions_rule_arn],
    [for name in local.detection_rule_patterns : "${local.arns.default_bus_rules}/${name}"],
    local.member_rule_arns,
    var.organization_id != null ? [local.members_rule_arn] : [],
  )

  key_changes_rule_arn         = "${local.arns.default_bus_rules}/${local.names.key_changes_rule}"
  executions_rule_arn          = "${local.arns.default_bus_rules}/${local.names.executions_rule}"
  upkeep_rule_arn              = "${local.arns.default_bus_rules}/${local.names.upkeep_rule}"
  slack_notifications_rule_arn = "${local.arns.custom_bus_rules}/${local.names.slack_notifications_rule}"
}

resource "aws_cloudwatch_event_bus" "this" {
  name               = local.names.bus
  kms_key_identifier = local.key_arn
}

# ir-router reads the ledger before it acts on an event. But an event of another source would appear in the record of
# Slack events, so only the functions that publish can put events on the bus.
resource "aws_cloudwatch_event_bus_policy" "this" {
  event_bus_name = aws_cloudwatch_event_bus.this.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyItsPublishers"
      Effect    = "Deny"
      Principal = "*"
      Action    = "events:PutEvents"
      Resource  = local.arns.bus
      Condition = {
        Null = { "aws:PrincipalArn" = "false" }
        ArnNotEquals = {
          "aws:PrincipalArn" = [
            for function in local.publishers : "arn:${local.partition}:iam::${local.account}:role/${local.function_names[function]}"
          ]
        }
      }
    }]
  })
}

# Case changes that the poller detects.
resource "aws_cloudwatch_event_rule" "slack_client" {
  name           = local.names.slack_client_rule
  description    = "Sends case changes that the poller detects to ${local.function_names.sync}"
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

# Approvals that were requested, decided or timed out, or whose message in Slack was changed. Alerts for Slack.
resource "aws_cloudwatch_event_rule" "approvals" {
  name           = local.names.approvals_rule
  description    = "Sends approvals and alerts to ${local.function_names.sync}, which shows them in Slack"
  event_bus_name = aws_cloudwatch_event_bus.this.name

  event_pattern = jsonencode({
    source      = ["security-ir"]
    detail-type = ["ApprovalRequested", "ApprovalDecided", "ApprovalTimedOut", "ApprovalMessageChanged", "AlertRaised"]
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

# AWS sends its own case events within seconds of a change. The prefix matches both names that the AWS documentation
# uses for a new comment (Case Comment Added, Case Comment Created) and excludes membership events.
resource "aws_cloudwatch_event_rule" "case_events" {
  name        = local.names.case_events_rule
  description = "Sends case events of AWS Security Incident Response to ${local.function_names.sync}"

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

# The poller runs every minute and recovers lost events. Each poll replaces a late one before it.
resource "aws_cloudwatch_event_rule" "poll" {
  name                = local.names.poll_rule
  description         = "Starts the poller in ${local.function_names.sync}, and the verification of open containments, every minute"
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

# Every 15 minutes: cases that a quota of AWS prevented are opened, and events that are too large for the workflow start
# it with their long values cut. Once an hour the deployment is verified. Once a day the audit's hash is sent and the
# allowlist is checked. EventBridge allows five targets for a rule.
resource "aws_cloudwatch_event_rule" "upkeep" {
  name                = local.names.upkeep_rule
  description         = "Opens cases that a quota prevented, starts oversized events, and verifies the deployment every hour"
  schedule_expression = "rate(15 minutes)"
}

resource "aws_cloudwatch_event_target" "upkeep" {
  for_each = { open_missing_cases = "workflow", start_oversized = "operations", watch = "operations", witness_audit = "workflow", check_allowlist_entries = "workflow" }

  rule      = aws_cloudwatch_event_rule.upkeep.name
  target_id = each.key
  arn       = aws_lambda_function.this[each.value].arn
  input     = jsonencode({ task = each.key })

  retry_policy {
    maximum_event_age_in_seconds = 900
    maximum_retry_attempts       = 1
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}

# Every minute the workflow also verifies each containment whose decision is pending, and re-applies missing parts.
resource "aws_cloudwatch_event_target" "verify_containments" {
  rule      = aws_cloudwatch_event_rule.poll.name
  target_id = "verify-containments"
  arn       = aws_lambda_function.this["workflow"].arn
  input     = jsonencode({ task = "verify_open_containments" })

  retry_policy {
    maximum_event_age_in_seconds = 60
    maximum_retry_attempts       = 1
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}

# An invocation of its own, so that no verification waits for the calls of contained principals in member accounts.
resource "aws_cloudwatch_event_target" "read_member_activity" {
  count = var.organization_id == null ? 0 : 1

  rule      = aws_cloudwatch_event_rule.poll.name
  target_id = "read-member-activity"
  arn       = aws_lambda_function.this["workflow"].arn
  input     = jsonencode({ task = "read_member_activity" })

  retry_policy {
    maximum_event_age_in_seconds = 60
    maximum_retry_attempts       = 1
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}

resource "aws_lambda_permission" "upkeep" {
  statement_id  = "Upkeep"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["workflow"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = local.upkeep_rule_arn
}

resource "aws_lambda_permission" "verify_containments" {
  statement_id  = "Poll"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["workflow"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = local.function_rules["Poll"]
}

resource "aws_lambda_permission" "rules" {
  for_each = local.function_rules

  statement_id  = each.key
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this[each.key == "Upkeep" ? "operations" : "sync"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = each.value
}

# The record of everything that was synchronised from Slack.
resource "aws_cloudwatch_event_rule" "slack_notifications" {
  name           = local.names.slack_notifications_rule
  description    = "Sends events of case channels (synchronised messages and files, members, commands) to CloudWatch Logs"
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
  # EventBridge can write only to log groups below /aws/events/.
  name              = "/aws/events/${local.names.slack_notifications_rule}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.key_arn
}

# The only resource policy of CloudWatch Logs that a deployment adds. AWS allows 10 for each region and does not raise
# this limit. The second statement is the one that Step Functions would otherwise add in a policy of its own
# (docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html).
resource "aws_cloudwatch_log_resource_policy" "slack_notifications" { # LimitExceededException: the region has 10 of them. Delete one that is not used (docs/troubleshooting.md)
  policy_name = "${var.name_prefix}-slack-notifications"

  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EventBridgeWritesSlackNotifications"
      Effect    = "Allow"
      Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "${aws_cloudwatch_log_group.slack_notifications.arn}:*"
      }, {
      Sid       = "StepFunctionsWritesExecutions"
      Effect    = "Allow"
      Principal = { Service = "delivery.logs.amazonaws.com" }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "${aws_cloudwatch_log_group.state_machine.arn}:*"
    }]
  })
}

# One rule for each entry of detections.json. HIGH and CRITICAL ones start the workflow, the others fill the intake queue.
resource "aws_cloudwatch_event_rule" "detection" {
  for_each = local.detections

  name          = local.detection_rules[each.key]
  description   = "${lookup(var.severity_overrides, each.key, each.value.severity)}: ${each.value.title}"
  event_pattern = each.value.pattern
  state         = local.detection_states[each.key]
}

resource "aws_cloudwatch_event_target" "detection" {
  for_each = local.detections

  rule = aws_cloudwatch_event_rule.detection[each.key].name
  arn  = each.value.direct ? aws_sfn_state_machine.response.arn : aws_sqs_queue.intake.arn
  # For a queue, the policy of the queue names the rules.
  role_arn = each.value.direct ? aws_iam_role.events.arn : null

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}
