# Every variable refuses invalid values before Terraform creates any resource. Each run sets one invalid value for each
# of its variables, and Terraform must refuse all of them.

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

run "given_good_values_when_planned_then_none_is_refused" {
  command = plan

  variables {
    slack_bot_token           = "xoxb-1111111111-2222222222-aaaaBBBB3333"
    slack_signing_secret      = "0123456789abcdef0123456789abcdef"
    slack_workspace_id        = "T1234567890"
    slack_credentials_version = 2
    slack_channel_prefix      = "incident_2-"
    slack_channel_visibility  = "public"
    slack_approvers           = ["U012ABCDEF", "W012ABCDEF", "S012ABCDEF", "person@example.com"]
    slack_case_editors        = ["U012ABCDEF"]
    security_channel_id       = "C0123456789"
    initial_import            = "none"
    case_resolver_type        = "AWS"
    containment_mode          = "enforce"
    containment_scope         = "key"
    protected_principals      = ["arn:aws:iam::123456789012:role/break-glass-*", "arn:aws:iam::*:user/root-like"]
    max_containments_per_hour = 1
    organization_id           = "o-a1b2c3d4e5"
    allowed_cidrs             = ["203.0.113.0/24", "2001:db8::/32", "203.0.113.7/32"]
    allowed_principals        = ["arn:aws:sts::123456789012:assumed-role/deploy/*"]
    audit_retention_days      = 30
    audit_export_bucket       = "example-audit"
    case_retention_days       = 30
    alert_emails              = ["security@example.com"]
    log_retention_days        = 365
    log_level                 = "debug"
    lambda_architecture       = "x86_64"
    name_prefix               = "second-workspace"
    region                    = "ap-southeast-2"

    ask_before_containing_roles     = "all"
    close_decided_cases_after_hours = 0
    archive_channels_after_days     = 0
    report_message_text             = true

    cloudtrail_lake_event_data_store = "arn:aws:cloudtrail:us-east-1:123456789012:eventdatastore/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"

    max_containments_per_hour_per_account = 1
  }
}

run "given_slack_values_of_the_wrong_form_when_planned_then_each_is_refused" {
  command = plan

  variables {
    slack_signing_secret      = "0123456789abcdef"
    slack_workspace_id        = "my-workspace"
    slack_credentials_version = 1.5
    slack_channel_prefix      = "Incident-"
    slack_channel_visibility  = "secret"
    slack_approvers           = ["Jane Smith"]
    slack_case_editors        = ["@jane"]
    slack_mention             = ["everyone"]
    reminder_minutes          = [60, 10]
    page_after_minutes        = 0
    approvals_required        = { release = 3 }
    security_channel_id       = "#security"
    security_channel_name     = "#Security"
  }

  expect_failures = [
    var.slack_signing_secret,
    var.slack_workspace_id,
    var.slack_credentials_version,
    var.slack_channel_prefix,
    var.slack_channel_visibility,
    var.slack_approvers,
    var.slack_case_editors,
    var.slack_mention,
    var.reminder_minutes,
    var.page_after_minutes,
    var.approvals_required,
    var.security_channel_id,
    var.security_channel_name,
  ]
}

run "given_a_user_token_when_planned_then_refused" {
  command = plan

  variables {
    slack_bot_token      = "xoxp-1111111111-2222222222-aaaa"
    slack_signing_secret = "0123456789abcdef0123456789abcdef"
    slack_workspace_id   = "T1234567890"
  }

  expect_failures = [var.slack_bot_token]
}

run "given_a_token_without_its_signing_secret_when_planned_then_refused" {
  command = plan

  variables {
    slack_bot_token    = "xoxb-1111111111-2222222222-aaaaBBBB3333"
    slack_workspace_id = "T1234567890"
  }

  expect_failures = [var.slack_bot_token]
}

run "given_an_unknown_detection_when_disabled_then_refused" {
  command = plan

  variables {
    detections_disabled = ["no_such_detection"]
  }

  expect_failures = [var.detections_disabled]
}

# Its length depends on detections_disabled, so this has a run of its own too.
run "given_an_unknown_detection_when_its_severity_is_changed_then_refused" {
  command = plan

  variables {
    severity_overrides = { no_such_detection = "HIGH" }
  }

  expect_failures = [var.severity_overrides]
}

# Terraform does not validate variables that depend on a refused one, so this has a run of its own.
run "given_a_file_of_detections_that_is_not_json_when_planned_then_refused" {
  command = plan

  variables {
    extra_detections_path = "./versions.tf"
  }

  expect_failures = [var.extra_detections_path]
}

run "given_an_unknown_severity_when_planned_then_refused" {
  command = plan

  variables {
    severity_overrides = { create_access_key = "GRAVE" }
  }

  expect_failures = [var.severity_overrides]
}

run "given_invalid_detections_of_its_own_when_planned_then_they_are_refused" {
  command = plan

  variables {
    extra_detections_path = "tests/invalid_detections.json"
  }

  expect_failures = [var.extra_detections_path]
}

