# One role for each function, with the actions it uses on the resources it uses. What faces the internet (-webhook) can
# hand over work and read the signing secret; only -workflow can touch IAM; task tokens are written by -workflow and
# read by -approval-handler alone.

locals {
  # Who may do what with which rows, by the first word of the partition key. A part of a transaction is authorised as the
  # action that it is (PutItem, UpdateItem). Audit rows are appended to and read, by nobody changed or deleted.
  ledger_rights = {
    slack = {
      Cases     = { rows = "CASE#*", actions = ["GetItem", "PutItem", "Query", "UpdateItem"] }
      Channels  = { rows = "CHANNEL#*", actions = ["GetItem"] }
      Commands  = { rows = "COMMAND#*", actions = ["GetItem", "PutItem", "UpdateItem"] }
      Approvals = { rows = "APPROVAL#*", actions = ["GetItem"] }
      Audit     = { rows = "AUDIT#*", actions = ["GetItem", "PutItem", "Query"] }
    }
    sync = {
      Cases     = { rows = "CASE#*", actions = ["DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"] }
      Channels  = { rows = "CHANNEL#*", actions = ["GetItem", "PutItem"] }
      Messages  = { rows = "DEDUP#*", actions = ["PutItem", "UpdateItem"] }
      Approvals = { rows = "APPROVAL#*", actions = ["GetItem", "UpdateItem"] }
    }
    workflow = {
      Detections   = { rows = "DETECTION#*", actions = ["PutItem"] }
      Allowlist    = { rows = "ALLOWLIST#*", actions = ["DeleteItem", "PutItem", "Query"] }
      Containments = { rows = "CONTAINMENT#*", actions = ["DeleteItem", "GetItem", "PutItem", "UpdateItem"] }
      Alerts       = { rows = "DEDUP#*", actions = ["GetItem", "PutItem", "UpdateItem"] }
      Approvals    = { rows = "APPROVAL#*", actions = ["GetItem", "PutItem", "UpdateItem"] }
      Tokens       = { rows = "TOKEN#*", actions = ["PutItem"] }
      Audit        = { rows = "AUDIT#*", actions = ["GetItem", "PutItem", "Query"] }
    }
    "approval-handler" = {
      Approvals = { rows = "APPROVAL#*", actions = ["GetItem", "UpdateItem"] }
      Tokens    = { rows = "TOKEN#*", actions = ["GetItem"] }
      Audit     = { rows = "AUDIT#*", actions = ["GetItem", "PutItem"] }
    }
  }

  # The index's partition keys carry the same first words.
  index_rights = {
    sync     = ["CASE#index", "APPROVAL#open"]
    workflow = ["APPROVAL#open"]
  }

  ledger_statements = {
    for function in keys(local.functions) : function => concat(
      [for purpose, right in lookup(local.ledger_rights, function, {}) : {
        Sid      = "Ledger${purpose}"
        Effect   = "Allow"
        Action   = [for action in right.actions : "dynamodb:${action}"]
        Resource = local.arns.table
        # ForAllValues is true for a request without keys (a Scan): Null refuses that one.
        Condition = {
          "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = right.rows }
          Null                      = { "dynamodb:LeadingKeys" = "false" }
        }
      }],
      [for key in contains(keys(local.index_rights), function) ? ["Index"] : [] : {
        Sid      = "LedgerIndex"
        Effect   = "Allow"
        Action   = ["dynamodb:Query"]
        Resource = local.arns.table_index
        Condition = {
          "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = local.index_rights[function] }
          Null                      = { "dynamodb:LeadingKeys" = "false" }
        }
      }],
    )
  }

  cases_arn       = "arn:${local.partition}:security-ir:${var.region}:${local.account}:case/*"
  memberships_arn = "arn:${local.partition}:security-ir:${var.region}:${local.account}:membership/*"

  # Lists and creation have no resource type in AWS's service authorization reference, so none can be named.
  read_team = [
    { Sid = "FindMembership", Effect = "Allow", Action = ["security-ir:ListMemberships"], Resource = "*" },
    { Sid = "ReadMembership", Effect = "Allow", Action = ["security-ir:GetMembership"], Resource = local.memberships_arn },
  ]
  create_case = [
    { Sid = "CreateCase", Effect = "Allow", Action = ["security-ir:CreateCase"], Resource = "*" },
    # The severity, given with the case: AWS asks for this right as well.
    { Sid = "TagNewCase", Effect = "Allow", Action = ["security-ir:TagResource"], Resource = local.cases_arn },
  ]

  publish_events = [
    { Sid = "PublishEvents", Effect = "Allow", Action = ["events:PutEvents"], Resource = local.arns.bus },
  ]
  invoke_approval_handler = [
    { Sid = "HandOverDecision", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = local.function_arns["approval-handler"] },
  ]
  keep_failures = [
    { Sid = "KeepFailures", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = local.arns.failures_queue },
  ]

  # Traces belong to no resource that a policy could name.
  tracing_statements = [for statement in [{
    Sid      = "SendTraces"
    Effect   = "Allow"
    Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"]
    Resource = "*"
  }] : statement if var.xray_tracing]

  function_statements = {
    webhook = [
      {
        Sid    = "ReadParameters"
        Effect = "Allow"
        Action = ["ssm:GetParameter"]
        # With a version: the secret before the current one, while Slack switches over.
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
          Sid    = "WorkOnCases"
          Effect = "Allow"
          Action = [
            "security-ir:CloseCase",
            "security-ir:CreateCaseComment",
            "security-ir:GetCase",
            "security-ir:ListCaseEdits",
            "security-ir:ListComments",
            "security-ir:ListTagsForResource",
            "security-ir:UpdateCase",
            "security-ir:UpdateCaseComment",
            "security-ir:UpdateCaseStatus",
          ]
          Resource = local.cases_arn
        },
      ],
      local.create_case,
      local.read_team,
      local.publish_events,
      local.invoke_approval_handler,
      local.keep_failures,
    )

    sync = concat(
      [
        {
          Sid      = "ReadParameters"
          Effect   = "Allow"
          Action   = ["ssm:GetParameter"]
          Resource = [for parameter in sort(keys(local.parameter_arns)) : local.parameter_arns[parameter]]
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
            "security-ir:CreateCaseComment",
            "security-ir:GetCase",
            "security-ir:GetCaseAttachmentDownloadUrl",
            "security-ir:GetCaseAttachmentUploadUrl",
            "security-ir:ListCaseEdits",
            "security-ir:ListComments",
            "security-ir:ListTagsForResource",
          ]
          Resource = local.cases_arn
        },
        {
          Sid      = "TakeFiles"
          Effect   = "Allow"
          Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
          Resource = local.arns.files_queue
        },
        {
          Sid      = "HandOverFiles"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = local.arns.files_queue
        },
        # replay: dead letters of the FIFO queues go back into them; what EventBridge or Lambda gave up on goes back to
        # the target that its envelope names.
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
          Sid      = "ReplayIntoQueues"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = local.arns.slack_events_queue
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
          Action   = ["states:StartExecution"]
          Resource = local.arns.state_machine
        },
        # verify: what a deployment consists of, read only.
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
          Resource = [local.arns.slack_events_queue, local.arns.files_queue, local.arns.approval_queue]
        },
        {
          Sid      = "VerifyConsumers"
          Effect   = "Allow"
          Action   = ["lambda:ListEventSourceMappings"]
          Resource = "*"
        },
        {
          Sid      = "VerifyRules"
          Effect   = "Allow"
          Action   = ["events:DescribeRule", "events:ListTargetsByRule"]
          Resource = concat(local.rule_arns, local.forwarding_rule_arns)
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
          Resource = concat([local.arns.topic], local.forwarding_topic_arns)
        },
        {
          # AWS asks for it on all alarms, whichever are named in the request.
          Sid      = "VerifyAlarms"
          Effect   = "Allow"
          Action   = ["cloudwatch:DescribeAlarms"]
          Resource = [for region in local.alarm_regions : "arn:${local.partition}:cloudwatch:${region}:${local.account}:alarm:*"]
        },
        {
          # Lists have no resource type that a policy could name.
          Sid      = "FindDashboardAndLogGroups"
          Effect   = "Allow"
          Action   = ["cloudwatch:ListDashboards", "logs:DescribeLogGroups"]
          Resource = "*"
        },
        {
          Sid      = "VerifyDenyPolicy"
          Effect   = "Allow"
          Action   = ["iam:GetPolicy", "iam:GetPolicyVersion"]
          Resource = local.arns.deny_policy
        },
        {
          Sid    = "VerifyActivity"
          Effect = "Allow"
          Action = ["logs:FilterLogEvents"]
          Resource = [
            for group in [aws_cloudwatch_log_group.access.name, aws_cloudwatch_log_group.function["sync"].name] :
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
          # A trail may belong to the organisation's management account and to any region.
          Sid      = "VerifyTrails"
          Effect   = "Allow"
          Action   = ["cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"]
          Resource = "arn:${local.partition}:cloudtrail:*:*:trail/*"
        },
      ],
      local.read_team,
      local.publish_events,
      local.invoke_approval_handler,
      local.keep_failures,
    )

    workflow = concat(
      [
        {
          Sid      = "Alert"
          Effect   = "Allow"
          Action   = ["sns:Publish"]
          Resource = local.arns.topic
        },
        {
          # An event that names several keys: each gets an execution of its own.
          Sid      = "StartForOtherKeys"
          Effect   = "Allow"
          Action   = ["states:StartExecution"]
          Resource = local.arns.state_machine
        },
        {
          Sid      = "AskAnalyst"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = local.arns.approval_queue
        },
        {
          Sid      = "WorkOnCase"
          Effect   = "Allow"
          Action   = ["security-ir:CreateCaseComment"]
          Resource = local.cases_arn
        },
      ],
      local.create_case,
      local.publish_events,
      local.containment_statements,
    )

    "approval-handler" = concat(
      [
        # A task token belongs to no resource that a policy could name.
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
          Resource = "arn:${local.partition}:states:${var.region}:${local.account}:execution:${local.names.state_machine}:*"
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
  description = "ir-router: what ${local.function_names[each.key]} may do"

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

resource "aws_iam_role" "state_machine" {
  name        = "${var.name_prefix}-state-machine"
  description = "ir-router: what the containment workflow's state machine may do"

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
      # Log delivery has no resource type that a policy could name.
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
  description = "ir-router: what its EventBridge rules may start"

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
