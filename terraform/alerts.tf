# The topic for security alerts from the workflow and for CloudWatch alarms, and a topic that works without our key.

resource "aws_sns_topic" "alerts" {
  name              = local.names.topic
  kms_master_key_id = local.key_arn
}

resource "aws_sns_topic_policy" "alerts" {
  arn = aws_sns_topic.alerts.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PublishAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.arns.topic
        Condition = {
          ArnLike      = { "aws:SourceArn" = local.alarm_arns }
          StringEquals = { "aws:SourceAccount" = local.account }
        }
      },
      {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.arns.topic
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.alert_emails)

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}

# Pages in the format of CloudWatch alarms, for PagerDuty, Opsgenie and others. Subscribe their HTTPS endpoint.
resource "aws_sns_topic" "page" {
  name              = local.names.page_topic
  kms_master_key_id = local.key_arn
}

resource "aws_sns_topic_policy" "page" {
  arn = aws_sns_topic.page.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyOverTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sns:Publish"
      Resource  = local.arns.page_topic
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

# The essential alarms, the report of a change of a key, and the workflow's alerts while the other topic cannot use its key. A
# customer-managed key would silence them when it is disabled, and CloudWatch may not use AWS's own key for SNS.
resource "aws_sns_topic" "alarms" {
  name = local.names.alarm_topic
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PublishAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.arns.alarm_topic
        Condition = {
          ArnLike      = { "aws:SourceArn" = local.alarm_arns }
          StringEquals = { "aws:SourceAccount" = local.account }
        }
      },
      {
        Sid       = "ReportKeyChangesAndFailedExecutions"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.arns.alarm_topic
        Condition = { ArnEquals = { "aws:SourceArn" = [local.key_changes_rule_arn, local.executions_rule_arn] } }
      },
      {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.arns.alarm_topic
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "alarm_email" {
  for_each = toset(var.alert_emails)

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

# This rule needs neither a key nor a function.
resource "aws_cloudwatch_event_rule" "key_changes" {
  name        = local.names.key_changes_rule
  description = "Reports each change of an encryption key by which ir-router could lose access to its data"

  event_pattern = jsonencode({
    source      = ["aws.kms"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      resources = { ARN = distinct([local.key_arn, local.workflow_key_arn]) }
      errorCode = [{ exists = false }]
      "$or" = [
        { eventName = ["DisableKey", "ScheduleKeyDeletion", "PutKeyPolicy", "DeleteImportedKeyMaterial"] },
        # DynamoDB makes grants for the table itself.
        {
          eventName    = ["CreateGrant", "RevokeGrant"]
          userIdentity = { invokedBy = [{ exists = false }] }
        },
      ]
    }
  })
}

resource "aws_cloudwatch_event_target" "key_changes" {
  rule = aws_cloudwatch_event_rule.key_changes.name
  arn  = aws_sns_topic.alarms.arn

  input_transformer {
    input_paths = {
      call = "$.detail.eventName"
      key  = "$.detail.resources[0].ARN"
      time = "$.time"
      user = "$.detail.userIdentity.arn"
    }
    input_template = "\"An encryption key of ir-router (${var.name_prefix}) was changed: <call> by <user> at <time>. If the key is disabled, decisions and synchronisation stop, and containments go on only while the other key works. If you did not do this, enable the key or restore its policy now, and contain <user>. Key: <key>\""
  }

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}

# An alarm would name no execution, and would cost more: AWS's own events are free.
resource "aws_cloudwatch_event_rule" "executions" {
  name        = local.names.executions_rule
  description = "Reports each execution of the containment workflow that failed, timed out or was stopped"

  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      stateMachineArn = [local.arns.state_machine]
      status          = ["ABORTED", "FAILED", "TIMED_OUT"]
    }
  })
}

resource "aws_cloudwatch_event_target" "executions" {
  rule = aws_cloudwatch_event_rule.executions.name
  arn  = aws_sns_topic.alarms.arn

  input_transformer {
    input_paths = {
      execution = "$.detail.executionArn"
      name      = "$.detail.name"
      status    = "$.detail.status"
    }
    input_template = "\"A containment workflow of ir-router (${var.name_prefix}) ended as <status>: <name>. Check by hand that its principal is contained. FAILED or TIMED_OUT: the name of the last state shows the missing step. ABORTED: a user stopped it, and StopExecution in CloudTrail names the user. Execution: https://${var.region}.console.aws.amazon.com/states/home?region=${var.region}#/v2/executions/details/<execution>\""
  }

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures.arn
  }
}