run "given_the_workspace_alone_when_planned_then_it_is_taken" {
  command = plan

  variables {
    slack_workspace_id = "T1234567890"
  }
}

run "given_containment_values_of_the_wrong_form_when_planned_then_each_is_refused" {
  command = plan

  variables {
    containment_mode          = "on"
    containment_scope         = "owner"
    protected_principals      = ["break-glass"]
    max_containments_per_hour = 0
    organization_id           = "my-organisation"
    allowed_cidrs             = ["203.0.113.7"]
    allowed_principals        = ["*"]
    owner_tag                 = "slack email"
    audit_retention_days      = 7
    audit_export_bucket       = "Example_Audit"
    case_retention_days       = 7
    initial_import            = "all"
    case_resolver_type        = "self"

    ask_before_containing_roles     = "ask"
    close_decided_cases_after_hours = -1
    archive_channels_after_days     = 4000

    cloudtrail_lake_event_data_store = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main"

    max_containments_per_hour_per_account = 0
  }

  expect_failures = [
    var.containment_mode,
    var.containment_scope,
    var.ask_before_containing_roles,
    var.protected_principals,
    var.max_containments_per_hour,
    var.max_containments_per_hour_per_account,
    var.organization_id,
    var.allowed_cidrs,
    var.allowed_principals,
    var.owner_tag,
    var.audit_retention_days,
    var.audit_export_bucket,
    var.case_retention_days,
    var.close_decided_cases_after_hours,
    var.archive_channels_after_days,
    var.cloudtrail_lake_event_data_store,
    var.initial_import,
    var.case_resolver_type,
  ]
}

run "given_deployment_values_of_the_wrong_form_when_planned_then_each_is_refused" {
  command = plan

  variables {
    region             = "Frankfurt"
    name_prefix        = "a-prefix-of-more-than-thirty-characters"
    package_path       = "./no-such.zip"
    log_level          = "verbose"
    log_retention_days = 100
    alert_emails       = ["security"]
  }

  expect_failures = [
    var.region,
    var.name_prefix,
    var.package_path,
    var.log_level,
    var.log_retention_days,
    var.alert_emails,
  ]
}

run "given_values_that_aws_would_refuse_at_the_apply_when_planned_then_each_is_refused" {
  command = plan

  variables {
    region                  = "ap-southeast-6"
    lambda_architecture     = "aarch64"
    slack_approvers         = [for number in range(60) : "analyst-${number}@example.com"]
    slack_case_editors      = [for number in range(60) : "analyst-${number}@example.com"]
    protected_principals    = [for number in range(201) : "arn:aws:iam::123456789012:user/${number}"]
    allowed_cidrs           = flatten([for high in range(9) : [for low in range(256) : "10.${high}.${low}.0/24"]])
    allowed_principals      = [for number in range(501) : "arn:aws:iam::123456789012:user/${number}"]
    extra_environment       = { AWS_REGION = "us-east-1" }
    workflow_kms_key_arn    = "alias/aws/states"
    code_signing_config_arn = "csc-0123456789abcdef0"
    kms_key_arn             = "arn:aws-cn:kms:cn-north-1:123456789012:key/00000000-1111-2222-3333-444444444444"
  }

  expect_failures = [
    var.region,
    var.lambda_architecture,
    var.slack_approvers,
    var.slack_case_editors,
    var.protected_principals,
    var.allowed_cidrs,
    var.allowed_principals,
    var.extra_environment,
    var.kms_key_arn,
    var.workflow_kms_key_arn,
    var.code_signing_config_arn,
  ]
}

run "given_more_environment_than_lambda_takes_when_planned_then_it_is_refused" {
  command = plan

  variables {
    extra_environment = { LONG = join("", [for number in range(60) : "0123456789"]) }
  }

  expect_failures = [var.extra_environment]
}

run "given_an_allowlist_that_would_allow_too_many_when_planned_then_it_is_refused_as_the_workflow_would" {
  command = plan

  variables {
    allowed_cidrs      = ["0.0.0.0/0"]
    allowed_principals = ["arn:aws:iam::*:user/x"]
  }

  expect_failures = [
    var.allowed_cidrs,
    var.allowed_principals,
  ]
}

run "given_every_role_of_an_account_when_allowed_then_it_is_refused_as_the_workflow_would" {
  command = plan

  variables {
    allowed_cidrs      = ["2001:db8::/31"]
    allowed_principals = ["arn:aws:iam::123456789012:role/*"]
  }

  expect_failures = [
    var.allowed_cidrs,
    var.allowed_principals,
  ]
}

run "given_a_region_that_no_list_of_endpoints_confirms_when_planned_then_a_warning" {
  command = plan

  variables {
    region = "eu-south-2"
  }

  expect_failures = [check.region]
}

run "given_more_changed_detections_than_the_environment_takes_when_planned_then_refused" {
  command = plan

  variables {
    severity_overrides = { for id in jsondecode(file("../src/ir_router/workflow/detections.json")).detections[*].id : id => "CRITICAL" }
  }

  expect_failures = [var.severity_overrides]
}
