# The rules of one region that forward security events to the hub, and the queue of events that did not arrive.

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

module "documents" {
  source = "./documents"

  name_prefix = var.name_prefix
  account     = data.aws_caller_identity.current.account_id
  region      = data.aws_region.current.id
  bus_arn     = var.bus_arn
  severities  = var.severities
  detections  = var.detections
}

resource "aws_cloudwatch_event_rule" "forwarded" {
  for_each = module.documents.rules

  name          = each.value.name
  description   = each.value.description
  event_pattern = each.value.pattern
  state         = each.value.state
}

resource "aws_cloudwatch_event_target" "forwarded" {
  for_each = module.documents.rules

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

  name                      = module.documents.queue.name
  message_retention_seconds = module.documents.queue.retention_seconds
  sqs_managed_sse_enabled   = true
  policy                    = jsonencode(module.documents.queue.policy)
}
