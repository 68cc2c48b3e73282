# One zip, five functions. Each serves its own routes with its own role (roles.tf) and is told only what it uses.

locals {
  # Timeouts in seconds, memory in MB. `-slack` has 1 GB because a form must open within 3 s of the click, cold start
  # included, and Lambda gives processor time in proportion to memory.
  functions = {
    webhook            = { timeout = 30, memory = 512, routes = ["webhook"] }
    slack              = { timeout = 60, memory = 1024, routes = ["slack_event", "slash_command", "interaction"] }
    sync               = { timeout = 900, memory = 512, routes = ["poll", "sync_case", "file_transfer", "approval_notice", "operations"] }
    workflow           = { timeout = 60, memory = 256, routes = ["workflow"] }
    "approval-handler" = { timeout = 30, memory = 256, routes = ["approval"] }
  }

  function_names = { for function in keys(local.functions) : function => "${var.name_prefix}-${function}" }

  environments = {
    webhook = {
      IR_SLACK_EVENTS_QUEUE_URL        = aws_sqs_queue.slack_events.url
      IR_FILES_QUEUE_URL               = aws_sqs_queue.files.url
      IR_SLACK_FUNCTION                = local.function_names.slack
      IR_SIGNING_SECRET_PARAMETER      = local.parameter_paths.signing_secret
      IR_WORKSPACE_ID_PARAMETER        = local.parameter_paths.workspace_id
      IR_PREVIOUS_SIGNING_SECRET_HOURS = tostring(var.previous_signing_secret_hours)
    }

    slack = {
      IR_TABLE_NAME               = local.names.table
      IR_EVENT_BUS_NAME           = local.names.bus
      IR_SLACK_EVENTS_QUEUE_URL   = aws_sqs_queue.slack_events.url
      IR_APPROVAL_FUNCTION        = local.function_names["approval-handler"]
      IR_BOT_TOKEN_PARAMETER      = local.parameter_paths.bot_token
      IR_WORKSPACE_ID_PARAMETER   = local.parameter_paths.workspace_id
      IR_CHANNEL_PREFIX_PARAMETER = local.parameter_paths.channel_prefix
      IR_APPROVERS                = jsonencode(var.slack_approvers)
      IR_CASE_EDITORS             = jsonencode(var.slack_case_editors)
      IR_MIRROR_BOTS              = tostring(var.mirror_bots)
      IR_CASE_RESOLVER_TYPE       = var.case_resolver_type
      IR_AUDIT_RETENTION_DAYS     = tostring(var.audit_retention_days)
    }

    sync = {
      IR_TABLE_NAME               = local.names.table
      IR_EVENT_BUS_NAME           = local.names.bus
      IR_SLACK_EVENTS_QUEUE_URL   = aws_sqs_queue.slack_events.url
      IR_FILES_QUEUE_URL          = aws_sqs_queue.files.url
      IR_APPROVAL_QUEUE_URL       = aws_sqs_queue.approval.url
      IR_ALERT_TOPIC_ARN          = local.arns.topic
      IR_STATE_MACHINE_ARN        = local.arns.state_machine
      IR_SLACK_FUNCTION           = local.function_names.slack
      IR_APPROVAL_FUNCTION        = local.function_names["approval-handler"]
      IR_DENY_POLICY_ARN          = local.arns.deny_policy
      IR_BOT_TOKEN_PARAMETER      = local.parameter_paths.bot_token
      IR_SIGNING_SECRET_PARAMETER = local.parameter_paths.signing_secret
      IR_WORKSPACE_ID_PARAMETER   = local.parameter_paths.workspace_id
      IR_CHANNEL_PREFIX_PARAMETER = local.parameter_paths.channel_prefix
      IR_CHANNEL_VISIBILITY       = var.slack_channel_visibility
      IR_SECURITY_CHANNEL_ID      = var.security_channel_id
      IR_APPROVERS                = jsonencode(var.slack_approvers)
      IR_MIRROR_BOTS              = tostring(var.mirror_bots)
      IR_REMOVE_FORMER_WATCHERS   = tostring(var.remove_former_watchers)
      IR_INITIAL_IMPORT           = var.initial_import
      IR_CONTAINMENT_MODE         = var.containment_mode
      # verify says how long both secrets pass, and rotate reads it here.
      IR_PREVIOUS_SIGNING_SECRET_HOURS = tostring(var.previous_signing_secret_hours)
    }

    workflow = {
      IR_TABLE_NAME                = local.names.table
      IR_EVENT_BUS_NAME            = local.names.bus
      IR_APPROVAL_QUEUE_URL        = aws_sqs_queue.approval.url
      IR_ALERT_TOPIC_ARN           = local.arns.topic
      IR_DENY_POLICY_ARN           = local.arns.deny_policy
      IR_CONTAINMENT_MODE          = var.containment_mode
      IR_CONTAIN_OTHER_KEYS        = tostring(var.contain_other_keys)
      IR_CONTAIN_ACTOR             = tostring(var.contain_actor)
      IR_PROTECTED_PRINCIPALS      = jsonencode(local.protected_principals)
      IR_MAX_CONTAINMENTS_PER_HOUR = tostring(var.max_containments_per_hour)
      IR_ALLOWED_CIDRS             = jsonencode(var.allowed_cidrs)
      IR_ALLOWED_PRINCIPALS        = jsonencode(var.allowed_principals)
      IR_CASE_RESOLVER_TYPE        = var.case_resolver_type
      IR_AUDIT_RETENTION_DAYS      = tostring(var.audit_retention_days)
      IR_OWNER_TAG                 = var.owner_tag
    }

    "approval-handler" = {
      IR_TABLE_NAME           = local.names.table
      IR_EVENT_BUS_NAME       = local.names.bus
      IR_AUDIT_RETENTION_DAYS = tostring(var.audit_retention_days)
    }
  }

  # Functions that something invokes without waiting: what they fail at twice more goes to the failures queue. The
  # times in seconds: a slash command can be answered for 30 minutes (its response_url), everything else is a hint
  # that stays true.
  asynchronous_functions = {
    slack              = { maximum_age = 900 }
    sync               = { maximum_age = 21600 }
    "approval-handler" = { maximum_age = 21600 }
  }
}

