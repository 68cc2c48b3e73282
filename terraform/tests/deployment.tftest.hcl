# What a deployment is called, and what changes with the prefix, the home region and the mode.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "global_events"
  source = "./tests/mocks"
}

variables {
  # Any file does: the mocked provider uploads nothing.
  package_path = "./versions.tf"
}

run "given_the_default_prefix_when_planned_then_names_are_the_specifications" {
  command = plan

  assert {
    condition     = aws_lambda_function.this["approval-handler"].function_name == "security-incident-approval-handler"
    error_message = "The approval function's name is documented for the command line."
  }

  assert {
    condition     = aws_sqs_queue.approval.name == "security-incident-approval"
    error_message = "The approval queue's name is documented for the command line."
  }

  assert {
    condition     = aws_api_gateway_rest_api.slack.name == "SlackWebhookApi"
    error_message = "The API's name is the specification's."
  }

  assert {
    condition     = aws_cloudwatch_event_rule.slack_client.name == "slack-client-rule" && aws_cloudwatch_event_rule.slack_notifications.name == "SlackNotificationsRule"
    error_message = "The rules' names are the specification's."
  }

  assert {
    condition = toset([
      aws_ssm_parameter.bot_token.name, aws_ssm_parameter.signing_secret.name, aws_ssm_parameter.workspace_id.name, aws_ssm_parameter.channel_prefix.name,
      ]) == toset([
      "/SecurityIncidentResponse/slackBotToken", "/SecurityIncidentResponse/slackSigningSecret", "/SecurityIncidentResponse/slackWorkspaceId", "/SecurityIncidentResponse/slackChannelPrefix",
    ])
    error_message = "The parameters' names are the specification's."
  }

  assert {
    condition     = aws_ssm_parameter.bot_token.type == "SecureString" && aws_ssm_parameter.signing_secret.type == "SecureString"
    error_message = "Secrets must be SecureString."
  }

  assert {
    condition     = length(aws_wafv2_web_acl_association.api) == 0
    error_message = "Without a web ACL there is none."
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.forwarded) == 0
    error_message = "In us-east-1 nothing is forwarded."
  }

  assert {
    condition     = length(aws_sqs_queue.forwarding_failures) + length(aws_cloudwatch_metric_alarm.forwarding_failures) + length(aws_sns_topic.forwarding_alarms) == 0
    error_message = "So there is nothing to watch there either."
  }
}

run "given_another_prefix_when_planned_then_no_name_is_shared_with_the_default" {
  command = plan

  variables {
    name_prefix                = "second"
    manage_api_gateway_account = false
  }

  assert {
    condition = alltrue([for name in concat(
      [for resource in aws_lambda_function.this : resource.function_name],
      [for resource in aws_iam_role.function : resource.name],
      [for resource in aws_cloudwatch_event_rule.detection : resource.name],
      [for resource in [aws_sqs_queue.slack_events, aws_sqs_queue.slack_events_dlq, aws_sqs_queue.files, aws_sqs_queue.files_dlq, aws_sqs_queue.approval, aws_sqs_queue.failures] : resource.name],
      [for resource in [aws_cloudwatch_event_rule.slack_client, aws_cloudwatch_event_rule.approvals, aws_cloudwatch_event_rule.case_events, aws_cloudwatch_event_rule.poll, aws_cloudwatch_event_rule.slack_notifications] : resource.name],
      [aws_api_gateway_rest_api.slack.name, aws_cloudwatch_event_bus.this.name, aws_dynamodb_table.ledger.name, aws_sns_topic.alerts.name, aws_sfn_state_machine.response.name, aws_iam_policy.containment_deny.name],
    ) : startswith(name, "second-")])
    error_message = "A name without the prefix would clash with another deployment in the same account."
  }

  assert {
    condition     = alltrue([for name in [aws_ssm_parameter.bot_token.name, aws_ssm_parameter.channel_prefix.name] : startswith(name, "/SecurityIncidentResponse/second/")])
    error_message = "Parameter paths must take the prefix."
  }

  assert {
    condition     = alltrue([for environment in [for resource in aws_lambda_function.this : resource.environment[0].variables] : environment.IR_NAME_PREFIX == "second"])
    error_message = "Functions must know their deployment's prefix."
  }

  assert {
    condition     = length(aws_api_gateway_account.logs) == 0 && length(aws_iam_role.api_logs) == 0
    error_message = "The account-wide logging role belongs to one deployment."
  }
}

run "given_another_home_region_when_planned_then_global_services_events_are_forwarded_to_it" {
  command = plan

  variables {
    region       = "eu-central-1"
    alert_emails = ["security@example.com"]
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_event_rule.forwarded)) == toset([for id, detection in local.detections : id if detection.global_service])
    error_message = "Each detection of a global service needs a forwarding rule, no other does."
  }

  assert {
    condition     = contains(keys(aws_cloudwatch_event_rule.forwarded), "create_access_key")
    error_message = "IAM's events appear in us-east-1 only."
  }

  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.forwarded : target.arn == "arn:aws:events:eu-central-1:123456789012:event-bus/default"])
    error_message = "They are forwarded to the home region's default bus, where the detections' rules are."
  }

  assert {
    condition     = alltrue([for id, rule in aws_cloudwatch_event_rule.forwarded : rule.event_pattern == aws_cloudwatch_event_rule.detection[id].event_pattern && rule.state == aws_cloudwatch_event_rule.detection[id].state])
    error_message = "A forwarding rule takes what the detection's rule takes."
  }

  assert {
    condition     = length(aws_sqs_queue.forwarding_failures) == 1
    error_message = "What cannot be forwarded needs a dead-letter queue in the same region."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.forwarding_failures[0].dimensions.QueueName == aws_sqs_queue.forwarding_failures[0].name && length(aws_cloudwatch_metric_alarm.forwarding_failures[0].alarm_actions) == 1
    error_message = "What waits in that queue needs an alarm in the same region, which somebody gets."
  }

  assert {
    condition     = toset([for subscription in aws_sns_topic_subscription.forwarding_email : subscription.endpoint]) == toset(["security@example.com"])
    error_message = "Who gets the other alarms gets this one."
  }
}

run "given_detections_when_planned_then_each_has_its_rule_from_the_one_table" {
  command = plan

  assert {
    condition     = toset(keys(aws_cloudwatch_event_rule.detection)) == toset(jsondecode(file("../src/ir_router/workflow/detections.json")).detections[*].id)
    error_message = "One rule for each detection."
  }

  assert {
    condition = alltrue([for detection in jsondecode(file("../src/ir_router/workflow/detections.json")).detections :
      aws_cloudwatch_event_rule.detection[detection.id].event_pattern == jsonencode(detection.pattern)
      && aws_cloudwatch_event_rule.detection[detection.id].state == (detection.read_only_calls ? "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" : "ENABLED")
    ])
    error_message = "Pattern and state come from the table."
  }
}

run "given_a_web_acl_when_planned_then_it_stands_before_the_stage" {
  command = plan

  variables {
    web_acl_arn = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/door/00000000-1111-2222-3333-444444444444"
  }

  assert {
    condition     = aws_wafv2_web_acl_association.api[0].web_acl_arn == var.web_acl_arn
    error_message = "A web ACL that is brought must stand before the API."
  }
}
