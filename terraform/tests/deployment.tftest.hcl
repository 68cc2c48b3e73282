# Names of a deployment, and the effect of the prefix, the home region and the mode.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "global_events"
  source = "./tests/mocks"
}

variables {
  # Any existing file works: the mocked provider uploads nothing.
  package_path = "./versions.tf"
}

run "given_the_default_prefix_when_planned_then_names_are_the_specifications" {
  command = plan

  assert {
    condition     = aws_lambda_function.this["approval-handler"].function_name == "security-incident-approval-handler"
    error_message = "The approval function must have its documented name, because analysts use it at the command line."
  }

  assert {
    condition     = aws_sqs_queue.approval.name == "security-incident-approval"
    error_message = "The approval queue must have its documented name, because analysts use it at the command line."
  }

  assert {
    condition     = aws_api_gateway_rest_api.slack.name == "SlackWebhookApi"
    error_message = "The API must have the name that the specification gives."
  }

  assert {
    condition     = aws_cloudwatch_event_rule.slack_client.name == "slack-client-rule" && aws_cloudwatch_event_rule.slack_notifications.name == "SlackNotificationsRule"
    error_message = "The rules must have the names that the specification gives."
  }

  assert {
    condition = toset([
      aws_ssm_parameter.bot_token.name, aws_ssm_parameter.signing_secret.name, aws_ssm_parameter.workspace_id.name, aws_ssm_parameter.channel_prefix.name,
      ]) == toset([
      "/SecurityIncidentResponse/slackBotToken", "/SecurityIncidentResponse/slackSigningSecret", "/SecurityIncidentResponse/slackWorkspaceId", "/SecurityIncidentResponse/slackChannelPrefix",
    ])
    error_message = "The parameters must have the names that the specification gives."
  }

  assert {
    condition     = aws_ssm_parameter.bot_token.type == "SecureString" && aws_ssm_parameter.signing_secret.type == "SecureString"
    error_message = "Secrets must be stored as SecureString."
  }

  assert {
    condition     = length(aws_wafv2_web_acl_association.api) == 0
    error_message = "Without web_acl_arn there must be no web ACL association."
  }

  assert {
    condition     = length(module.forwarding) == 0
    error_message = "In us-east-1 there must be no forwarding rules."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.forwarding_failures) + length(aws_sns_topic.forwarding_alarms) == 0
    error_message = "Without forwarding rules there must be no queue, alarm or topic for them."
  }
}

run "given_another_prefix_when_planned_then_no_name_is_shared_with_the_default" {
  command = plan

  variables {
    name_prefix = "second"
  }

  assert {
    condition = alltrue([for name in concat(
      [for resource in aws_lambda_function.this : resource.function_name],
      [for resource in aws_iam_role.function : resource.name],
      [for resource in aws_cloudwatch_event_rule.detection : resource.name],
      [for resource in [aws_sqs_queue.slack_events, aws_sqs_queue.slack_events_dlq, aws_sqs_queue.files, aws_sqs_queue.files_dlq, aws_sqs_queue.approval, aws_sqs_queue.failures] : resource.name],
      [for resource in [aws_cloudwatch_event_rule.slack_client, aws_cloudwatch_event_rule.approvals, aws_cloudwatch_event_rule.case_events, aws_cloudwatch_event_rule.poll, aws_cloudwatch_event_rule.slack_notifications] : resource.name],
      [aws_api_gateway_rest_api.slack.name, aws_cloudwatch_event_bus.this.name, aws_dynamodb_table.ledger.name, aws_sns_topic.alerts.name, aws_sfn_state_machine.response.name, reverse(split("/", module.account.containment_role_arn))[0]],
    ) : startswith(name, "second-")])
    error_message = "Every name must begin with the prefix, or it clashes with another deployment in the account."
  }

  assert {
    condition     = alltrue([for name in [aws_ssm_parameter.bot_token.name, aws_ssm_parameter.channel_prefix.name] : startswith(name, "/SecurityIncidentResponse/second/")])
    error_message = "Parameter paths must contain the prefix."
  }

  assert {
    condition     = alltrue([for environment in [for resource in aws_lambda_function.this : resource.environment[0].variables] : environment.IR_NAME_PREFIX == "second"])
    error_message = "IR_NAME_PREFIX of every function must be the prefix of the deployment."
  }

  assert {
    condition     = length(aws_api_gateway_account.logs) == 0 && length(aws_iam_role.api_logs) == 0
    error_message = "By default Terraform must not touch the role with which the APIs of the account write logs."
  }
}

run "given_another_home_region_when_planned_then_global_services_events_are_forwarded_to_it" {
  command = plan

  variables {
    region       = "eu-central-1"
    alert_emails = ["security@example.com"]
  }

  assert {
    condition     = toset(keys(module.forwarding[0].rules)) == toset([for id, detection in local.detections : id if detection.global_service])
    error_message = "Exactly the detections of global services must have a forwarding rule."
  }

  assert {
    condition     = contains(keys(module.forwarding[0].rules), "create_access_key")
    error_message = "create_access_key must be forwarded, because IAM events appear only in us-east-1."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.forwarding_failures[0].dimensions.QueueName == module.forwarding[0].failures_queue && length(aws_cloudwatch_metric_alarm.forwarding_failures[0].alarm_actions) == 1
    error_message = "The dead-letter queue must have an alarm with one action in the same region."
  }

  assert {
    condition     = toset([for subscription in aws_sns_topic_subscription.forwarding_email : subscription.endpoint]) == toset(["security@example.com"])
    error_message = "Every address in alert_emails must receive this alarm."
  }
}

