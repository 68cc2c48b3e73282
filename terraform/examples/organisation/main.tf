# A hub, and the accounts of two organisational units as its members. In practice the members have a state of their own
# (docs/organisation.md); one state shows how the outputs and inputs fit together.

variable "deployment_role_arn" {
  type        = string
  description = "ARN of a role in the management account, or in a delegated administrator of StackSets other than the hub."
  default     = "arn:aws:iam::222222222222:role/ir-router-deployment"
}

provider "aws" {
  alias  = "organisation"
  region = "eu-west-1"

  assume_role {
    role_arn = var.deployment_role_arn
  }
}

module "hub" {
  source = "../.."

  region          = "eu-west-1"
  organization_id = "o-a1b2c3d4e5"
  alert_emails    = ["security@example.com"]
  package_path    = "${path.module}/../../../build/ir_router.zip"
}

module "members" {
  source    = "../../modules/organization"
  providers = { aws = aws.organisation }

  organization_id    = "o-a1b2c3d4e5"
  workflow_role_arn  = module.hub.workflow_role_arn
  detections_bus_arn = module.hub.detections_bus_arn
  watched_regions    = ["us-east-1", "eu-west-1"]

  member_ous = {
    ou-ab12-11111111 = "dry_run"
    ou-ab12-22222222 = "off"
  }
  protected_principals = ["arn:aws:iam::*:role/break-glass"]
}
