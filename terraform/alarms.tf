# All alarms notify the alert topic. Each description states the impact and the next step.
#
# ir-router publishes its own metrics through log lines (CloudWatch embedded metric format) in the namespace ir-router,
# with the single dimension deployment = name_prefix:
#
#   PollFailed                  Count    a poll that could not list the cases                                   -sync
#   SyncLagSeconds              Seconds  age of the oldest hint not yet synchronised, if any, each poll         -sync
#   CaseSyncFailed              Count    a case synchronisation that failed and will be retried                -sync
#   FailuresTold                Count    a persistent failure, reported on the case and in its channel         -sync, -slack
#   CommentToMessageSeconds     Seconds  from the creation of a comment to its Slack message                   -sync
#   OpenApprovals               Count    open approval requests, if any, each poll                              -sync
#   OldestApprovalSeconds       Seconds  age of the oldest open approval request, if any, each poll             -sync
#   DeploymentDifferences       Count    checks of the hourly verification that are not ok, if any              -operations, -webhook
#   ContainmentSeconds          Seconds  from the time in the CloudTrail event to the containment              -workflow
#   ContainmentReactionSeconds  Seconds  from the arrival of the event to the containment                      -workflow
#   ContainmentFailed           Count    a containment, restore or remediation that failed or is not verified  -workflow

