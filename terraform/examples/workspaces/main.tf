# Two deployments of one configuration in another home region: `terraform workspace new test`, then `terraform workspace new
# live`. Each has its own prefix, state, Slack app and mode. Events of IAM appear in us-east-1, and ir-router creates rules there.

locals {
  settings = {
    live = { prefix = "security-incident", mode = "enforce", emails = ["security@example.com"] }
    test = { prefix = "ir-test", mode = "dry_run", emails = ["platform@example.com"] }
  }
  # The workspace `default` gets the values of `test`.
  chosen = lookup(local.settings, terraform.workspace, local.settings.test)
}

module "ir_router" {
  source = "../.."

  region           = "eu-west-1"
  name_prefix      = local.chosen.prefix
  containment_mode = local.chosen.mode
  alert_emails     = local.chosen.emails
  package_path     = "${path.module}/../../../build/ir_router.zip"

  # One deployment of a region owns the role for the logs of API Gateway.
  manage_api_gateway_account = terraform.workspace == "live"
}

output "prefix" {
  description = "The prefix for the commands of ir-router, for example ir-router verify --prefix ..."
  value       = local.chosen.prefix
}
