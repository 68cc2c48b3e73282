# A member with the containment role, and two regions that forward to the hub. IAM's events appear in us-east-1.

provider "aws" {
  region = "us-east-1"
}

provider "aws" {
  alias  = "ireland"
  region = "eu-west-1"
}

locals {
  bus_arn = "arn:aws:events:eu-west-1:123456789012:event-bus/security-incident-detections"
}

module "account" {
  source = "../../../account"

  workflow_role_arn  = "arn:aws:iam::123456789012:role/security-incident-workflow"
  organization_id    = "o-a1b2c3d4e5"
  containment_mode   = "dry_run"
  detections_bus_arn = local.bus_arn
  watched_regions    = ["us-east-1", "eu-west-1"]
}

module "us_east_1" {
  source = "../.."

  bus_arn  = local.bus_arn
  role_arn = module.account.forwarding_role_arn
}

module "ireland" {
  source    = "../.."
  providers = { aws = aws.ireland }

  bus_arn  = local.bus_arn
  role_arn = module.account.forwarding_role_arn
}

output "failures_queues" {
  description = "Names of the queues of events that did not reach the hub."
  value       = [module.us_east_1.failures_queue, module.ireland.failures_queue]
}
