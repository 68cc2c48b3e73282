# The dashboard. Each row answers one question, with the most urgent question first.

locals {
  functions_of_metric = { for metric in ["Errors", "Throttles", "Invocations", "Duration"] : metric => [
    for function in sort(keys(local.function_names)) : ["AWS/Lambda", metric, "FunctionName", local.function_names[function], { label = function }]
  ] }

  own_metric = { for metric in [
    "OpenApprovals", "OldestApprovalSeconds", "CaseSyncFailed", "FailuresTold", "SyncLagSeconds", "CommentToMessageSeconds",
    "ContainmentSeconds", "ContainmentReactionSeconds", "ContainmentFailed", "PollFailed", "DeploymentDifferences",
  ] : metric => [local.metrics_namespace, metric, "deployment", var.name_prefix] }

  dashboard_rows = [
    {
      title = "Is anything waiting for a human?"
      widgets = [
        { title = "Open approval requests", view = "singleValue", stat = "Maximum", metrics = [local.own_metric.OpenApprovals] },
        { title = "Oldest approval request, seconds (timeout at 86,400)", view = "timeSeries", stat = "Maximum", metrics = [local.own_metric.OldestApprovalSeconds] },
        { title = "Differences from the last deployment", view = "singleValue", stat = "Maximum", metrics = [local.own_metric.DeploymentDifferences] },
      ]
    },
    {
      title = "Is anything failing?"
      widgets = [
        { title = "Messages in dead-letter queues", view = "timeSeries", stat = "Maximum", metrics = concat(
          [for queue in [local.names.slack_events_dlq, local.names.files_dlq, local.names.failures_queue] :
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, { label = queue, region = var.region }]],
          [for queue in module.forwarding[*].failures_queue :
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, { label = queue, region = local.global_events_region }]],
        ) },
        { title = "Function errors and throttles", view = "timeSeries", stat = "Sum", metrics = concat(local.functions_of_metric.Errors, local.functions_of_metric.Throttles) },
        { title = "Persistent failures, failed containments, failed workflows", view = "timeSeries", stat = "Sum", metrics = [
          local.own_metric.FailuresTold, local.own_metric.CaseSyncFailed, local.own_metric.PollFailed, local.own_metric.ContainmentFailed,
          ["AWS/States", "ExecutionsFailed", "StateMachineArn", local.arns.state_machine],
          ["AWS/States", "ExecutionsTimedOut", "StateMachineArn", local.arns.state_machine],
        ] },
        { title = "Refused and failed webhook requests", view = "timeSeries", stat = "Sum", metrics = [
          for metric in ["4XXError", "5XXError"] : ["AWS/ApiGateway", metric, "ApiName", local.names.api, "Stage", local.stage_name]
        ] },
      ]
    },
    {
      title = "How far behind is synchronisation?"
      widgets = [
        { title = "Delay from case to Slack, seconds", view = "timeSeries", stat = "Maximum", metrics = [local.own_metric.SyncLagSeconds, local.own_metric.CommentToMessageSeconds] },
        { title = "Age of the oldest queue entry from Slack, seconds", view = "timeSeries", stat = "Maximum", metrics = [
          for queue in [local.names.slack_events_queue, local.names.files_queue] : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue]
        ] },
      ]
    },
    {
      title = "How fast was containment?"
      widgets = [
        { title = "Time to containment, seconds", view = "timeSeries", stat = "Maximum", metrics = [local.own_metric.ContainmentSeconds, local.own_metric.ContainmentReactionSeconds] },
        { title = "Events of the intake, and started workflows", view = "timeSeries", stat = "Sum", metrics = [
          ["AWS/SQS", "NumberOfMessagesSent", "QueueName", local.names.intake_queue],
          ["AWS/States", "ExecutionsStarted", "StateMachineArn", local.arns.state_machine],
        ] },
      ]
    },
    {
      title = "What does it cost?"
      widgets = [
        { title = "Function invocations", view = "timeSeries", stat = "Sum", metrics = local.functions_of_metric.Invocations },
        { title = "Function duration, milliseconds", view = "timeSeries", stat = "Sum", metrics = local.functions_of_metric.Duration },
        { title = "Ledger capacity units", view = "timeSeries", stat = "Sum", metrics = [
          for metric in ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"] : ["AWS/DynamoDB", metric, "TableName", local.names.table]
        ] },
      ]
    },
  ]

  row_height = 7
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  dashboard_name = var.name_prefix

  dashboard_body = jsonencode({
    widgets = concat(
      [for index, row in local.dashboard_rows : {
        type       = "text"
        x          = 0
        y          = index * local.row_height
        width      = 24
        height     = 1
        properties = { markdown = "## ${row.title}" }
      }],
      flatten([for index, row in local.dashboard_rows : [for column, widget in row.widgets : {
        type   = "metric"
        x      = column * floor(24 / length(row.widgets))
        y      = index * local.row_height + 1
        width  = floor(24 / length(row.widgets))
        height = local.row_height - 1
        properties = {
          title   = widget.title
          view    = widget.view
          stat    = widget.stat
          metrics = widget.metrics
          region  = var.region
          period  = 300
        }
      }]]),
    )
  })
}
