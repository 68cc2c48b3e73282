# Visibility is six times the consumer's timeout, as AWS advises: a message in flight blocks its FIFO group, so after a
# failure the consumer makes it visible again within seconds by itself.

locals {
  fourteen_days = 1209600
  four_days     = 345600

  # How often a message is tried before it becomes a dead letter: with the waits of src/ir_router/sync/queue.py, for
  # about a quarter of an hour.
  receives = 20

  # Nothing is put into a queue or taken from it without TLS, whatever else is allowed.
  only_over_tls = { for queue, arn in {
    slack_events     = local.arns.slack_events_queue
    slack_events_dlq = local.arns.slack_events_dlq
    files            = local.arns.files_queue
    files_dlq        = local.arns.files_dlq
    approval         = local.arns.approval_queue
    failures         = local.arns.failures_queue
    } : queue => {
    Sid       = "OnlyOverTls"
    Effect    = "Deny"
    Principal = "*"
    Action    = "sqs:*"
    Resource  = arn
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  } }

  tls_policies = { for queue, statement in local.only_over_tls : queue => jsonencode({ Version = "2012-10-17", Statement = [statement] }) }
}

resource "aws_sqs_queue" "slack_events" {
  name                       = local.names.slack_events_queue
  fifo_queue                 = true
  visibility_timeout_seconds = 6 * local.functions.slack.timeout
  message_retention_seconds  = local.four_days
  kms_master_key_id          = local.key_arn
  policy                     = local.tls_policies.slack_events
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
  policy                    = local.tls_policies.slack_events_dlq

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
  policy                     = local.tls_policies.files
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
  policy                    = local.tls_policies.files_dlq

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.arns.files_queue]
  })
}

# Task tokens and incidents for analysts at the command line. Nothing consumes it: an approval is answered within 24
# hours or times out, and its message stays for four days.
resource "aws_sqs_queue" "approval" {
  name                      = local.names.approval_queue
  message_retention_seconds = local.four_days
  kms_master_key_id         = local.key_arn
  policy                    = local.tls_policies.approval
}

# What EventBridge could not deliver to a target, and what a function failed at after asynchronous invocation.
resource "aws_sqs_queue" "failures" {
  name                      = local.names.failures_queue
  message_retention_seconds = local.fourteen_days
  kms_master_key_id         = local.key_arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "UndeliveredEvents"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.arns.failures_queue
        Condition = { ArnEquals = { "aws:SourceArn" = local.rule_arns } }
      },
      local.only_over_tls.failures,
    ]
  })
}
