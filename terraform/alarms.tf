# All alarms notify the alert topic. Each description states the impact and the next step.
#
# ir-router publishes its own metrics through log lines (CloudWatch embedded metric format) in the namespace ir-router,
# with the single dimension deployment = name_prefix:
#
#   PollCompleted               Count    one for each successful poll                                          -sync
#   SyncLagSeconds              Seconds  age of the oldest hint not yet synchronised, if any, each poll         -sync
#   CaseSyncFailed              Count    a case synchronisation that failed and will be retried                -sync
#   FailuresTold                Count    a persistent failure, reported on the case and in its channel         -sync, -slack
#   CommentToMessageSeconds     Seconds  from the creation of a comment to its Slack message                   -sync
#   OpenApprovals               Count    open approval requests, if any, each poll                              -sync
#   OldestApprovalSeconds       Seconds  age of the oldest open approval request, if any, each poll             -sync
#   SecretAgeDays               Count    age of the older one of token and signing secret, from 60 on, hourly   -operations
#   ActiveSelfManagedCases      Count    active cases that your team resolves, from 10 on, each poll            -sync
#   ActiveAwsSupportedCases     Count    active cases that AWS resolves, from 2 on, each poll                   -sync
#   NewAwsSupportedCases        Count    cases of the last 24 hours that AWS resolves, from 2 on, each poll     -sync
#   DeploymentDifferences       Count    checks of the hourly verification that are not ok                     -operations
#   ContainmentSeconds          Seconds  from the time in the CloudTrail event to the containment              -workflow
#   ContainmentReactionSeconds  Seconds  from the arrival of the event to the containment                      -workflow
#   ContainmentFailed           Count    a containment, restore or remediation that failed or is not verified  -workflow

