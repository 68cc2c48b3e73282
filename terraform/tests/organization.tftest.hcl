# The module for the members of an organisation.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "given_two_units_when_planned_then_each_gets_its_mode_in_all_watched_regions_and_new_accounts_follow" {
  command = plan

  module {
    source = "./modules/organization"
  }

  variables {
    organization_id    = "o-a1b2c3d4e5"
    workflow_role_arn  = "arn:aws:iam::222222222222:role/security-incident-workflow"
    detections_bus_arn = "arn:aws:events:eu-west-1:222222222222:event-bus/security-incident-detections"
    watched_regions    = ["us-east-1", "eu-west-1"]
    member_ous         = { ou-ab12-11111111 = "enforce", ou-ab12-22222222 = "dry_run" }
  }

  assert {
    condition     = aws_cloudformation_stack_set.members.permission_model == "SERVICE_MANAGED" && aws_cloudformation_stack_set.members.call_as == "DELEGATED_ADMIN" && aws_cloudformation_stack_set.members.auto_deployment[0].enabled
    error_message = "New accounts of the units must become members by themselves."
  }

  assert {
    condition     = { for unit, instances in aws_cloudformation_stack_instances.unit : unit => instances.parameter_overrides.ContainmentMode } == { ou-ab12-11111111 = "enforce", ou-ab12-22222222 = "dry_run" }
    error_message = "Each unit must have its own mode."
  }

  assert {
    condition     = alltrue([for unit, instances in aws_cloudformation_stack_instances.unit : toset(instances.regions) == toset(["us-east-1", "eu-west-1"]) && instances.deployment_targets[0].organizational_unit_ids == toset([unit])])
    error_message = "Each unit must have stacks in all watched regions."
  }

  assert {
    condition     = toset(keys(jsondecode(output.template).Parameters)) == toset(keys(aws_cloudformation_stack_set.members.parameters)) && aws_cloudformation_stack_set.members.parameters.ContainmentMode == "off"
    error_message = "The StackSet must give each parameter a value, and contain nothing without the mode of a unit."
  }

  assert {
    condition     = length(output.template) < 30000
    error_message = "With the default detections the template must be far below the limit of CloudFormation."
  }
}

run "given_every_detection_and_200_protected_principals_when_planned_then_the_template_is_refused_before_cloudformation_does" {
  command = plan

  module {
    source = "./modules/organization"
  }

  variables {
    organization_id      = "o-a1b2c3d4e5"
    workflow_role_arn    = "arn:aws:iam::222222222222:role/security-incident-workflow"
    detections_bus_arn   = "arn:aws:events:eu-west-1:222222222222:event-bus/security-incident-detections"
    member_ous           = { r-ab12 = "dry_run" }
    severities           = ["LOW", "MEDIUM", "HIGH", "CRITICAL"]
    protected_principals = [for number in range(200) : "arn:aws:iam::*:role/break-glass-with-a-longer-name-${number}"]
  }

  expect_failures = [aws_cloudformation_stack_set.members]
}

run "given_invalid_values_when_planned_then_the_organization_module_refuses_each" {
  command = plan

  module {
    source = "./modules/organization"
  }

  variables {
    name_prefix          = "Not-A-Prefix"
    organization_id      = "a1b2c3d4e5"
    workflow_role_arn    = "security-incident-workflow"
    detections_bus_arn   = "security-incident-detections"
    member_ous           = { sandbox = "on" }
    watched_regions      = ["eu-west-1"]
    protected_principals = ["arn:aws:iam::*:role/break-glass-*"]
    severities           = ["URGENT"]
    detections           = { "x" = { title = "x", pattern = "{", state = "DISABLED" } }
    call_as              = "MEMBER"
  }

  expect_failures = [
    var.name_prefix, var.organization_id, var.workflow_role_arn, var.detections_bus_arn, var.member_ous, var.watched_regions,
    var.protected_principals, var.severities, var.detections, var.call_as,
  ]
}

run "given_the_example_of_the_organization_module_when_planned_then_it_protects_the_break_glass_role" {
  command = plan

  module {
    source = "./modules/organization/examples/two_units"
  }

  assert {
    condition     = jsondecode(output.template).Resources.Protected1.Properties.PolicyDocument.Statement[0].Resource == [{ "Fn::Sub" = "arn:aws:iam::$${AWS::AccountId}:role/break-glass" }]
    error_message = "Each member must protect its own principal."
  }
}
