# Alarms, all to the alert topic. Each description says what it means for people and where to look.
#
# The system's own metrics come from its log lines (CloudWatch embedded metric format), namespace ir-router, with the one
# dimension deployment = name_prefix:
#
#   PollCompleted               Count    one for each poll that ended well                                     -sync
#   SyncLagSeconds              Seconds  age of the oldest hint not yet synchronised, 0 if none, each poll     -sync
#   CaseSyncFailed              Count    a run of a case that failed and is tried again                        -sync
#   FailuresTold                Count    a failure that stays, told on the case and in its channel             -sync, -slack
#   CommentToMessageSeconds     Seconds  from a comment's creation to its Slack message                        -sync
#   OpenApprovals               Count    approvals that wait for a decision, 0 if none, each poll              -sync
#   OldestApprovalSeconds       Seconds  how long the oldest of them has waited, 0 if none, each poll          -sync
#   SecretAgeDays               Count    days since the older of token and signing secret changed, each hour   -sync
#   ContainmentSeconds          Seconds  from the time in the CloudTrail event to contained                    -workflow
#   ContainmentReactionSeconds  Seconds  from the event's arrival to contained                                 -workflow
#   ContainmentFailed           Count    a containment, restore or remediation that did not verify             -workflow

locals {
  alarm_arns = "arn:${local.partition}:cloudwatch:${var.region}:${local.account}:alarm:${var.name_prefix}-*"

  own_metrics = { deployment = var.name_prefix }

  # Defaults of an entry: Sum over five minutes, one period, above the threshold; without data all is well.
  function_alarms = merge([for function, name in local.function_names : {
    "${function}-errors" = {
      description = "${name} fails. What it worked on is tried again; see its log group, then run make replay once mended."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = name }
      threshold   = 0
    }
    "${function}-throttles" = {
      description = "${name} is throttled: the account's Lambda concurrency is used up. Work waits and is tried again; raise the quota."
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = { FunctionName = name }
      threshold   = 0
    }
  }]...)

  dead_letter_alarms = { for queue, meaning in {
    (local.names.slack_events_dlq) = "Messages or changes in Slack did not reach their case."
    (local.names.files_dlq)        = "Files did not reach the other side."
    (local.names.failures_queue)   = "Events were not delivered, or a function gave up on one."
    } : "${trimprefix(trimsuffix(queue, ".fifo"), "${var.name_prefix}-")}-not-empty" => {
    description = "${meaning} Nothing is lost: they wait in ${queue} for 14 days. Mend the cause, then run make replay."
    namespace   = "AWS/SQS"
    metric      = "ApproximateNumberOfMessagesVisible"
    dimensions  = { QueueName = queue }
    statistic   = "Maximum"
    threshold   = 0
  } }

  waiting_alarms = { for queue in [local.names.slack_events_queue, local.names.files_queue] :
    "${trimprefix(trimsuffix(queue, ".fifo"), "${var.name_prefix}-")}-waiting" => {
      description = "The oldest entry of ${queue} has waited more than 10 minutes: Slack is ahead of the cases."
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = queue }
      statistic   = "Maximum"
      threshold   = 600
    }
  }

  workflow_alarms = {
    executions-failed = {
      description = "A containment workflow failed. Look at the execution's history and check by hand that the principal is contained."
      namespace   = "AWS/States"
      metric      = "ExecutionsFailed"
      dimensions  = { StateMachineArn = local.arns.state_machine }
      threshold   = 0
    }
    executions-timed-out = {
      description = "A containment workflow timed out. The containment stays; look at the execution's history."
      namespace   = "AWS/States"
      metric      = "ExecutionsTimedOut"
      dimensions  = { StateMachineArn = local.arns.state_machine }
      threshold   = 0
    }
    executions-aborted = {
      description = "Somebody stopped a containment workflow. CloudTrail's StopExecution says who; decide about the principal by hand."
      namespace   = "AWS/States"
      metric      = "ExecutionsAborted"
      dimensions  = { StateMachineArn = local.arns.state_machine }
      threshold   = 0
    }
    detections-flood = {
      description = "More than 1,000 events started the workflow within five minutes: it costs money, and containments wait behind them. Find the principal that makes them and stop it, or disable the rule that takes them."
      namespace   = "AWS/States"
      metric      = "ExecutionsStarted"
      dimensions  = { StateMachineArn = local.arns.state_machine }
      threshold   = 1000
    }
    containment-failed = {
      description = "A principal could not be contained, restored or remediated as decided. A person must do it now: see the alert and the audit record."
      namespace   = local.metrics_namespace
      metric      = "ContainmentFailed"
      dimensions  = local.own_metrics
      threshold   = 0
    }
    containment-slow = {
      description = "A containment took more than a minute after its event arrived."
      namespace   = local.metrics_namespace
      metric      = "ContainmentReactionSeconds"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      threshold   = 60
    }
    approval-near-timeout = {
      description = "An approval has waited more than 20 hours. Without a decision within 24 hours the containment stays and the workflow ends."
      namespace   = local.metrics_namespace
      metric      = "OldestApprovalSeconds"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      threshold   = 72000
    }
  }

  sync_alarms = {
    poller-silent = {
      description = "No poll has ended well for 5 minutes: case changes may not reach Slack. See the log group of ${local.function_names.sync}, then run make verify."
      namespace   = local.metrics_namespace
      metric      = "PollCompleted"
      dimensions  = local.own_metrics
      comparison  = "LessThanThreshold"
      threshold   = 1
      missing     = "breaching"
    }
    sync-behind = {
      description = "A case change has waited more than 6 minutes for Slack (the poller finds it within one)."
      namespace   = local.metrics_namespace
      metric      = "SyncLagSeconds"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      threshold   = 360
    }
    case-failing = {
      description = "Something keeps failing to synchronise. The case and its channel say what, and whether it is tried again; the error id there is in the logs."
      namespace   = local.metrics_namespace
      metric      = "FailuresTold"
      dimensions  = local.own_metrics
      threshold   = 0
      period      = 3600
    }
    secret-age = {
      description = "Slack token or signing secret is older than 90 days. Run make rotate."
      namespace   = local.metrics_namespace
      metric      = "SecretAgeDays"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      threshold   = 90
      period      = 86400
    }
  }

  api_alarms = {
    api-4xx-flood = {
      description = "More than 500 requests in 5 minutes were refused: somebody knocks who is not Slack, or the signing secret is wrong."
      namespace   = "AWS/ApiGateway"
      metric      = "4XXError"
      dimensions  = { ApiName = local.names.api, Stage = local.stage_name }
      threshold   = 500
    }
    api-5xx = {
      description = "Slack was answered with errors and delivers again, three times within about six minutes. See the log group of ${local.function_names.webhook}."
      namespace   = "AWS/ApiGateway"
      metric      = "5XXError"
      dimensions  = { ApiName = local.names.api, Stage = local.stage_name }
      threshold   = 0
    }
  }

  alarms = merge(
    local.function_alarms, local.dead_letter_alarms, local.waiting_alarms, local.workflow_alarms, local.sync_alarms, local.api_alarms,
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name_prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = lookup(each.value, "statistic", "Sum")
  comparison_operator = lookup(each.value, "comparison", "GreaterThanThreshold")
  threshold           = each.value.threshold
  period              = lookup(each.value, "period", 300)
  evaluation_periods  = lookup(each.value, "periods", 1)
  treat_missing_data  = lookup(each.value, "missing", "notBreaching")
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}