locals {
  alarm_arns = "arn:${local.partition}:cloudwatch:${var.region}:${local.account}:alarm:${var.name_prefix}-*"

  own_metrics = { deployment = var.name_prefix }

  # Defaults: the Sum over one period of five minutes is above the threshold; missing data does not breach.
  function_alarms = merge([for function, name in local.function_names : {
    "${function}-errors" = {
      description = "${name} fails. Its work is retried. Look at its log group and fix the cause, then run make replay."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = name }
      threshold   = 0
    }
    "${function}-throttles" = {
      description = "${name} is throttled because the Lambda concurrency of the account is used up. Work waits and is retried. Raise the quota."
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = { FunctionName = name }
      threshold   = 0
    }
  }]...)

  dead_letter_alarms = { for queue, meaning in {
    (local.names.slack_events_dlq) = "Slack messages or message changes did not reach their case."
    (local.names.files_dlq)        = "Files were not copied between Slack and their case."
    (local.names.failures_queue)   = "Events were not delivered, or a function failed on every retry of an invocation or an event."
    } : "${trimprefix(trimsuffix(queue, ".fifo"), "${var.name_prefix}-")}-not-empty" => {
    description = "${meaning} No data is lost: the entries stay in ${queue} for 14 days. Fix the cause, then run make replay."
    namespace   = "AWS/SQS"
    metric      = "ApproximateNumberOfMessagesVisible"
    dimensions  = { QueueName = queue }
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
    executions-failed = {
      description = "A containment workflow failed. Check by hand that the principal is contained, then look at the execution history."
      namespace   = "AWS/States"
      metric      = "ExecutionsFailed"
      dimensions  = { StateMachineArn = local.arns.state_machine }
      threshold   = 0
    }
    executions-timed-out = {
      description = "A containment workflow timed out. The containment stays in place. Look at the execution history."
      namespace   = "AWS/States"
      metric      = "ExecutionsTimedOut"
      dimensions  = { StateMachineArn = local.arns.state_machine }
      threshold   = 0
    }
    executions-aborted = {
      description = "A user stopped a containment workflow. Decide about the principal by hand. The StopExecution event in CloudTrail names the user."
      namespace   = "AWS/States"
      metric      = "ExecutionsAborted"
      dimensions  = { StateMachineArn = local.arns.state_machine }
      threshold   = 0
    }
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
    poller-silent = {
      description = "No poll has succeeded for 5 minutes, so case changes may not reach Slack. Run make verify, then look at the log group of ${local.function_names.sync}."
      namespace   = local.metrics_namespace
      metric      = "PollCompleted"
      dimensions  = local.own_metrics
      comparison  = "LessThanThreshold"
      threshold   = 1
      missing     = "breaching"
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
    secret-age = {
      description = "The Slack token or signing secret is older than 90 days. Run make rotate."
      namespace   = local.metrics_namespace
      metric      = "SecretAgeDays"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      threshold   = 90
      period      = 86400
    }
  }

  # Adjustable quotas per Region: https://docs.aws.amazon.com/general/latest/gr/security-ir.html
  quota_alarms = {
    self-managed-cases = {
      description = "There are at least ${ceil(var.quota_self_managed_cases * 0.8)} active self-managed cases, 80 % of the quota. At the quota AWS opens no more cases. Close cases that are finished, or request a higher quota in the Service Quotas console and set quota_self_managed_cases."
      namespace   = local.metrics_namespace
      metric      = "ActiveSelfManagedCases"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      comparison  = "GreaterThanOrEqualToThreshold"
      threshold   = ceil(var.quota_self_managed_cases * 0.8)
    }
    aws-supported-cases = {
      description = "There are at least ${ceil(var.quota_aws_supported_cases * 0.8)} active AWS-supported cases, 80 % of the quota. At the quota AWS opens no more cases. Close cases that are finished, or request a higher quota in the Service Quotas console and set quota_aws_supported_cases."
      namespace   = local.metrics_namespace
      metric      = "ActiveAwsSupportedCases"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      comparison  = "GreaterThanOrEqualToThreshold"
      threshold   = ceil(var.quota_aws_supported_cases * 0.8)
    }
    new-aws-supported-cases = {
      description = "There are at least ${ceil(var.quota_new_aws_supported_cases * 0.8)} AWS-supported cases of the last 24 hours, 80 % of the quota. At the quota AWS opens no more cases. Close cases that are finished, or request a higher quota in the Service Quotas console and set quota_new_aws_supported_cases."
      namespace   = local.metrics_namespace
      metric      = "NewAwsSupportedCases"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      comparison  = "GreaterThanOrEqualToThreshold"
      threshold   = ceil(var.quota_new_aws_supported_cases * 0.8)
    }
  }

  # AWS counts the invocations itself: a log line in our format, which many roles can write, does not make these quiet.
  heartbeat_alarms = { for function, minutes in { sync = 5, workflow = 5, operations = 60 } : "${function}-silent" => {
    description = "${local.function_names[function]} has not run for ${minutes} minutes, although a schedule starts it. Run make verify, then look at the rules ${local.names.poll_rule} and ${local.names.upkeep_rule} and at the function's state."
    namespace   = "AWS/Lambda"
    metric      = "Invocations"
    dimensions  = { FunctionName = local.function_names[function] }
    comparison  = "LessThanThreshold"
    threshold   = 1
    period      = minutes * 60
    missing     = "breaching"
  } }

  watch_alarms = {
    deployment-differs = {
      description = "The hourly verification found a part of ir-router that is missing, changed or without effect. Run make verify: it names the part and the fix."
      namespace   = local.metrics_namespace
      metric      = "DeploymentDifferences"
      dimensions  = local.own_metrics
      statistic   = "Maximum"
      threshold   = 0
      period      = 3600
    }
    upkeep-silent = {
      description = "The hourly verification has not run for 3 hours. Run make verify, then look at the rule ${local.names.upkeep_rule} and the log group of ${local.function_names.operations}."
      namespace   = local.metrics_namespace
      metric      = "DeploymentDifferences"
      dimensions  = local.own_metrics
      statistic   = "SampleCount"
      comparison  = "LessThanThreshold"
      threshold   = 1
      period      = 10800
      missing     = "breaching"
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
    "containment-failed", "deployment-differs", "executions-aborted", "executions-failed", "executions-timed-out",
    "failures-not-empty", "operations-errors", "operations-silent", "poller-silent", "sync-errors", "sync-silent",
    "upkeep-silent", "workflow-errors", "workflow-silent", "workflow-throttles",
  ]

  alarms = merge(
    local.function_alarms, local.dead_letter_alarms, local.waiting_alarms, local.intake_alarms, local.workflow_alarms, local.sync_alarms, local.quota_alarms,
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
