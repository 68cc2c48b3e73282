# The module for the forwarding rules of a region, as the root uses it and alone.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "ireland"
  source = "./tests/mocks"
}

run "given_a_member_when_planned_then_the_grave_detections_are_forwarded_in_one_hop_without_a_retry_policy" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    bus_arn  = "arn:aws:events:eu-west-1:222222222222:event-bus/security-incident-detections"
    role_arn = "arn:aws:iam::123456789012:role/security-incident-forwarding"
  }

  assert {
    condition     = contains(keys(aws_cloudwatch_event_rule.forwarded), "create_access_key") && !contains(keys(aws_cloudwatch_event_rule.forwarded), "denied_call")
    error_message = "By default the detections HIGH and CRITICAL must be forwarded, and no others."
  }

  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.forwarded : target.arn == var.bus_arn && target.role_arn == var.role_arn])
    error_message = "Every rule must forward to the bus of the hub with the role."
  }

  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.forwarded : length(target.retry_policy) == 0 && target.input == null])
    error_message = "A target that is an event bus must have no retry policy and no input, because AWS refuses both."
  }

  assert {
    condition     = length(regexall("arn:aws:events:us-east-1:123456789012:rule/security-incident-detect-", aws_sqs_queue.failures.policy)) == 1
    error_message = "Only the rules of the module may fill the queue."
  }
}

run "given_all_severities_when_planned_then_every_detection_has_a_rule_with_a_name_that_fits" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    name_prefix = "a-prefix-of-28-letters-xxxxx"
    bus_arn     = "arn:aws:events:eu-west-1:222222222222:event-bus/security-incident-detections"
    role_arn    = "arn:aws:iam::123456789012:role/security-incident-forwarding"
    severities  = ["LOW", "MEDIUM", "HIGH", "CRITICAL"]
  }

  assert {
    condition     = contains(keys(aws_cloudwatch_event_rule.forwarded), "denied_call") && alltrue([for rule in aws_cloudwatch_event_rule.forwarded : length(rule.name) <= 64])
    error_message = "Every detection must have a rule, and a name of a rule has at most 64 characters."
  }
}

run "given_invalid_values_when_planned_then_the_region_module_refuses_each" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    name_prefix = "Not-A-Prefix"
    bus_arn     = "security-incident-detections"
    role_arn    = "security-incident-forwarding"
    severities  = ["URGENT"]
    detections  = { "x" = { title = "x", pattern = "{", state = "DISABLED" } }
  }

  expect_failures = [var.name_prefix, var.bus_arn, var.role_arn, var.severities, var.detections]
}

run "given_the_example_of_the_region_module_when_planned_then_both_regions_have_a_queue" {
  command = plan

  module {
    source = "./modules/region/examples/member"
  }

  providers = {
    aws         = aws
    aws.ireland = aws.ireland
  }

  assert {
    condition     = output.failures_queues == ["security-incident-forwarding-failures", "security-incident-forwarding-failures"]
    error_message = "Each watched region must keep the events that did not arrive."
  }
}
