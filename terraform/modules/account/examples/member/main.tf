# The containment role in another account than the hub's. The provider has credentials of that account.

provider "aws" {
  region = "us-east-1"
}

module "account" {
  source = "../.."

  workflow_role_arn    = "arn:aws:iam::123456789012:role/security-incident-workflow"
  organization_id      = "o-a1b2c3d4e5"
  containment_mode     = "dry_run"
  protected_principals = ["arn:aws:iam::*:role/break-glass-*"]
}

output "containment_role_arn" {
  description = "ARN of the containment role."
  value       = module.account.containment_role_arn
}
