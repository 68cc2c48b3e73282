# A hub, and one member with two watched regions. Events of IAM appear in us-east-1. In practice each member has a state
# of its own (docs/organisation.md); one state shows how the outputs and inputs fit together.

variable "member_role_arn" {
  type        = string
  description = "ARN of the role that applies the modules in the member."
  default     = "arn:aws:iam::222222222222:role/ir-router-deployment"
}

provider "aws" {
  alias  = "member_us_east_1"
  region = "us-east-1"

  assume_role {
    role_arn = var.member_role_arn
  }
}

provider "aws" {
  alias  = "member_eu_west_1"
  region = "eu-west-1"

  assume_role {
    role_arn = var.member_role_arn
  }
}

module "hub" {
  source = "../.."

  region          = "eu-west-1"
  organization_id = "o-a1b2c3d4e5"
  alert_emails    = ["security@example.com"]
  package_path    = "${path.module}/../../../build/ir_router.zip"
}

module "member" {
  source    = "../../modules/account"
  providers = { aws = aws.member_us_east_1 }

  workflow_role_arn  = module.hub.workflow_role_arn
  organization_id    = "o-a1b2c3d4e5"
  containment_mode   = "dry_run"
  detections_bus_arn = module.hub.detections_bus_arn
  watched_regions    = ["us-east-1", "eu-west-1"]
}

module "member_us_east_1" {
  source    = "../../modules/region"
  providers = { aws = aws.member_us_east_1 }

  bus_arn  = module.hub.detections_bus_arn
  role_arn = module.member.forwarding_role_arn
}

module "member_eu_west_1" {
  source    = "../../modules/region"
  providers = { aws = aws.member_eu_west_1 }

  bus_arn  = module.hub.detections_bus_arn
  role_arn = module.member.forwarding_role_arn
}
