# One role for each function, with only the actions and resources that the function uses. -webhook faces the internet.
# It can only hand over work and read the signing secret and the workspace id. No function has a permission in IAM; only
# -workflow can assume the role that has (modules/account). -workflow writes task tokens and deletes
# their messages, and only -approval-handler reads them from the ledger.

locals {
  # Permissions of each function on ledger rows, by the first word of the partition key. DynamoDB authorises each
  # operation of a transaction as its own action (PutItem, UpdateItem). No function can update or delete audit rows.
  ledger_permissions = {
    slack = {
      Cases     = { rows = "CASE#*", actions = ["GetItem", "PutItem", "Query", "UpdateItem"] }
      Channels  = { rows = "CHANNEL#*", actions = ["GetItem", "PutItem"] }
      Commands  = { rows = "COMMAND#*", actions = ["GetItem", "PutItem", "UpdateItem"] }
      Approvals = { rows = "APPROVAL#*", actions = ["BatchGetItem", "GetItem"] }
      Messages  = { rows = "DEDUP#APPROVAL-MESSAGE#*", actions = ["GetItem"] }
      Alerts    = { rows = "DEDUP#SLACK-ALERT#*", actions = ["GetItem"] }
      Audit     = { rows = "AUDIT#*", actions = ["GetItem", "PutItem", "Query"] }
    }
    sync = {
      Cases     = { rows = "CASE#*", actions = ["BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"] }
      Channels  = { rows = "CHANNEL#*", actions = ["GetItem", "PutItem"] }
      Messages  = { rows = "DEDUP#*", actions = ["GetItem", "PutItem", "UpdateItem"] }
      Approvals = { rows = "APPROVAL#*", actions = ["BatchGetItem", "GetItem", "UpdateItem"] }
      # A report has the records of its incident, and is recorded itself.
      Audit = { rows = "AUDIT#*", actions = ["GetItem", "PutItem", "Query"] }
    }
    operations = {
      Cases    = { rows = "CASE#*", actions = ["GetItem", "Query", "UpdateItem"] }
      Messages = { rows = "DEDUP#*", actions = ["PutItem", "UpdateItem"] }
      Audit    = { rows = "AUDIT#*", actions = ["GetItem", "PutItem"] }
      Config   = { rows = "CONFIG#*", actions = ["GetItem"] }
      Members  = { rows = "CONTAINMENT#members", actions = ["GetItem"] }
    }
    workflow = {
      Detections   = { rows = "DETECTION#*", actions = ["BatchGetItem", "PutItem"] }
      Config       = { rows = "CONFIG#*", actions = ["GetItem"] }
      Allowlist    = { rows = "ALLOWLIST#*", actions = ["DeleteItem", "PutItem", "Query"] }
      Containments = { rows = "CONTAINMENT#*", actions = ["DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"] }
      Alerts       = { rows = "DEDUP#*", actions = ["DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"] }
      Approvals    = { rows = "APPROVAL#*", actions = ["BatchGetItem", "GetItem", "PutItem", "UpdateItem"] }
      Tokens       = { rows = "TOKEN#*", actions = ["PutItem"] }
      # The row of the security channel, for the links in e-mails. The rows with this key name users who may decide, as
      # approval requests do. No row of a case has this key.
      SecurityChannel = { rows = "CASE#poller", actions = ["GetItem"] }
      # The calls of contained credentials in member accounts, which -sync reads
      Activity = { rows = "CASE#*#activity", actions = ["PutItem"] }
      Audit    = { rows = "AUDIT#*", actions = ["GetItem", "PutItem", "Query"] }
    }
    "approval-handler" = {
      Approvals = { rows = "APPROVAL#*", actions = ["BatchGetItem", "GetItem", "UpdateItem"] }
      Tokens    = { rows = "TOKEN#*", actions = ["GetItem"] }
      Audit     = { rows = "AUDIT#*", actions = ["GetItem", "PutItem"] }
    }
  }

  # The partition keys of the index begin with the same words.
  index_permissions = {
    slack      = ["CASE#index", "APPROVAL#open"]
    sync       = ["CASE#index", "APPROVAL#open"]
    operations = ["CASE#index"]
    workflow   = ["APPROVAL#open"]

    "approval-handler" = ["APPROVAL#open"]
  }

  ledger_statements = {
    for function in keys(local.functions) : function => concat(
      [for purpose, permission in lookup(local.ledger_permissions, function, {}) : {
        Sid      = "Ledger${purpose}"
        Effect   = "Allow"
        Action   = [for action in permission.actions : "dynamodb:${action}"]
        Resource = local.arns.table
        # ForAllValues is also true for a request without keys (a Scan). The Null condition refuses such a request.
        Condition = {
          "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = permission.rows }
          Null                      = { "dynamodb:LeadingKeys" = "false" }
        }
      }],
      [for key in contains(keys(local.index_permissions), function) ? ["Index"] : [] : {
        Sid      = "LedgerIndex"
        Effect   = "Allow"
        Action   = ["dynamodb:Query"]
        Resource = local.arns.table_index
        Condition = {
          "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = local.index_permissions[function] }
          Null                      = { "dynamodb:LeadingKeys" = "false" }
        }
      }],
    )
  }

  cases_arn      = "arn:${local.partition}:security-ir:${var.region}:${local.account}:case/*"
  executions_arn = "arn:${local.partition}:states:${var.region}:${local.account}:execution:${local.names.state_machine}:*"
  # Objects of the audit's export. Without a bucket no statement contains it.
  audit_objects_arn = "arn:${local.partition}:s3:::${coalesce(var.audit_export_bucket, "none")}/${var.name_prefix}/${var.region}/*"

  memberships_arn = "arn:${local.partition}:security-ir:${var.region}:${local.account}:membership/*"

  # List and create actions have no resource type in the AWS service authorization reference, so they need "*".
  read_team = [
    { Sid = "FindMembership", Effect = "Allow", Action = ["security-ir:ListMemberships"], Resource = "*" },
    { Sid = "ReadMembership", Effect = "Allow", Action = ["security-ir:GetMembership"], Resource = local.memberships_arn },
  ]
  create_case = [
    { Sid = "CreateCase", Effect = "Allow", Action = ["security-ir:CreateCase"], Resource = "*" },
    # The case gets a severity tag on creation, which needs this permission too.
    { Sid = "TagNewCase", Effect = "Allow", Action = ["security-ir:TagResource"], Resource = local.cases_arn },
  ]

  search_lake = [for statement in [{
    Sid      = "SearchLake"
    Effect   = "Allow"
    Action   = ["cloudtrail:StartQuery", "cloudtrail:GetQueryResults"]
    Resource = coalesce(var.cloudtrail_lake_event_data_store, "none")
  }] : statement if var.cloudtrail_lake_event_data_store != null]

  publishers = ["approval-handler", "operations", "slack", "sync", "workflow"]
  publish_events = [
    { Sid = "PublishEvents", Effect = "Allow", Action = ["events:PutEvents"], Resource = local.arns.bus },
  ]
  keep_failures = [
    { Sid = "KeepFailures", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = local.arns.failures_queue },
  ]

  # X-Ray actions have no resource type that a policy can name.
  tracing_statements = [for statement in [{
    Sid      = "SendTraces"
    Effect   = "Allow"
    Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"]
    Resource = "*"
  }] : statement if var.xray_tracing]

  # verify: read-only access of -operations to all parts of a deployment. In a policy of its own, because the inline policies of
  # a role can have 10,240 characters in all.
  verify_statements = [
    {
      Sid      = "VerifyFunctions"
      Effect   = "Allow"
      Action   = ["lambda:GetFunctionConfiguration"]
      Resource = [for function in sort(keys(local.function_arns)) : local.function_arns[function]]
    },
    {
      Sid      = "VerifyQueues"
      Effect   = "Allow"
      Action   = ["sqs:GetQueueAttributes"]
      Resource = [local.arns.slack_events_queue, local.arns.files_queue, local.arns.intake_queue, local.arns.approval_queue]
    },
    {
      Sid      = "VerifyConsumers"
      Effect   = "Allow"
      Action   = ["lambda:ListEventSourceMappings"]
      Resource = "*"
    },
    {
      Sid    = "VerifyRules"
      Effect = "Allow"
      Action = ["events:DescribeRule", "events:ListTargetsByRule"]
      # The rules of the detections by their common name, because a role's inline policies have at most 10,240
      # characters.
      Resource = concat(
        values(local.function_rules),
        [local.slack_notifications_rule_arn, local.key_changes_rule_arn, local.executions_rule_arn, "${local.arns.default_bus_rules}/${var.name_prefix}-detect-*"],
        var.organization_id != null ? ["${local.member_rules_prefix}/${var.name_prefix}-detect-*", local.members_rule_arn] : [],
        length(local.forwarded_detections) > 0 ? [
          "arn:${local.partition}:events:${local.global_events_region}:${local.account}:rule/${var.name_prefix}-detect-*"
        ] : [],
      )
    },
    {
      Sid      = "VerifyWorkflow"
      Effect   = "Allow"
      Action   = ["states:DescribeStateMachine"]
      Resource = local.arns.state_machine
    },
    {
      Sid      = "VerifyTable"
      Effect   = "Allow"
      Action   = ["dynamodb:DescribeTable"]
      Resource = local.arns.table
    },
    {
      Sid      = "VerifyTopic"
      Effect   = "Allow"
      Action   = ["sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic"]
      Resource = concat([local.arns.topic, local.arns.alarm_topic, local.arns.page_topic], local.forwarding_topic_arns)
    },
    {
      # AWS requires this permission on all alarms, even if the request names only some.
      Sid      = "VerifyAlarms"
      Effect   = "Allow"
      Action   = ["cloudwatch:DescribeAlarms"]
      Resource = [for region in local.alarm_regions : "arn:${local.partition}:cloudwatch:${region}:${local.account}:alarm:*"]
    },
    {
      # List actions have no resource type that a policy can name.
      Sid      = "FindLogGroups"
      Effect   = "Allow"
      Action   = ["logs:DescribeLogGroups"]
      Resource = "*"
    },
    {
      Sid      = "VerifyContainmentRole"
      Effect   = "Allow"
      Action   = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies"]
      Resource = local.containment_role_arn
    },
    {
      Sid    = "VerifyActivity"
      Effect = "Allow"
      Action = ["logs:FilterLogEvents"]
      Resource = [
        for group in concat(aws_cloudwatch_log_group.access[*].name, [aws_cloudwatch_log_group.function["sync"].name]) :
        "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:${group}:*"
      ]
    },
    {
      Sid      = "FindTrails"
      Effect   = "Allow"
      Action   = ["cloudtrail:DescribeTrails"]
      Resource = "*"
    },
    {
      # A trail can belong to the management account of the organisation and to any region.
      Sid      = "VerifyTrails"
      Effect   = "Allow"
      Action   = ["cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"]
      Resource = "arn:${local.partition}:cloudtrail:*:*:trail/*"
    },
  ]

  function_statements = {
    webhook = [
      {
        Sid    = "ReadParameters"
        Effect = "Allow"
        Action = ["ssm:GetParameter"]
        # The version suffix (":*") allows reading the previous secret after a rotation.
        Resource = [local.parameter_arns.signing_secret, "${local.parameter_arns.signing_secret}:*", local.parameter_arns.workspace_id]
      },
      {
        Sid      = "HandOverWork"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [local.arns.slack_events_queue, local.arns.files_queue]
      },
      {
        Sid      = "HandOverCommand"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = local.function_arns.slack
      },
    ]

    slack = concat(
      [
        {
          Sid      = "ReadParameters"
          Effect   = "Allow"
          Action   = ["ssm:GetParameter"]
          Resource = [local.parameter_arns.bot_token, local.parameter_arns.workspace_id, local.parameter_arns.channel_prefix]
        },
        {
          Sid      = "TakeSlackEvents"
          Effect   = "Allow"
          Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
          Resource = local.arns.slack_events_queue
        },
        {
          Sid      = "ListCases"
          Effect   = "Allow"
          Action   = ["security-ir:ListCases"]
          Resource = "*"
        },
        {
          Sid    = "WorkOnCases"
          Effect = "Allow"
          Action = [
            "security-ir:CloseCase",
            "security-ir:CreateCaseComment",
            "security-ir:GetCase",
            "security-ir:ListCaseEdits",
            "security-ir:ListComments",
            "security-ir:ListTagsForResource",
            "security-ir:SendFeedback",
            "security-ir:UpdateCase",
            "security-ir:UpdateCaseComment",
            "security-ir:UpdateCaseStatus",
            "security-ir:UpdateResolverType",
          ]
          Resource = local.cases_arn
        },
      ],
      local.create_case,
      local.read_team,
      local.publish_events,
      # By the alias alone, which shows that Slack's signature confirmed the user.
      [{ Sid = "HandOverDecision", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = "${local.function_arns["approval-handler"]}:slack" }],
      local.keep_failures,
    )

    sync = concat(
      [
        {
          Sid      = "ReadParameters"
          Effect   = "Allow"
          Action   = ["ssm:GetParameter"]
          Resource = [local.parameter_arns.bot_token, local.parameter_arns.workspace_id, local.parameter_arns.channel_prefix]
        },
        {
          Sid      = "ListCases"
          Effect   = "Allow"
          Action   = ["security-ir:ListCases"]
          Resource = "*"
        },
        {
          Sid    = "SynchroniseCases"
          Effect = "Allow"
          Action = [
            "security-ir:CloseCase",
            "security-ir:CreateCaseComment",
            "security-ir:GetCase",
            "security-ir:GetCaseAttachmentDownloadUrl",
            "security-ir:GetCaseAttachmentUploadUrl",
            "security-ir:ListCaseEdits",
            "security-ir:ListComments",
            "security-ir:ListInvestigations",
            "security-ir:ListTagsForResource",
            "security-ir:UpdateCase",
            "security-ir:UpdateCaseComment",
            "security-ir:UpdateCaseStatus",
          ]
          Resource = local.cases_arn
        },
        # The calls of contained credentials. The action has no resource type that a policy can name.
        {
          Sid      = "ReadActivity"
          Effect   = "Allow"
          Action   = ["cloudtrail:LookupEvents"]
          Resource = "*"
        },
        {
          Sid      = "TakeFiles"
          Effect   = "Allow"
          Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
          Resource = local.arns.files_queue
        },
        # Messages of the time in which the app was not in the channel return to the queue of Slack's events.
        {
          Sid      = "HandOverWork"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = [local.arns.slack_events_queue, local.arns.files_queue]
        },
        # The poller starts the verification at once if the cases cannot be listed.
        {
          Sid      = "StartVerification"
          Effect   = "Allow"
          Action   = ["lambda:InvokeFunction"]
          Resource = local.function_arns.operations
        },
      ],
      local.read_team,
      local.search_lake,
      local.publish_events,
      [
        { Sid = "HandOverDecision", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = local.function_arns["approval-handler"] },
        { Sid = "Page", Effect = "Allow", Action = ["sns:Publish"], Resource = local.arns.page_topic },
      ],
      local.keep_failures,
    )

    operations = concat(
      [
        {
          Sid    = "ReadParameters"
          Effect = "Allow"
          Action = ["ssm:GetParameter"]
          # verify also reads earlier versions of the bot token (":*"), because Slack must refuse them.
          Resource = concat(
            [for parameter in sort(keys(local.parameter_arns)) : local.parameter_arns[parameter]],
            ["${local.parameter_arns.bot_token}:*"],
          )
        },
        # verify shows the active cases next to the quotas.
        {
          Sid      = "ListCases"
          Effect   = "Allow"
          Action   = ["security-ir:ListCases"]
          Resource = "*"
        },
        # replay: dead letters return to their FIFO queue. Failed events and invocations return to the target that their
        # envelope names.
        {
          Sid    = "ReplayDeadLetters"
          Effect = "Allow"
          Action = [
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:ReceiveMessage",
          ]
          Resource = concat([local.arns.slack_events_dlq, local.arns.files_dlq, local.arns.failures_queue], local.forwarding_failures_arns)
        },
        {
          Sid      = "AcceptLargeEvents"
          Effect   = "Allow"
          Action   = ["sqs:SetQueueAttributes"]
          Resource = concat([local.arns.failures_queue], local.forwarding_failures_arns)
        },
        {
          Sid      = "ReplayIntoQueues"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = [local.arns.slack_events_queue, local.arns.files_queue, local.arns.intake_queue]
        },
        {
          Sid      = "FindIntake"
          Effect   = "Allow"
          Action   = ["sqs:GetQueueUrl"]
          Resource = local.arns.intake_queue
        },
        {
          Sid      = "ReplayIntoSync"
          Effect   = "Allow"
          Action   = ["lambda:InvokeFunction"]
          Resource = local.function_arns.sync
        },
        {
          Sid      = "ReplayIntoWorkflow"
          Effect   = "Allow"
          Action   = ["states:ListExecutions", "states:StartExecution"]
          Resource = local.arns.state_machine
        },
        # start_oversized: the error and the input of an execution that failed.
        {
          Sid      = "ReadFailedExecutions"
          Effect   = "Allow"
          Action   = ["states:DescribeExecution"]
          Resource = local.executions_arn
        },
      ],
      local.read_team,
      local.publish_events,
      local.keep_failures,
    )

    workflow = concat(
      [
        {
          Sid      = "Alert"
          Effect   = "Allow"
          Action   = ["sns:Publish"]
          Resource = [local.arns.topic, local.arns.alarm_topic, local.arns.page_topic]
        },
        {
          # The intake starts executions. If an event names several keys, each key gets its own execution.
          Sid      = "StartExecutions"
          Effect   = "Allow"
          Action   = ["states:StartExecution"]
          Resource = local.arns.state_machine
        },
        {
          # Whether the execution that has claimed an event still handles it.
          Sid      = "ReadOtherExecutions"
          Effect   = "Allow"
          Action   = ["states:DescribeExecution"]
          Resource = local.executions_arn
        },
        {
          Sid      = "TakeEvents"
          Effect   = "Allow"
          Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
          Resource = local.arns.intake_queue
        },
        {
          # Messages of decided requests are deleted.
          Sid      = "AskAnalyst"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage"]
          Resource = local.arns.approval_queue
        },
        {
          Sid      = "WorkOnCase"
          Effect   = "Allow"
          Action   = ["security-ir:CreateCaseComment", "security-ir:UpdateCase"]
          Resource = local.cases_arn
        },
      ],
      [{
        Sid       = "ReadAndContainPrincipals"
        Effect    = "Allow"
        Action    = ["sts:AssumeRole"]
        Resource  = local.assumable_role_arn
        Condition = local.assumable_condition
      }],
      [for statement in [{
        Sid      = "NameAccounts"
        Effect   = "Allow"
        Action   = ["organizations:DescribeAccount"]
        Resource = "arn:${local.partition}:organizations::*:account/${coalesce(var.organization_id, "none")}/*"
        }, {
        # AWS Organizations accepts no resource for this action.
        Sid      = "ListAccounts"
        Effect   = "Allow"
        Action   = ["organizations:ListAccounts"]
        Resource = "*"
      }] : statement if var.organization_id != null],
      [for statement in [
        {
          # Only new objects: a request without If-None-Match is refused.
          Sid       = "ExportAudit"
          Effect    = "Allow"
          Action    = ["s3:PutObject"]
          Resource  = local.audit_objects_arn
          Condition = { Null = { "s3:if-none-match" = "false" } }
        },
        {
          # Object Lock in compliance mode can only be prolonged.
          Sid      = "LockAuditExport"
          Effect   = "Allow"
          Action   = ["s3:PutObjectRetention"]
          Resource = local.audit_objects_arn
        },
      ] : statement if var.audit_export_bucket != null],
      local.create_case,
      local.search_lake,
      local.publish_events,
    )

    "approval-handler" = concat(
      [
        # Task tokens have no resource type that a policy can name.
        {
          Sid      = "AnswerWorkflow"
          Effect   = "Allow"
          Action   = ["states:SendTaskSuccess"]
          Resource = "*"
        },
        {
          Sid      = "SeeWhatBecameOfIt"
          Effect   = "Allow"
          Action   = ["states:DescribeExecution"]
          Resource = local.executions_arn
        },
        {
          # The containment of a key's creator, which an analyst requests, is an execution of its own.
          Sid      = "ContainCreator"
          Effect   = "Allow"
          Action   = ["states:StartExecution"]
          Resource = local.arns.state_machine
        },
        {
          # The task `release`, which an analyst requests.
          Sid      = "Release"
          Effect   = "Allow"
          Action   = ["lambda:InvokeFunction"]
          Resource = local.function_arns.workflow
        },
      ],
      local.publish_events,
      local.keep_failures,
    )
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name        = local.function_names[each.key]
  description = "ir-router: permissions of ${local.function_names[each.key]}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name = "function"
  role = aws_iam_role.function[each.key].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:/aws/lambda/${local.function_names[each.key]}:*"
      }],
      local.ledger_statements[each.key],
      local.function_statements[each.key],
      local.tracing_statements,
    )
  })
}

