# The accounts of two units become members: those of the first contain, those of the second only report. The credentials are
# those of a delegated administrator of StackSets other than the hub.

provider "aws" {
  region = "eu-west-1"
}

module "organization" {
  source = "../.."

  organization_id    = "o-a1b2c3d4e5"
  workflow_role_arn  = "arn:aws:iam::123456789012:role/security-incident-workflow"
  detections_bus_arn = "arn:aws:events:eu-west-1:123456789012:event-bus/security-incident-detections"
  watched_regions    = ["us-east-1", "eu-west-1"]

  member_ous = {
    ou-ab12-11111111 = "enforce"
    ou-ab12-22222222 = "dry_run"
  }
  protected_principals = ["arn:aws:iam::*:role/break-glass"]
}

output "template" {
  description = "The template of a member's stack."
  value       = module.organization.template
}