resource "aws_lambda_function" "this" {
  for_each = local.functions

  function_name    = local.function_names[each.key]
  description      = "ir-router: ${join(", ", each.value.routes)}"
  role             = aws_iam_role.function[each.key].arn
  handler          = "ir_router.handler.lambda_handler"
  runtime          = "python3.13"
  architectures    = [var.lambda_architecture]
  filename         = var.package_path
  source_code_hash = filebase64sha256(var.package_path)
  timeout          = each.value.timeout
  memory_size      = each.value.memory

  tracing_config {
    mode = var.xray_tracing ? "Active" : "PassThrough"
  }

  environment {
    variables = merge(
      {
        IR_ROUTES      = join(",", each.value.routes)
        IR_NAME_PREFIX = var.name_prefix
        LOG_LEVEL      = var.log_level
      },
      local.environments[each.key],
      var.extra_environment,
    )
  }

  # The log group must be ours, with its retention and key, before the function's first line makes one without either.
  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role_policy.function, aws_iam_role_policy.function_key]
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.function_names

  name              = "/aws/lambda/${each.value}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.key_arn
}

resource "aws_lambda_function_event_invoke_config" "this" {
  for_each = local.asynchronous_functions

  function_name                = aws_lambda_function.this[each.key].function_name
  maximum_event_age_in_seconds = each.value.maximum_age
  maximum_retry_attempts       = 2

  destination_config {
    on_failure {
      destination = aws_sqs_queue.failures.arn
    }
  }
}

# One message at a time: those behind a message that fails would be received with it, and given up with it untried.
resource "aws_lambda_event_source_mapping" "slack_events" {
  event_source_arn        = aws_sqs_queue.slack_events.arn
  function_name           = aws_lambda_function.this["slack"].arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 10
  }
}

# One file at a time: a file may be 100 MB, and a batch would share one time-out.
resource "aws_lambda_event_source_mapping" "files" {
  event_source_arn        = aws_sqs_queue.files.arn
  function_name           = aws_lambda_function.this["sync"].arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 5
  }
}
