# The longest values that the variables accept fit into the limits that only an apply shows.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "global_events"
  source = "./tests/mocks"
}

run "given_the_longest_values_when_applied_then_each_environment_fits" {
  variables {
    # Any existing file works: the mocked provider uploads nothing.
    package_path         = "./versions.tf"
    region               = "ap-southeast-1"
    name_prefix          = "a-prefix-of-28-letters-xxxxx"
    containment_mode     = "enforce"
    slack_bot_token      = "xoxb-1111111111-2222222222-AppliedCanary"
    slack_signing_secret = "0123456789abcdef0123456789abcdef"
    slack_workspace_id   = "T0APPLIED"
    security_channel_id  = "C012345678901234567890"
    owner_tag            = join("", [for number in range(128) : "t"])
    slack_approvers      = [for number in range(26) : "${number + 10}-approver@example.com"]
    slack_case_editors   = [for number in range(26) : "${number + 10}-analysts@example.com"]
    allowed_cidrs        = [for number in range(500) : cidrsubnet("2001:db8::/32", 96, number)]
    allowed_principals   = [for number in range(200) : "arn:aws:sts::123456789012:assumed-role/deployment-${number}/*"]
    protected_principals = [for number in range(200) : "arn:aws:iam::123456789012:role/break-glass-${number}"]
    severity_overrides   = { for id in slice(sort(jsondecode(file("../src/ir_router/workflow/detections.json")).detections[*].id), 0, 28) : id => "CRITICAL" }
    extra_environment    = { LONG = join("", [for number in range(489) : "x"]) }
  }

  assert {
    condition     = length(jsonencode(var.slack_approvers)) > 650 && length(jsonencode(var.extra_environment)) == 500 && length(jsonencode(var.severity_overrides)) > 1000
    error_message = "The values of this test must be as long as the variables accept."
  }

  assert {
    condition     = max([for function in aws_lambda_function.this : sum([for name, value in function.environment[0].variables : length(name) + length(value)])]...) <= 4096
    error_message = "AWS allows 4 KB for the environment of a function."
  }
}
