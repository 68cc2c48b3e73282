# One zip is deployed as six functions. Each serves its own routes, has its own role (roles.tf) and gets only the
# environment variables that it uses.

locals {
  # Timeouts are in seconds, memory is in MB. `-slack` has 1 GB because a form must open within 3 s of the click, cold
  # start included, and Lambda allocates processor time in proportion to memory.
  functions = {
    # API Gateway waits 29 seconds for it.
    webhook            = { timeout = 29, memory = 512, routes = ["webhook"] }
    slack              = { timeout = 60, memory = 1024, routes = ["slack_event", "slash_command", "interaction"] }
    sync               = { timeout = 900, memory = 512, routes = ["poll", "sync_case", "file_transfer", "approval_notice", "alert_notice"] }
    operations         = { timeout = 900, memory = 512, routes = ["operations"] }
    workflow           = { timeout = 60, memory = 512, routes = ["workflow", "intake"] }
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
      IR_WATCHER_DOMAINS          = jsonencode(var.watcher_domains)
      IR_MIRROR_BOTS              = tostring(var.mirror_bots)
      IR_CASE_RESOLVER_TYPE       = var.case_resolver_type
      IR_AUDIT_RETENTION_DAYS     = tostring(var.audit_retention_days)
    }

    sync = {
      IR_TABLE_NAME               = local.names.table
      IR_EVENT_BUS_NAME           = local.names.bus
      IR_SLACK_EVENTS_QUEUE_URL   = aws_sqs_queue.slack_events.url
      IR_FILES_QUEUE_URL          = aws_sqs_queue.files.url
      IR_APPROVAL_FUNCTION        = local.function_names["approval-handler"]
      IR_BOT_TOKEN_PARAMETER      = local.parameter_paths.bot_token
      IR_WORKSPACE_ID_PARAMETER   = local.parameter_paths.workspace_id
      IR_CHANNEL_PREFIX_PARAMETER = local.parameter_paths.channel_prefix
      IR_CHANNEL_VISIBILITY       = var.slack_channel_visibility
      IR_SECURITY_CHANNEL_ID      = var.security_channel_id
      IR_SECURITY_CHANNEL_NAME    = local.security_channel_name
      IR_APPROVERS                = jsonencode(var.slack_approvers)
      IR_MENTION                  = jsonencode(var.slack_mention)
      IR_REMINDER_MINUTES         = jsonencode(var.reminder_minutes == null ? [10, 60, 480, 1200] : var.reminder_minutes)
      IR_PAGE_TOPIC_ARN           = local.arns.page_topic
      IR_PAGE_AFTER_MINUTES       = tostring(var.page_after_minutes)
      IR_MIRROR_BOTS              = tostring(var.mirror_bots)
      IR_REMOVE_FORMER_WATCHERS   = tostring(var.remove_former_watchers)
      IR_WATCHER_DOMAINS          = jsonencode(var.watcher_domains)
      IR_INITIAL_IMPORT           = var.initial_import
      IR_CASE_RETENTION_DAYS      = tostring(var.case_retention_days)
      IR_AUDIT_RETENTION_DAYS     = tostring(var.audit_retention_days)
      IR_REPORT_MESSAGE_TEXT      = tostring(var.report_message_text)

      IR_ARCHIVE_CHANNELS_AFTER_DAYS     = tostring(var.archive_channels_after_days)
      IR_CLOSE_DECIDED_CASES_AFTER_HOURS = tostring(var.close_decided_cases_after_hours)

      IR_CLOUDTRAIL_LAKE_EVENT_DATA_STORE = var.cloudtrail_lake_event_data_store == null ? "" : var.cloudtrail_lake_event_data_store

      # Whether -workflow reads the calls of sessions in other accounts.
      IR_ORGANIZATION_ID = var.organization_id == null ? "" : var.organization_id
    }

    operations = {
      IR_TABLE_NAME               = local.names.table
      IR_EVENT_BUS_NAME           = local.names.bus
      IR_SLACK_EVENTS_QUEUE_URL   = aws_sqs_queue.slack_events.url
      IR_FILES_QUEUE_URL          = aws_sqs_queue.files.url
      IR_APPROVAL_QUEUE_URL       = aws_sqs_queue.approval.url
      IR_ALERT_TOPIC_ARN          = local.arns.topic
      IR_KEY_ARN                  = local.key_arn
      IR_LOG_RETENTION_DAYS       = tostring(var.log_retention_days)
      IR_STATE_MACHINE_ARN        = local.arns.state_machine
      IR_BOT_TOKEN_PARAMETER      = local.parameter_paths.bot_token
      IR_SIGNING_SECRET_PARAMETER = local.parameter_paths.signing_secret
      IR_WORKSPACE_ID_PARAMETER   = local.parameter_paths.workspace_id
      IR_CHANNEL_PREFIX_PARAMETER = local.parameter_paths.channel_prefix
      IR_SECURITY_CHANNEL_ID      = var.security_channel_id
      IR_APPROVERS                = jsonencode(var.slack_approvers)
      IR_CONTAINMENT_MODE         = var.containment_mode
      IR_API_ACCESS_LOGS          = tostring(var.api_access_logs)
      IR_AUDIT_RETENTION_DAYS     = tostring(var.audit_retention_days)
      # verify compares the number of cases with the quotas.
      IR_CASE_QUOTAS         = jsonencode([var.quota_self_managed_cases, var.quota_aws_supported_cases, var.quota_new_aws_supported_cases])
      IR_DETECTIONS_DISABLED = jsonencode(var.detections_disabled)
      IR_SEVERITY_OVERRIDES  = jsonencode(var.severity_overrides)
      IR_EXTRA_DETECTIONS    = local.extra_detections_digest
      # verify reports how long both secrets are accepted, and rotate reads the value from here.
      IR_PREVIOUS_SIGNING_SECRET_HOURS = tostring(var.previous_signing_secret_hours)
    }

    workflow = {
      IR_TABLE_NAME                  = local.names.table
      IR_EVENT_BUS_NAME              = local.names.bus
      IR_APPROVAL_QUEUE_URL          = aws_sqs_queue.approval.url
      IR_ALERT_TOPIC_ARN             = local.arns.topic
      IR_ALARM_TOPIC_ARN             = local.arns.alarm_topic
      IR_PAGE_TOPIC_ARN              = local.arns.page_topic
      IR_APPROVALS_REQUIRED          = jsonencode(var.approvals_required)
      IR_STATE_MACHINE_ARN           = local.arns.state_machine
      IR_CONTAINMENT_ROLE_ARN        = local.containment_role_arn
      IR_ORGANIZATION_ID             = var.organization_id == null ? "" : var.organization_id
      IR_CONTAINMENT_MODE            = var.containment_mode
      IR_CONTAIN_OTHER_KEYS          = tostring(var.contain_other_keys)
      IR_CONTAIN_ACTOR               = tostring(var.contain_actor)
      IR_CONTAINMENT_SCOPE           = var.containment_scope
      IR_ASK_BEFORE_CONTAINING_ROLES = var.ask_before_containing_roles
      IR_LISTS_DIGEST                = sha256(jsonencode(local.lists))
      IR_MAX_CONTAINMENTS_PER_HOUR   = tostring(var.max_containments_per_hour)
      IR_DETECTIONS_DISABLED         = jsonencode(var.detections_disabled)
      IR_SEVERITY_OVERRIDES          = jsonencode(var.severity_overrides)
      IR_EXTRA_DETECTIONS            = local.extra_detections_digest

      IR_MAX_CONTAINMENTS_PER_HOUR_PER_ACCOUNT = tostring(var.max_containments_per_hour_per_account)

      IR_CASE_RESOLVER_TYPE   = var.case_resolver_type
      IR_AUDIT_RETENTION_DAYS = tostring(var.audit_retention_days)
      IR_AUDIT_EXPORT_BUCKET  = var.audit_export_bucket == null ? "" : var.audit_export_bucket
      IR_OWNER_TAG            = var.owner_tag
      IR_SECURITY_CHANNEL_ID  = var.security_channel_id

      IR_CLOUDTRAIL_LAKE_EVENT_DATA_STORE = var.cloudtrail_lake_event_data_store == null ? "" : var.cloudtrail_lake_event_data_store
    }

    "approval-handler" = {
      IR_TABLE_NAME           = local.names.table
      IR_EVENT_BUS_NAME       = local.names.bus
      IR_STATE_MACHINE_ARN    = local.arns.state_machine
      IR_AUDIT_RETENTION_DAYS = tostring(var.audit_retention_days)
    }
  }

  all_variables = {
    for function, own in local.environments : function => merge(
      {
        IR_ROUTES      = join(",", local.functions[function].routes)
        IR_NAME_PREFIX = var.name_prefix
        LOG_LEVEL      = var.log_level
      },
      own,
      var.extra_environment,
    )
  }

  # verify compares the deployed parts with these digests. The code of all functions is the same zip. Ports of URLs do not
  # count: no URL of AWS has one, and those of the local cloud change with each start.
  digests = merge(module.account.digests, {
    code       = substr(filebase64sha256(var.package_path), 0, 10)
    definition = substr(base64sha256(local.state_machine_definition), 0, 10)
    variables = substr(base64sha256(join("\n", flatten([
      for function in sort(keys(local.all_variables)) : [
        for name in sort(keys(local.all_variables[function])) : "${function} ${name}=${replace(local.all_variables[function][name], "/(://[^/:]+):[0-9]+/", "$1")}"
      ] if function != "operations"
    ]))), 0, 10)
  })
  function_variables = {
    for function, variables in local.all_variables :
    function => merge(variables, { for name in ["IR_DIGESTS"] : name => jsonencode(local.digests) if function == "operations" })
  }

  # Functions that are invoked asynchronously. Lambda retries a failed invocation twice, then sends it to the failures
  # queue. Ages are in seconds. A slash command can be answered for 30 minutes (its response_url). All other invocations
  # are hints and remain valid.
  asynchronous_functions = {
    slack              = { maximum_age = 900 }
    sync               = { maximum_age = 21600 }
    operations         = { maximum_age = 900 }
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

  code_signing_config_arn = var.code_signing_config_arn

  memory_size = each.value.memory

  tracing_config {
    mode = var.xray_tracing ? "Active" : "PassThrough"
  }

  environment {
    variables = local.function_variables[each.key]
  }

  lifecycle {
    # docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    precondition {
      condition     = sum([for name, value in local.function_variables[each.key] : length(name) + length(value)]) <= 4096
      error_message = "The environment of ${local.function_names[each.key]} has more than 4096 characters, which AWS refuses. Shorten extra_environment, slack_approvers, slack_case_editors, watcher_domains or severity_overrides."
    }
  }

  # Terraform must create the log group first. Otherwise the first log line creates one without retention and key. The
  # policies and the lists come first too, so that a function never runs without them.
  depends_on = [
    aws_cloudwatch_log_group.function,
    aws_dynamodb_table_item.lists,
    aws_iam_role_policy.function,
    aws_iam_role_policy.function_key,
    aws_iam_role_policy_attachment.verify,
    module.account,
  ]
}

