# One customer-managed key for table, queues, topic, logs and secret parameters: made here, or brought by kms_key_arn.

locals {
  key_arn = var.kms_key_arn == null ? aws_kms_key.this[0].arn : var.kms_key_arn

  # Functions use the key through the services that hold the data, never directly. Writing to an encrypted table asks
  # for more than writing to a queue or topic.
  key_use = {
    webhook            = ["sqs", "ssm"]
    slack              = ["dynamodb", "sqs", "ssm"]
    sync               = ["dynamodb", "sqs", "ssm"]
    workflow           = ["dynamodb", "sns", "sqs"]
    "approval-handler" = ["dynamodb", "sqs"]
  }
  key_actions       = ["kms:Decrypt", "kms:GenerateDataKey"]
  key_table_actions = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]

  log_group_names = concat(
    [for name in values(local.function_names) : "/aws/lambda/${name}"],
    [
      "/aws/apigateway/${local.names.api}",
      "/aws/events/${local.names.slack_notifications_rule}",
      "/aws/vendedlogs/states/${local.names.state_machine}",
    ],
  )

  key_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        # The account's own IAM policies decide who manages and uses the key; without this nobody could.
        Sid       = "AccountDecidesByIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "EncryptLogs"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource  = "*"
        Condition = {
          ArnEquals = {
            "kms:EncryptionContext:aws:logs:arn" = [
              for name in local.log_group_names : "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:${name}"
            ]
          }
        }
      },
      {
        # EventBridge's requests for an encrypted dead-letter queue carry neither aws:SourceArn nor aws:SourceAccount;
        # the queue's own policy names the rules.
        Sid       = "KeepUndeliveredEvents"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
      },
      {
        Sid       = "PublishAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = {
          ArnLike      = { "aws:SourceArn" = local.alarm_arns }
          StringEquals = { "aws:SourceAccount" = local.account }
        }
      },
    ]
  }
}

resource "aws_kms_key" "this" {
  count = var.kms_key_arn == null ? 1 : 0

  description             = "ir-router ${var.name_prefix}: ledger, queues, alerts, logs, Slack credentials"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = jsonencode(local.key_policy)
}

resource "aws_kms_alias" "this" {
  count = var.kms_key_arn == null ? 1 : 0

  name          = "alias/${var.name_prefix}"
  target_key_id = aws_kms_key.this[0].key_id
}

# Apart from the role's other policy, because the id of a key that is made here is known only after the apply: the other
# stands whole in the plan.
resource "aws_iam_role_policy" "function_key" {
  for_each = local.functions

  name = "encryption-key"
  role = aws_iam_role.function[each.key].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "UseKey"
        Effect    = "Allow"
        Action    = local.key_actions
        Resource  = local.key_arn
        Condition = { StringEquals = { "kms:ViaService" = [for service in local.key_use[each.key] : "${service}.${var.region}.amazonaws.com" if service != "dynamodb"] } }
      }],
      [for statement in [{
        Sid       = "UseKeyForLedger"
        Effect    = "Allow"
        Action    = local.key_table_actions
        Resource  = local.key_arn
        Condition = { StringEquals = { "kms:ViaService" = "dynamodb.${var.region}.amazonaws.com" } }
      }] : statement if contains(local.key_use[each.key], "dynamodb")],
    )
  })
}
