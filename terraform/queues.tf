# The visibility timeout is six times the timeout of the consumer, as AWS recommends. A message in flight blocks its
# FIFO group, so after a failure the consumer resets the visibility and the message is retried within seconds.

locals {
  fourteen_days = 1209600
  four_days     = 345600

  # Number of receives before a message moves to the dead-letter queue. With the waits in src/ir_router/sync/queue.py,
  # the retries take about 15 minutes.
  receives = 20

  # The functions that send to each queue. SQS itself fills the dead-letter queues.
  senders = {
    slack_events     = ["webhook", "sync", "operations"]
    slack_events_dlq = []
    files            = ["webhook", "sync", "operations"]
    files_dlq        = []
    intake           = ["operations"]
    approval         = ["workflow"]
    failures         = keys(local.asynchronous_functions)
  }

  queue_arns = {
    slack_events     = local.arns.slack_events_queue
    slack_events_dlq = local.arns.slack_events_dlq
    files            = local.arns.files_queue
    files_dlq        = local.arns.files_dlq
    intake           = local.arns.intake_queue
    approval         = local.arns.approval_queue
    failures         = local.arns.failures_queue
  }

  queue_denials = { for queue, arn in local.queue_arns : queue => [
    # Deny every request without TLS, even if another policy allows it.
    {
      Sid       = "OnlyOverTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    },
    # A message makes a function act, so no other user or role of the account can send one. AWS services have no
    # aws:PrincipalArn.
    {
      Sid       = "OnlyItsSenders"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:SendMessage"
      Resource  = arn
      Condition = merge(
        { Null = { "aws:PrincipalArn" = "false" } },
        # The role, and its sessions.
        { for operator in ["ArnNotLike"] : operator => {
          "aws:PrincipalArn" = flatten([
            for function in sort(local.senders[queue]) : [
              "arn:${local.partition}:iam::${local.account}:role/${var.name_prefix}-${function}",
              "arn:${local.partition}:sts::${local.account}:assumed-role/${var.name_prefix}-${function}/*",
            ]
          ])
        } if length(local.senders[queue]) > 0 },
      )
    },
  ] }

  queue_policies = { for queue, denials in local.queue_denials : queue => jsonencode({ Version = "2012-10-17", Statement = denials }) }
}

resource "aws_sqs_queue" "slack_events" {
  name                       = local.names.slack_events_queue
  fifo_queue                 = true
  visibility_timeout_seconds = 6 * local.functions.slack.timeout
  message_retention_seconds  = local.four_days
  kms_master_key_id          = local.key_arn
  policy                     = local.queue_policies.slack_events
}

resource "aws_sqs_queue_redrive_policy" "slack_events" {
  queue_url = aws_sqs_queue.slack_events.url

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.slack_events_dlq.arn
    maxReceiveCount     = local.receives
  })
}

resource "aws_sqs_queue" "slack_events_dlq" {
  name                      = local.names.slack_events_dlq
  fifo_queue                = true
  message_retention_seconds = local.fourteen_days
  kms_master_key_id         = local.key_arn
  policy                    = local.queue_policies.slack_events_dlq

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.arns.slack_events_queue]
  })
}

resource "aws_sqs_queue" "files" {
  name                       = local.names.files_queue
  fifo_queue                 = true
  visibility_timeout_seconds = 6 * local.functions.sync.timeout
  message_retention_seconds  = local.four_days
  kms_master_key_id          = local.key_arn
  policy                     = local.queue_policies.files
}

resource "aws_sqs_queue_redrive_policy" "files" {
  queue_url = aws_sqs_queue.files.url

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.files_dlq.arn
    maxReceiveCount     = local.receives
  })
}

resource "aws_sqs_queue" "files_dlq" {
  name                      = local.names.files_dlq
  fifo_queue                = true
  message_retention_seconds = local.fourteen_days
  kms_master_key_id         = local.key_arn
  policy                    = local.queue_policies.files_dlq

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.arns.files_queue]
  })
}

# MEDIUM and LOW events, which -workflow takes in by batches. After 20 failed attempts, about two hours, SQS moves an event to
# the failures queue, so that no further queue and alarm are needed. The
# key is that of the workflow, so that events wait here while the other key is disabled.
resource "aws_sqs_queue" "intake" {
  name                       = local.names.intake_queue
  visibility_timeout_seconds = 6 * local.functions.workflow.timeout
  message_retention_seconds  = local.four_days
  kms_master_key_id          = local.workflow_key_arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "DetectedEvents"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.arns.intake_queue
        Condition = { ArnLike = { "aws:SourceArn" = concat(
          [for name in local.detection_rule_patterns : "${local.arns.default_bus_rules}/${name}"],
          local.member_rule_arns,
        ) } }
      }],
      local.queue_denials.intake,
    )
  })
}

resource "aws_sqs_queue_redrive_policy" "intake" {
  queue_url = aws_sqs_queue.intake.url

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.failures.arn
    maxReceiveCount     = local.receives
  })
}

# Task tokens and incidents for analysts at the command line. -workflow deletes the message of an approval request after
# its decision or timeout.
resource "aws_sqs_queue" "approval" {
  name                      = local.names.approval_queue
  message_retention_seconds = local.four_days
  kms_master_key_id         = local.key_arn
  policy                    = local.queue_policies.approval
}

# Events that EventBridge could not deliver, asynchronous invocations that failed on every retry, and events that the intake
# could not process.
# -operations raises the largest message size to that of an event, 1 MB: version 5 of the provider refuses more than 256 KB.
resource "aws_sqs_queue" "failures" {
  lifecycle {
    ignore_changes = [max_message_size]
  }

  name                      = local.names.failures_queue
  message_retention_seconds = local.fourteen_days
  kms_master_key_id         = local.key_arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "UndeliveredEvents"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.arns.failures_queue
        Condition = { ArnLike = { "aws:SourceArn" = local.rule_arns } }
      }],
      local.queue_denials.failures,
    )
  })
}