run "given_detections_when_planned_then_each_has_its_rule_from_the_one_table" {
  command = plan

  assert {
    condition     = toset(keys(aws_cloudwatch_event_rule.detection)) == toset(jsondecode(file("../src/ir_router/workflow/detections.json")).detections[*].id)
    error_message = "Each detection must have exactly one rule."
  }

  assert {
    condition = alltrue([for detection in jsondecode(file("../src/ir_router/workflow/detections.json")).detections :
      aws_cloudwatch_event_rule.detection[detection.id].event_pattern == replace(jsonencode(detection.pattern), "$${name_prefix}", "security-incident")
      && aws_cloudwatch_event_rule.detection[detection.id].state == (detection.read_only_calls ? "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" : "ENABLED")
    ])
    error_message = "The pattern and state of each rule must come from detections.json."
  }
}

run "given_changed_detections_when_planned_then_rules_and_functions_have_them" {
  command = plan

  variables {
    detections_disabled   = ["denied_call"]
    severity_overrides    = { create_access_key = "MEDIUM" }
    extra_detections_path = "tests/extra_detections.json"
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_event_rule.detection), "denied_call") && contains(keys(aws_cloudwatch_event_rule.detection), "bucket_policy_changed")
    error_message = "A disabled detection must have no rule, and the deployment's own detection must have one."
  }

  assert {
    condition     = startswith(aws_cloudwatch_event_rule.detection["create_access_key"].description, "MEDIUM")
    error_message = "The description of a rule must show the overridden severity."
  }

  assert {
    condition     = jsondecode(jsondecode(aws_dynamodb_table_item.extra_detections[0].item).entries.S)[0].id == "bucket_policy_changed"
    error_message = "The ledger must have the deployment's own detections."
  }
}

run "given_a_web_acl_when_planned_then_it_stands_before_the_stage" {
  command = plan

  variables {
    web_acl_arn = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/webhook/00000000-1111-2222-3333-444444444444"
  }

  assert {
    condition     = aws_wafv2_web_acl_association.api[0].web_acl_arn == var.web_acl_arn
    error_message = "The web ACL in web_acl_arn must be associated with the API."
  }
}

run "given_no_access_logs_when_planned_then_the_api_needs_no_role_of_the_account" {
  command = plan

  variables {
    api_access_logs = false
  }

  assert {
    condition     = length(aws_api_gateway_stage.prod.access_log_settings) == 0 && length(aws_cloudwatch_log_group.access) == 0
    error_message = "With api_access_logs = false, the API must have no access log."
  }
}

run "given_an_account_without_a_role_for_api_logs_when_planned_then_terraform_makes_one" {
  command = plan

  variables {
    manage_api_gateway_account = true
  }

  assert {
    condition     = length(aws_api_gateway_account.logs) == 1
    error_message = "With manage_api_gateway_account = true, Terraform must set the role of the account."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role.api_logs[0].assume_role_policy).Statement : !contains(keys(statement), "Condition")])
    error_message = "The trust policy must have no condition: API Gateway sends neither aws:SourceAccount nor aws:SourceArn."
  }
}

run "given_an_organisation_when_planned_then_only_rules_of_its_accounts_fill_the_bus_for_detections" {
  command = plan

  variables {
    region          = "eu-central-1"
    organization_id = "o-a1b2c3d4e5"
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_bus_policy.detections[0].policy).Statement == [{
      Sid       = "OnlyRulesOfTheOrganisation"
      Effect    = "Allow"
      Principal = "*"
      Action    = "events:PutEvents"
      Resource  = "arn:aws:events:eu-central-1:123456789012:event-bus/security-incident-detections"
      Condition = {
        StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5" }
        ArnLike      = { "aws:PrincipalArn" = ["arn:aws:iam::*:role/security-incident-forwarding", "arn:aws:iam::*:role/security-incident-forwarding-*"] }
        Bool         = { "events:eventBusInvocation" = "true" }
      }
    }]
    error_message = "Only rules of the organisation's accounts may put events on the bus, with their role for forwarding."
  }

  assert {
    condition     = keys(aws_cloudwatch_event_rule.member) == keys(aws_cloudwatch_event_rule.detection) && alltrue([for id, rule in aws_cloudwatch_event_rule.member : rule.event_pattern == aws_cloudwatch_event_rule.detection[id].event_pattern && rule.state == aws_cloudwatch_event_rule.detection[id].state])
    error_message = "Each detection must have a rule on the bus, with the pattern and state of the rule on the default bus."
  }

  assert {
    condition     = strcontains(aws_sqs_queue.intake.policy, ":rule/security-incident-detections/security-incident-detect-*")
    error_message = "The rules of the bus must be able to fill the intake."
  }

  assert {
    condition     = output.detections_bus_arn == "arn:aws:events:eu-central-1:123456789012:event-bus/security-incident-detections"
    error_message = "The output must be the ARN of the bus."
  }
}

run "given_no_organisation_when_planned_then_there_is_no_bus_for_detections" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_event_bus.detections) + length(aws_cloudwatch_event_bus_policy.detections) + length(aws_cloudwatch_event_rule.member) == 0 && output.detections_bus_arn == null
    error_message = "Without an organisation there must be no bus for other accounts."
  }
}
