data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  tags = {
    application = "ir-router"
    deployment  = var.name_prefix
  }

  # The specification gives some fixed names. They get the prefix only if it is not the default: a single deployment
  # then has exactly the specified names, and a second one does not clash with it.
  default_prefix = "security-incident"
  fixed_prefix   = var.name_prefix == local.default_prefix ? "" : "${var.name_prefix}-"

  # docs.aws.amazon.com/general/latest/gr/securityir.html. All are in the partition aws: the service does not exist in the
  # partitions for China and GovCloud.
  security_ir_regions = [
    "af-south-1", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-south-2", "ap-southeast-1",
    "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1",
    "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-2",
  ]

  # The API names them as regions of a membership (docs.aws.amazon.com/security-ir/latest/APIReference/
  # API_ListMembershipItem.html). We found no list of endpoints with them, so Terraform warns and does not refuse.
  possible_regions = ["eu-central-2", "eu-south-1", "eu-south-2", "me-central-1", "me-south-1"]

  # The architecture that `make build` wrote down for the zip; "unknown" if there is no entry, or one for this machine.
  package_report       = try(jsondecode(file("${dirname(var.package_path)}/package.json"))[basename(var.package_path)], {})
  package_built_for    = try(local.package_report.sha256 == filesha256(var.package_path) ? local.package_report.architecture : "unknown", "unknown")
  package_architecture = contains(["arm64", "x86_64"], local.package_built_for) ? local.package_built_for : "unknown"

  # docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html, "Reserved".
  reserved_environment = [
    "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_XRAY_CONTEXT_MISSING", "AWS_XRAY_DAEMON_ADDRESS", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "_HANDLER", "_X_AMZN_TRACE_ID",
  ]

  global_events_region = "us-east-1"
  metrics_namespace    = "ir-router"
  slack_person         = "^([UWS][A-Z0-9]{8,}|[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+)$"

  security_channel_name = var.security_channel_name == "" ? "${var.name_prefix}-security" : var.security_channel_name

  names = {
    api                      = "${local.fixed_prefix}SlackWebhookApi"
    bus                      = "${var.name_prefix}-events"
    slack_client_rule        = "${local.fixed_prefix}slack-client-rule"
    slack_notifications_rule = "${local.fixed_prefix}SlackNotificationsRule"
    approvals_rule           = "${var.name_prefix}-approvals"
    case_events_rule         = "${var.name_prefix}-case-events"
    poll_rule                = "${var.name_prefix}-poll"
    upkeep_rule              = "${var.name_prefix}-upkeep"
    key_changes_rule         = "${var.name_prefix}-key-changes"
    executions_rule          = "${var.name_prefix}-executions"
    state_machine            = "${var.name_prefix}-response"
    table                    = "${var.name_prefix}-ledger"
    topic                    = "${var.name_prefix}-alerts"
    alarm_topic              = "${var.name_prefix}-alarms"
    page_topic               = "${var.name_prefix}-page"
    slack_events_queue       = "${var.name_prefix}-slack-events.fifo"
    slack_events_dlq         = "${var.name_prefix}-slack-events-dlq.fifo"
    files_queue              = "${var.name_prefix}-files.fifo"
    files_dlq                = "${var.name_prefix}-files-dlq.fifo"
    intake_queue             = "${var.name_prefix}-intake"
    approval_queue           = "${var.name_prefix}-approval"
    failures_queue           = "${var.name_prefix}-failures"
  }

  # ARNs are built from names, not read from resources. The plan then contains complete policies for the policy tests to
  # read, and a queue does not have to wait for its dead-letter queue.
  arns = {
    bus                = "arn:${local.partition}:events:${var.region}:${local.account}:event-bus/${local.names.bus}"
    default_bus        = "arn:${local.partition}:events:${var.region}:${local.account}:event-bus/default"
    custom_bus_rules   = "arn:${local.partition}:events:${var.region}:${local.account}:rule/${local.names.bus}"
    default_bus_rules  = "arn:${local.partition}:events:${var.region}:${local.account}:rule"
    state_machine      = "arn:${local.partition}:states:${var.region}:${local.account}:stateMachine:${local.names.state_machine}"
    table              = "arn:${local.partition}:dynamodb:${var.region}:${local.account}:table/${local.names.table}"
    table_index        = "arn:${local.partition}:dynamodb:${var.region}:${local.account}:table/${local.names.table}/index/${local.index_name}"
    topic              = "arn:${local.partition}:sns:${var.region}:${local.account}:${local.names.topic}"
    page_topic         = "arn:${local.partition}:sns:${var.region}:${local.account}:${local.names.page_topic}"
    alarm_topic        = "arn:${local.partition}:sns:${var.region}:${local.account}:${local.names.alarm_topic}"
    slack_events_queue = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.names.slack_events_queue}"
    slack_events_dlq   = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.names.slack_events_dlq}"
    files_queue        = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.names.files_queue}"
    files_dlq          = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.names.files_dlq}"
    intake_queue       = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.names.intake_queue}"
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

check "region" {
  assert {
    condition     = contains(local.security_ir_regions, var.region)
    error_message = "We could not confirm that AWS Security Incident Response exists in ${var.region}. Deploy only if your membership is in this region."
  }
}
