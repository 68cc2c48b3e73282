# One customer-managed key encrypts the table, queues, topic, logs and secret parameters. Another one encrypts the execution history of
# the workflow and the events in the intake, so that containments go on while the first one is disabled. They are created here unless kms_key_arn and
# workflow_kms_key_arn name your own keys.

locals {
  key_arn          = var.kms_key_arn == null ? aws_kms_key.this[0].arn : var.kms_key_arn
  workflow_key_arn = var.workflow_kms_key_arn == null ? aws_kms_key.workflow[0].arn : var.workflow_kms_key_arn

  # Functions use the key through the services that store the data, never directly. Access to an encrypted table needs
  # more actions than access to a queue or topic.
  key_use = {
    webhook            = ["sqs", "ssm"]
    slack              = ["dynamodb", "sqs", "ssm"]
    sync               = ["dynamodb", "sns", "sqs", "ssm"]
    operations         = ["dynamodb", "sqs", "ssm"]
    workflow           = ["dynamodb", "sns", "sqs"]
    "approval-handler" = ["dynamodb", "sqs"]
  }
  key_actions = ["kms:Decrypt", "kms:GenerateDataKey"]
  # The encryption context of everything that Step Functions encrypts for the workflow
  # (docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html).
  workflow_context  = { StringEquals = { "kms:EncryptionContext:aws:states:stateMachineArn" = local.arns.state_machine } }
  key_table_actions = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]

  # The "*" is a part of the encryption context: it is a value, not a pattern.
  log_delivery_arn = "arn:${local.partition}:logs:${var.region}:${local.account}:*"

  log_group_names = concat(
    [for name in values(local.function_names) : "/aws/lambda/${name}"],
    [
      local.access_log_group,
      "/aws/events/${local.names.slack_notifications_rule}",
      "/aws/vendedlogs/states/${local.names.state_machine}",
    ],
  )

  # IAM policies of the account control the management and use of a key. Without this statement, no one could manage it.
  account_decides_by_iam = {
    Sid       = "AccountDecidesByIam"
    Effect    = "Allow"
    Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
    Action    = "kms:*"
    Resource  = "*"
  }

  workflow_key_policy = {
    Version = "2012-10-17"
    Statement = [
      local.account_decides_by_iam,
      {
        # Log delivery decrypts the log lines that Step Functions encrypts with the key of the state machine.
        Sid       = "DeliverWorkflowLogs"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = ["kms:Decrypt"]
        Resource  = "*"
        Condition = { StringEquals = { "kms:EncryptionContext:SourceArn" = local.log_delivery_arn } }
      },
      {
        # EventBridge sends neither aws:SourceArn nor aws:SourceAccount for an encrypted queue. The policy of the intake names the
        # rules instead.
        Sid       = "FillIntake"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
      },
    ]
  }

  key_policy = {
    Version = "2012-10-17"
    Statement = [
      local.account_decides_by_iam,
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
        # EventBridge sends neither aws:SourceArn nor aws:SourceAccount for an encrypted dead-letter queue. The policy
        # of the queue names the rules instead.
        Sid       = "KeepUndeliveredEvents"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
      },
      {
        # docs.aws.amazon.com/eventbridge/latest/userguide/eb-encryption-event-bus-cmkey.html. EventBridge also uses the
        # statement above, for the events themselves.
        Sid       = "EncryptEventBus"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = ["kms:DescribeKey"]
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

resource "aws_kms_key" "workflow" {
  count = var.workflow_kms_key_arn == null ? 1 : 0

  description             = "ir-router ${var.name_prefix}: executions of the workflow"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = jsonencode(local.workflow_key_policy)
}

resource "aws_kms_alias" "workflow" {
  count = var.workflow_kms_key_arn == null ? 1 : 0

  name          = "alias/${var.name_prefix}-workflow"
  target_key_id = aws_kms_key.workflow[0].key_id
}

# A separate policy, because the id of a new key is known only after the apply. The other policy of the role is then
# complete in the plan.
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
      # The intake has the key of the workflow, so that it accepts events while the other key is disabled.
      [for statement in [{
        Sid       = "UseKeyForIntake"
        Effect    = "Allow"
        Action    = each.key == "workflow" ? ["kms:Decrypt"] : local.key_actions
        Resource  = local.workflow_key_arn
        Condition = { StringEquals = { "kms:ViaService" = "sqs.${var.region}.amazonaws.com" } }
      }] : statement if contains(["operations", "workflow"], each.key)],
      [for statement in [{
        Sid      = "VerifyKey"
        Effect   = "Allow"
        Action   = ["kms:DescribeKey"]
        Resource = distinct([local.key_arn, local.workflow_key_arn])
        }, {
        # verify reads the definition of the state machine, start_oversized the input of failed executions.
        Sid       = "ReadWorkflow"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = local.workflow_key_arn
        Condition = { StringEquals = merge(local.workflow_context.StringEquals, { "kms:ViaService" = "states.${var.region}.amazonaws.com" }) }
      }] : statement if each.key == "operations"],
    )
  })
}

resource "aws_iam_role_policy" "state_machine_key" {
  name = "encryption-key"
  role = aws_iam_role.state_machine.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "EncryptExecutions"
        Effect    = "Allow"
        Action    = local.key_actions
        Resource  = local.workflow_key_arn
        Condition = local.workflow_context
      },
      {
        Sid       = "EncryptDeliveredLogs"
        Effect    = "Allow"
        Action    = ["kms:GenerateDataKey"]
        Resource  = local.workflow_key_arn
        Condition = { StringEquals = { "kms:EncryptionContext:SourceArn" = local.log_delivery_arn } }
      },
    ]
  })
}