resource "aws_iam_policy" "verify" {
  name        = "${var.name_prefix}-verify"
  description = "ir-router: what ${local.function_names.operations} reads to verify the deployment"
  policy      = jsonencode({ Version = "2012-10-17", Statement = local.verify_statements })
}

resource "aws_iam_role_policy_attachment" "verify" {
  role       = aws_iam_role.function["operations"].name
  policy_arn = aws_iam_policy.verify.arn
}

resource "aws_iam_role" "state_machine" {
  name        = "${var.name_prefix}-state-machine"
  description = "ir-router: permissions of the containment workflow's state machine"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "states.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        ArnEquals    = { "aws:SourceArn" = local.arns.state_machine }
        StringEquals = { "aws:SourceAccount" = local.account }
      }
    }]
  })
}

resource "aws_iam_role_policy" "state_machine" {
  name = "state-machine"
  role = aws_iam_role.state_machine.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "RunTasks"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = local.function_arns.workflow
      },
      # Log delivery actions have no resource type that a policy can name.
      {
        Sid    = "DeliverLogs"
        Effect = "Allow"
        Action = [
          "logs:CreateLogDelivery",
          "logs:DeleteLogDelivery",
          "logs:DescribeLogGroups",
          "logs:DescribeResourcePolicies",
          "logs:GetLogDelivery",
          "logs:ListLogDeliveries",
          "logs:PutResourcePolicy",
          "logs:UpdateLogDelivery",
        ]
        Resource = "*"
      },
      ],
      local.tracing_statements,
    )
  })
}

resource "aws_iam_role" "events" {
  name        = "${var.name_prefix}-event-rules"
  description = "ir-router: permissions of its EventBridge rules"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "events" {
  name = "event-rules"
  role = aws_iam_role.events.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "StartWorkflow"
        Effect   = "Allow"
        Action   = ["states:StartExecution"]
        Resource = local.arns.state_machine
      }],
      [for statement in [{
        Sid      = "ForwardToHomeRegion"
        Effect   = "Allow"
        Action   = ["events:PutEvents"]
        Resource = local.arns.default_bus
      }] : statement if length(local.forwarded_detections) > 0],
    )
  })
}
