# The bus for events of the organisation's other accounts (modules/region forwards them), and its rules. Only with
# organization_id.

locals {
  member_detections   = var.organization_id == null ? {} : local.detections
  detections_bus      = "${var.name_prefix}-detections"
  detections_bus_arn  = "arn:${local.partition}:events:${var.region}:${local.account}:event-bus/${local.detections_bus}"
  member_rules_prefix = "arn:${local.partition}:events:${var.region}:${local.account}:rule/${local.detections_bus}"
  members_rule        = "${var.name_prefix}-members"
  members_rule_arn    = "${local.arns.default_bus_rules}/${local.members_rule}"
  member_rule_arns = [
    for name in local.detection_rule_patterns : "${local.member_rules_prefix}/${name}" if var.organization_id != null
  ]
}

resource "aws_cloudwatch_event_bus" "detections" {
  count = var.organization_id == null ? 0 : 1

  name        = local.detections_bus
  description = "Security events of the other accounts of ${var.organization_id}"
}

# Members put events on the bus with their role for forwarding, through a rule only: PutEvents of a principal is refused
# (docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html, events:eventBusInvocation).
resource "aws_cloudwatch_event_bus_policy" "detections" {
  count = length(aws_cloudwatch_event_bus.detections)

  event_bus_name = aws_cloudwatch_event_bus.detections[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyRulesOfTheOrganisation"
      Effect    = "Allow"
      Principal = "*"
      Action    = "events:PutEvents"
      Resource  = local.detections_bus_arn
      Condition = {
        StringEquals = { "aws:PrincipalOrgID" = var.organization_id }
        # modules/organization creates one role for each region.
        ArnLike = { "aws:PrincipalArn" = [for name in ["forwarding", "forwarding-*"] : "arn:${local.partition}:iam::*:role/${var.name_prefix}-${name}"] }
        Bool    = { "events:eventBusInvocation" = "true" }
      }
    }]
  })
}

resource "aws_cloudwatch_event_rule" "member" {
  for_each = local.member_detections

  name           = local.detection_rules[each.key]
  description    = aws_cloudwatch_event_rule.detection[each.key].description
  event_bus_name = aws_cloudwatch_event_bus.detections[0].name
  event_pattern  = each.value.pattern
  state          = local.detection_states[each.key]
}

# Every hour: the workflow verifies the members, because only its role can assume theirs.
resource "aws_cloudwatch_event_rule" "members" {
  count = length(aws_cloudwatch_event_bus.detections)

  name                = local.members_rule
  description         = "Verifies the members of the organisation every hour"
  schedule_expression = "rate(60 minutes)"
}

resource "aws_cloudwatch_event_target" "members" {
  count = length(aws_cloudwatch_event_rule.members)

  rule  = aws_cloudwatch_event_rule.members[0].name
  arn   = aws_lambda_function.this["workflow"].arn
  input = jsonencode({ task = "check_members" })

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 1
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}

resource "aws_lambda_permission" "members" {
  count = length(aws_cloudwatch_event_rule.members)

  statement_id  = "Members"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["workflow"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = local.members_rule_arn
}

resource "aws_cloudwatch_event_target" "member" {
  for_each = local.member_detections

  rule           = aws_cloudwatch_event_rule.member[each.key].name
  event_bus_name = aws_cloudwatch_event_bus.detections[0].name
  arn            = each.value.direct ? aws_sfn_state_machine.response.arn : aws_sqs_queue.intake.arn
  role_arn       = each.value.direct ? aws_iam_role.events.arn : null

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}
