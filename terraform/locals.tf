data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  tags = {
    application = "ir-router"
    deployment  = var.name_prefix
  }

  # The specification's fixed names take the prefix only when it is not the default, so that two deployments live side
  # by side and one alone has exactly the specified names.
  default_prefix = "security-incident"
  fixed_prefix   = var.name_prefix == local.default_prefix ? "" : "${var.name_prefix}-"

  global_events_region = "us-east-1"
  metrics_namespace    = "ir-router"
  slack_person         = "^([UWS][A-Z0-9]{8,}|[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+)$"

  names = {
    api                      = "${local.fixed_prefix}SlackWebhookApi"
    bus                      = "${var.name_prefix}-events"
    slack_client_rule        = "${local.fixed_prefix}slack-client-rule"
    slack_notifications_rule = "${local.fixed_prefix}SlackNotificationsRule"
    approvals_rule           = "${var.name_prefix}-approvals"
    case_events_rule         = "${var.name_prefix}-case-events"
    poll_rule                = "${var.name_prefix}-poll"
    state_machine            = "${var.name_prefix}-response"
    table                    = "${var.name_prefix}-ledger"
    topic                    = "${var.name_prefix}-alerts"
    deny_policy              = "${var.name_prefix}-containment-deny"
    slack_events_queue       = "${var.name_prefix}-slack-events.fifo"
    slack_events_dlq         = "${var.name_prefix}-slack-events-dlq.fifo"
    files_queue              = "${var.name_prefix}-files.fifo"
    files_dlq                = "${var.name_prefix}-files-dlq.fifo"
    approval_queue           = "${var.name_prefix}-approval"
    failures_queue           = "${var.name_prefix}-failures"
  }

  # ARNs are built from names, not read from resources: policies then stand in full in the plan, where the policy tests
  # read them, and a queue need not wait for its dead-letter queue.
  arns = {
    bus                = "arn:${local.partition}:events:${var.region}:${local.account}:event-bus/${local.names.bus}"
    default_bus        = "arn:${local.partition}:events:${var.region}:${local.account}:event-bus/default"
    custom_bus_rules   = "arn:${local.partition}:events:${var.region}:${local.account}:rule/${local.names.bus}"
    default_bus_rules  = "arn:${local.partition}:events:${var.region}:${local.account}:rule"
    state_machine      = "arn:${local.partition}:states:${var.region}:${local.account}:stateMachine:${local.names.state_machine}"
    table              = "arn:${local.partition}:dynamodb:${var.region}:${local.account}:table/${local.names.table}"
    table_index        = "arn:${local.partition}:dynamodb:${var.region}:${local.account}:table/${local.names.table}/index/${local.index_name}"
    topic              = "arn:${local.partition}:sns:${var.region}:${local.account}:${local.names.topic}"
    deny_policy        = "arn:${local.partition}:iam::${local.account}:policy/${local.names.deny_policy}"
    slack_events_queue = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.names.slack_events_queue}"
    slack_events_dlq   = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.names.slack_events_dlq}"
    files_queue        = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.names.files_queue}"
    files_dlq          = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.names.files_dlq}"
    approval_queue     = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.names.approval_queue}"
    failures_queue     = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.names.failures_queue}"
  }

  function_arns = {
    for function, name in local.function_names : function => "arn:${local.partition}:lambda:${var.region}:${local.account}:function:${name}"
  }

  parameter_arns = {
    for parameter, path in local.parameter_paths : parameter => "arn:${local.partition}:ssm:${var.region}:${local.account}:parameter${path}"
  }
}
