# The members of an organisation: CloudFormation creates the resources of modules/account and modules/region in each account
# of the units, and in new ones.

resource "aws_cloudformation_stack_set" "members" {
  name             = "${var.name_prefix}-members"
  description      = "ir-router: the members of ${var.organization_id}"
  permission_model = "SERVICE_MANAGED"
  call_as          = var.call_as
  capabilities     = ["CAPABILITY_NAMED_IAM"]
  template_body    = local.template

  # Each unit overrides the mode.
  parameters = { Bus = var.detections_bus_arn, ContainmentMode = "off" }

  # If an account leaves its unit, its stack is deleted.
  auto_deployment {
    enabled                          = true
    retain_stacks_on_account_removal = false
  }

  # Operations of two units wait for each other.
  managed_execution {
    active = true
  }

  operation_preferences {
    failure_tolerance_percentage = 10
    max_concurrent_percentage    = 10
    region_concurrency_type      = "PARALLEL"
  }

  lifecycle {
    # AWS returns the role of StackSets, which cannot be set for SERVICE_MANAGED.
    ignore_changes = [administration_role_arn]

    precondition {
      condition     = length(local.template) <= 51200
      error_message = "The template is too long for CloudFormation (51,200 bytes). Forward fewer detections, or protect fewer principals."
    }
  }
}

resource "aws_cloudformation_stack_instances" "unit" {
  for_each = var.member_ous

  stack_set_name      = aws_cloudformation_stack_set.members.name
  call_as             = var.call_as
  regions             = sort(var.watched_regions)
  parameter_overrides = { ContainmentMode = each.value }

  deployment_targets {
    organizational_unit_ids = [each.key]
  }

  operation_preferences {
    failure_tolerance_percentage = 10
    max_concurrent_percentage    = 10
    region_concurrency_type      = "PARALLEL"
  }
}
