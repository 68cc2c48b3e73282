# Every variable refuses what would fail later, before anything is made. One run has one bad value for each of its
# variables, and each of them must be refused.

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
    protected_principals      = ["arn:aws:iam::123456789012:role/break-glass-*", "arn:aws:iam::*:user/root-like"]
    max_containments_per_hour = 1
    allowed_cidrs             = ["203.0.113.0/24", "2001:db8::/32", "203.0.113.7/32"]
    allowed_principals        = ["arn:aws:sts::123456789012:assumed-role/deploy/*"]
    audit_retention_days      = 30
    alert_emails              = ["security@example.com"]
    log_retention_days        = 365
    log_level                 = "debug"
    lambda_architecture       = "x86_64"
    name_prefix               = "second-workspace"
    region                    = "ap-southeast-2"
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
    security_channel_id       = "#security"
  }

  expect_failures = [
    var.slack_signing_secret,
    var.slack_workspace_id,
    var.slack_credentials_version,
    var.slack_channel_prefix,
    var.slack_channel_visibility,
    var.slack_approvers,
    var.slack_case_editors,
    var.security_channel_id,
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
    protected_principals      = ["break-glass"]
    max_containments_per_hour = 0
    allowed_cidrs             = ["203.0.113.7"]
    allowed_principals        = ["*"]
    owner_tag                 = "slack email"
    audit_retention_days      = 7
    initial_import            = "all"
    case_resolver_type        = "self"
  }

  expect_failures = [
    var.containment_mode,
    var.protected_principals,
    var.max_containments_per_hour,
    var.allowed_cidrs,
    var.allowed_principals,
    var.owner_tag,
    var.audit_retention_days,
    var.initial_import,
    var.case_resolver_type,
  ]
}

run "given_deployment_values_of_the_wrong_form_when_planned_then_each_is_refused" {
  command = plan

  variables {
    region              = "Frankfurt"
    name_prefix         = "a-prefix-of-more-than-thirty-characters"
    package_path        = "./no-such.zip"
    lambda_architecture = "aarch64"
    log_level           = "verbose"
    log_retention_days  = 100
    alert_emails        = ["security"]
  }

  expect_failures = [
    var.region,
    var.name_prefix,
    var.package_path,
    var.lambda_architecture,
    var.log_level,
    var.log_retention_days,
    var.alert_emails,
  ]
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