locals {
  alarm_arns = "arn:${local.partition}:cloudwatch:${var.region}:${local.account}:alarm:${var.name_prefix}-*"

  own_metrics = { deployment = var.name_prefix }

  # Defaults: the Sum over one period of five minutes is above the threshold; missing data does not breach.
  # The API reports a failing or throttled -webhook, the age of the queue that of -slack, and the silence of the others
  # that they are throttled. The caller of -approval-handler gets its error.
  function_alarms = { for function in ["operations", "sync", "workflow"] : "${function}-errors" => {
    description = "${local.function_names[function]} fails. Its work is retried. Look at its log group and fix the cause, then run make replay."
    namespace   = "AWS/Lambda"
    metric      = "Errors"
    dimensions  = { FunctionName = local.function_names[function] }
    threshold   = 0
  } }

  # The hourly verification reports the dead letters of the other queues.
  failures_alarms = { failures-not-empty = {
    description = "Events were not delivered, or a function failed on every retry of an invocation or an event. No data is lost: the entries stay in ${local.names.failures_queue} for 14 days. Fix the cause, then run make replay."
    namespace   = "AWS/SQS"
    metric      = "ApproximateNumberOfMessagesVisible"
    dimensions  = { QueueName = local.names.failures_queue }
    statistic   = "Maximum"
    threshold   = 0
  } }

  waiting_alarms = { for queue in [local.names.slack_events_queue, local.names.files_queue] :
    "${trimprefix(trimsuffix(queue, ".fifo"), "${var.name_prefix}-")}-waiting" => {
      description = "The oldest entry of ${queue} has waited for more than 10 minutes, so cases and Slack are out of sync. Run make verify, then look at the log group of the function that consumes the queue."
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = queue }
      statistic   = "Maximum"
      threshold   = 600
    }
  }

  intake_alarms = {
    intake-waiting = {
      description = "The oldest MEDIUM or LOW event has waited for more than 10 minutes, so alerts are late. HIGH and CRITICAL events do not wait. Run make verify, then look at the log group of ${local.function_names.workflow}."
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = local.names.intake_queue }
      statistic   = "Maximum"
      threshold   = 600
    }
    # 1.97 US dollars for a million events (make bench: intake).
    intake-flood = {
      description = "More than 1,000,000 MEDIUM and LOW events arrived within a day, which costs about 2 US dollars a day or more. Find the principal that causes the events and stop it, or disable the rule that matches them."
      namespace   = "AWS/SQS"
      metric      = "NumberOfMessagesSent"
      dimensions  = { QueueName = local.names.intake_queue }
      threshold   = 1000000
      period      = 86400
    }
  }

  workflow_alarms = {
    detections-flood = {
      description = "More than 1,000 events started the workflow within five minutes. This costs money and delays containments. Find the principal that causes the events and stop it, or disable the rule that matches them."
      namespace   = "AWS/States"
      metric      = "ExecutionsStarted"
      dimensions  = { StateMachineArn = local.arns.state_machine }
      threshold   = 1000
    }
    # 0.30 US dollars for 1,000 executions (make bench: intake).
    detections-cost = {
      description = "More than 10,000 events started the workflow within a day, which costs about 3 US dollars a day or more. Find the principal that causes the events and stop it, or allowlist it if it is expected."
      namespace   = "AWS/States"
      metric      = "ExecutionsStarted"
      dimensions  = { StateMachineArn = local.arns.state_machine }
      threshold   = 10000
      period      = 86400
    }
    containment-failed = {
      description = "A principal could not be contained, restored or remediated as decided. Do it by hand now. The alert and the audit record list the missing steps."
      namespace   = local.metrics_namespace
      metric      = "ContainmentFailed"
      dimensions  = local.own_metrics
      threshold   = 0
    }
    containment-slow = {
      description = "A containment took more than one minute after its event arrived. Check by hand that the principal is contained, then look at the execution history."
      namespace   = local.metrics_namespace
      metric      = "ContainmentReactionSeconds"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      threshold   = 60
    }
    approval-near-timeout = {
      description = "An approval request has waited for more than 20 hours. Approve or deny it. Without a decision within 24 hours the workflow ends and the containment stays in place."
      namespace   = local.metrics_namespace
      metric      = "OldestApprovalSeconds"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      threshold   = 72000
    }
  }

  sync_alarms = {
    polls-failing = {
      description = "No poll has succeeded for 5 minutes, so case changes may not reach Slack. Run make verify, then look at the log group of ${local.function_names.sync}."
      namespace   = local.metrics_namespace
      metric      = "PollFailed"
      dimensions  = local.own_metrics
      threshold   = 4
    }
    sync-behind = {
      description = "A case change has waited for more than 6 minutes and is not in Slack yet. Look in the log group of ${local.function_names.sync} for rate limits (ratelimited) or a case that keeps failing."
      namespace   = local.metrics_namespace
      metric      = "SyncLagSeconds"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      threshold   = 360
    }
    case-failing = {
      description = "A case or file keeps failing to synchronise. Read the message on the case and in its channel: it names the cause and any retries. Search the logs for its error id."
      namespace   = local.metrics_namespace
      metric      = "FailuresTold"
      dimensions  = local.own_metrics
      threshold   = 0
      period      = 3600
    }
  }

  # AWS counts the invocations itself: a log line in our format, which many roles can write, does not make these quiet.
  # The schedule starts two tasks of -operations every 15 minutes. Without the hourly verification, one is left.
  heartbeat_alarms = { for function, expected in {
    sync       = { minutes = 5, least = 1 }
    workflow   = { minutes = 5, least = 1 }
    operations = { minutes = 60, least = 6 }
    } : "${function}-silent" => {
    description = "${local.function_names[function]} has not run for ${expected.minutes} minutes as its schedule demands. Run make verify, then look at the rules ${local.names.poll_rule} and ${local.names.upkeep_rule} and at the function's state."
    namespace   = "AWS/Lambda"
    metric      = "Invocations"
    dimensions  = { FunctionName = local.function_names[function] }
    comparison  = "LessThanThreshold"
    threshold   = expected.least
    period      = expected.minutes * 60
    missing     = "breaching"
  } }

  watch_alarms = {
    deployment-differs = {
      description = "The hourly verification found a part of ir-router that is missing, changed or without effect, or Slack reported that the app was uninstalled or its token revoked. Run make verify: it names the part and the fix."
      namespace   = local.metrics_namespace
      metric      = "DeploymentDifferences"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      threshold   = 0
      period      = 3600
    }
  }

  api_alarms = {
    api-4xx-flood = {
      description = "More than 500 requests in 5 minutes were refused. Run make verify: either the signing secret is wrong, or an unknown sender floods the webhook endpoint."
      namespace   = "AWS/ApiGateway"
      metric      = "4XXError"
      dimensions  = { ApiName = local.names.api, Stage = local.stage_name }
      threshold   = 500
    }
    api-5xx = {
      description = "The webhook endpoint answered Slack with errors. Slack retries three times within about six minutes. Look at the log group of ${local.function_names.webhook}."
      namespace   = "AWS/ApiGateway"
      metric      = "5XXError"
      dimensions  = { ApiName = local.names.api, Stage = local.stage_name }
      threshold   = 0
    }
  }

  # These also notify the topic that works without our key, so they arrive twice.
  essential_alarms = [
    "containment-failed", "deployment-differs", "failures-not-empty", "operations-errors", "operations-silent", "polls-failing",
    "sync-errors", "sync-silent", "workflow-errors", "workflow-silent",
  ]

  alarms = merge(
    local.function_alarms, local.failures_alarms, local.waiting_alarms, local.intake_alarms, local.workflow_alarms, local.sync_alarms,
    local.heartbeat_alarms, local.watch_alarms, local.api_alarms,
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
  alarm_actions       = concat([aws_sns_topic.alerts.arn], contains(local.essential_alarms, each.key) ? [aws_sns_topic.alarms.arn] : [])
  ok_actions          = concat([aws_sns_topic.alerts.arn], contains(local.essential_alarms, each.key) ? [aws_sns_topic.alarms.arn] : [])
}