# IAM permits each alias separately. -slack invokes the approval handler by "slack", which proves who passes a user on. A
# permission for "break-glass" lets one person decide where two are required.
resource "aws_lambda_alias" "approval" {
  for_each = toset(["break-glass", "slack"])

  name             = each.key
  function_name    = aws_lambda_function.this["approval-handler"].function_name
  function_version = "$LATEST"
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

# One message at a time. In a larger batch, the messages behind a failing one would be received with it each time, and
# would reach the dead-letter queue without having been processed. The number of functions is enough for 1,000 channels
# with a message a minute each, even if AWS and Slack answer three times slower than assumed (make bench: slack_events).
resource "aws_lambda_event_source_mapping" "slack_events" {
  event_source_arn        = aws_sqs_queue.slack_events.arn
  function_name           = aws_lambda_function.this["slack"].arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 20
  }
}

# One file at a time: a file can have 100 MB, and all files of a batch would share one timeout.
resource "aws_lambda_event_source_mapping" "files" {
  event_source_arn        = aws_sqs_queue.files.arn
  function_name           = aws_lambda_function.this["sync"].arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 5
  }
}

# Two functions take in 100 events a second and more (make bench: intake). More would compete for the same rows of the ledger.
resource "aws_lambda_event_source_mapping" "intake" {
  event_source_arn                   = aws_sqs_queue.intake.arn
  function_name                      = aws_lambda_function.this["workflow"].arn
  batch_size                         = 100
  maximum_batching_window_in_seconds = 2
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 2
  }
}
