# The module for the containment role of an account, as the root uses it and alone.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "given_another_account_when_planned_then_only_the_hubs_workflow_of_the_organisation_may_assume_the_role" {
  command = plan

  module {
    source = "./modules/account"
  }

  variables {
    workflow_role_arn = "arn:aws:iam::222222222222:role/security-incident-workflow"
    organization_id   = "o-a1b2c3d4e5"

    detections_bus_arn = "arn:aws:events:eu-west-1:222222222222:event-bus/security-incident-detections"
    watched_regions    = ["us-east-1", "eu-west-1"]

    protected_principals = [for number in range(200) : "arn:aws:iam::123456789012:role/break-glass-${number}"]
  }

  assert {
    condition     = length(aws_iam_role_policy_attachment.protected) == 8
    error_message = "A role can have 10 managed policies."
  }

  assert {
    condition     = jsondecode(aws_iam_role.containment.assume_role_policy).Statement[0].Principal.AWS == "arn:aws:iam::222222222222:root"
    error_message = "The role must trust the account of the hub."
  }

  assert {
    condition = jsondecode(aws_iam_role.containment.assume_role_policy).Statement[0].Condition == {
      ArnEquals    = { "aws:PrincipalArn" = "arn:aws:iam::222222222222:role/security-incident-workflow" }
      StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5" }
    }
    error_message = "The role must trust only the workflow of the hub, and only within the organisation."
  }

  assert {
    condition     = aws_iam_role.containment.tags == tomap({ ir-router-mode = "dry_run", ir-router-regions = "eu-west-1 us-east-1" })
    error_message = "The tags of the role must show the hub its mode and regions."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.forwarding[0].policy).Statement == [{ Sid = "ForwardToHub", Effect = "Allow", Action = ["events:PutEvents"], Resource = var.detections_bus_arn }]
    error_message = "The role for forwarding must put events on the bus of the hub only."
  }

  assert {
    condition     = length([for statement in jsondecode(aws_iam_role_policy.containment.policy).Statement : statement if strcontains(jsonencode(statement), "222222222222")]) == 0
    error_message = "The permissions must be for principals of the own account only."
  }

  assert {
    condition     = length(regexall("iam:Attach(User|Role)Policy", jsonencode([for statement in jsondecode(aws_iam_role_policy.containment.policy).Statement : statement.Action if statement.Effect == "Allow"]))) == 0
    error_message = "By default the role must not be able to contain."
  }
}

run "given_invalid_values_when_planned_then_the_account_module_refuses_each" {
  command = plan

  module {
    source = "./modules/account"
  }

  variables {
    name_prefix          = "Not-A-Prefix"
    workflow_role_arn    = "security-incident-workflow"
    organization_id      = "a1b2c3d4e5"
    containment_mode     = "on"
    protected_principals = ["break-glass"]
    own_roles            = ["path/role"]
    detections_bus_arn   = "security-incident-detections"
    watched_regions      = ["Ireland"]
  }

  expect_failures = [
    var.name_prefix, var.workflow_role_arn, var.organization_id, var.containment_mode, var.protected_principals, var.own_roles,
    var.detections_bus_arn, var.watched_regions,
  ]
}

run "given_the_example_of_the_account_module_when_planned_then_it_has_the_role_of_the_account" {
  command = plan

  module {
    source = "./modules/account/examples/member"
  }

  assert {
    condition     = output.containment_role_arn == "arn:aws:iam::123456789012:role/security-incident-containment"
    error_message = "The example must create the role that the hub assumes."
  }
}
